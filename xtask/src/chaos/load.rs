//! Requests at fixed times over TLS and HTTP/2, whatever becomes of those before, and what each
//! came to.

mod request;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use rustls::client::Resumption;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::client::Client;
use request::{Slot, exchange};

pub(crate) use request::{Download, download};

/// Paths whose responses are not whole.
pub(crate) const BROKEN: [&str; 4] = ["/truncated", "/reset", "/cut-chunked", "/bad-chunk"];

/// A download of about three seconds, whatever the line.
pub(crate) const TRICKLE_PATH: &str = "/trickle";
pub(crate) const TRICKLE_CHUNK: usize = 16 * 1024;
pub(crate) const TRICKLE_CHUNKS: usize = 60;
pub(crate) const TRICKLE_PAUSE: Duration = Duration::from_millis(50);

/// Requests of one load at most: a bound for a run that nobody ends.
const MOST_SECONDS: u64 = 60;

/// How long a request may take; longer than any timeout of a proxy here.
const PATIENCE: Duration = Duration::from_secs(20);

/// Numbers of requests, unique in this run.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) authority: PathBuf,
    pub(crate) per_second: u32,
    pub(crate) connections: usize,
    pub(crate) mix: Mix,
}

/// Which requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Seven GETs, two POSTs and a POST with an idempotency key of each ten.
    Mixed,
    Gets,
    /// GETs for responses that break off.
    Broken,
}

/// What a request is allowed to suffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    /// A POST that may be repeated.
    Keyed,
}

impl Method {
    pub(crate) const ALL: [Self; 3] = [Self::Get, Self::Post, Self::Keyed];
}

impl Mix {
    fn method(self, id: u64) -> Method {
        match (self, id % 10) {
            (Self::Mixed, 2 | 6) => Method::Post,
            (Self::Mixed, 9) => Method::Keyed,
            _ => Method::Get,
        }
    }

    fn path(self, id: u64) -> &'static str {
        let kinds = BROKEN.len() as u64;
        let at = usize::try_from(id % kinds).unwrap_or_default();
        match self {
            Self::Broken => BROKEN[at],
            Self::Mixed | Self::Gets => "/",
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Answered to the last byte.
    Complete(Answer),
    /// The head came and the body broke off; whether by a reset of the other side.
    Broken { is_reset: bool },
    /// Sent, and broken off before the head; whether by a reset of the other side.
    Lost { text: String, is_reset: bool },
    /// No connection to send it on.
    Unsent,
    /// No answer in time.
    Late,
}

/// What a head told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) backend: Option<String>,
    pub(crate) proxy_status: Option<String>,
    pub(crate) has_retry_after: bool,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) method: Method,
    pub(crate) due: Instant,
    /// Since it was due.
    pub(crate) took: Duration,
    pub(crate) end: End,
}

impl Record {
    /// Whether the client got what it asked for.
    pub(crate) fn is_good(&self) -> bool {
        matches!(&self.end, End::Complete(answer) if answer.status == 200)
    }
}

/// A load under way, in a thread of its own.
#[derive(Debug)]
pub(crate) struct Load {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<Record>>>,
}

impl Load {
    /// Makes the connections, and returns when the first requests are due.
    ///
    /// # Errors
    ///
    /// Fails if the proxy cannot be reached.
    pub(crate) fn start(plan: Plan) -> Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let (begin, begun) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || runtime()?.block_on(run(&plan, &over, &begin)));
        // Without a word the thread has failed, and tells why when it is joined.
        let begun = begun.recv_timeout(PATIENCE);
        let load = Self { is_over, thread };
        match begun {
            Ok(()) => Ok(load),
            Err(_) => Err(load
                .finish()
                .err()
                .unwrap_or_else(|| anyhow!("the load did not begin"))),
        }
    }

    /// Sends no more, and waits until every request has ended.
    ///
    /// # Errors
    ///
    /// Fails if the generator itself broke down.
    pub(crate) fn finish(self) -> Result<Vec<Record>> {
        self.is_over.store(true, Ordering::Relaxed);
        let seen = self.thread.join();
        let mut records = seen.map_err(|_| anyhow!("the load generator panicked"))??;
        records.sort_by_key(|record| record.due);
        Ok(records)
    }
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

async fn run(
    plan: &Plan,
    is_over: &AtomicBool,
    begin: &std::sync::mpsc::Sender<()>,
) -> Result<Vec<Record>> {
    let client = Client::try_new(plan.address, Some(&plan.authority), Resumption::disabled())?;
    let client = Arc::new(client);
    let mut slots = Vec::new();
    for number in 0..plan.connections.max(1) {
        slots.push(Arc::new(Slot::open(Arc::clone(&client), number).await?));
    }
    let (done, mut records) = mpsc::unbounded_channel();
    let mut asked = JoinSet::new();
    let interval = Duration::from_secs(1) / plan.per_second.max(1);
    let most = u64::from(plan.per_second) * MOST_SECONDS;
    let begun = Instant::now();
    let _ = begin.send(());
    let mut number = 0;
    let mut due = begun;
    while number < most && !is_over.load(Ordering::Relaxed) {
        // The runtime's timer counts in milliseconds: all that came due meanwhile goes at once.
        while due <= Instant::now() && number < most {
            let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
            let (method, path) = (plan.mix.method(id), plan.mix.path(id));
            let at = usize::try_from(number).unwrap_or_default() % slots.len();
            let (slot, done) = (Arc::clone(&slots[at]), done.clone());
            asked.spawn(async move {
                let asking = exchange(&slot, id, method, path);
                let end = tokio::time::timeout(PATIENCE, asking).await;
                let took = due.elapsed();
                let end = end.unwrap_or(End::Late);
                // Nobody listens only if the whole run has failed.
                let _ = done.send(Record {
                    id,
                    method,
                    due,
                    took,
                    end,
                });
            });
            number += 1;
            due += interval;
        }
        while asked.try_join_next().is_some() {}
        tokio::time::sleep_until(due.into()).await;
    }
    drop(done);
    let mut seen = Vec::new();
    while let Some(record) = records.recv().await {
        seen.push(record);
    }
    Ok(seen)
}
