//! Members of comma-separated lists (RFC 9110 §5.6.1), with quoted strings kept whole.

/// The members of one field line, without the white space around them; empty ones are left out.
///
/// A quote that is never closed runs to the end of the line, so nothing inside it can pass for a member.
#[derive(Debug, Clone)]
pub(crate) struct Members<'a>(&'a [u8]);

pub(crate) const fn members(line: &[u8]) -> Members<'_> {
    Members(line)
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.0.is_empty() {
            let end = comma(self.0);
            let member = self.0[..end].trim_ascii();
            self.0 = self.0.get(end + 1..).unwrap_or_default();
            if !member.is_empty() {
                return Some(member);
            }
        }
        None
    }
}

/// Where the first comma outside a quoted string is, or the end.
fn comma(line: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, &byte) in line.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return at,
            _ => {}
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<String> {
        members(line.as_bytes())
            .map(|member| String::from_utf8_lossy(member).into_owned())
            .collect()
    }

    #[test]
    fn splits_at_commas_outside_quotes() {
        assert_eq!(split(" a ,, b=\"c, d\" ,e"), ["a", "b=\"c, d\"", "e"]);
        assert_eq!(split(r#"a="\",b", c"#), [r#"a="\",b""#, "c"]);
        assert_eq!(split(""), Vec::<String>::new());
    }

    #[test]
    fn an_open_quote_takes_the_rest() {
        assert_eq!(split("a=\"b, c"), ["a=\"b, c"]);
    }
}
