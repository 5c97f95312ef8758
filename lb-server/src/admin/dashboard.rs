//! The dashboard: one document without anything external, made of the files in `dashboard/`.
//!
//! It reads what everybody can read: `GET /api/v1/events` and `/routes`; its buttons send what an operator could send with
//! curl. The document itself holds no figure and no secret, so it is shown without a token.

use std::sync::LazyLock;

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_FRAME_OPTIONS};
use sha2::{Digest as _, Sha256};

use super::reply::{Reply, text_of};

const DOCUMENT: &str = include_str!("dashboard/index.html");
const STYLE: &str = include_str!("dashboard/style.css");
/// One module in the end: what is used comes before its user.
const SCRIPT: &str = concat!(
    include_str!("dashboard/words.js"),
    include_str!("dashboard/server.js"),
    include_str!("dashboard/dialogs.js"),
    include_str!("dashboard/charts.js"),
    include_str!("dashboard/backends.js"),
    include_str!("dashboard/routes.js"),
    include_str!("dashboard/explain.js"),
    include_str!("dashboard/features.js"),
    include_str!("dashboard/main.js"),
);

/// The document with the fields it needs, put together when it is first asked for.
pub(super) fn response() -> Response<Reply> {
    static PAGE: LazyLock<(Bytes, HeaderValue)> = LazyLock::new(|| {
        let policy = HeaderValue::from_str(&policy());
        (
            Bytes::from(document()),
            policy.expect("it is made of base64 and fixed words"),
        )
    });
    let (document, policy) = &*PAGE;
    let mut response = text_of("text/html; charset=utf-8", document.clone());
    let fields = response.headers_mut();
    fields.insert(CONTENT_SECURITY_POLICY, policy.clone());
    fields.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // For browsers that do not know `frame-ancestors`.
    fields.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

fn document() -> String {
    DOCUMENT
        .replace("/* {style} */", STYLE)
        .replace("/* {script} */", SCRIPT)
}

/// Runs this script, applies this style, talks to this origin, and nothing else (Content Security Policy Level 3).
///
/// Names of the configuration are text to the page; trusted types make the browser refuse what would read them as markup.
fn policy() -> String {
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

/// SHA-256 in the base64 of RFC 4648 §4, as policies have it.
fn hash(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digest = Sha256::digest(text.as_bytes());
    let mut out = String::with_capacity(44);
    for group in digest.chunks(3) {
        let bits = group
            .iter()
            .chain(&[0, 0])
            .take(3)
            .fold(0, |bits, &byte| bits << 8 | u32::from(byte));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place > group.len() {
                '='
            } else {
                char::from(letter)
            });
        }
    }
    out
}

#[cfg(test)]
mod tests;
