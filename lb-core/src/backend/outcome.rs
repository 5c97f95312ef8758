//! What became of a request at a backend, and what failures count for.

use std::fmt;
use std::time::Duration;

/// What became of a request at a backend. Latencies are times to the response head, not to its last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The backend answered.
    Success {
        /// From the pick to the response head.
        latency: Duration,
    },
    /// It failed, in a way that it is to blame for.
    Failure {
        /// From the pick to the failure; a quick one counts as
        /// [`LatencyParameters::failure_penalty`](crate::LatencyParameters::failure_penalty).
        latency: Duration,
        /// In which way.
        cause: Cause,
    },
    /// The request was given up for a reason that says nothing about the backend: the client left, the connection was
    /// stale, or the backend refused the stream before it began to work (RFC 9113 §8.7), as it does while it drains.
    Cancelled,
}

impl Outcome {
    /// An answer.
    pub const fn success(latency: Duration) -> Self {
        Self::Success { latency }
    }

    /// A failure.
    pub const fn failure(latency: Duration, cause: Cause) -> Self {
        Self::Failure { latency, cause }
    }

    /// What a response head says: a failure if [`Cause::of_status`] knows a cause, else a success.
    pub fn of_status(status: u16, latency: Duration) -> Self {
        match Cause::of_status(status) {
            Some(cause) => Self::Failure { latency, cause },
            None => Self::Success { latency },
        }
    }
}

/// In which way a backend failed.
///
/// | cause | consecutive errors, success rate, breaker | consecutive gateway errors | retry budget |
/// |---|---|---|---|
/// | `Connect`, `Timeout`, `Reset`, `Protocol` | yes | yes | may draw on savings |
/// | `Gateway` (502, 503, 504) | yes | yes | only what requests of the moment pay for |
/// | `ServerError` (other 5xx) | yes | no: the program ran | as `Gateway` |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Cause {
    /// No connection: refused, unreachable, not in time, or the TLS handshake failed.
    Connect,
    /// No response head in time.
    Timeout,
    /// The connection or the stream broke off, before the response head or within the body.
    Reset,
    /// What came was no proper response.
    Protocol,
    /// The response was 502, 503 or 504: the backend lives and cannot serve.
    Gateway,
    /// The response was another 5xx.
    ServerError,
}

impl Cause {
    /// The cause that a response's status stands for; `None` below 500, and for 501 and 505, which speak of the request.
    pub fn of_status(status: u16) -> Option<Self> {
        match status {
            ..=499 | 501 | 505 => None,
            502..=504 => Some(Self::Gateway),
            _ => Some(Self::ServerError),
        }
    }

    /// The cause in one word, for logs and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::Gateway => "gateway_error",
            Self::ServerError => "server_error",
        }
    }

    /// Whether it counts as a gateway error: the backend's program may never have run.
    pub fn is_gateway_error(self) -> bool {
        !matches!(self, Self::ServerError)
    }

    /// Whether the backend answered, so that another attempt adds to the load of a pool that may be overloaded.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Gateway | Self::ServerError)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_failure_of_the_backend_or_none() {
        let cause = |status| Cause::of_status(status).map(Cause::as_str);
        assert_eq!(cause(200), None);
        assert_eq!(cause(404), None);
        assert_eq!(cause(429), None);
        assert_eq!(cause(500), Some("server_error"));
        assert_eq!(cause(501), None);
        assert_eq!(cause(502), Some("gateway_error"));
        assert_eq!(cause(504), Some("gateway_error"));
        assert_eq!(cause(505), None);
        assert_eq!(cause(599), Some("server_error"));
    }
}
