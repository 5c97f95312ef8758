//! From a backend's body into a fill, and into the cache at its end.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use lb_cache::{FillOutcome, FillTicket, StoredBody, StoredResponse};

use super::fill::{Fill, FillHead, Turn};
use super::second::Outgoing;
use super::{HttpCache, count};
use crate::body::{Body, BodyError};
use crate::clock;
use crate::redis::Store;

/// Room is asked for in steps, so that not every chunk takes the cache's lock.
const STEP_BYTES: u64 = 16 * 1024;
/// Smaller chunks than this, on average, are joined before they are kept.
const SMALL_CHUNK: usize = 4 * 1024;
const JOINED_CHUNK: usize = 64 * 1024;
/// How long a reader may hold up others, in all, once nothing is stored.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the cache hears that a fill goes on.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Whoever writes a fill; dropped before its end, the fill has failed.
pub(super) struct Filling {
    cache: Arc<HttpCache>,
    ticket: Option<FillTicket>,
    fill: Arc<Fill>,
    reserved: u64,
    /// Where it is written besides, with other instances.
    outgoing: Option<Outgoing>,
    /// Set while nothing is stored any more and what was is not read yet.
    passing: Option<FillTicket>,
}

impl Filling {
    pub(super) fn new(cache: Arc<HttpCache>, ticket: FillTicket, fill: Arc<Fill>) -> Self {
        Self {
            cache,
            ticket: Some(ticket),
            fill,
            reserved: 0,
            outgoing: None,
            passing: None,
        }
    }

    /// From here on the backend is asked; what it answers is for other instances too.
    pub(super) fn share(&mut self, store: Option<&Arc<dyn Store>>) {
        let second = self.cache.second();
        self.outgoing = second.and_then(|second| second.outgoing(store.cloned()));
    }

    /// Ends the fill without anything stored.
    pub(super) fn finish(mut self, outcome: FillOutcome) {
        self.give_up(outcome);
    }

    fn give_up(&mut self, outcome: FillOutcome) {
        if let Some(ticket) = self.ticket.take() {
            let reserved = std::mem::take(&mut self.reserved);
            let responses = self.cache.responses();
            responses.finish(&ticket, reserved, outcome, clock::now());
            self.fill.over(outcome);
        }
    }

    /// Ends the fill while its body goes on to those who read it; what they have not read yet still counts.
    fn pass(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let responses = self.cache.responses();
            responses.finish(&ticket, 0, FillOutcome::Uncacheable, clock::now());
            self.passing = Some(ticket);
            self.fill.over(FillOutcome::Uncacheable);
            self.fill.pass();
        }
    }

    /// Gives back what is counted for a body that passes, once little of it is left.
    fn drained(&mut self) {
        if let Some(ticket) = self.passing.take() {
            let reserved = std::mem::take(&mut self.reserved);
            self.cache.responses().release(&ticket, reserved);
        }
    }

    /// Ends the fill with what another instance has stored.
    pub(super) fn keep_found(mut self, response: Arc<StoredResponse>) {
        self.outgoing = None;
        self.fill.found_elsewhere();
        self.store(response);
    }

    /// Ends the fill with what is stored.
    pub(super) fn keep(mut self, response: Arc<StoredResponse>) {
        self.store(response);
    }

    fn store(&mut self, response: Arc<StoredResponse>) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let reserved = std::mem::take(&mut self.reserved);
        let most = self.cache.rules.max_variants;
        let responses = self.cache.responses();
        let outgoing = self.outgoing.take();
        let outgoing = outgoing.map(|it| (it, ticket.key().clone(), Arc::clone(&response)));
        let stored = responses.store(ticket, response, reserved, most, clock::now());
        if stored.is_some() {
            count(&self.cache.counters().stored);
            if let (Some((outgoing, key, response)), Some(second)) = (outgoing, self.cache.second())
            {
                second.write(&self.cache, &key, &response, outgoing);
            }
        }
        self.fill.over(match stored {
            Some(_) => FillOutcome::Stored,
            None => FillOutcome::Failed,
        });
    }

    /// Makes sure that what weighs so much may be held.
    fn has_room(&mut self, weight: u64) -> bool {
        let Some(ticket) = &self.ticket else {
            return false;
        };
        if weight <= self.reserved {
            return true;
        }
        let needed = weight - self.reserved;
        let responses = self.cache.responses();
        for ask in [needed.max(STEP_BYTES), needed] {
            if responses.reserve(ticket, ask) {
                self.reserved += ask;
                return true;
            }
        }
        false
    }

    fn progress(&self, now: Instant) {
        if let Some(ticket) = &self.ticket {
            self.cache.responses().progress(ticket, now);
        }
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.give_up(FillOutcome::Failed);
        self.drained();
        self.fill
            .end(Err("the fetch was given up".to_owned().into_boxed_str()));
    }
}

/// Moves a body into its fill and stores it if it is whole. As soon as it is too large it passes through at the pace
/// of its readers.
pub(super) async fn pump(
    mut filling: Filling,
    head: Arc<FillHead>,
    tags: Vec<Box<str>>,
    mut body: Body,
    idle: Duration,
) {
    let fill = Arc::clone(&filling.fill);
    filling.progress(clock::now());
    if let Some(length) = head.length {
        // Without room the body passes; the first chunk will tell.
        let _has_room = filling.has_room(StoredBody::weight_of(length, 1));
    }
    fill.begin(Arc::clone(&head));
    let (mut total, mut chunks) = (0_u64, 0_usize);
    let mut is_passing = false;
    let mut patience = PATIENCE;
    let mut told = clock::now();
    let end = loop {
        match turn(&fill, &mut patience).await {
            Turn::Write if is_passing => filling.drained(),
            Turn::Write => {}
            Turn::HeldUp => {
                fill.cut_slowest();
                continue;
            }
            Turn::Abandoned => break Err("nobody reads it any more".into()),
        }
        let frame = tokio::select! {
            biased;
            frame = tokio::time::timeout(idle, poll_fn(|cx| body.poll_frame(cx))) => frame,
            () = abandoned(&fill) => break Err("nobody reads it any more".into()),
        };
        let frame = match frame {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => break Err(error.to_string().into_boxed_str()),
            Ok(None) => break Ok(None),
            Err(_elapsed) => break Err(BodyError::Idle(idle).to_string().into_boxed_str()),
        };
        let chunk = match frame.into_data() {
            Ok(chunk) if chunk.is_empty() => continue,
            Ok(chunk) => chunk,
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => break Ok(Some(trailers)),
                Err(_unknown) => continue,
            },
        };
        total += chunk.len() as u64;
        chunks += 1;
        if is_passing {
            fill.push(chunk);
            continue;
        }
        let fits = total <= filling.cache.rules.max_object_bytes
            && filling.has_room(StoredBody::weight_of(total, chunks));
        if fits {
            // A chunk of its own: a slice would keep a whole read buffer alive.
            fill.push(Bytes::copy_from_slice(&chunk));
            let now = clock::now();
            if now.saturating_duration_since(told) >= PROGRESS_EVERY {
                told = now;
                filling.progress(now);
            }
        } else {
            is_passing = true;
            fill.push(chunk);
            filling.pass();
        }
    };
    let is_whole = end.is_ok() && head.length.is_none_or(|length| length == total);
    if is_whole && !is_passing {
        let body = StoredBody::new(joined(fill.chunks()));
        let headers = head.headers.clone();
        let tags = tags.iter().map(|tag| &**tag);
        filling.store(StoredResponse::new(head.policy.clone(), headers, body, tags).into());
    }
    fill.end(match end {
        Ok(trailers) if is_whole => Ok(trailers),
        Ok(_) => Err("it is not as long as it said".into()),
        Err(why) => Err(why),
    });
}

/// Waits until something may be written, but lets no reader hold up others for longer than `patience` in all.
async fn turn(fill: &Fill, patience: &mut Duration) -> Turn {
    let ready = poll_fn(|cx| std::task::Poll::Ready(fill.poll_turn(cx))).await;
    if let std::task::Poll::Ready(turn) = ready {
        return turn;
    }
    loop {
        let waiting = clock::now();
        let waited = tokio::time::timeout(*patience, poll_fn(|cx| fill.poll_turn(cx))).await;
        let is_held_up = fill.is_held_up();
        if is_held_up {
            *patience = patience.saturating_sub(clock::now().saturating_duration_since(waiting));
        }
        match waited {
            Ok(turn) => return turn,
            Err(_elapsed) if is_held_up => {
                *patience = Duration::from_millis(1);
                return Turn::HeldUp;
            }
            // The only reader takes its time, which is watched elsewhere.
            Err(_elapsed) => *patience = PATIENCE,
        }
    }
}

async fn abandoned(fill: &Fill) {
    poll_fn(|cx| match fill.poll_turn(cx) {
        std::task::Poll::Ready(Turn::Abandoned) => std::task::Poll::Ready(()),
        _ => std::task::Poll::Pending,
    })
    .await;
}

/// Joins many small chunks, which would cost more than their bytes.
fn joined(chunks: Vec<Bytes>) -> Vec<Bytes> {
    let bytes: usize = chunks.iter().map(Bytes::len).sum();
    if chunks.len() < 2 || bytes > JOINED_CHUNK && bytes / chunks.len() >= SMALL_CHUNK {
        return chunks;
    }
    let mut joined = Vec::new();
    let mut current = BytesMut::with_capacity(bytes.min(JOINED_CHUNK));
    let mut rest = bytes;
    for chunk in chunks {
        if !current.is_empty() && current.len() + chunk.len() > JOINED_CHUNK {
            rest -= current.len();
            let room = rest.min(JOINED_CHUNK).max(chunk.len());
            joined.push(std::mem::replace(&mut current, BytesMut::with_capacity(room)).freeze());
        }
        current.extend_from_slice(&chunk);
    }
    joined.push(current.freeze());
    joined
}
