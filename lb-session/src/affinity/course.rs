//! What to do with a client's affinity, given how its backend stands.

/// What happens to a client whose backend cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AffinityMode {
    /// Another backend serves it (the default).
    #[default]
    Loose,
    /// It is refused: its state is on that backend and nowhere else.
    Strict,
}

/// How the backend that a cookie names stands, as the pool knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It takes requests.
    Serving,
    /// It finishes what it has and keeps the clients that are bound to it, but gets no new ones.
    Draining,
    /// It has all the requests that it may have at once.
    Full,
    /// It is disabled, unhealthy or ejected.
    Down,
}

/// What a request's affinity amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AffinityStatus {
    /// The request has no affinity cookie.
    Absent,
    /// The cookie's value is that of no backend of the pool: forged, of a retired secret, or of a backend that left.
    Unknown,
    /// The cookie names a backend; `current` as in [`Bound`](crate::Bound).
    Bound {
        /// How that backend stands.
        standing: Standing,
        /// Whether the value is of the first secret.
        current: bool,
    },
}

/// What to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Course {
    /// Send it to the backend it is bound to.
    Stay,
    /// Send it to the backend it is bound to, and set the cookie again.
    Renew,
    /// Pick a backend and set the cookie for it.
    Bind,
    /// Pick another backend for this one request, and leave the cookie alone: the backend will have room again.
    Detour,
    /// Refuse it (503): its backend cannot serve now, and no other may.
    Refuse,
}

impl AffinityStatus {
    /// The word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "none",
            Self::Unknown => "invalid",
            Self::Bound { standing, .. } => match standing {
                Standing::Serving => "valid",
                Standing::Draining => "draining",
                Standing::Full => "full",
                Standing::Down => "down",
            },
        }
    }

    /// Decides.
    ///
    /// A draining backend keeps its clients in either mode, without a new cookie that would bind them for longer. A
    /// backend that left the pool cannot be told from a forgery, so its clients are bound anew in either mode.
    ///
    /// # Examples
    /// ```
    /// use lb_session::{AffinityMode, AffinityStatus, Course, Standing};
    ///
    /// let down = AffinityStatus::Bound { standing: Standing::Down, current: true };
    /// assert_eq!(down.course(AffinityMode::Loose), Course::Bind);
    /// assert_eq!(down.course(AffinityMode::Strict), Course::Refuse);
    /// ```
    pub const fn course(self, mode: AffinityMode) -> Course {
        let Self::Bound { standing, current } = self else {
            return Course::Bind;
        };
        match (standing, mode) {
            (Standing::Serving, _) if current => Course::Stay,
            (Standing::Serving, _) => Course::Renew,
            (Standing::Draining, _) => Course::Stay,
            (Standing::Full, AffinityMode::Loose) => Course::Detour,
            (Standing::Down, AffinityMode::Loose) => Course::Bind,
            (Standing::Full | Standing::Down, AffinityMode::Strict) => Course::Refuse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(standing: Standing, current: bool) -> AffinityStatus {
        AffinityStatus::Bound { standing, current }
    }

    #[test]
    fn a_course_for_every_standing() {
        use AffinityMode::{Loose, Strict};
        for (status, word, loose, strict) in [
            (AffinityStatus::Absent, "none", Course::Bind, Course::Bind),
            (
                AffinityStatus::Unknown,
                "invalid",
                Course::Bind,
                Course::Bind,
            ),
            (
                bound(Standing::Serving, true),
                "valid",
                Course::Stay,
                Course::Stay,
            ),
            (
                bound(Standing::Serving, false),
                "valid",
                Course::Renew,
                Course::Renew,
            ),
            (
                bound(Standing::Draining, true),
                "draining",
                Course::Stay,
                Course::Stay,
            ),
            (
                bound(Standing::Draining, false),
                "draining",
                Course::Stay,
                Course::Stay,
            ),
            (
                bound(Standing::Full, true),
                "full",
                Course::Detour,
                Course::Refuse,
            ),
            (
                bound(Standing::Down, true),
                "down",
                Course::Bind,
                Course::Refuse,
            ),
        ] {
            assert_eq!(status.as_str(), word);
            assert_eq!(status.course(Loose), loose, "{status:?}");
            assert_eq!(status.course(Strict), strict, "{status:?}");
        }
    }
}
