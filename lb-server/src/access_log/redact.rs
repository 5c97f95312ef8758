//! Parameters of a query whose values are nobody's to read in a log.

/// What stands for a value.
const REDACTED: &[u8] = b"REDACTED";

/// The names of parameters whose values are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Redaction {
    /// In lower case.
    names: Box<[Box<[u8]>]>,
}

impl Redaction {
    pub(crate) fn new(names: &[String]) -> Self {
        let lower = |name: &String| name.to_ascii_lowercase().into_bytes().into_boxed_slice();
        Self {
            names: names.iter().map(lower).collect(),
        }
    }

    /// The parts of a query in their order, with what stands for the values that are left out.
    ///
    /// Both `&` and `;` end a parameter, because servers disagree: cutting too often hides too much at worst.
    pub(crate) fn query<'a>(&'a self, query: &'a [u8]) -> Parts<'a> {
        Parts {
            names: &self.names,
            rest: query,
            is_hidden: false,
        }
    }

    /// As [`Redaction::query`], of a URL: its query is what follows the first `?`.
    pub(crate) fn url<'a>(&'a self, url: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let query = url.iter().position(|byte| *byte == b'?');
        let (before, query) = url.split_at(query.map_or(url.len(), |at| at + 1));
        std::iter::once(before).chain(self.query(query))
    }
}

/// The parts of a query; see [`Redaction::query`].
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    names: &'a [Box<[u8]>],
    rest: &'a [u8],
    /// Whether a value that is left out comes next.
    is_hidden: bool,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if std::mem::take(&mut self.is_hidden) {
            return Some(REDACTED);
        }
        let found = self.secret();
        let (shown, rest) = match &found {
            Some(value) => (&self.rest[..value.start], &self.rest[value.end..]),
            None => (self.rest, &self.rest[..0]),
        };
        self.rest = rest;
        self.is_hidden = found.is_some();
        (self.is_hidden || !shown.is_empty()).then_some(shown)
    }
}

impl Parts<'_> {
    /// Where the next value is that is left out.
    fn secret(&self) -> Option<std::ops::Range<usize>> {
        if self.names.is_empty() {
            return None;
        }
        let mut start = 0;
        for parameter in self.rest.split(|byte| matches!(byte, b'&' | b';')) {
            let end = start + parameter.len();
            if let Some(equals) = parameter.iter().position(|byte| *byte == b'=')
                && equals + 1 < parameter.len()
                && self
                    .names
                    .iter()
                    .any(|name| is_named(&parameter[..equals], name))
            {
                return Some(start + equals + 1..end);
            }
            start = end + 1;
        }
        None
    }
}

/// Whether a parameter has this name, whole or as one of the parts of `user[password]`, however it is encoded.
fn is_named(parameter: &[u8], name: &[u8]) -> bool {
    let mut wanted = Some(name);
    for byte in decoded(parameter) {
        if matches!(byte, b'[' | b']') {
            if wanted.is_some_and(<[u8]>::is_empty) {
                return true;
            }
            wanted = Some(name);
            continue;
        }
        wanted = wanted
            .and_then(<[u8]>::split_first)
            .and_then(|(first, rest)| (*first == byte.to_ascii_lowercase()).then_some(rest));
    }
    wanted.is_some_and(<[u8]>::is_empty)
}

/// The bytes that a form's encoding stands for.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let digit = |byte: &u8| {
            char::from(*byte)
                .to_digit(16)
                .and_then(|it| u8::try_from(it).ok())
        };
        let (byte, after) = match rest {
            [] => return None,
            [b'%', high, low, after @ ..] => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', &rest[1..]),
            },
            [b'+', after @ ..] => (b' ', after),
            [byte, after @ ..] => (*byte, after),
        };
        rest = after;
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redacted(names: &[&str], query: &str) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let redaction = Redaction::new(&names);
        let parts: Vec<u8> = redaction
            .query(query.as_bytes())
            .flatten()
            .copied()
            .collect();
        String::from_utf8(parts).unwrap()
    }

    #[test]
    fn hides_the_values_of_listed_parameters_alone() {
        let names = ["token", "pass word"];
        for (query, shown) in [
            ("", ""),
            ("a=1&token=geheim", "a=1&token=REDACTED"),
            ("token=geheim&b=2", "token=REDACTED&b=2"),
            ("token=a&token=b", "token=REDACTED&token=REDACTED"),
            ("TOKEN=a=b", "TOKEN=REDACTED"),
            ("t%6Fken=a", "t%6Fken=REDACTED"),
            (
                "pass+word=a&pass%20word=b",
                "pass+word=REDACTED&pass%20word=REDACTED",
            ),
            (
                "user[token]=a&token[]=b",
                "user[token]=REDACTED&token[]=REDACTED",
            ),
            ("user%5Btoken%5D=a", "user%5Btoken%5D=REDACTED"),
            ("a=1;token=b", "a=1;token=REDACTED"),
            ("token=", "token="),
            ("token", "token"),
            ("tokens=1&xtoken=2&toke=3", "tokens=1&xtoken=2&toke=3"),
            ("t%6=1&%=2&%zz=3", "t%6=1&%=2&%zz=3"),
            ("&&;=&", "&&;=&"),
        ] {
            assert_eq!(redacted(&names, query), shown);
        }
    }

    #[test]
    fn hides_them_in_urls_too() {
        let redaction = Redaction::new(&["token".to_owned()]);
        let shown =
            |url: &str| -> Vec<u8> { redaction.url(url.as_bytes()).flatten().copied().collect() };
        assert_eq!(
            shown("https://a/token=x?token=y"),
            b"https://a/token=x?token=REDACTED"
        );
        assert_eq!(shown("https://a/"), b"https://a/");
        assert_eq!(shown("?"), b"?");
    }

    proptest! {
        #[test]
        fn changes_nothing_where_nothing_is_listed(query in ".*") {
            prop_assert_eq!(redacted(&[], &query), query);
        }

        #[test]
        fn lets_no_listed_value_through(before in "[a-z=&;%]*", after in "[a-z=&;%]*") {
            let shown = redacted(&["token"], &format!("{before}&token=GEHEIM&{after}"));
            prop_assert!(!shown.contains("GEHEIM"), "{}", shown);
        }
    }
}
