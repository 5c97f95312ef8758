//! A body on its way into the cache, and those who read it meanwhile.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Frame, SizeHint};
use lb_cache::{FillOutcome, ResponsePolicy};
use parking_lot::Mutex;

use crate::body::BodyError;

/// What is kept for readers that lag behind, once nothing is stored.
const PASSING_WINDOW: usize = 256 * 1024;

/// One fill: who leads it writes, everybody reads from the start at his own pace.
#[derive(Debug, Default)]
pub(crate) struct Fill {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    head: Option<Arc<FillHead>>,
    /// How it ended without a head, or after one.
    outcome: Option<FillOutcome>,
    chunks: VecDeque<Bytes>,
    /// The number of the first chunk that is still kept.
    first: usize,
    kept_bytes: usize,
    end: Option<End>,
    readers: Vec<Option<ReaderState>>,
    /// It goes on without readers too.
    is_wanted: bool,
    /// What is stored came from another instance.
    is_found_elsewhere: bool,
    /// Nothing is stored: what all readers have taken is forgotten.
    is_passing: bool,
    writer: Option<Waker>,
}

#[derive(Debug, Default)]
struct ReaderState {
    next: usize,
    waker: Option<Waker>,
    /// It held others up for too long.
    is_cut: bool,
}

#[derive(Debug, Clone)]
enum End {
    Complete(Option<HeaderMap>),
    Broken(Box<str>),
}

/// The head that followers answer with.
#[derive(Debug)]
pub(crate) struct FillHead {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) policy: ResponsePolicy,
    /// The length that the response announced.
    pub(crate) length: Option<u64>,
}

/// What a follower waits for.
#[derive(Debug)]
pub(crate) enum Told {
    /// The response is coming and may be shared.
    Head(Arc<FillHead>),
    /// There is nothing to stream.
    Over(FillOutcome),
}

/// What a writer may do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Write,
    /// A reader is too far behind; another waits for more.
    HeldUp,
    /// Nobody reads any more.
    Abandoned,
}

impl Fill {
    /// Joins as a reader of everything from the start.
    pub(crate) fn reader(self: &Arc<Self>) -> Reader {
        let mut state = self.state.lock();
        let reader = Some(ReaderState {
            next: state.first,
            ..ReaderState::default()
        });
        let id = match state.readers.iter().position(Option::is_none) {
            Some(free) => {
                state.readers[free] = reader;
                free
            }
            None => {
                state.readers.push(reader);
                state.readers.len() - 1
            }
        };
        // Who comes after chunks were forgotten has missed them.
        let missed = state.first > 0;
        if let (true, Some(reader)) = (missed, state.readers[id].as_mut()) {
            reader.is_cut = true;
        }
        Reader {
            fill: Arc::clone(self),
            id,
        }
    }

    pub(crate) fn has_readers(&self) -> bool {
        self.state.lock().readers.iter().any(Option::is_some)
    }

    /// Makes it go on without readers.
    pub(crate) fn want(&self) {
        self.state.lock().is_wanted = true;
    }

    /// Notes that what will be stored was not fetched.
    pub(crate) fn found_elsewhere(&self) {
        self.state.lock().is_found_elsewhere = true;
    }

    pub(crate) fn is_found_elsewhere(&self) -> bool {
        self.state.lock().is_found_elsewhere
    }

    /// Tells everybody the head.
    pub(crate) fn begin(&self, head: Arc<FillHead>) {
        let mut state = self.state.lock();
        state.head = Some(head);
        state.wake_readers();
    }

    /// Tells everybody that there is nothing to share; only the first word counts.
    pub(crate) fn over(&self, outcome: FillOutcome) {
        let mut state = self.state.lock();
        if state.outcome.is_none() {
            state.outcome = Some(outcome);
            state.wake_readers();
        }
    }

    /// Adds bytes at the end.
    pub(crate) fn push(&self, chunk: Bytes) {
        let mut state = self.state.lock();
        state.kept_bytes += chunk.len();
        state.chunks.push_back(chunk);
        state.wake_readers();
    }

    /// Ends the body, or breaks it off.
    pub(crate) fn end(&self, end: Result<Option<HeaderMap>, Box<str>>) {
        let mut state = self.state.lock();
        if state.end.is_none() {
            state.end = Some(match end {
                Ok(trailers) => End::Complete(trailers),
                Err(why) => End::Broken(why),
            });
            state.wake_readers();
        }
    }

    /// The chunks so far, all of them as long as it is not passing.
    pub(crate) fn chunks(&self) -> Vec<Bytes> {
        self.state.lock().chunks.iter().cloned().collect()
    }

    /// From here on nothing is stored, and no new reader may come.
    pub(crate) fn pass(&self) {
        let mut state = self.state.lock();
        state.is_passing = true;
        state.is_wanted = false;
        state.forget_taken();
    }

    /// Waits until more may be written; at once while it is stored. Readers held up by others end the wait too.
    pub(crate) fn poll_turn(&self, cx: &Context<'_>) -> Poll<Turn> {
        let mut state = self.state.lock();
        if !state.is_wanted && state.readers.iter().all(Option::is_none) {
            return Poll::Ready(Turn::Abandoned);
        }
        if !state.is_passing || state.kept_bytes < PASSING_WINDOW {
            // Who reads last wakes whoever writes, to stop.
            state.writer = Some(cx.waker().clone());
            return Poll::Ready(Turn::Write);
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether the slowest reader holds up another.
    pub(crate) fn is_held_up(&self) -> bool {
        let state = self.state.lock();
        let last = state.first + state.chunks.len();
        state.readers.iter().flatten().any(|one| one.next == last)
            && state.readers.iter().flatten().count() > 1
    }

    /// Cuts off the readers that are furthest behind.
    pub(crate) fn cut_slowest(&self) {
        let mut state = self.state.lock();
        let first = state.first;
        for reader in state.readers.iter_mut().flatten() {
            if reader.next <= first {
                reader.is_cut = true;
                if let Some(waker) = reader.waker.take() {
                    waker.wake();
                }
            }
        }
        state.forget_taken();
    }
}

impl State {
    fn wake_readers(&mut self) {
        for reader in self.readers.iter_mut().flatten() {
            if let Some(waker) = reader.waker.take() {
                waker.wake();
            }
        }
    }

    fn forget_taken(&mut self) {
        let readers = self.readers.iter().flatten();
        let slowest = readers
            .filter(|reader| !reader.is_cut)
            .map(|reader| reader.next)
            .min();
        let last = self.first + self.chunks.len();
        while self.first < slowest.unwrap_or(last) {
            if let Some(chunk) = self.chunks.pop_front() {
                self.kept_bytes -= chunk.len();
            }
            self.first += 1;
        }
        if self.kept_bytes < PASSING_WINDOW
            && let Some(writer) = self.writer.take()
        {
            writer.wake();
        }
    }
}

/// A reader's place in a fill; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Reader {
    fill: Arc<Fill>,
    id: usize,
}

impl Reader {
    /// Waits for the head, or for the word that there will be none.
    pub(crate) async fn told(&self) -> Told {
        poll_fn(|cx| {
            let mut state = self.fill.state.lock();
            match (&state.head, state.outcome) {
                // Its beginning is gone.
                (Some(_), _) if state.is_passing && state.first > 0 => {
                    Poll::Ready(Told::Over(FillOutcome::Uncacheable))
                }
                (Some(head), _) => Poll::Ready(Told::Head(Arc::clone(head))),
                (None, Some(outcome)) => Poll::Ready(Told::Over(outcome)),
                (None, None) => {
                    if let Some(reader) = &mut state.readers[self.id] {
                        reader.waker = Some(cx.waker().clone());
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }

    pub(crate) fn is_found_elsewhere(&self) -> bool {
        self.fill.is_found_elsewhere()
    }

    /// Reads the body from here on.
    pub(crate) fn into_body(self, length: Option<u64>) -> FillBody {
        FillBody {
            reader: self,
            length,
            is_over: false,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.fill.state.lock();
        state.readers[self.id] = None;
        if state.is_passing {
            state.forget_taken();
        }
        if state.readers.iter().all(Option::is_none)
            && let Some(writer) = state.writer.take()
        {
            writer.wake();
        }
    }
}

/// The body of a fill as one reader sees it.
#[derive(Debug)]
pub(crate) struct FillBody {
    reader: Reader,
    length: Option<u64>,
    is_over: bool,
}

impl http_body::Body for FillBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        let mut guard = this.reader.fill.state.lock();
        let state = &mut *guard;
        let Some(place) = &mut state.readers[this.reader.id] else {
            return Poll::Ready(None);
        };
        if place.is_cut {
            this.is_over = true;
            let why = "it was read too slowly beside others".into();
            return Poll::Ready(Some(Err(BodyError::Incomplete(why))));
        }
        if let Some(chunk) = state.chunks.get(place.next - state.first) {
            let chunk = chunk.clone();
            place.next += 1;
            if let Some(length) = &mut this.length {
                *length = length.saturating_sub(chunk.len() as u64);
            }
            if state.is_passing {
                state.forget_taken();
            }
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        match &state.end {
            None => {
                place.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(End::Complete(trailers)) => {
                this.is_over = true;
                Poll::Ready(
                    trailers
                        .clone()
                        .map(|trailers| Ok(Frame::trailers(trailers))),
                )
            }
            Some(End::Broken(why)) => {
                this.is_over = true;
                Poll::Ready(Some(Err(BodyError::Incomplete(why.clone()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = self.reader.fill.state.lock();
        let Some(place) = &state.readers[self.reader.id] else {
            return true;
        };
        self.is_over
            || !place.is_cut
                && matches!(state.end, Some(End::Complete(None)))
                && place.next == state.first + state.chunks.len()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
