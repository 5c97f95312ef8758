//! What happens, for those who listen: encoded once, kept for a moment, lost to nobody but the slow.

use std::fmt::Write as _;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::broadcast;

use super::{Change, Status};

/// So many events wait for a client that does not read; one more, and it is let go.
const KEPT: usize = 256;

/// Events on their way to those who listen.
#[derive(Debug)]
pub(crate) struct News {
    events: broadcast::Sender<Bytes>,
}

impl Default for News {
    fn default() -> Self {
        Self {
            events: broadcast::Sender::new(KEPT),
        }
    }
}

impl News {
    /// Tells that something changed; where nobody listens, `change` is not even asked.
    pub(crate) fn tell(&self, change: impl FnOnce() -> Change) {
        if self.has_listeners() {
            self.send("change", &change());
        }
    }

    /// Tells how everything is.
    pub(crate) fn tell_status(&self, status: &Status) {
        self.send("status", status);
    }

    pub(crate) fn has_listeners(&self) -> bool {
        self.events.receiver_count() > 0
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Bytes> {
        self.events.subscribe()
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
