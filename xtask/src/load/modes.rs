//! What the load generator does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use h2::client::ResponseFuture;
use hdrhistogram::Histogram;
use http::Uri;
use rustls::client::Resumption;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use crate::client::{Client, Connection};
use crate::exchange::{exchange, send};
use crate::{Arguments, Mode, PATIENCE, wait_for_word};

/// Connections that are made at once.
const DIALS: usize = 16;

/// What was seen.
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) resumed: u64,
    pub(crate) elapsed: Duration,
    /// Microseconds from when each request was due.
    pub(crate) latency: Histogram<u64>,
}

/// Does what was asked for.
///
/// # Errors
///
/// Fails with the first request that fails, or if nothing moves any more.
pub(crate) async fn run(arguments: &Arguments) -> Result<Seen> {
    let uri = arguments.uri()?;
    let resumption = match arguments.mode {
        Mode::Handshake { resumed: true, .. } => Resumption::in_memory_sessions(8),
        _ => Resumption::disabled(),
    };
    let authority = arguments.authority.as_deref();
    let client = Arc::new(Client::try_new(arguments.address, authority, resumption)?);
    match arguments.mode {
        Mode::Rate {
            per_second,
            requests,
            connections,
        } => {
            let open = open(&client, connections, &uri).await?;
            word().await?;
            rate(&open, &uri, per_second, requests).await
        }
        Mode::Standing {
            requests,
            connections,
            streams,
        } => {
            let open = open(&client, connections, &uri).await?;
            word().await?;
            standing(&open, &uri, requests, streams).await
        }
        Mode::Handshake {
            requests,
            connections,
            ..
        } => {
            // As many tickets as connections at once, for each can be used once.
            handshakes(&client, &uri, connections as u64, connections).await?;
            word().await?;
            handshakes(&client, &uri, requests, connections).await
        }
        Mode::Idle { connections } => {
            let open = open(&client, connections, &uri).await?;
            word().await?;
            Seen::try_new(open.len() as u64, Instant::now())
        }
        Mode::Active {
            connections,
            streams,
        } => {
            // Another path: this one is not answered.
            let open = dial(&client, connections).await?;
            let waiting = wait_on(&open, &uri, streams).await?;
            word().await?;
            Seen::try_new(waiting.len() as u64, Instant::now())
        }
    }
}

/// Waits for the word to begin, while the connections do what they have to.
async fn word() -> Result<()> {
    let waiting = spawn_blocking(wait_for_word).await;
    waiting.context("the wait broke down")?
}

impl Seen {
    fn try_new(requests: u64, begun: Instant) -> Result<Self> {
        Ok(Self {
            requests,
            resumed: 0,
            elapsed: begun.elapsed(),
            latency: histogram()?,
        })
    }
}

/// For up to ten minutes: beyond its bound a histogram records the bound.
fn histogram() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 600_000_000, 3).context("valid bounds")
}

/// Connections, some at once.
async fn dial(client: &Arc<Client>, count: usize) -> Result<Vec<Connection>> {
    let mut open = Vec::with_capacity(count);
    let mut dialling = JoinSet::new();
    for number in 0..count {
        if dialling.len() >= DIALS {
            open.push(next(&mut dialling).await?);
        }
        let client = Arc::clone(client);
        dialling.spawn(async move { client.connect(number).await });
    }
    while !dialling.is_empty() {
        open.push(next(&mut dialling).await?);
    }
    Ok(open)
}

/// Connections that have each had one request.
async fn open(client: &Arc<Client>, count: usize, uri: &Uri) -> Result<Vec<Connection>> {
    let open = dial(client, count).await?;
    for connection in &open {
        let asked = exchange(connection.sender.clone(), uri);
        timeout(PATIENCE, asked)
            .await
            .context("no answer in time")??;
    }
    Ok(open)
}

/// Requests at fixed times, whatever became of those before: a slow answer makes no later request
/// late, and one that had to wait to be sent was already being timed (coordinated omission).
async fn rate(open: &[Connection], uri: &Uri, per_second: u32, requests: u64) -> Result<Seen> {
    let (due, mut dues) = mpsc::unbounded_channel();
    let interval = 1.0 / f64::from(per_second.max(1));
    let begun = Instant::now();
    // A thread, because the runtime's timer counts in milliseconds.
    let pacer = thread::spawn(move || {
        for number in 0..requests {
            let at = begun + Duration::from_secs_f64(interval * precise(number));
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if due.send(at).is_err() {
                break;
            }
        }
    });
    let mut asked = JoinSet::new();
    let mut connections = open.iter().cycle();
    let mut latency = histogram()?;
    let mut done = 0;
    while done < requests {
        tokio::select! {
            Some(at) = dues.recv() => {
                let connection = connections.next().context("a connection")?;
                let asking = connection.sender.clone();
                let uri = uri.clone();
                asked.spawn(async move {
                    exchange(asking, &uri).await?;
                    Ok(at.elapsed())
                });
            }
            Some(took) = asked.join_next() => {
                let took: Result<Duration> = took.context("a request broke down")?;
                let microseconds = u64::try_from(took?.as_micros()).unwrap_or(u64::MAX);
                latency.saturating_record(microseconds);
                done += 1;
            }
            () = tokio::time::sleep(PATIENCE) => anyhow::bail!("no answer in time"),
        }
    }
    let elapsed = begun.elapsed();
    let _ = pacer.join();
    Ok(Seen {
        requests: done,
        resumed: 0,
        elapsed,
        latency,
    })
}

async fn standing(open: &[Connection], uri: &Uri, requests: u64, streams: usize) -> Result<Seen> {
    let begun = Instant::now();
    let left = Arc::new(AtomicU64::new(requests));
    let mut asking = JoinSet::new();
    // At most 1,024 requests at once, or the backend would be what is measured.
    let at_once = (open.len() * streams).min(1024);
    let senders: Arc<[_]> = open
        .iter()
        .map(|connection| connection.sender.clone())
        .collect();
    for first in 0..at_once {
        let (uri, left, senders) = (uri.clone(), Arc::clone(&left), Arc::clone(&senders));
        asking.spawn(async move {
            let mut number = first;
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                })
                .is_ok()
            {
                exchange(senders[number % senders.len()].clone(), &uri).await?;
                number += at_once;
            }
            Ok(())
        });
    }
    while !asking.is_empty() {
        next(&mut asking).await?;
    }
    Seen::try_new(requests, begun)
}

async fn handshakes(
    client: &Arc<Client>,
    uri: &Uri,
    requests: u64,
    at_once: usize,
) -> Result<Seen> {
    let begun = Instant::now();
    let mut asking = JoinSet::new();
    let mut resumed = 0;
    for number in 0..requests {
        if asking.len() >= at_once {
            resumed += u64::from(next(&mut asking).await?);
        }
        let (client, uri) = (Arc::clone(client), uri.clone());
        asking.spawn(async move {
            let connection = client
                .connect(usize::try_from(number).unwrap_or_default())
                .await?;
            exchange(connection.sender.clone(), &uri).await?;
            let is_resumed = connection.is_resumed;
            connection.close().await;
            Ok(is_resumed)
        });
    }
    while !asking.is_empty() {
        resumed += u64::from(next(&mut asking).await?);
    }
    Ok(Seen {
        resumed,
        ..Seen::try_new(requests, begun)?
    })
}

/// Sends requests and keeps their answers waiting.
async fn wait_on(open: &[Connection], uri: &Uri, streams: usize) -> Result<Vec<ResponseFuture>> {
    let mut waiting = Vec::new();
    for connection in open {
        for _ in 0..streams {
            let sent = timeout(PATIENCE, send(connection.sender.clone(), uri)).await;
            waiting.push(sent.context("no stream in time")??);
        }
    }
    Ok(waiting)
}

/// What the next task to end has brought.
async fn next<T: 'static>(tasks: &mut JoinSet<Result<T>>) -> Result<T> {
    let ended = timeout(PATIENCE, tasks.join_next())
        .await
        .context("nothing moves any more")?;
    ended
        .context("no task is left")?
        .context("a task broke down")?
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
fn precise(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn next_gives_what_a_task_brought() {
        let mut tasks = JoinSet::new();
        tasks.spawn(async { Ok(7) });
        assert_eq!(next(&mut tasks).await.unwrap(), 7);
        assert!(next(&mut tasks).await.is_err());
    }
    #[test]
    fn records_long_waits_as_they_were() {
        let mut waits = histogram().unwrap();
        waits.saturating_record(40);
        waits.saturating_record(5_000_000);
        assert_eq!(waits.value_at_quantile(0.5), 40);
        assert!(waits.max() >= 5_000_000);
    }
}
