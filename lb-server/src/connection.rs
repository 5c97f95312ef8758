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
const ROUNDS_PER_POLL: usize = 4;
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
        is_draining: false,
        window: StreamWindow::new(
            terms.http2.stream_window,
            terms.http2.connection_window,
            terms.http2.max_concurrent_streams,
        ),
        turn: Turn::new(),
        closing_deadline: None,
        requests_left: terms.wear.max_requests.map(NonZeroU32::get),
        retire_at: terms.wear.retire_at(|| served_by.draw()),
        terms,
    };
    tokio::select! {
        biased;
        () = drain.forced() => {}
        () = poll_fn(|cx| served.poll(cx)) => {}
    }
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
    draining: Pin<Box<tokio_util::sync::WaitForCancellationFutureOwned>>,
    is_draining: bool,
    window: StreamWindow,
    turn: Arc<Turn>,
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
        if !self.is_draining && self.draining.as_mut().poll(cx).is_ready() {
            self.retire();
        }
        let ended = self.poll_streams(cx);
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
            _ => Poll::Pending,
        }
    }

    /// Whether the connection has ended.
    fn poll_streams(&mut self, cx: &mut Context<'_>) -> bool {
        let turn = Arc::clone(&self.turn);
        let waker = Waker::from(Arc::clone(&turn));
        turn.begin(cx.waker());
        let mut ended = false;
        for _round in 0..ROUNDS_PER_POLL {
            ended = self.poll_frames(&mut Context::from_waker(&waker));
            self.poll_exchanges(cx);
            // What the exchanges handed over becomes frames before they are flushed.
            if ended || !turn.take_woken() {
                break;
            }
        }
        turn.end();
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
                self.connection.set_initial_window_size(window).is_ok()
            });
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>) -> bool {
        let max = self.terms.http2.max_concurrent_streams as usize;
        for _turn in 0..ACCEPTS_PER_POLL {
            // A reset stream holds its slot until its upstream work has stopped.
            if self.exchanges.len() >= max {
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
                    self.wear_off();
                }
            }
        }
        cx.waker().wake_by_ref();
        false
    }

    fn poll_exchanges(&mut self, cx: &mut Context<'_>) {
        let before = self.exchanges.len();
        while let Poll::Ready(Some(())) = Pin::new(&mut self.exchanges).poll_next(cx) {}
        if before > 0 && self.exchanges.is_empty() {
            self.idle_since = clock::now();
        }
    }

    /// Takes nothing new, and ends with its last exchange.
    fn retire(&mut self) {
        if !std::mem::replace(&mut self.is_draining, true) {
            self.retire_at = None;
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
        cx.waker().wake_by_ref();
    }
}
