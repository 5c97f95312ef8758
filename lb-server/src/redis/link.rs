//! A worker's way to the store: up or down, and who brings it back.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};

use super::{Command, Opener, Report, Store, StoreError, Value};
use crate::clock;

/// How long opening may take, all of it. Nobody waits for it.
const OPEN_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a store that nobody asks is asked whether it is still there.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// The pause before the first attempt to open again; each further one doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// No pause is longer, so that with [`OPEN_TIMEOUT`] a store is back in use 3 s after it is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Up for this long, it is believed to stay so, and pauses begin with the first again.
const STEADY_AFTER: Duration = Duration::from_secs(10);

/// A worker's way to the store. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    opener: Arc<dyn Opener>,
    timeout: Duration,
    state: watch::Sender<State>,
    /// A command has timed out: ask the store whether it is still there.
    doubt: Notify,
    report: Arc<Report>,
}

#[derive(Debug, Clone)]
enum State {
    /// Not known yet; commands wait for it as long as for an answer.
    Starting,
    Up {
        store: Arc<dyn Store>,
        /// Tells this connection from those before and after it.
        epoch: u64,
    },
    Down,
}

impl Link {
    pub(super) fn new(opener: Arc<dyn Opener>, timeout: Duration, report: Arc<Report>) -> Self {
        Self {
            inner: Arc::new(Inner {
                opener,
                timeout,
                state: watch::Sender::new(State::Starting),
                doubt: Notify::new(),
                report,
            }),
        }
    }

    /// Keeps the link up as long as it is polled: opens, watches, opens again.
    pub(crate) async fn keep(self) {
        let Inner { state, report, .. } = &*self.inner;
        let mut pause = FIRST_PAUSE;
        let mut is_reported = false;
        for epoch in 0.. {
            let opened = match tokio::time::timeout(OPEN_TIMEOUT, self.inner.opener.open()).await {
                Ok(opened) => opened,
                Err(_elapsed) => Err(StoreError::Timeout),
            };
            let why = match opened {
                Ok(store) => {
                    if std::mem::take(&mut is_reported) {
                        report.up();
                    }
                    let since = clock::now();
                    state.send_replace(State::Up {
                        store: Arc::clone(&store),
                        epoch,
                    });
                    let why = self.lost(&*store, epoch).await;
                    if clock::now().saturating_duration_since(since) >= STEADY_AFTER {
                        pause = FIRST_PAUSE;
                    }
                    why
                }
                Err(error) => error,
            };
            state.send_replace(State::Down);
            if !std::mem::replace(&mut is_reported, true) {
                report.down(&why);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits until the connection is of no use any more, and says why.
    async fn lost(&self, store: &dyn Store, epoch: u64) -> StoreError {
        let mut state = self.inner.state.subscribe();
        loop {
            tokio::select! {
                biased;
                () = given_up(&mut state, epoch) => return StoreError::Down,
                () = self.inner.doubt.notified() => {}
                () = tokio::time::sleep(PROBE_EVERY) => {}
            }
            let answer = tokio::time::timeout(self.inner.timeout, store.run(Command::new("PING")));
            match answer.await {
                Ok(Ok(_) | Err(StoreError::Refused(_))) => {}
                Ok(Err(error)) => return error,
                Err(_elapsed) => return StoreError::Timeout,
            }
        }
    }

    async fn ask(&self, command: Command) -> Result<Value, StoreError> {
        let mut state = self.inner.state.subscribe();
        let starting = |state: &State| matches!(state, State::Starting);
        let known = state
            .wait_for(|state| !starting(state))
            .await
            .map(|state| state.clone());
        let Ok(State::Up { store, epoch }) = known else {
            return Err(StoreError::Down);
        };
        let result = tokio::select! {
            biased;
            result = store.run(command) => result,
            // Nobody waits for a connection that somebody else has found to be of no use.
            () = given_up(&mut state, epoch) => Err(StoreError::Down),
        };
        if let Err(StoreError::Unusable(why)) = &result {
            self.give_up(epoch, why);
        }
        result
    }

    /// Ends the use of a connection, unless another has taken its place.
    fn give_up(&self, given_up: u64, why: &str) {
        self.inner.state.send_if_modified(|state| {
            let is_ours = matches!(state, State::Up { epoch, .. } if *epoch == given_up);
            if is_ours {
                self.inner.report.blame(why);
                *state = State::Down;
            }
            is_ours
        });
    }
}

/// Waits until the use of a connection has ended.
async fn given_up(state: &mut watch::Receiver<State>, ours: u64) {
    let is_over = |state: &State| !matches!(state, State::Up { epoch, .. } if *epoch == ours);
    // The sender lives in the link that is waited in.
    let _ended = state.wait_for(is_over).await;
}

impl Store for Link {
    fn run(&self, command: Command) -> BoxFuture<'_, Result<Value, StoreError>> {
        Box::pin(async move {
            let inner = &*self.inner;
            let op = command.op();
            let began = clock::now();
            if matches!(*inner.state.borrow(), State::Down) {
                inner
                    .report
                    .answered(op, Err(&StoreError::Down), Duration::ZERO);
                return Err(StoreError::Down);
            }
            let result = match tokio::time::timeout(inner.timeout, self.ask(command)).await {
                Ok(result) => result,
                Err(_elapsed) => {
                    inner.doubt.notify_one();
                    Err(StoreError::Timeout)
                }
            };
            let took = clock::now().saturating_duration_since(began);
            inner.report.answered(op, result.as_ref().map(|_| ()), took);
            result
        })
    }
}
