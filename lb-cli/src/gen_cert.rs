//! `lb-cli gen-cert`: a certificate and its key, self-signed or from an authority of one's own.

mod authority;
mod certificate;
mod files;
mod names;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::authority::Authority;
use self::certificate::{Made, Purpose};
use self::files::{Kind, NewFile};
use crate::args::GenCertArguments;
use crate::failure::{Exit, Failure};
use crate::output;

/// Makes the certificate, writes its files and says what to do with them.
///
/// Nothing is written before everything has been made and every file checked, so that a mistake
/// leaves the directory as it was.
pub(crate) fn run(arguments: &GenCertArguments) -> Result<Exit, Failure> {
    let purpose = if arguments.client {
        Purpose::Client
    } else {
        Purpose::Server
    };
    let names = names::parse(&arguments.names, purpose).map_err(|error| {
        Failure::usage(
            error,
            "names look like app.example.com, *.example.com or 10.0.0.7",
        )
    })?;
    let out = &arguments.out;
    let cert = out.join(format!("{}.crt", purpose.stem()));
    let key = out.join(format!("{}.key", purpose.stem()));

    if !arguments.force {
        files::refuse_existing(&[&cert, &key]).map_err(|error| {
            Failure::failed(error, "--force overwrites it, --out DIR writes elsewhere")
        })?;
    }

    let authority = authority(arguments)?;
    let made = match &authority {
        Some(authority) => authority.sign(&names, arguments.days, arguments.key_type, purpose),
        None => certificate::self_signed(&names, arguments.days, arguments.key_type, purpose),
    };
    let made = made
        .map_err(|error| Failure::failed(error, "another --key-type, or fewer and other names"))?;

    write(arguments, authority.as_ref(), &made, &cert, &key).map_err(|error| {
        Failure::failed(error, "choose a directory you can write to with --out DIR")
    })?;
    report(authority.as_ref(), &made, purpose, &cert, &key);
    Ok(Exit::Done)
}

fn authority(arguments: &GenCertArguments) -> Result<Option<Authority>, Failure> {
    let (cert, may_create) = match &arguments.ca {
        None => return Ok(None),
        Some(None) => (arguments.out.join("ca.crt"), true),
        Some(Some(file)) => (file.clone(), false),
    };
    let authority = Authority::open(cert, may_create, arguments.key_type).map_err(|error| {
        Failure::failed(
            error,
            "`--ca` without a file makes ca.crt and ca.key in the --out directory",
        )
    })?;
    Ok(Some(authority))
}

fn write(
    arguments: &GenCertArguments,
    authority: Option<&Authority>,
    made: &Made,
    cert: &Path,
    key: &Path,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("cannot create `{}`", arguments.out.display()))?;
    let mut new = Vec::new();
    if let Some((authority, made)) = authority.and_then(|a| Some((a, a.created()?))) {
        new.push(NewFile::new(&authority.key, Kind::Secret, &made.key));
        new.push(NewFile::new(&authority.cert, Kind::Public, &made.cert));
        // A new authority never takes the place of another one, whatever --force says.
        files::write(&new, false)?;
        new.clear();
    }
    new.push(NewFile::new(key, Kind::Secret, &made.key));
    new.push(NewFile::new(cert, Kind::Public, &made.cert));
    files::write(&new, arguments.force)
}

fn report(authority: Option<&Authority>, made: &Made, purpose: Purpose, cert: &Path, key: &Path) {
    let shown = |path: &Path| shell_word(path);
    if let Some((authority, made)) = authority.and_then(|a| Some((a, a.created()?))) {
        output::line(format_args!(
            "wrote {}      the authority",
            authority.cert.display()
        ));
        output::line(format_args!(
            "wrote {}      its key (mode 0600); whoever has it can vouch for any name",
            authority.key.display()
        ));
        output::line(format_args!(
            "authority SHA-256 fingerprint {}",
            made.fingerprint()
        ));
    }
    output::line(format_args!(
        "wrote {}  for {}, until {}",
        cert.display(),
        made.names,
        made.not_after
    ));
    output::line(format_args!("wrote {}  (mode 0600)", key.display()));
    output::line(format_args!("SHA-256 fingerprint {}", made.fingerprint()));
    output::line("");
    let trusted: PathBuf = authority.map_or_else(|| cert.to_owned(), |a| a.cert.clone());
    match purpose {
        Purpose::Server => {
            output::line("Serve with it:");
            output::line(format_args!(
                "  lb-cli serve --cert {} --key {}",
                shown(cert),
                shown(key)
            ));
            output::line("Trust it:");
            output::line(format_args!(
                "  curl --cacert {} https://{}:8443/",
                shown(&trusted),
                made.first_host
            ));
        }
        Purpose::Client => {
            output::line("Use it:");
            output::line(format_args!(
                "  curl --cert {} --key {} https://localhost:8443/",
                shown(cert),
                shown(key)
            ));
            output::line(format_args!(
                "A server that is to accept it trusts {}.",
                trusted.display()
            ));
            return;
        }
    }
    output::line(format_args!(
        "  sudo cp {} /usr/local/share/ca-certificates/lb.crt && sudo update-ca-certificates   # Debian, Ubuntu",
        shown(&trusted)
    ));
    output::line(format_args!(
        "  sudo security add-trusted-cert -d -k /Library/Keychains/System.keychain {}   # macOS",
        shown(&trusted)
    ));
}

/// The path as one word of a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_only_where_a_shell_needs_it() {
        assert_eq!(
            shell_word(Path::new("./tls/server.crt")),
            "./tls/server.crt"
        );
        assert_eq!(
            shell_word(Path::new("my certs/it's")),
            r"'my certs/it'\''s'"
        );
    }
}
