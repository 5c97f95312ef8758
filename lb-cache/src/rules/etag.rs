//! Comparison of entity tags (RFC 9110 §8.8.3).

/// Whether two tags are the same, weak or not.
pub(crate) fn weakly_equal(one: &[u8], other: &[u8]) -> bool {
    opaque(one) == opaque(other)
}

/// Whether two tags promise the same bytes: both strong, and the same.
pub(crate) fn strongly_equal(one: &[u8], other: &[u8]) -> bool {
    one == other && one.starts_with(b"\"")
}

/// Whether a list of tags, as in `If-None-Match`, has one that is the same as `tag`, weak or not.
pub(crate) fn any_weakly_equal(list: &[u8], tag: &[u8]) -> bool {
    let mut rest = list;
    while let Some((member, after)) = split_tag(rest) {
        if weakly_equal(member, tag) {
            return true;
        }
        rest = after;
    }
    false
}

/// The next tag and what follows it. A tag may hold commas, and a backslash escapes nothing in it, so it is no quoted
/// string; one without quotes, which should not be, ends at the comma.
fn split_tag(list: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = list
        .iter()
        .position(|&byte| !matches!(byte, b' ' | b'\t' | b','))?;
    let list = &list[start..];
    let opening = if list.starts_with(b"W/\"") { 2 } else { 0 };
    let end = if list[opening] == b'"' {
        let inner = &list[opening + 1..];
        let length = inner.iter().position(|&byte| byte == b'"')?;
        opening + length + 2
    } else {
        list.iter()
            .position(|&byte| byte == b',')
            .unwrap_or(list.len())
    };
    let (tag, rest) = list.split_at(end);
    Some((tag.trim_ascii_end(), rest))
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of RFC 9110 §8.8.3.2.
    #[test]
    fn compares_as_the_table_of_the_rfc() {
        for (one, other, strong, weak) in [
            ("W/\"1\"", "W/\"1\"", false, true),
            ("W/\"1\"", "W/\"2\"", false, false),
            ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
        ] {
            let (one, other) = (one.as_bytes(), other.as_bytes());
            assert_eq!(strongly_equal(one, other), strong);
            assert_eq!(weakly_equal(one, other), weak);
        }
    }

    #[test]
    fn finds_a_tag_in_a_list() {
        for (list, found) in [
            (r#""b""#, true),
            (r#""a", "b""#, true),
            (r#""a",W/"b" , "c""#, true),
            (r#""a\", "b""#, true),
            (r#""a, "b"#, false),
            (r#""a,b""#, false),
            (r#""a, "b", c""#, false),
            ("b", false),
            ("", false),
            (",,", false),
            ("W/", false),
        ] {
            assert_eq!(any_weakly_equal(list.as_bytes(), b"\"b\""), found, "{list}");
        }
    }
}
