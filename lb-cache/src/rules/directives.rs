//! `Cache-Control` of requests and responses (RFC 9111 §5.2), read without allocation.

use std::time::Duration;

use http::HeaderMap;
use http::header::{CACHE_CONTROL, HeaderName};

use super::list::{Members, members};

/// What a number of seconds saturates at: 2^31, some 68 years (RFC 9111 §1.2.2).
pub(crate) const MAX_SECONDS: u64 = 1 << 31;

/// The directives of a request that a cache acts on.
///
/// Unknown directives are passed over, of repeated ones the first counts, and one with an unreadable number is as if it
/// were not there.
///
/// # References
/// RFC 9111 §5.2.1; `stale-if-error` is RFC 5861 §4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RequestDirectives {
    /// Nothing stored may be sent without validation.
    pub no_cache: bool,
    /// Neither request nor response may be stored.
    pub no_store: bool,
    /// Only a stored response is wanted, else 504.
    pub only_if_cached: bool,
    /// The greatest age that is acceptable.
    pub max_age: Option<Duration>,
    /// How long the response has to be fresh still.
    pub min_fresh: Option<Duration>,
    /// How stale the response may be; [`Duration::MAX`] without a number.
    pub max_stale: Option<Duration>,
    /// How stale the response may be if the backend fails.
    pub stale_if_error: Option<Duration>,
}

impl RequestDirectives {
    /// Reads all `Cache-Control` lines.
    ///
    /// # Complexity
    /// O(length of the lines), no allocation.
    pub fn parse(headers: &HeaderMap) -> Self {
        let mut all = Self::default();
        for line in headers.get_all(CACHE_CONTROL) {
            for member in members(line.as_bytes()) {
                all.take(Directive::of(member));
            }
        }
        all
    }

    fn take(&mut self, directive: Directive<'_>) {
        let seconds = |slot: &mut Option<Duration>| {
            if slot.is_none() {
                *slot = directive.seconds();
            }
        };
        if directive.is("no-cache") {
            self.no_cache = true;
        } else if directive.is("no-store") {
            self.no_store = true;
        } else if directive.is("only-if-cached") {
            self.only_if_cached = true;
        } else if directive.is("max-age") {
            seconds(&mut self.max_age);
        } else if directive.is("min-fresh") {
            seconds(&mut self.min_fresh);
        } else if directive.is("stale-if-error") {
            seconds(&mut self.stale_if_error);
        } else if directive.is("max-stale") {
            if directive.value.is_none() {
                self.max_stale.get_or_insert(Duration::MAX);
            } else {
                seconds(&mut self.max_stale);
            }
        }
    }
}

/// The directives of a response that a shared cache acts on.
///
/// Unknown directives are passed over and of repeated ones the first counts. An unreadable lifetime counts as zero, so the
/// response is stale (RFC 9111 §4.2.1). `no-cache` and `private` that name fields are kept apart from the plain ones; in
/// doubt they are plain.
///
/// # References
/// RFC 9111 §5.2.2; `stale-while-revalidate` and `stale-if-error` are RFC 5861.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ResponseDirectives {
    /// Never sent without validation.
    pub no_cache: bool,
    /// Never stored.
    pub no_store: bool,
    /// For one client only, not for a shared cache.
    pub private: bool,
    /// May be stored even if the request was authorised.
    pub public: bool,
    /// Not sent once stale.
    pub must_revalidate: bool,
    /// Not sent once stale, by shared caches.
    pub proxy_revalidate: bool,
    /// Stored only by a cache that knows the status, and then whatever `no_store` says.
    pub must_understand: bool,
    /// Whether `no-cache` or `private` names fields that must not be stored.
    pub names_fields: bool,
    /// Freshness lifetime.
    pub max_age: Option<Duration>,
    /// Freshness lifetime in shared caches.
    pub s_maxage: Option<Duration>,
    /// How long after its lifetime it may be sent while it is validated.
    pub stale_while_revalidate: Option<Duration>,
    /// How long after its lifetime it may be sent if the backend fails.
    pub stale_if_error: Option<Duration>,
}

impl ResponseDirectives {
    /// Reads all `Cache-Control` lines.
    ///
    /// # Complexity
    /// O(length of the lines), no allocation.
    pub fn parse(headers: &HeaderMap) -> Self {
        let mut all = Self::default();
        for line in headers.get_all(CACHE_CONTROL) {
            for member in members(line.as_bytes()) {
                all.take(Directive::of(member));
            }
        }
        all
    }

    fn take(&mut self, directive: Directive<'_>) {
        let lifetime = |slot: &mut Option<Duration>| {
            slot.get_or_insert(directive.seconds().unwrap_or_default());
        };
        if directive.is("max-age") {
            lifetime(&mut self.max_age);
        } else if directive.is("s-maxage") {
            lifetime(&mut self.s_maxage);
        } else if directive.is("stale-while-revalidate") {
            lifetime(&mut self.stale_while_revalidate);
        } else if directive.is("stale-if-error") {
            lifetime(&mut self.stale_if_error);
        } else if directive.is("no-cache") {
            let names = directive.names_fields();
            self.names_fields |= names;
            self.no_cache |= !names;
        } else if directive.is("private") {
            let names = directive.names_fields();
            self.names_fields |= names;
            self.private |= !names;
        } else if let Some(flag) = self.flag(directive.name) {
            *flag = true;
        }
    }

    fn flag(&mut self, name: &[u8]) -> Option<&mut bool> {
        let is = |text: &str| name.eq_ignore_ascii_case(text.as_bytes());
        if is("no-store") {
            Some(&mut self.no_store)
        } else if is("public") {
            Some(&mut self.public)
        } else if is("must-revalidate") {
            Some(&mut self.must_revalidate)
        } else if is("proxy-revalidate") {
            Some(&mut self.proxy_revalidate)
        } else if is("must-understand") {
            Some(&mut self.must_understand)
        } else {
            None
        }
    }

    /// Takes a directive that came as a member of a structured dictionary; `false` if its type is wrong.
    pub(crate) fn take_structured(&mut self, name: &[u8], value: Structured) -> bool {
        let lifetime = match name {
            b"max-age" => Some(&mut self.max_age),
            b"s-maxage" => Some(&mut self.s_maxage),
            b"stale-while-revalidate" => Some(&mut self.stale_while_revalidate),
            b"stale-if-error" => Some(&mut self.stale_if_error),
            _ => None,
        };
        if let Some(slot) = lifetime {
            let Structured::Integer(seconds) = value else {
                return false;
            };
            let seconds = u64::try_from(seconds).unwrap_or(0).min(MAX_SECONDS);
            // In a dictionary the last of equal keys counts (RFC 9651 §4.2.2).
            *slot = Some(Duration::from_secs(seconds));
            return true;
        }
        let set = !matches!(value, Structured::Boolean(false));
        match name {
            // Naming fields is not worth another grammar: the whole response is meant.
            b"no-cache" => self.no_cache = set,
            b"private" => self.private = set,
            _ => {
                if let Some(flag) = self.flag(name) {
                    *flag = set;
                }
            }
        }
        true
    }

    /// Whether the response says itself how long it is fresh, `Expires` aside.
    pub(crate) const fn lifetime(&self) -> Option<Duration> {
        match self.s_maxage {
            Some(lifetime) => Some(lifetime),
            None => self.max_age,
        }
    }
}

/// A value of a structured dictionary, as far as directives tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Structured {
    Integer(i64),
    Boolean(bool),
    Other,
}

/// The fields that `no-cache` and `private` of a response name and that are therefore not stored (RFC 9111 §5.2.2.4,
/// §5.2.2.7).
pub(crate) fn named_fields(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    headers
        .get_all(CACHE_CONTROL)
        .into_iter()
        .flat_map(|line| members(line.as_bytes()))
        .map(Directive::of)
        .filter(|directive| directive.is("no-cache") || directive.is("private"))
        .flat_map(|directive| directive.fields())
        .filter_map(|name| HeaderName::from_bytes(name).ok())
}

/// One directive: a name, and what stands after `=`.
#[derive(Debug, Clone, Copy)]
struct Directive<'a> {
    name: &'a [u8],
    value: Option<&'a [u8]>,
}

impl<'a> Directive<'a> {
    fn of(member: &'a [u8]) -> Self {
        match member.iter().position(|&byte| byte == b'=') {
            Some(at) => Self {
                name: &member[..at],
                value: Some(&member[at + 1..]),
            },
            None => Self {
                name: member,
                value: None,
            },
        }
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value without the quotes that both forms of an argument may differ in.
    fn unquoted(&self) -> Option<&'a [u8]> {
        let value = self.value?;
        let inner = value.strip_prefix(b"\"");
        Some(inner.map_or(value, |inner| inner.strip_suffix(b"\"").unwrap_or(value)))
    }

    fn seconds(&self) -> Option<Duration> {
        self.unquoted().and_then(seconds)
    }

    fn fields(&self) -> Members<'a> {
        members(self.unquoted().unwrap_or_default())
    }

    /// Whether it names fields, and nothing but fields.
    fn names_fields(&self) -> bool {
        let mut fields = self.fields().peekable();
        fields.peek().is_some() && fields.all(is_token)
    }
}

/// Whether it could be the name of a field (RFC 9110 §5.6.2).
fn is_token(name: &[u8]) -> bool {
    name.iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// A number of seconds: digits and nothing else, saturating at [`MAX_SECONDS`].
pub(crate) fn seconds(digits: &[u8]) -> Option<Duration> {
    if digits.is_empty() {
        return None;
    }
    let seconds = digits.iter().try_fold(0_u64, |number, &byte| {
        byte.is_ascii_digit()
            .then(|| (number * 10 + u64::from(byte - b'0')).min(MAX_SECONDS))
    });
    seconds.map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_CONTROL, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    fn response(lines: &[&str]) -> ResponseDirectives {
        ResponseDirectives::parse(&headers(lines))
    }

    fn request(line: &str) -> RequestDirectives {
        RequestDirectives::parse(&headers(&[line]))
    }

    const fn secs(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn numbers_saturate() {
        for (text, expected) in [
            ("max-age=0", 0),
            ("max-age=007", 7),
            ("max-age=2147483648", MAX_SECONDS),
            ("max-age=99999999999", MAX_SECONDS),
            (
                "max-age=9999999999999999999999999999999999999999",
                MAX_SECONDS,
            ),
            ("max-age=\"60\"", 60),
        ] {
            assert_eq!(response(&[text]).max_age, secs(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_stale_in_a_response_and_absent_in_a_request() {
        for text in [
            "max-age=a",
            "max-age=1a",
            "max-age=-1",
            "max-age=1.0",
            "max-age='60'",
            "max-age= 60",
            "max-age=",
        ] {
            assert_eq!(response(&[text]).max_age, secs(0), "{text}");
            assert_eq!(request(text).max_age, None, "{text}");
        }
        assert_eq!(response(&["max-age =60"]).max_age, None);
    }

    #[test]
    fn quoted_text_is_no_directive() {
        let directives = response(&["x=\"max-age=100, no-store\", MAX-AGE=1"]);
        assert_eq!(directives.max_age, secs(1));
        assert!(!directives.no_store);
    }

    #[test]
    fn the_first_of_several_counts() {
        let directives = response(&["max-age=1", "max-age=100"]);
        assert_eq!(directives.max_age, secs(1));
        assert_eq!(request("max-age=5, max-age=6").max_age, secs(5));
    }

    #[test]
    fn directives_that_name_fields_are_told_apart() {
        let directives = response(&["private=\"set-cookie, X-User\", no-cache"]);
        assert!(directives.no_cache && directives.names_fields && !directives.private);
        let names: Vec<_> = named_fields(&headers(&["private=\"set-cookie, X-User\""])).collect();
        assert_eq!(names, ["set-cookie", "x-user"]);
        for text in ["private=\"\"", "private=\"not a name\"", "private="] {
            assert!(response(&[text]).private, "{text}");
        }
    }

    #[test]
    fn max_stale_takes_no_number() {
        assert_eq!(request("max-stale").max_stale, Some(Duration::MAX));
        assert_eq!(request("max-stale=9").max_stale, secs(9));
        assert_eq!(request("max-stale=x").max_stale, None);
    }
}
