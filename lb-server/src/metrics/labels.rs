//! The values that labels may have where clients and backends choose what is counted: each is one of a fixed list.

use http::{Method, StatusCode};

/// A request's method, as metrics have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MethodLabel(u8);

const METHODS: [&str; MethodLabel::COUNT] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "OTHER",
];

impl MethodLabel {
    pub(crate) const COUNT: usize = 10;

    pub(crate) fn of(method: &Method) -> Self {
        Self(match *method {
            Method::GET => 0,
            Method::HEAD => 1,
            Method::POST => 2,
            Method::PUT => 3,
            Method::DELETE => 4,
            Method::PATCH => 5,
            Method::OPTIONS => 6,
            Method::CONNECT => 7,
            Method::TRACE => 8,
            _ => 9,
        })
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(crate) fn name(index: usize) -> &'static str {
        METHODS[index]
    }
}

/// A status code, as metrics have it: itself if it is registered or 499, else its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CodeLabel(u8);

/// The registered codes (the HTTP Status Code Registry of IANA) and nginx's 499; classes and what is beyond them; no
/// code at all.
const CODES: [&str; CodeLabel::COUNT] = [
    "100", "101", "102", "103", "104", "200", "201", "202", "203", "204", "205", "206", "207",
    "208", "226", "300", "301", "302", "303", "304", "305", "307", "308", "400", "401", "402",
    "403", "404", "405", "406", "407", "408", "409", "410", "411", "412", "413", "414", "415",
    "416", "417", "418", "421", "422", "423", "424", "425", "426", "428", "429", "431", "451",
    "499", "500", "501", "502", "503", "504", "505", "506", "507", "508", "510", "511", "1xx",
    "2xx", "3xx", "4xx", "5xx", "other", "none",
];

/// Where each status stands in `CODES`, so that finding it costs one look.
static PLACES: [u8; 1000] = places();

const fn places() -> [u8; 1000] {
    let mut places = [0; 1000];
    let mut code = 0;
    while code < 1000 {
        let class = code / 100;
        places[code] = if class >= 1 && class <= 5 {
            CodeLabel::CLASSES[class - 1]
        } else {
            CodeLabel::OTHER
        };
        code += 1;
    }
    let mut at = 0;
    while at < CodeLabel::CLASSES[0] {
        let name = CODES[at as usize].as_bytes();
        let digits = [
            (name[0] - b'0') as usize,
            (name[1] - b'0') as usize,
            (name[2] - b'0') as usize,
        ];
        places[digits[0] * 100 + digits[1] * 10 + digits[2]] = at;
        at += 1;
    }
    places
}

impl CodeLabel {
    pub(crate) const COUNT: usize = 71;
    const CLASSES: [u8; 5] = [64, 65, 66, 67, 68];
    const OTHER: u8 = 69;
    /// No response head came.
    pub(crate) const NONE: Self = Self(70);
    /// The client left before the reply's head; nginx's number for it.
    pub(crate) const CLIENT_CLOSED: Self = Self(52);

    pub(crate) fn of(status: StatusCode) -> Self {
        Self(PLACES[usize::from(status.as_u16()) % 1000])
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(crate) fn name(index: usize) -> &'static str {
        CODES[index]
    }

    /// Whether the code at this place is 500 or above, or none.
    pub(crate) fn is_error(index: usize) -> bool {
        index == Self::NONE.index() || CODES[index].starts_with('5')
    }
}

/// Every word that can be the reason of an answer of ours, of a broken reply, or of a retry.
pub(crate) const REASONS: [&str; 26] = [
    "bad_request",
    "request_too_large",
    "request_timeout",
    "no_route",
    "rate_limited",
    "store_unavailable",
    "loop_detected",
    "no_healthy_backend",
    "circuit_open",
    "queue_full",
    "queue_timeout",
    "overloaded",
    "connect_refused",
    "connect_timeout",
    "tls_failed",
    "backend_reset",
    "response_timeout",
    "bad_response",
    "handler_failed",
    "not_cached",
    "client_closed",
    "stream_idle",
    "flood",
    // Of retries alone: the status of a response, and a second attempt beside a slow one.
    "response_status",
    "hedge",
    // Last: what stands for a word that this list lacks.
    "internal",
];

/// Where a reason stands in [`REASONS`], O(reasons); only failures have one.
pub(crate) fn reason(word: &str) -> usize {
    let found = REASONS.iter().position(|reason| *reason == word);
    debug_assert!(found.is_some(), "`{word}` is no reason");
    found.unwrap_or(REASONS.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reject::Reject;

    #[test]
    fn known_codes_are_themselves_and_others_their_class() {
        let name =
            |code| CodeLabel::name(CodeLabel::of(StatusCode::from_u16(code).unwrap()).index());
        for code in [100, 200, 226, 308, 404, 418, 499, 503, 511] {
            assert_eq!(name(code), code.to_string());
        }
        for (code, class) in [
            (199, "1xx"),
            (299, "2xx"),
            (399, "3xx"),
            (420, "4xx"),
            (599, "5xx"),
        ] {
            assert_eq!(name(code), class);
        }
        for code in [600, 700, 999] {
            assert_eq!(name(code), "other");
        }
        assert_eq!(CodeLabel::name(CodeLabel::NONE.index()), "none");
        assert_eq!(CodeLabel::name(CodeLabel::CLIENT_CLOSED.index()), "499");
    }

    #[test]
    fn methods_of_clients_are_known_or_other() {
        let name = |method: &str| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            MethodLabel::name(MethodLabel::of(&method).index())
        };
        for method in [
            "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE",
        ] {
            assert_eq!(name(method), method);
        }
        for method in ["get", "BREW", "X", "PROPFIND", &"A".repeat(1000)] {
            assert_eq!(name(method), "OTHER");
        }
    }

    #[test]
    fn every_refusal_has_a_reason_of_the_list() {
        let refusals = [
            Reject::BadRequest(""),
            Reject::MethodRefused,
            Reject::ExpectationFailed,
            Reject::HeadTooLarge,
            Reject::BodyTooLarge,
            Reject::RequestTimeout,
            Reject::NoRoute,
            Reject::RateLimited {
                policy: None,
                retry_after: None,
            },
            Reject::StoreUnavailable,
            Reject::Loop,
            Reject::NoHealthyBackend(None),
            Reject::CircuitOpen(None),
            Reject::QueueFull,
            Reject::QueueTimeout,
            Reject::Overloaded,
            Reject::ConnectRefused,
            Reject::ConnectTimeout,
            Reject::TlsFailed("".into()),
            Reject::BackendReset,
            Reject::ResponseTimeout,
            Reject::BadResponse("".into()),
            Reject::HandlerFailed,
            Reject::Internal(""),
            Reject::NotCached,
            Reject::NotValidated(Box::new(Reject::BackendReset)),
            Reject::ClientClosed,
        ];
        for refusal in refusals {
            assert_eq!(REASONS[reason(refusal.reason())], refusal.reason());
        }
    }
}
