//! Replies that set cookies of ours: the field itself, and what keeps caches from handing it around.

use http::header::{CACHE_CONTROL, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::handler::{Exchange, Response};
use crate::sessions::Visit;

/// Fields by which caches between us and the client go instead of `Cache-Control` (RFC 9213, and what
/// was there before it).
const TARGETED: [&str; 2] = ["cdn-cache-control", "surrogate-control"];

/// Adds what the way through the pipeline left to add, after everything that changes fields: nothing
/// may make a reply that sets a cookie one for everybody.
pub(crate) fn finish(exchange: &Exchange, response: &mut Response) {
    if exchange.snapshot().has_affinity {
        for (_, field) in exchange.take_bindings() {
            set(response, &field);
            private(response);
        }
    }
    if exchange.visit().is_some_and(Visit::has_set_cookie) {
        no_store(response);
    }
}

/// Adds a `Set-Cookie` field.
pub(crate) fn set(response: &mut Response, field: &str) {
    let Ok(mut value) = HeaderValue::try_from(field) else {
        return;
    };
    // Neither in the tables of header compression nor in what is printed for debugging.
    value.set_sensitive(true);
    response.headers_mut().append(SET_COOKIE, value);
}

/// Keeps every cache from storing the reply: it carries what identifies the client.
pub(crate) fn no_store(response: &mut Response) {
    let headers = response.headers_mut();
    untarget(headers);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Keeps shared caches from storing the reply; what the client's own cache may do stays.
pub(crate) fn private(response: &mut Response) {
    let headers = response.headers_mut();
    untarget(headers);
    // `private` wins over `public` and `s-maxage` beside it (RFC 9111 §5.2.2.7).
    if !lists(headers, &CACHE_CONTROL, &["private", "no-store"]) {
        headers.append(CACHE_CONTROL, HeaderValue::from_static("private"));
    }
}

/// Says that the reply depends on the client's cookies.
pub(crate) fn vary(response: &mut Response) {
    let headers = response.headers_mut();
    if !lists(headers, &VARY, &["cookie", "*"]) {
        headers.append(VARY, HeaderValue::from_static("cookie"));
    }
}

fn untarget(headers: &mut HeaderMap) {
    for name in TARGETED {
        headers.remove(name);
    }
}

/// Whether a list has one of these members, without parameters.
fn lists(headers: &HeaderMap, name: &HeaderName, members: &[&str]) -> bool {
    let is_listed = |member: &[u8]| {
        let member = member.trim_ascii();
        members
            .iter()
            .any(|known| member.eq_ignore_ascii_case(known.as_bytes()))
    };
    let lines = headers.get_all(name).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .any(is_listed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Body;

    fn response(fields: &[(&'static str, &'static str)]) -> Response {
        let mut response = Response::new(Body::empty());
        for &(name, value) in fields {
            let name = HeaderName::from_static(name);
            response
                .headers_mut()
                .append(name, HeaderValue::from_static(value));
        }
        response
    }

    fn field(response: &Response, name: &str) -> String {
        let lines = response.headers().get_all(name).iter();
        let lines: Vec<_> = lines.map(|line| line.to_str().unwrap()).collect();
        lines.join(", ")
    }

    #[test]
    fn nobody_stores_what_identifies_a_client() {
        let mut reply = response(&[
            ("cache-control", "public, max-age=60"),
            ("cdn-cache-control", "max-age=600"),
        ]);
        no_store(&mut reply);
        assert_eq!(field(&reply, "cache-control"), "no-store");
        assert_eq!(field(&reply, "cdn-cache-control"), "");
    }

    #[test]
    fn shared_caches_do_not_store_a_binding() {
        for (before, after) in [
            ("", "private"),
            ("max-age=60, public", "max-age=60, public, private"),
            ("max-age=60,  Private", "max-age=60,  Private"),
            ("no-store", "no-store"),
            // Only the field that it names.
            ("private=\"x\"", "private=\"x\", private"),
        ] {
            let fields: &[_] = match before {
                "" => &[],
                before => &[("cache-control", before)],
            };
            let mut reply = response(fields);
            private(&mut reply);
            assert_eq!(field(&reply, "cache-control"), after);
        }
    }

    #[test]
    fn a_reply_varies_once() {
        for (before, after) in [
            ("accept", "accept, cookie"),
            ("accept, Cookie", "accept, Cookie"),
            ("*", "*"),
        ] {
            let mut reply = response(&[("vary", before)]);
            vary(&mut reply);
            assert_eq!(field(&reply, "vary"), after);
        }
    }
}
