//! What an exchange's steps note for its record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};

use super::Head;
use crate::headers::TRACEPARENT;
use crate::snapshot::BackendTarget;

/// What is known of an exchange so far.
///
/// It is settled with the reply's head: what goes on for others from then on (a stored response that
/// is validated behind its client's back) is no part of it.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    is_settled: bool,
    /// Whether the request's head was fit to be answered by its route.
    pub(super) is_checked: bool,
    /// Only where somebody wants records.
    head: Option<Box<Head>>,
    first: Option<Attempt>,
    /// Those after the first, which few exchanges have.
    more: Vec<Attempt>,
    /// The attempt whose response was taken.
    answered: Option<AttemptId>,
    pub(super) queued: Option<Duration>,
    queued_since: Option<Instant>,
    pub(super) cache: Option<CacheResult>,
    pub(super) affinity: Option<AffinityWord>,
    pub(super) reason: Option<&'static str>,
    pub(super) store: Option<(Instant, Instant)>,
}

/// One attempt at a backend.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) target: Arc<BackendTarget>,
    pub(crate) started: Instant,
    /// Until there was a connection; zero where one was open.
    pub(crate) connect: Option<Duration>,
    /// From there to the response's head.
    pub(crate) ttfb: Option<Duration>,
    /// When its head came or it failed; `None` where it was given up for another, or by the client.
    pub(crate) ended: Option<Instant>,
    /// The backend's status, or why there is none.
    pub(crate) result: Option<Result<StatusCode, &'static str>>,
}

/// Which attempt of an exchange; `None` where it is no part of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AttemptId(Option<usize>);

impl AttemptId {
    pub(crate) fn number(self) -> Option<usize> {
        self.0
    }
}

/// Where a reply came from that a cache stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CacheResult {
    Hit,
    Stale,
    /// Stored, and a backend said that it is still right.
    Validated,
    /// The response to another request.
    Collapsed,
    Miss,
    Bypass,
}

impl CacheResult {
    pub(crate) const ALL: [Self; 6] = [
        Self::Hit,
        Self::Stale,
        Self::Validated,
        Self::Collapsed,
        Self::Miss,
        Self::Bypass,
    ];

    /// The word for logs and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Validated => "validated",
            Self::Collapsed => "collapsed",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

/// What a client's affinity cookie came to, as HAProxy's log has it in letters (N, I, D, V, E).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AffinityWord {
    /// There was none.
    None,
    /// Of no backend of the pool: forged, of a retired secret, or of a backend that left.
    Invalid,
    /// Its backend could not answer, and another one did or nobody.
    Down,
    /// Its backend answered.
    Valid,
}

impl AffinityWord {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Invalid => "invalid",
            Self::Down => "down",
            Self::Valid => "valid",
        }
    }
}

impl Notes {
    pub(crate) fn about(head: Option<Box<Head>>) -> Self {
        Self {
            head,
            ..Self::default()
        }
    }

    /// The attempts in the order in which they began.
    pub(super) fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.first.iter().chain(&self.more)
    }

    /// The attempt that answered, else the last one.
    pub(super) fn decisive(&self) -> Option<&Attempt> {
        match self.answered {
            Some(AttemptId(Some(at))) => self.attempts().nth(at),
            _ => self.more.last().or(self.first.as_ref()),
        }
    }

    /// The head was checked: this is its host, and these are its fields, with the trace that goes on.
    pub(crate) fn checked(&mut self, host: &str, fields: &HeaderMap) {
        self.is_checked = true;
        if let Some(head) = &mut self.head {
            head.host = host.into();
            head.trace = fields.get(TRACEPARENT).cloned();
        }
    }

    /// The store that instances share was asked in this time.
    pub(crate) fn store(&mut self, began: Instant, ended: Instant) {
        if !self.is_settled {
            self.store = Some((began, ended));
        }
    }

    /// Nobody wants the record.
    pub(crate) fn forget_head(&mut self) {
        self.head = None;
    }

    /// What came of it is known: later notes are dropped.
    pub(super) fn settle(&mut self) {
        self.is_settled = true;
    }

    pub(super) fn take_head(&mut self) -> Option<Box<Head>> {
        self.head.take()
    }

    /// Everything, at the exchange's end.
    pub(super) fn take(&mut self, now: Instant) -> Self {
        let mut notes = std::mem::take(self);
        self.is_settled = true;
        if let Some(since) = notes.queued_since.take() {
            *notes.queued.get_or_insert_default() += now.saturating_duration_since(since);
        }
        notes
    }

    pub(crate) fn begin_attempt(
        &mut self,
        target: &Arc<BackendTarget>,
        started: Instant,
    ) -> AttemptId {
        if self.is_settled {
            return AttemptId(None);
        }
        let attempt = Attempt {
            target: Arc::clone(target),
            started,
            connect: None,
            ttfb: None,
            ended: None,
            result: None,
        };
        self.queued.get_or_insert_default();
        if self.first.is_none() {
            self.first = Some(attempt);
            return AttemptId(Some(0));
        }
        self.more.push(attempt);
        AttemptId(Some(self.more.len()))
    }

    /// The attempt ended with a response's head, or without one.
    pub(crate) fn end_attempt(
        &mut self,
        id: AttemptId,
        connect: Option<Duration>,
        result: Result<StatusCode, &'static str>,
        now: Instant,
    ) {
        if self.is_settled {
            return;
        }
        let attempt = match id.0 {
            None => return,
            Some(0) => self.first.as_mut(),
            Some(at) => self.more.get_mut(at - 1),
        };
        let Some(attempt) = attempt else {
            return;
        };
        attempt.connect = connect;
        attempt.ended = Some(now);
        attempt.result = Some(result);
        if result.is_ok() {
            let elapsed = now.saturating_duration_since(attempt.started);
            attempt.ttfb = Some(elapsed.saturating_sub(connect.unwrap_or_default()));
            self.answered = Some(id);
        }
    }

    /// The request waits for a place from now on.
    pub(crate) fn begin_queue(&mut self, now: Instant) {
        if !self.is_settled {
            self.queued_since = Some(now);
        }
    }

    /// It has one, or gave up.
    pub(crate) fn end_queue(&mut self, waited: Duration) {
        if !self.is_settled {
            self.queued_since = None;
            *self.queued.get_or_insert_default() += waited;
        }
    }

    pub(crate) fn cache(&mut self, result: CacheResult) {
        if !self.is_settled {
            self.cache = Some(result);
        }
    }

    pub(crate) fn affinity(&mut self, word: AffinityWord) {
        if !self.is_settled {
            self.affinity = Some(word);
        }
    }

    /// Why the answer is ours.
    pub(crate) fn reason(&mut self, reason: &'static str) {
        if !self.is_settled {
            self.reason = Some(reason);
        }
    }
}
