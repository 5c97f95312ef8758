//! The stream of `GET /api/v1/events` (HTML Living Standard §9.2, server-sent events).

use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// An event with more data than this is none of ours.
const LONGEST: usize = 16 * 1024 * 1024;

/// Events as they come.
#[derive(Debug)]
pub(crate) struct Events {
    body: Incoming,
    lines: Lines,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its kind: `status` or `change`.
    pub(crate) name: String,
    /// JSON.
    pub(crate) data: String,
}

impl Events {
    pub(crate) fn new(body: Incoming) -> Self {
        Self {
            body,
            lines: Lines::default(),
        }
    }

    /// Waits for the next one; `None` at the end, whatever ended it.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.lines.event() {
                return Some(event);
            }
            let frame = self.body.frame().await?.ok()?;
            if let Some(data) = frame.data_ref() {
                self.lines.bytes.extend_from_slice(data);
            }
            if self.lines.bytes.len() > LONGEST {
                return None;
            }
        }
    }
}

/// Lines that are being put together.
#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
}

impl Lines {
    /// Takes the first event that is whole; comments and events without data are none.
    fn event(&mut self) -> Option<Event> {
        loop {
            let end = self.bytes.windows(2).position(|two| two == b"\n\n")?;
            let block: Vec<u8> = self.bytes.drain(..end + 2).collect();
            let block = String::from_utf8_lossy(&block);
            let (mut name, mut data) = (None, Vec::new());
            for line in block.lines() {
                let (field, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "event" => name = Some(value.to_owned()),
                    "data" => data.push(value),
                    _ => {}
                }
            }
            if !data.is_empty() {
                return Some(Event {
                    name: name.unwrap_or_else(|| "message".to_owned()),
                    data: data.join("\n"),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_whatever_the_chunks_are() {
        let stream =
            ": hello\n\nevent: status\ndata: {\"a\":\ndata:1}\n\nid: 7\ndata: x\n\nevent: e\n\n";
        for size in [1, 3, 1000] {
            let mut lines = Lines::default();
            let mut events = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                lines.bytes.extend_from_slice(chunk);
                events.extend(std::iter::from_fn(|| lines.event()));
            }
            let event = |name: &str, data: &str| Event {
                name: name.to_owned(),
                data: data.to_owned(),
            };
            assert_eq!(
                events,
                [event("status", "{\"a\":\n1}"), event("message", "x")]
            );
        }
    }
}
