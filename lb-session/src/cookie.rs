//! Reading the `Cookie` field of a request: one cookie by its name, or the field without some.
//!
//! Nothing is decoded or copied on the way. What is no pair is passed over, as every server does: browsers send what
//! scripts have put into their jars. A client may send the field several times; each line is read for itself.

mod set_cookie;

pub use set_cookie::{SameSite, SetCookie};

/// The value of the first cookie of this name in one `Cookie` field line, without surrounding blanks.
///
/// Names are compared byte for byte. A value in double quotes is returned with them, since they are part of it
/// (RFC 6265 §5.2 knows no quotes). Where a forged cookie may stand before the real one, take [`values`].
///
/// # Examples
/// ```
/// let field = b"theme=dark; __Host-lb_session=abc; lang=de";
/// assert_eq!(lb_session::cookie::find(field, "__Host-lb_session"), Some(&b"abc"[..]));
/// assert_eq!(lb_session::cookie::find(field, "lb_session"), None);
/// ```
///
/// # Complexity
/// One pass over the field, eight bytes at a time; no allocation.
#[must_use]
pub fn find<'a>(field: &'a [u8], name: &str) -> Option<&'a [u8]> {
    values(field, name).next()
}

/// The values of all cookies of this name in one `Cookie` field line, in their order.
///
/// Neither a domain nor a path can be told from a request, so a sibling host can plant a cookie of the same name before
/// or after the real one unless the name begins with `__Host-`. With signed values it is the one that verifies.
pub fn values<'a>(field: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    pairs(field).filter_map(move |pair| value_of(pair, name))
}

/// One `Cookie` field line without the cookies of these names: what a backend may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Without {
    /// None of them was there; the field is as it should be.
    Unchanged,
    /// What is left, in its order.
    Rest(Vec<u8>),
    /// Nothing is left, so the field goes.
    Empty,
}

/// Takes the cookies of these names out of one `Cookie` field line.
///
/// # Examples
/// ```
/// use lb_session::cookie::{Without, without};
///
/// assert_eq!(without(b"a=1; lb_route=x; b=2", &["lb_route"]), Without::Rest(b"a=1; b=2".to_vec()));
/// assert_eq!(without(b"lb_route=x", &["lb_route"]), Without::Empty);
/// assert_eq!(without(b"a=1", &["lb_route"]), Without::Unchanged);
/// ```
///
/// # Complexity
/// One pass per name, and one allocation if something is taken out.
#[must_use]
pub fn without(field: &[u8], names: &[&str]) -> Without {
    let taken = |pair: &[u8]| names.iter().any(|name| value_of(pair, name).is_some());
    if !pairs(field).any(taken) {
        return Without::Unchanged;
    }
    let mut rest = Vec::with_capacity(field.len());
    for pair in pairs(field).filter(|pair| !pair.is_empty() && !taken(pair)) {
        if !rest.is_empty() {
            rest.extend_from_slice(b"; ");
        }
        rest.extend_from_slice(pair);
    }
    if rest.is_empty() {
        Without::Empty
    } else {
        Without::Rest(rest)
    }
}

/// The parts between semicolons, without surrounding blanks.
fn pairs(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(field);
    std::iter::from_fn(move || {
        let field = rest?;
        let (pair, after) = match semicolon(field) {
            Some(at) => (&field[..at], Some(&field[at + 1..])),
            None => (field, None),
        };
        rest = after;
        Some(trim(pair))
    })
}

/// The value of a pair if this is its name.
#[inline]
fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    // Without a name every `=value` would be meant.
    if name.is_empty() {
        return None;
    }
    let after = pair.strip_prefix(name.as_bytes())?;
    let value = trim_start(after).strip_prefix(b"=")?;
    Some(trim_start(value))
}

#[inline]
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    trim_start(bytes)
}

#[inline]
fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// The position of the first semicolon.
///
/// Eight bytes at a time: in a word where semicolons have become zero, subtracting one from each byte carries into the
/// high bit of the first zero, and of no byte before it.
#[inline]
fn semicolon(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    const SEMICOLONS: u64 = u64::from_le_bytes([b';'; 8]);
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let zeroed = u64::from_le_bytes(*word) ^ SEMICOLONS;
        let found = zeroed.wrapping_sub(ONES) & !zeroed & HIGHS;
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = tail.iter().position(|&byte| byte == b';')?;
    Some(words.len() * 8 + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(field: &'a str, name: &str) -> Option<&'a str> {
        find(field.as_bytes(), name).map(|value| str::from_utf8(value).unwrap())
    }

    #[test]
    fn finds_a_cookie_among_others() {
        let field = "a=1; ab=2; b=3;c=4 ;\td = 5\t; e=6=7; f=; =8; g; h=\"9\"";
        for (name, value) in [
            ("a", Some("1")),
            ("ab", Some("2")),
            ("b", Some("3")),
            ("c", Some("4")),
            ("d", Some("5")),
            ("e", Some("6=7")),
            ("f", Some("")),
            ("g", None),
            ("h", Some("\"9\"")),
            ("A", None),
            ("", None),
            ("8", None),
            ("a=1", None),
        ] {
            assert_eq!(found(field, name), value, "{name}");
        }
    }

    #[test]
    fn malformed_fields_hold_nothing() {
        for field in [
            "",
            ";",
            ";;;;",
            " ",
            "=",
            "==",
            "= ;=",
            "a",
            "a;",
            ";a",
            "xa=1",
            "a b=1",
            "a\0=1",
            "ä=1",
            "b=a=1",
            "b=\"; c=a\"",
            "a,b=1",
            "$a=1",
            "\u{a0}a=1",
        ] {
            assert_eq!(found(field, "a"), None, "{field:?}");
        }
    }

    #[test]
    fn quotes_do_not_hide_a_semicolon() {
        assert_eq!(found("b=\"x; a=1\"", "a"), Some("1\""));
    }

    #[test]
    fn all_of_a_name_are_found_in_their_order() {
        let all: Vec<_> = values(b"a=1; b=2; a=3;a=", "a").collect();
        assert_eq!(all, [&b"1"[..], b"3", b""]);
    }

    #[test]
    fn takes_cookies_out() {
        let rest = |field: &str, names: &[&str]| match without(field.as_bytes(), names) {
            Without::Unchanged => field.to_owned(),
            Without::Rest(rest) => String::from_utf8(rest).unwrap(),
            Without::Empty => "empty".to_owned(),
        };
        assert_eq!(rest("a=1;  b=2;;c;a=4", &["a"]), "b=2; c");
        assert_eq!(rest("a=1; b=2; c=3", &["c", "a"]), "b=2");
        assert_eq!(rest("a=1; ; ", &["a"]), "empty");
        assert_eq!(rest("b=1;  c=2", &["a"]), "b=1;  c=2");
        assert_eq!(rest("", &["a"]), "");
    }

    #[test]
    fn semicolons_are_found_wherever_they_stand() {
        for length in 0..40 {
            for at in 0..length {
                // The byte below and the one above a semicolon, and those with the high bit.
                for other in [b':', b'<', 0x00, 0xff, 0xbb, 0x3a] {
                    let mut bytes = vec![other; length];
                    assert_eq!(semicolon(&bytes), None);
                    bytes[at] = b';';
                    assert_eq!(semicolon(&bytes), Some(at));
                    bytes[length - 1] = b';';
                    assert_eq!(semicolon(&bytes), Some(at));
                }
            }
        }
    }
}
