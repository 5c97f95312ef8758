//! One connection from a client: the frames, the streams in it, and its end.

use std::future::{Future, poll_fn};
use std::num::NonZeroU32;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, Stream};
use h2::Reason;
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::clock;
use crate::config::{Http2Config, ListenerTimeouts};
use crate::drain::Drain;
use crate::exchange;
use crate::metrics::ListenerCounters;
use crate::pipeline::{Arrival, Pipeline};
use crate::transport::{Flusher, FrameLimits, FrameRole, Transport};
use crate::turn::Turn;
use crate::window::StreamWindow;

pub(crate) mod http1;
mod wear;

pub(crate) use wear::Wear;

/// Times that frames and exchanges take turns in one poll before the task is scheduled anew.
const ROUNDS_PER_POLL: usize = 8;
/// Streams accepted in one poll before the running ones get their turn.
const ACCEPTS_PER_POLL: usize = 32;
/// Resets that the `h2` crate may have to send before it gives the connection up.
const MAX_LOCAL_RESETS: usize = 100;

/// What a connection has to keep to.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) http2: Http2Config,
    pub(crate) timeouts: ListenerTimeouts,
    pub(crate) redirect_to_https: bool,
    pub(crate) wear: Wear,
    /// The listener's.
    pub(crate) counters: Arc<ListenerCounters>,
}

/// How long a connection that was given up may take to read our last frames.
const LINGER: Duration = Duration::from_secs(2);

/// Serves an HTTP/2 connection until it ends, is drained or breaks a limit.
pub(crate) async fn serve_http2(
    transport: Transport,
    pipeline: Arc<Pipeline>,
    terms: Arc<Terms>,
    arrival: Arc<Arrival>,
    drain: Drain,
) {
    let flusher = transport.defer_flush(FrameRole::Server);
    flusher.limit_frames(FrameLimits {
        max_resets_per_second: terms.http2.max_resets_per_second,
        ..FrameLimits::default()
    });
    let deadline = clock::now() + terms.timeouts.handshake;
    let Some(connection) = Box::pin(shake_hands(transport, &flusher, &terms.http2, deadline)).await
    else {
        return;
    };
    let served_by = Arc::clone(&pipeline);
    let mut served = Served {
        connection,
        flusher,
        exchanges: FuturesUnordered::new(),
        pipeline,
        arrival,
        preface_deadline: Some(deadline),
        idle_since: clock::now(),
        timer: Box::pin(tokio::time::sleep_until(deadline.into())),
        draining: Box::pin(drain.begun()),
        forced: Box::pin(drain.forced()),
        is_draining: false,
        window: StreamWindow::new(
            terms.http2.stream_window,
            terms.http2.connection_window,
            terms.http2.max_concurrent_streams,
        ),
        signal_turn: Turn::new(),
        frame_turn: Turn::new(),
        exchange_turn: Turn::new(),
        has_frames_due: false,
        has_new_exchanges: false,
        closing_deadline: None,
        requests_left: terms.wear.max_requests.map(NonZeroU32::get),
        retire_at: terms.wear.retire_at(|| served_by.draw()),
        terms,
    };
    poll_fn(|cx| served.poll(cx)).await;
}

/// Exchanges prefaces; `None` where the client does not begin in time, or not with HTTP/2.
async fn shake_hands(
    transport: Transport,
    flusher: &Flusher,
    limits: &Http2Config,
    deadline: Instant,
) -> Option<h2::server::Connection<Transport, Bytes>> {
    let handshake = h2::server::Builder::new()
        .max_concurrent_streams(limits.max_concurrent_streams)
        .initial_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_header_list_size(limits.max_header_list)
        .max_send_buffer_size(limits.send_buffer as usize)
        .max_local_error_reset_streams(Some(MAX_LOCAL_RESETS))
        .handshake::<_, Bytes>(transport);
    let mut handshake = pin!(handshake);
    tokio::time::timeout_at(
        deadline.into(),
        poll_fn(|cx| {
            let polled = handshake.as_mut().poll(cx);
            // Our SETTINGS go out before the client's preface is there.
            if let Poll::Ready(Err(_gone)) = flusher.poll_flush(cx) {
                return Poll::Ready(None);
            }
            polled.map(Result::ok)
        }),
    )
    .await
    .ok()
    .flatten()
}

struct Served {
    connection: h2::server::Connection<Transport, Bytes>,
    flusher: Flusher,
    exchanges: FuturesUnordered<BoxFuture<'static, ()>>,
    pipeline: Arc<Pipeline>,
    terms: Arc<Terms>,
    arrival: Arc<Arrival>,
    /// When the client's SETTINGS have to be there; `None` since they are.
    preface_deadline: Option<Instant>,
    idle_since: Instant,
    timer: Pin<Box<tokio::time::Sleep>>,
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
    forced: Pin<Box<WaitForCancellationFutureOwned>>,
    is_draining: bool,
    window: StreamWindow,
    /// Who wakes the task: the server's end, frames, or exchanges. Only what was woken is polled.
    signal_turn: Arc<Turn>,
    frame_turn: Arc<Turn>,
    exchange_turn: Arc<Turn>,
    /// Whether frames have to be polled whoever wakes the task.
    has_frames_due: bool,
    /// Whether there are exchanges that have not been polled yet.
    has_new_exchanges: bool,
    /// Requests until the connection is retired; `None` is no limit.
    requests_left: Option<u32>,
    /// When it is retired for its age.
    retire_at: Option<Instant>,
    /// Set when the connection was given up: when it ends though our last frames were not read.
    closing_deadline: Option<Instant>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.window.close(self.pipeline.memory());
    }
}

impl Served {
    /// Frames in, exchanges on, bytes out: in this order, so that what one poll brought leaves in
    /// one write.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_signalled = self.signal_turn.begin(cx.waker());
        if is_signalled && self.poll_signals() {
            return Poll::Ready(());
        }
        self.signal_turn.end();
        let ended = self.poll_streams(cx, is_signalled);
        self.adjust_window();
        match self.closing_deadline {
            None => self.check_limits(cx),
            Some(_) if self.timer.as_mut().poll(cx).is_ready() => return Poll::Ready(()),
            Some(_) => {}
        }
        let flushed = self.flusher.poll_flush(cx);
        match (ended, flushed) {
            (_, Poll::Ready(Err(_gone))) => Poll::Ready(()),
            (true, _) => Poll::Ready(()),
            (false, flushed) => {
                // Room in the socket is told to who asked last, and frames may wait for it too.
                self.has_frames_due |= flushed.is_pending();
                Poll::Pending
            }
        }
    }

    /// Whether everything has to end at once.
    fn poll_signals(&mut self) -> bool {
        let waker = Waker::from(Arc::clone(&self.signal_turn));
        let cx = &mut Context::from_waker(&waker);
        if !self.is_draining && self.draining.as_mut().poll(cx).is_ready() {
            self.retire();
        }
        self.forced.as_mut().poll(cx).is_ready()
    }

    /// Whether the connection has ended.
    fn poll_streams(&mut self, cx: &Context<'_>, is_signalled: bool) -> bool {
        let frames = Arc::clone(&self.frame_turn);
        let exchanges = Arc::clone(&self.exchange_turn);
        let wakers = [&frames, &exchanges].map(|turn| Waker::from(Arc::clone(turn)));
        let [for_frames, for_exchanges] = &wakers;
        let mut has_frames = frames.begin(cx.waker());
        let mut has_exchanges = exchanges.begin(cx.waker());
        // Whoever waits for room in the socket is not known, nor who waits for time.
        has_frames |= !has_exchanges && !is_signalled;
        let mut ended = false;
        for _round in 0..ROUNDS_PER_POLL {
            if std::mem::take(&mut self.has_frames_due) || has_frames {
                ended = self.poll_frames(&mut Context::from_waker(for_frames));
            }
            if std::mem::take(&mut self.has_new_exchanges) || has_exchanges {
                self.poll_exchanges(&mut Context::from_waker(for_exchanges));
            }
            // What the exchanges handed over becomes frames before they are flushed.
            has_frames = frames.take_woken() || self.has_frames_due;
            has_exchanges = exchanges.take_woken();
            if ended || !(has_frames || has_exchanges) {
                break;
            }
        }
        for (is_left, waker) in [(has_frames, for_frames), (has_exchanges, for_exchanges)] {
            if is_left {
                waker.wake_by_ref();
            }
        }
        frames.end();
        exchanges.end();
        ended
    }

    /// Lets few large uploads run ahead further.
    fn adjust_window(&mut self) {
        let frames = self.flusher.frames();
        let received = (frames.bytes_in, frames.last_read);
        let streams = self.exchanges.len();
        self.window
            .adjust(received, streams, self.pipeline.memory(), |window| {
                // Refused while the last change is not acknowledged; then later.
                let is_set = self.connection.set_initial_window_size(window).is_ok();
                self.has_frames_due |= is_set;
                is_set
            });
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>) -> bool {
        for _turn in 0..ACCEPTS_PER_POLL {
            // A reset stream holds its slot until its upstream work has stopped.
            if self.is_full() {
                return self.connection.poll_closed(cx).is_ready();
            }
            match self.connection.poll_accept(cx) {
                Poll::Pending => return false,
                Poll::Ready(None | Some(Err(_))) => return true,
                Poll::Ready(Some(Ok((request, respond)))) => {
                    let idle = self.terms.timeouts.stream_idle;
                    let exchange = exchange::serve(
                        Arc::clone(&self.pipeline),
                        Arc::clone(&self.arrival),
                        idle,
                        request,
                        respond,
                    );
                    self.exchanges.push(Box::pin(exchange));
                    self.has_new_exchanges = true;
                    self.wear_off();
                }
            }
        }
        cx.waker().wake_by_ref();
        false
    }

    fn is_full(&self) -> bool {
        self.exchanges.len() >= self.terms.http2.max_concurrent_streams as usize
    }

    fn poll_exchanges(&mut self, cx: &mut Context<'_>) {
        let (before, was_full) = (self.exchanges.len(), self.is_full());
        while let Poll::Ready(Some(())) = Pin::new(&mut self.exchanges).poll_next(cx) {}
        if before > 0 && self.exchanges.is_empty() {
            self.idle_since = clock::now();
        }
        // Others may have come meanwhile.
        self.has_frames_due |= was_full && !self.is_full();
    }

    /// Takes nothing new, and ends with its last exchange.
    fn retire(&mut self) {
        if !std::mem::replace(&mut self.is_draining, true) {
            self.retire_at = None;
            self.has_frames_due = true;
            // GOAWAY with the highest id, a round trip, then the real one (RFC 9113 §6.8).
            self.connection.graceful_shutdown();
        }
    }

    /// Counts a request against the connection's life.
    fn wear_off(&mut self) {
        if let Some(left) = &mut self.requests_left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.retire();
            }
        }
    }

    fn check_limits(&mut self, cx: &mut Context<'_>) {
        let frames = self.flusher.frames();
        if let Some(flood) = frames.flood {
            tracing::debug!(?flood, "a client floods");
            self.pipeline.counters().reason("flood");
            self.terms.counters.glitch(flood);
            return self.close(Reason::ENHANCE_YOUR_CALM, cx);
        }
        if frames.settings_seen {
            self.preface_deadline = None;
        }
        let timeouts = &self.terms.timeouts;
        let deadlines = [
            (self.preface_deadline, Reason::SETTINGS_TIMEOUT),
            (
                frames
                    .header_block_since
                    .map(|since| since + timeouts.request_headers),
                Reason::ENHANCE_YOUR_CALM,
            ),
            (
                self.exchanges
                    .is_empty()
                    .then(|| self.idle_since + timeouts.idle),
                Reason::NO_ERROR,
            ),
        ];
        let first = deadlines
            .into_iter()
            .filter_map(|(deadline, reason)| Some((deadline?, reason)))
            .min_by_key(|(deadline, _)| *deadline);
        let retire_at = self.retire_at;
        let Some(deadline) = [first.map(|(deadline, _)| deadline), retire_at]
            .into_iter()
            .flatten()
            .min()
        else {
            return;
        };
        if clock::now() >= deadline {
            if Some(deadline) == retire_at {
                self.retire();
                return cx.waker().wake_by_ref();
            }
            let reason = first.map_or(Reason::NO_ERROR, |(_, reason)| reason);
            return self.close(reason, cx);
        }
        let deadline = tokio::time::Instant::from_std(deadline);
        // An earlier timer only looks again; resetting it at each request would cost more.
        if self.timer.deadline() > deadline || self.timer.is_elapsed() {
            self.timer.as_mut().reset(deadline);
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            self.timer.as_mut().reset(deadline);
            let _registered = self.timer.as_mut().poll(cx);
        }
    }

    fn close(&mut self, reason: Reason, cx: &Context<'_>) {
        let deadline = clock::now() + LINGER;
        self.closing_deadline = Some(deadline);
        self.timer.as_mut().reset(deadline.into());
        self.connection.abrupt_shutdown(reason);
        self.has_frames_due = true;
        cx.waker().wake_by_ref();
    }
}
