//! Stop and wait: the two signals that every task of a server hears.

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The server's shutdown, cheap to clone into every task.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drain {
    draining: CancellationToken,
    forced: CancellationToken,
    connections: TaskTracker,
}

impl Drain {
    /// Asks every connection to finish what it began and to take nothing new.
    pub(crate) fn begin(&self) {
        self.draining.cancel();
        self.connections.close();
    }

    /// A part that can end by itself, and ends with the whole.
    pub(crate) fn part(&self) -> Self {
        Self {
            draining: self.draining.child_token(),
            forced: self.forced.child_token(),
            connections: self.connections.clone(),
        }
    }

    /// As [`Drain::begin`], for this part alone.
    pub(crate) fn begin_part(&self) {
        self.draining.cancel();
    }

    /// As [`Drain::force`], for this part alone.
    pub(crate) fn force_part(&self) {
        self.begin_part();
        self.forced.cancel();
    }

    /// Ends everything at once.
    pub(crate) fn force(&self) {
        self.begin();
        self.forced.cancel();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Completes when the drain begins.
    pub(crate) fn begun(&self) -> WaitForCancellationFutureOwned {
        self.draining.clone().cancelled_owned()
    }

    /// Completes when everything has to end.
    pub(crate) fn forced(&self) -> WaitForCancellationFutureOwned {
        self.forced.clone().cancelled_owned()
    }

    /// The guard that a connection holds until its last byte.
    pub(crate) fn guard(&self) -> TaskTrackerToken {
        self.connections.token()
    }

    /// Completes when the drain has begun and the last guard was dropped.
    pub(crate) async fn finished(&self) {
        self.connections.wait().await;
    }
}
