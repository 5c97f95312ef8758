//! HTTP/2 frames by hand (RFC 9113 §4, §6), for what a well-behaved peer never sends.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::soon;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;

pub(super) const ACK: u8 = 0x1;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// The error code of an RST_STREAM or GOAWAY frame.
    pub(super) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// The last stream that a GOAWAY frame names.
    pub(super) fn last_stream(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }
}

/// One end of a connection, frame by frame.
pub(super) struct Wire(pub(super) DuplexStream);

impl Wire {
    /// A client that has sent its preface and empty SETTINGS.
    pub(super) async fn client(pipe: DuplexStream) -> Self {
        let mut wire = Self(pipe);
        wire.write(PREFACE).await;
        wire.send(SETTINGS, 0, 0, &[]).await;
        wire
    }

    /// A backend that has read the preface and sent its SETTINGS.
    pub(super) async fn backend(mut pipe: DuplexStream, settings: &[u8]) -> Self {
        let mut preface = [0; PREFACE.len()];
        soon("the preface", pipe.read_exact(&mut preface))
            .await
            .unwrap();
        assert_eq!(preface, PREFACE);
        let mut wire = Self(pipe);
        wire.send(SETTINGS, 0, 0, settings).await;
        wire
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    pub(super) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let bytes = frame(kind, flags, stream, payload);
        self.write(&bytes).await;
    }

    /// The next frame; `None` at the connection's end.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        soon("a frame", read_frame(&mut self.0)).await
    }

    /// The next frame of a kind, past all others.
    pub(super) async fn find(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.frame().await.expect("the connection ended");
            if frame.kind == kind && (kind != SETTINGS || frame.flags & ACK == 0) {
                return frame;
            }
        }
    }
}

async fn read_frame(pipe: &mut DuplexStream) -> Option<Frame> {
    let mut head = [0; 9];
    pipe.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    pipe.read_exact(&mut payload).await.ok()?;
    Some(Frame {
        kind: head[3],
        flags: head[4],
        stream: u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]),
        payload,
    })
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header block of literals without indexing (RFC 7541 §6.2.2), so that every byte is ours.
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            length(&mut bytes, text.len());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn length(bytes: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        bytes.push(length.to_le_bytes()[0]);
        return;
    };
    bytes.push(127);
    while rest >= 128 {
        bytes.push(rest.to_le_bytes()[0] | 128);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
}
