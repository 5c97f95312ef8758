//! What happens, for those who listen: encoded once, kept for a moment, lost to nobody but the slow.

use std::fmt::Write as _;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::broadcast;

use super::Change;

/// So many events wait for a client that does not read; one more, and it is let go.
const KEPT: usize = 256;

/// Events on their way to those who listen.
///
/// Their order is that of what they tell: a status that comes after a change knows of it, and none is older than the one before it.
#[derive(Debug)]
pub(crate) struct News {
    events: broadcast::Sender<Bytes>,
    /// How many were told, to anybody or to nobody.
    told: Mutex<u64>,
}

/// A moment between two events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(u64);

impl Default for News {
    fn default() -> Self {
        Self {
            events: broadcast::Sender::new(KEPT),
            told: Mutex::default(),
        }
    }
}

impl News {
    /// Tells that something changed; where nobody listens, `change` is not even asked.
    pub(crate) fn tell(&self, change: impl FnOnce() -> Change) {
        let mut told = self.told.lock();
        *told += 1;
        if self.has_listeners() {
            self.send("change", &change());
        }
    }

    /// To be asked before the status is read that [`News::tell_status`] and [`News::listen`] are for.
    pub(crate) fn moment(&self) -> Moment {
        Moment(*self.told.lock())
    }

    /// Tells how everything has been since `moment`; nothing, and false, where something was told meanwhile that this status may not know.
    pub(crate) fn tell_status(&self, moment: Moment, status: &impl Serialize) -> bool {
        let mut told = self.told.lock();
        if *told != moment.0 {
            return false;
        }
        *told += 1;
        self.send("status", status);
        true
    }

    pub(crate) fn has_listeners(&self) -> bool {
        self.events.receiver_count() > 0
    }

    /// What is told from now on; nothing where something was told since `moment` already.
    pub(crate) fn listen(&self, moment: Moment) -> Option<broadcast::Receiver<Bytes>> {
        let told = self.told.lock();
        (*told == moment.0).then(|| self.events.subscribe())
    }

    fn send(&self, name: &str, data: &impl Serialize) {
        if let Some(event) = encode(name, data) {
            // The last listener may have left meanwhile.
            let _ = self.events.send(event);
        }
    }
}

/// An event as the stream has it (WHATWG HTML §9.2.5); JSON has no line ends.
pub(crate) fn encode(name: &str, data: &impl Serialize) -> Option<Bytes> {
    let json = serde_json::to_string(data).ok()?;
    let mut text = String::with_capacity(json.len() + 32);
    write!(text, "event: {name}\ndata: {json}\n\n").ok()?;
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::ChangeKind;

    fn change() -> Change {
        Change {
            at: 0.0,
            kind: ChangeKind::Health,
            pool: None,
            backend: None,
            event: "unhealthy".into(),
            details: String::new(),
            caller: None,
        }
    }

    #[test]
    fn who_listens_misses_nothing_that_was_told_since_the_status_was_read() {
        let news = News::default();
        let before = news.moment();
        news.tell(|| unreachable!("nobody listens"));
        assert!(news.listen(before).is_none());
        let mut events = news.listen(news.moment()).unwrap();
        assert!(events.try_recv().is_err());
        news.tell(change);
        assert!(events.try_recv().unwrap().starts_with(b"event: change\n"));
    }

    #[test]
    fn a_status_that_may_not_know_of_what_was_told_is_not_told() {
        let news = News::default();
        let mut events = news.listen(news.moment()).unwrap();
        let before = news.moment();
        news.tell(change);
        assert!(!news.tell_status(before, &"old"));
        let between = news.moment();
        assert!(news.tell_status(between, &"new"));
        assert!(!news.tell_status(between, &"as old as the one before it"));
        assert!(events.try_recv().unwrap().starts_with(b"event: change\n"));
        assert_eq!(
            events.try_recv().unwrap(),
            "event: status\ndata: \"new\"\n\n"
        );
        assert!(events.try_recv().is_err());
    }
}
