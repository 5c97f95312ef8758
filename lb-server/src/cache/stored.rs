//! Replies made of stored responses.

use std::ops::Range;
use std::task::Poll;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use lb_cache::{Answer, Entry as _, RequestHead, Served, StoredBody};

use crate::body::{Body, BodyError};
use crate::handler::Response;

/// A stored body, or a part of it, as a reply carries it: chunks are counted up, not copied.
pub(crate) struct Chunks {
    body: StoredBody,
    next: usize,
    /// Bytes of the next chunk that are left out.
    skipped: usize,
    remaining: u64,
}

impl Chunks {
    pub(crate) fn remaining(&self) -> u64 {
        self.remaining
    }

    pub(crate) fn poll_frame(&mut self) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        while self.remaining > 0 {
            let Some(chunk) = self.body.chunks().get(self.next) else {
                break;
            };
            let rest = chunk.len() - self.skipped;
            let taken = usize::try_from(self.remaining).map_or(rest, |most| most.min(rest));
            let chunk = chunk.slice(self.skipped..self.skipped + taken);
            self.next += 1;
            self.skipped = 0;
            self.remaining -= taken as u64;
            if taken > 0 {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
        }
        Poll::Ready(None)
    }
}

/// These bytes of a body.
fn part(body: &StoredBody, range: &Range<u64>) -> Chunks {
    let mut before = range.start;
    let mut next = 0;
    for chunk in body.chunks() {
        let length = chunk.len() as u64;
        if before < length {
            break;
        }
        before -= length;
        next += 1;
    }
    Chunks {
        body: body.clone(),
        next,
        skipped: usize::try_from(before).unwrap_or(0),
        remaining: range.end.saturating_sub(range.start),
    }
}

fn whole(body: &StoredBody) -> Body {
    match body.chunks() {
        [] => Body::empty(),
        [only] => Body::from(only.clone()),
        _ => Body::from_chunks(part(body, &(0..body.length()))),
    }
}

/// Answers a request with a stored response: all of it, parts, 304 or 416.
///
/// `random` is asked for a boundary.
pub(super) fn reply(
    request: &RequestHead<'_>,
    served: &Served,
    random: impl FnOnce() -> u64,
) -> Response {
    let entry = &served.entry;
    with_fields(request, served, entry.headers().clone(), random)
}

/// As [`reply`], with other fields than those stored.
pub(super) fn with_fields(
    request: &RequestHead<'_>,
    served: &Served,
    mut headers: HeaderMap,
    random: impl FnOnce() -> u64,
) -> Response {
    let (policy, stored) = (served.entry.policy(), served.entry.body());
    let answer = Answer::of(request, policy, &headers, Some(stored.length()));
    let is_multipart = matches!(&answer, Answer::Partial(parts) if parts.single().is_none());
    let random = if is_multipart { random() } else { 0 };
    let framing = answer.apply(&mut headers, served.age, random);
    let body = match (&answer, framing) {
        (Answer::Full, _) => whole(stored),
        (Answer::Partial(parts), None) => parts
            .single()
            .map_or_else(Body::empty, |range| Body::from_chunks(part(stored, &range))),
        (Answer::Partial(_), Some(framing)) => {
            let mut chunks = Vec::new();
            for (head, range) in framing.parts() {
                chunks.push(Bytes::from(head));
                let mut bytes = part(stored, &range);
                while let Poll::Ready(Some(Ok(frame))) = bytes.poll_frame() {
                    chunks.extend(frame.into_data());
                }
            }
            chunks.push(Bytes::from(framing.end()));
            let framed = StoredBody::new(chunks);
            whole(&framed)
        }
        (Answer::NotModified | Answer::NotSatisfiable(_), _) => Body::empty(),
    };
    let mut response = http::Response::new(body);
    *response.status_mut() = answer.status(policy);
    *response.headers_mut() = headers;
    response
}
