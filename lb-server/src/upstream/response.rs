//! The body of a backend's response, with everything that must live until its last byte.

use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::Frame;
use lb_core::{BackendId, Cause, Outcome};

use super::{Attempt, UpstreamError};
use crate::body::BodyError;
use crate::clock;
use crate::queue::InFlight;

/// The rest of an exchange with a backend after its response head.
///
/// Dropping it early resets the stream (or closes the connection, under HTTP/1.1) and ends the
/// in-flight count.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    /// `None` after the end.
    running: Option<Running>,
    length: Option<u64>,
    /// The backend, where affinity asks for it.
    answered_by: Option<BackendId>,
}

#[derive(Debug)]
struct Running {
    attempt: Attempt,
    picked: InFlight,
    started: Instant,
}

impl ResponseBody {
    pub(crate) fn new(
        attempt: Attempt,
        picked: InFlight,
        started: Instant,
        length: Option<u64>,
    ) -> Self {
        let ended = attempt.is_end_stream();
        let mut body = Self {
            running: Some(Running {
                attempt,
                picked,
                started,
            }),
            length,
            answered_by: None,
        };
        if ended {
            body.end();
        }
        body
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(running) = &mut self.running else {
            return Poll::Ready(None);
        };
        match std::task::ready!(running.attempt.poll_frame(cx)) {
            Some(Ok(frame)) => {
                if running.attempt.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                self.end();
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                let error = match error {
                    UpstreamError::RequestBody(error) => error,
                    error => {
                        self.fail();
                        BodyError::Incomplete(error.to_string().into())
                    }
                };
                self.running = None;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(running) = &mut self.running {
            running.attempt.drive(cx);
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.running.is_none()
    }

    /// Remembers which backend it is of, beyond its end.
    pub(crate) fn answered_by(mut self, backend: &BackendId) -> Self {
        self.answered_by = Some(backend.clone());
        self
    }

    /// The backend, if it is remembered.
    pub(crate) fn backend(&self) -> Option<&BackendId> {
        self.answered_by.as_ref()
    }

    /// The length that the response's head told.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    fn end(&mut self) {
        let Some(Running {
            attempt, picked, ..
        }) = self.running.take()
        else {
            return;
        };
        if let Attempt::Http1(exchange, home) = attempt
            && let Some(connection) = exchange.into_connection()
        {
            home.give_back(connection);
        }
        // The outcome was told with the response head.
        drop(picked);
    }

    fn fail(&mut self) {
        if let Some(Running {
            picked, started, ..
        }) = self.running.take()
        {
            let now = clock::now();
            let latency = now.saturating_duration_since(started);
            picked.finish(Outcome::failure(latency, Cause::Reset), now);
        }
    }
}
