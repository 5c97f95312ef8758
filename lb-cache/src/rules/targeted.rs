//! Targeted cache control (RFC 9213): fields as `CDN-Cache-Control`, that speak to some caches only.

use http::HeaderMap;
use http::header::HeaderName;

use super::directives::{ResponseDirectives, Structured};

/// Reads the first of `targets` that the response has, if it is a dictionary of RFC 9651 and says anything.
///
/// Then `Cache-Control` and `Expires` say nothing (RFC 9213 §2.2). A field that breaks the grammar, or gives a lifetime of
/// another type than an integer, is as if it were not there (§2.1).
pub(crate) fn parse(headers: &HeaderMap, targets: &[HeaderName]) -> Option<ResponseDirectives> {
    targets.iter().find_map(|target| {
        let mut directives = ResponseDirectives::default();
        let mut any = false;
        for line in headers.get_all(target) {
            any |= dictionary(line.as_bytes(), &mut directives)?;
        }
        any.then_some(directives)
    })
}

/// Whether the line has members; `None` if it is no dictionary.
fn dictionary(line: &[u8], directives: &mut ResponseDirectives) -> Option<bool> {
    let mut rest = Cursor(line.trim_ascii());
    let mut any = false;
    while !rest.0.is_empty() {
        let key = rest.key()?;
        let value = if rest.take(b'=') {
            rest.member()?
        } else {
            Structured::Boolean(true)
        };
        rest.parameters()?;
        if !directives.take_structured(key, value) {
            return None;
        }
        any = true;
        rest.white_space();
        if rest.0.is_empty() {
            break;
        }
        if !rest.take(b',') {
            return None;
        }
        rest.white_space();
        // A comma at the end promises another member.
        rest.0.first()?;
    }
    Some(any)
}

/// What is still to be read (RFC 9651 §4.2).
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, byte: u8) -> bool {
        let taken = self.0.first() == Some(&byte);
        if taken {
            self.0 = &self.0[1..];
        }
        taken
    }

    fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|&byte| !accept(byte));
        let (taken, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        taken
    }

    fn white_space(&mut self) {
        self.take_while(|byte| byte == b' ' || byte == b'\t');
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        let first = *self.0.first()?;
        (first.is_ascii_lowercase() || first == b'*').then(|| {
            self.take_while(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte)
            })
        })
    }

    /// An item or an inner list, without its parameters.
    fn member(&mut self) -> Option<Structured> {
        if !self.take(b'(') {
            return self.bare_item();
        }
        loop {
            self.take_while(|byte| byte == b' ');
            if self.take(b')') {
                return Some(Structured::Other);
            }
            self.bare_item()?;
            self.parameters()?;
            if !matches!(self.0.first(), Some(b' ' | b')')) {
                return None;
            }
        }
    }

    fn parameters(&mut self) -> Option<()> {
        while self.take(b';') {
            self.take_while(|byte| byte == b' ');
            self.key()?;
            if self.take(b'=') {
                self.bare_item()?;
            }
        }
        Some(())
    }

    fn bare_item(&mut self) -> Option<Structured> {
        let first = *self.0.first()?;
        match first {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b':' => {
                self.take(b':');
                self.take_while(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
                self.take(b':').then_some(Structured::Other)
            }
            b'?' => {
                self.take(b'?');
                if self.take(b'1') {
                    Some(Structured::Boolean(true))
                } else {
                    self.take(b'0').then_some(Structured::Boolean(false))
                }
            }
            b'@' => {
                self.take(b'@');
                let date = self.number()?;
                matches!(date, Structured::Integer(_)).then_some(Structured::Other)
            }
            _ if first.is_ascii_alphabetic() || first == b'*' => {
                self.take_while(|byte| {
                    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte)
                });
                Some(Structured::Other)
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Structured> {
        let negative = self.take(b'-');
        let whole = self.take_while(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 15 {
            return None;
        }
        if self.take(b'.') {
            let fraction = self.take_while(|byte| byte.is_ascii_digit());
            let fits = whole.len() <= 12 && (1..=3).contains(&fraction.len());
            return fits.then_some(Structured::Other);
        }
        let number = whole
            .iter()
            .fold(0, |number, byte| number * 10 + i64::from(byte - b'0'));
        Some(Structured::Integer(if negative { -number } else { number }))
    }

    fn string(&mut self) -> Option<Structured> {
        self.take(b'"');
        loop {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            match byte {
                b'"' => return Some(Structured::Other),
                b'\\' if !self.take(b'"') && !self.take(b'\\') => return None,
                b'\\' | 0x20..=0x7e => {}
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;

    fn read(lines: &[&str]) -> Option<ResponseDirectives> {
        let name = HeaderName::from_static("cdn-cache-control");
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_str(line).unwrap());
        }
        parse(&headers, &[name])
    }

    #[test]
    fn reads_a_dictionary() {
        let read = read(&[
            "max-age=60;x=\"y\", must-revalidate",
            "a=(1 b;c \"d\"), private=?0",
        ])
        .unwrap();
        assert_eq!(read.max_age, Some(Duration::from_secs(60)));
        assert!(read.must_revalidate && !read.private);
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        let read = read(&["max-age=60, max-age=5"]).unwrap();
        assert_eq!(read.max_age, Some(Duration::from_secs(5)));
    }

    #[test]
    fn numbers_are_bounded() {
        for (text, seconds) in [("max-age=99999999999", 1 << 31), ("max-age=-5", 0)] {
            let read = read(&[text]).unwrap();
            assert_eq!(read.max_age, Some(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_ignored() {
        for text in [
            "",
            "  ",
            "max-age=60, &&&&",
            "max-age=\"60\"",
            "max-age=60.5",
            "max-age =60",
            "max-age= 60",
            "Max-Age=60",
            "max-age=60,",
            "max-age=60 no-store",
            "max-age=1234567890123456",
            "max-age",
            "a=\"open",
            "a=(1 2",
            "a=(1,2)",
            "a=?2",
            "a=:x",
            "a;=1",
        ] {
            assert_eq!(read(&[text]), None, "{text}");
        }
    }
}
