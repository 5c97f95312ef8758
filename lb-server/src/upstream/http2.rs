//! One exchange on an HTTP/2 connection to a backend.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::Reason;
use h2::client::{ResponseFuture, SendRequest};
use http_body::Frame;

use super::connections::StreamSlot;
use super::{Event, UpstreamError};
use crate::body::Body;
use crate::pump::{Pump, PumpError};

/// Interim responses that one exchange may bring.
const MAX_INTERIM: u32 = 10;
/// Fields in a response head.
const MAX_FIELDS: usize = 100;

/// A stream to a backend with both of its directions.
pub(crate) struct Exchange {
    response: Option<ResponseFuture>,
    download: Body,
    upload: Option<Upload>,
    interim: u32,
    /// Held until both directions have stopped, so that the connection is never overcommitted.
    _slot: StreamSlot,
}

struct Upload {
    pump: Pump,
    body: Body,
}

impl Exchange {
    /// Sends the head; the body follows while the response is polled.
    pub(crate) fn start(
        sender: &mut SendRequest<Bytes>,
        slot: StreamSlot,
        head: http::Request<()>,
        body: Body,
    ) -> Result<Self, UpstreamError> {
        let is_end = body.is_end_stream();
        let (response, stream) = sender
            .send_request(head, is_end)
            .map_err(|error| classify(&error))?;
        let upload = (!is_end).then(|| Upload {
            pump: Pump::new(stream),
            body,
        });
        Ok(Self {
            response: Some(response),
            download: Body::empty(),
            upload,
            interim: 0,
            _slot: slot,
        })
    }

    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, UpstreamError>> {
        self.poll_upload(cx)?;
        let Some(response) = &mut self.response else {
            return Poll::Ready(Err(UpstreamError::Reset));
        };
        if let Poll::Ready(Some(interim)) = response.poll_informational(cx) {
            self.interim += 1;
            if self.interim > MAX_INTERIM {
                return Poll::Ready(Err(UpstreamError::BadResponse(
                    "too many interim responses".into(),
                )));
            }
            return Poll::Ready(
                interim
                    .map(Event::Interim)
                    .map_err(|error| classify(&error)),
            );
        }
        match ready!(std::pin::Pin::new(response).poll(cx)) {
            Ok(response) if response.headers().len() > MAX_FIELDS => Poll::Ready(Err(
                UpstreamError::BadResponse("more fields than allowed".into()),
            )),
            Ok(response) => {
                self.response = None;
                let (parts, stream) = response.into_parts();
                self.download = Body::from_h2(stream);
                Poll::Ready(Ok(Event::Final(http::Response::from_parts(parts, ()))))
            }
            Err(error) => Poll::Ready(Err(classify(&error))),
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        if let Err(error) = self.poll_upload(cx) {
            return Poll::Ready(Some(Err(error)));
        }
        self.download
            .poll_frame(cx)
            .map_err(|error| UpstreamError::Incomplete(error.to_string().into()))
    }

    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        // A broken request body is told when the response is polled next.
        let _told_later = self.poll_upload(cx);
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.response.is_none() && self.download.is_end_stream()
    }

    pub(crate) fn is_upload_done(&self) -> bool {
        self.upload.is_none()
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), UpstreamError> {
        let Some(upload) = &mut self.upload else {
            return Ok(());
        };
        match upload.pump.poll(&mut upload.body, cx) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => self.upload = None,
            Poll::Ready(Err(PumpError::Body(error))) => {
                upload.pump.reset(Reason::CANCEL);
                self.upload = None;
                return Err(UpstreamError::RequestBody(error));
            }
            // The backend wants no more of the body: its answer, or the stream's end, says why.
            Poll::Ready(Err(PumpError::Reset(_) | PumpError::Gone(_))) => self.upload = None,
        }
        Ok(())
    }
}

/// What an error of the connection says about the request.
fn classify(error: &h2::Error) -> UpstreamError {
    let refused = error.reason() == Some(Reason::REFUSED_STREAM) && error.is_remote();
    // Streams above the last one that a GOAWAY names were not looked at (RFC 9113 §6.8).
    let left_behind =
        error.is_go_away() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR);
    if refused || left_behind {
        return UpstreamError::Unprocessed;
    }
    // Raised on our side, about what the backend sent.
    if error.is_library() {
        return UpstreamError::BadResponse(error.to_string().into());
    }
    UpstreamError::Reset
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Exchange")
            .field("upload", &self.upload.is_some())
            .finish_non_exhaustive()
    }
}
