//! The names of a certificate, from text to subject alternative names.

use std::fmt;
use std::net::IpAddr;

use anyhow::{Context as _, bail};
use rcgen::SanType;

use super::certificate::Purpose;

/// At least one name.
#[derive(Debug, Clone)]
pub(super) struct Names(Vec<Name>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Dns(String),
    Ip(IpAddr),
    Mail(String),
}

/// Reads the names; without any, what is usual for `purpose`.
///
/// # Errors
///
/// The first name that no client would ever match.
pub(super) fn parse(written: &[String], purpose: Purpose) -> anyhow::Result<Names> {
    let usual: &[&str] = match purpose {
        Purpose::Server => &["localhost", "127.0.0.1", "::1"],
        Purpose::Client => &["client"],
    };
    let mut names = Vec::new();
    let written = written.iter().map(String::as_str);
    let usual = usual.iter().copied().filter(|_| written.len() == 0);
    for text in written.clone().chain(usual) {
        let name = name(text.trim(), purpose)
            .with_context(|| format!("`{text}` cannot stand in a certificate"))?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(Names(names))
}

fn name(text: &str, purpose: Purpose) -> anyhow::Result<Name> {
    let address = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    if let Ok(ip) = address.unwrap_or(text).parse() {
        return Ok(Name::Ip(ip));
    }
    if text.contains("://") || text.contains('/') {
        bail!("a name is wanted, not a URL");
    }
    if !text.is_ascii() {
        bail!("international names are written in their ASCII form, xn--…");
    }
    if purpose == Purpose::Client && text.contains('@') {
        return Ok(Name::Mail(text.to_owned()));
    }
    dns(text)?;
    Ok(Name::Dns(text.to_ascii_lowercase()))
}

/// RFC 1123 §2.1 labels, an underscore, and `*` for the first label.
fn dns(text: &str) -> anyhow::Result<()> {
    if text.contains(':') {
        bail!("a name is wanted, without a port");
    }
    if text.is_empty() || text.len() > 253 {
        bail!("a name has 1 to 253 characters");
    }
    for label in text.strip_prefix("*.").unwrap_or(text).split('.') {
        if label.is_empty() || label.len() > 63 {
            bail!("a label has 1 to 63 characters");
        }
        if label.contains('*') {
            bail!("`*` stands only for the whole first label, as in *.example.com");
        }
        let known = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if !label.bytes().all(known) || label.starts_with('-') || label.ends_with('-') {
            bail!("a label is made of letters, digits and inner hyphens");
        }
    }
    Ok(())
}

impl Names {
    /// The names as rcgen wants them.
    pub(super) fn alternative_names(&self) -> anyhow::Result<Vec<SanType>> {
        let alternative = |name: &Name| {
            Ok(match name {
                Name::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
                Name::Ip(ip) => SanType::IpAddress(*ip),
                Name::Mail(mail) => SanType::Rfc822Name(mail.as_str().try_into()?),
            })
        };
        self.0.iter().map(alternative).collect()
    }

    /// The first name, cut to the 64 characters a common name may have (RFC 5280, appendix A.1).
    pub(super) fn common_name(&self) -> String {
        let first = self.0.first().map_or_else(String::new, Name::to_string);
        first.chars().take(64).collect()
    }

    /// The first name as the host of a URL.
    pub(super) fn first_host(&self) -> String {
        match self.0.first() {
            Some(Name::Ip(IpAddr::V6(ip))) => format!("[{ip}]"),
            Some(Name::Dns(name)) => name.replacen('*', "www", 1),
            Some(name) => name.to_string(),
            None => "localhost".to_owned(),
        }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(text) | Self::Mail(text) => f.write_str(text),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(written: &[&str]) -> anyhow::Result<Names> {
        let written: Vec<_> = written.iter().map(|&name| name.to_owned()).collect();
        parse(&written, Purpose::Server)
    }

    #[test]
    fn tells_names_and_addresses_apart() {
        let names = server(&["App.example.com", "10.0.0.7", "[::1]", "*.example.com"]).unwrap();
        assert_eq!(
            names.to_string(),
            "app.example.com, 10.0.0.7, ::1, *.example.com"
        );
        assert_eq!(names.common_name(), "app.example.com");
    }

    #[test]
    fn without_names_the_machine_itself() {
        assert_eq!(
            server(&[]).unwrap().to_string(),
            "localhost, 127.0.0.1, ::1"
        );
        assert_eq!(parse(&[], Purpose::Client).unwrap().to_string(), "client");
    }

    #[test]
    fn the_same_name_twice_is_one_name() {
        assert_eq!(server(&["a.b", "A.B"]).unwrap().to_string(), "a.b");
    }

    #[test]
    fn refuses_what_no_client_would_match() {
        for wrong in [
            "",
            "https://example.com",
            "example.com:443",
            "a..b",
            "-a.b",
            "a.*.b",
            "f*.b",
            "*",
            "münchen.de",
            "a b",
            "a@b",
        ] {
            assert!(server(&[wrong]).is_err(), "{wrong}");
        }
    }
}
