//! What unsafe requests make invalid (RFC 9111 §4.4).

use http::Method;
use lb_cache::{CacheRules, TargetUri, invalidates};

use crate::machine::Head;

/// Section, method, path, response, the paths that are invalid.
#[rustfmt::skip]
pub(crate) const CASES: &[(&str, &str, &str, &str, &[&str])] = &[
    ("§4.4 POST", "POST", "/a", "", &["/a"]),
    ("§4.4 PUT", "PUT", "/a?x", "", &["/a?x"]),
    ("§4.4 DELETE", "DELETE", "/a", ":status: 204", &["/a"]),
    ("§4.4 PATCH", "PATCH", "/a", "", &["/a"]),
    ("§4.4 an unknown method", "M-SEARCH", "/a", "", &["/a"]),
    ("§4.4 GET is safe", "GET", "/a", "", &[]),
    ("§4.4 HEAD is safe", "HEAD", "/a", "", &[]),
    ("§4.4 OPTIONS is safe", "OPTIONS", "/a", "", &[]),
    ("§4.4 TRACE is safe", "TRACE", "/a", "", &[]),
    ("§4.4 3xx is no error", "POST", "/a", ":status: 303", &["/a"]),
    ("§4.4 4xx is one", "POST", "/a", ":status: 404 | location: /b", &[]),
    ("§4.4 5xx is one", "POST", "/a", ":status: 500", &[]),
    ("§4.4 Location", "POST", "/a", ":status: 201 | location: /b", &["/a", "/b"]),
    ("§4.4 Content-Location", "POST", "/a", "content-location: /b", &["/a", "/b"]),
    ("§4.4 both", "POST", "/a", "location: /b | content-location: /c", &["/a", "/b", "/c"]),
    ("§4.4 the same twice", "POST", "/a", "location: /a | content-location: /a", &["/a"]),
    ("§4.4 absolute, the same origin", "POST", "/a", "location: https://a.example/b", &["/a", "/b"]),
    ("§4.4 with the scheme's port", "POST", "/a", "location: HTTPS://A.example:443/b", &["/a", "/b"]),
    ("§4.4 another host", "POST", "/a", "location: https://b.example/b", &["/a"]),
    ("§4.4 another port", "POST", "/a", "location: https://a.example:8443/b", &["/a"]),
    ("§4.4 another scheme", "POST", "/a", "location: http://a.example/b", &["/a"]),
    ("§4.4 the host in the name of another", "POST", "/a", "location: https://a.example.evil/b", &["/a"]),
    ("§4.4 the host as a user", "POST", "/a", "location: https://a.example@evil/b", &["/a"]),
    ("3986 §4.2 without a scheme", "POST", "/a", "location: //a.example/b", &["/a", "/b"]),
    ("3986 §4.2 without a scheme, another host", "POST", "/a", "location: //b.example/b", &["/a"]),
    ("3986 §5.2 relative", "POST", "/x/a?q=/z", "location: b", &["/x/a?q=/z", "/x/b"]),
    ("3986 §5.2 upwards", "POST", "/x/y/a", "location: ../b", &["/x/y/a", "/x/b"]),
    ("3986 §5.2 further than the root", "POST", "/a", "location: ../../../b", &["/a", "/b"]),
    ("3986 §5.2 a dot at the end", "POST", "/x/a", "location: .", &["/x/a", "/x/"]),
    ("3986 §5.2 a query alone", "POST", "/x/a?p", "location: ?q", &["/x/a?p", "/x/a?q"]),
    ("3986 §5.2 a fragment is not part of it", "POST", "/a", "location: /b#c", &["/a", "/b"]),
    ("3986 §5.2 dots in a query are none", "POST", "/a", "location: /b?x=../c", &["/a", "/b?x=../c"]),
    ("§4.4 what is no reference", "POST", "/a", "location: https://[", &["/a"]),
];

#[test]
fn by_method_status_and_fields() {
    let rules = CacheRules::default();
    for &(section, method, path, response, paths) in CASES {
        let uri = TargetUri {
            scheme: "https",
            authority: "a.example",
            path,
        };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let keys = invalidates(&method, &uri, &Head::of(response).response(), &rules);
        let keys: Vec<&str> = keys
            .iter()
            .map(|key| key.as_str().strip_prefix("https://a.example").unwrap())
            .collect();
        assert_eq!(keys, paths, "{section}");
    }
}

#[test]
fn what_is_too_long_is_not_followed() {
    let rules = CacheRules::default();
    let uri = TargetUri {
        scheme: "https",
        authority: "a.example",
        path: "/a",
    };
    for length in [8_000, 9_000] {
        let response = Head::of(&format!("location: /{}", "x/".repeat(length / 2)));
        let keys = invalidates(&Method::POST, &uri, &response.response(), &rules);
        assert_eq!(keys.len(), if length < 8_192 { 2 } else { 1 });
    }
}
