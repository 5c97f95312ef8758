//! Tags by which stored responses are purged: `Cache-Tag` and `Surrogate-Key`.

use http::HeaderMap;
use http::header::HeaderName;

/// The fields that carry tags: members of a list in the first, words in the second.
///
/// They are for this cache and are best not sent on to clients.
pub const TAG_FIELDS: [HeaderName; 2] = [
    HeaderName::from_static("cache-tag"),
    HeaderName::from_static("surrogate-key"),
];
/// Tags of one response that count, and the longest in bytes.
const MAX_TAGS: usize = 128;
const MAX_TAG_BYTES: usize = 256;

/// The tags of a response, as they are written.
///
/// At most 128; longer ones than 256 bytes, and what is not visible ASCII, are left out. One that is written twice comes
/// twice.
///
/// # Examples
/// ```
/// use http::{HeaderMap, HeaderValue};
///
/// let mut headers = HeaderMap::new();
/// headers.insert("cache-tag", HeaderValue::from_static("users, user-7"));
/// headers.insert("surrogate-key", HeaderValue::from_static("list front"));
/// let tags: Vec<&str> = lb_cache::tags(&headers).collect();
/// assert_eq!(tags, ["users", "user-7", "list", "front"]);
/// ```
pub fn tags(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let [listed, words] = &TAG_FIELDS;
    let listed = headers
        .get_all(listed)
        .into_iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    let words = headers
        .get_all(words)
        .into_iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(str::split_ascii_whitespace);
    listed
        .chain(words)
        .map(str::trim)
        .filter(|tag| (1..=MAX_TAG_BYTES).contains(&tag.len()))
        .take(MAX_TAGS)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn their_number_and_length_are_bounded() {
        let mut headers = HeaderMap::new();
        let many = vec!["a"; 10_000].join(",");
        headers.append("cache-tag", HeaderValue::from_str(&many).unwrap());
        headers.append("surrogate-key", HeaderValue::from_static("b"));
        assert_eq!(tags(&headers).count(), MAX_TAGS);
        let long = format!("{}, ,ok", "x".repeat(MAX_TAG_BYTES + 1));
        headers.insert("cache-tag", HeaderValue::from_str(&long).unwrap());
        assert_eq!(tags(&headers).collect::<Vec<_>>(), ["ok", "b"]);
    }
}
