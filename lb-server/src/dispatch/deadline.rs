//! Until when a request has to have its response head.

use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue};

/// How long a gRPC client waits, by its own word (the gRPC protocol over HTTP/2, "Requests").
pub(super) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// When a request is given up, whatever it has been tried for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Deadline {
    at: Option<Instant>,
    /// Whether the client set it: how long it waits says nothing about the backend.
    is_clients: bool,
    /// Whether the client told a timeout that has to be told on.
    is_grpc: bool,
}

impl Deadline {
    /// The earlier of the pool's and the client's.
    pub(super) fn of(
        timeout: Option<Duration>,
        grpc_timeout: Option<&HeaderValue>,
        now: Instant,
    ) -> Self {
        let told = grpc_timeout.and_then(read_grpc_timeout);
        let later = |timeout| now.checked_add(timeout);
        let (at, is_clients) = match (timeout, told) {
            (Some(ours), Some(told)) => (later(ours.min(told)), told < ours),
            (Some(ours), None) => (later(ours), false),
            (None, told) => (told.and_then(later), true),
        };
        Self {
            at,
            is_clients,
            is_grpc: told.is_some(),
        }
    }

    pub(super) fn at(self) -> Option<Instant> {
        self.at
    }

    pub(super) fn is_clients(self) -> bool {
        self.is_clients
    }

    pub(super) fn has_passed(self, now: Instant) -> bool {
        self.at.is_some_and(|at| at <= now)
    }

    /// What a gRPC backend is told of it.
    pub(super) fn grpc_left(self, now: Instant) -> Option<Duration> {
        self.at
            .filter(|_| self.is_grpc)
            .map(|at| at.saturating_duration_since(now))
    }
}

/// Reads up to eight digits and a unit; anything else is passed on as it came.
fn read_grpc_timeout(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Writes the finest unit that eight digits hold, rounded down: never more time than there is.
pub(super) fn grpc_timeout(left: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let units = [
        (left.as_nanos(), 'n'),
        (left.as_micros(), 'u'),
        (left.as_millis(), 'm'),
        (u128::from(left.as_secs()), 'S'),
        (u128::from(left.as_secs() / 60), 'M'),
        (u128::from(left.as_secs() / 3600).min(MOST), 'H'),
    ];
    let text = units
        .into_iter()
        .find(|(count, _)| *count <= MOST)
        .map(|(count, unit)| format!("{count}{unit}"));
    text.and_then(|text| HeaderValue::try_from(text).ok())
        .unwrap_or(HeaderValue::from_static("0n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn told(text: &'static str) -> Option<Duration> {
        read_grpc_timeout(&HeaderValue::from_static(text))
    }

    #[test]
    fn reads_every_unit() {
        assert_eq!(told("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(told("3M"), Some(Duration::from_secs(180)));
        assert_eq!(told("99999999S"), Some(Duration::from_secs(99_999_999)));
        assert_eq!(told("250m"), Some(Duration::from_millis(250)));
        assert_eq!(told("7u"), Some(Duration::from_micros(7)));
        assert_eq!(told("0n"), Some(Duration::ZERO));
    }

    #[test]
    fn leaves_what_it_does_not_understand() {
        for text in [
            "",
            "S",
            "1",
            "1s",
            "-1S",
            "1.5S",
            "123456789S",
            " 1S",
            "1 S",
            "1é",
        ] {
            let value = HeaderValue::from_bytes(text.as_bytes()).unwrap();
            assert_eq!(read_grpc_timeout(&value), None, "{text:?}");
        }
    }

    #[test]
    fn never_tells_more_than_is_left() {
        for nanos in [
            0,
            1,
            99_999_999,
            100_000_001,
            5_000_000_123,
            99_999_999_999_999_999,
            u64::MAX,
        ] {
            let left = Duration::from_nanos(nanos);
            let value = grpc_timeout(left);
            let read = read_grpc_timeout(&value).unwrap();
            assert!(
                read <= left && left - read <= left / 1000,
                "{value:?} of {left:?}"
            );
        }
    }

    #[test]
    fn the_shorter_of_two_counts() {
        let now = clock::now();
        let deadline = |timeout, told: Option<&'static str>| {
            let told = told.map(HeaderValue::from_static);
            let deadline = Deadline::of(timeout, told.as_ref(), now);
            (deadline.at().map(|at| at - now), deadline.is_clients())
        };
        let second = Some(Duration::from_secs(1));
        assert_eq!(deadline(second, Some("5S")), (second, false));
        assert_eq!(
            deadline(second, Some("9m")),
            (Some(Duration::from_millis(9)), true)
        );
        assert_eq!(deadline(second, None), (second, false));
        assert_eq!(deadline(None, None).0, None);
    }
}
