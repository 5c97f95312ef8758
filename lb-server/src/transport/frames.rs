//! Counting HTTP/2 frames by their heads (RFC 9113 §4.1), across any split of the bytes.

use std::time::{Duration, Instant};

const HEAD_BYTES: usize = 9;
/// `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`
const PREFACE_BYTES: usize = 24;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// Which side of the connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameRole {
    /// The peer is a client: its preface comes first, and its resets are limited.
    Server,
    /// The peer is a backend.
    Client,
}

/// How many frames of a kind a peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameLimits {
    /// PING without ACK in a second (100).
    pub(crate) max_pings_per_second: u32,
    /// SETTINGS without ACK in a second (50).
    pub(crate) max_settings_per_second: u32,
    /// `RST_STREAM` of a client in a second (100).
    pub(crate) max_resets_per_second: u32,
    /// `RST_STREAM` of a client in all, once they are over half of the streams it opened (50).
    pub(crate) max_resets_over_half: u64,
    /// Bytes received beyond eight times the payload of both directions, over 8 (1 MiB).
    pub(crate) control_slack_bytes: u64,
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self {
            max_pings_per_second: 100,
            max_settings_per_second: 50,
            max_resets_per_second: 100,
            max_resets_over_half: 50,
            control_slack_bytes: 1024 * 1024,
        }
    }
}

/// The limit a peer broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flood {
    Pings,
    Settings,
    Resets,
    Control,
}

/// What a peer has sent so far, and what moved on the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameCounts {
    /// Whether its first SETTINGS frame is complete.
    pub(crate) settings_seen: bool,
    /// When the header block began that is still incomplete.
    pub(crate) header_block_since: Option<Instant>,
    /// Streams a client opened; 0 for a backend.
    pub(crate) streams_opened: u64,
    pub(crate) resets: u64,
    pub(crate) pings: u64,
    pub(crate) settings: u64,
    /// Frames that are none of DATA, HEADERS, CONTINUATION, resets, and PING and SETTINGS without ACK.
    pub(crate) other_control: u64,
    /// Payload of DATA frames, padding included.
    pub(crate) data_bytes: u64,
    /// The first limit that was broken.
    pub(crate) flood: Option<Flood>,
    /// Bytes read from the socket.
    pub(crate) bytes_in: u64,
    /// Bytes written to the socket.
    pub(crate) bytes_out: u64,
    /// When the socket last gave bytes; at first, when the connection began.
    pub(crate) last_read: Instant,
}

impl FrameCounts {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            settings_seen: false,
            header_block_since: None,
            streams_opened: 0,
            resets: 0,
            pings: 0,
            settings: 0,
            other_control: 0,
            data_bytes: 0,
            flood: None,
            bytes_in: 0,
            bytes_out: 0,
            last_read: now,
        }
    }
}

/// Reads frame heads out of a stream of bytes.
pub(super) struct FrameCounter {
    role: FrameRole,
    limits: FrameLimits,
    preface_left: usize,
    head: [u8; HEAD_BYTES],
    head_len: usize,
    payload_left: usize,
    last_stream: u32,
    second: Second,
    total_bytes: u64,
    /// Payload of DATA, HEADERS and CONTINUATION.
    payload_bytes: u64,
}

/// What came in the running second.
#[derive(Default)]
struct Second {
    since: Option<Instant>,
    pings: u32,
    settings: u32,
    resets: u32,
}

impl FrameCounter {
    pub(super) fn new(role: FrameRole) -> Self {
        Self {
            role,
            limits: FrameLimits::default(),
            preface_left: match role {
                FrameRole::Server => PREFACE_BYTES,
                FrameRole::Client => 0,
            },
            head: [0; HEAD_BYTES],
            head_len: 0,
            payload_left: 0,
            last_stream: 0,
            second: Second::default(),
            total_bytes: 0,
            payload_bytes: 0,
        }
    }

    pub(super) fn set_limits(&mut self, limits: FrameLimits) {
        self.limits = limits;
    }

    /// Counts the next bytes of the peer; `written` is the plaintext it was sent so far.
    pub(super) fn count(
        &mut self,
        mut bytes: &[u8],
        written: u64,
        counts: &mut FrameCounts,
        now: Instant,
    ) {
        self.total_bytes += bytes.len() as u64;
        let preface = self.preface_left.min(bytes.len());
        self.preface_left -= preface;
        bytes = &bytes[preface..];
        while !bytes.is_empty() {
            if self.head_len < HEAD_BYTES {
                let part = (HEAD_BYTES - self.head_len).min(bytes.len());
                self.head[self.head_len..self.head_len + part].copy_from_slice(&bytes[..part]);
                self.head_len += part;
                bytes = &bytes[part..];
                if self.head_len < HEAD_BYTES {
                    return;
                }
                self.begin_frame(written, counts, now);
            }
            // Also with no bytes left: a frame without payload ends with its head.
            let part = self.payload_left.min(bytes.len());
            self.payload_left -= part;
            bytes = &bytes[part..];
            self.count_payload(part as u64, counts);
            if self.payload_left == 0 {
                self.end_frame(counts);
            }
        }
    }

    fn kind(&self) -> u8 {
        self.head[3]
    }

    fn has_flag(&self, flag: u8) -> bool {
        self.head[4] & flag != 0
    }

    fn begin_frame(&mut self, written: u64, counts: &mut FrameCounts, now: Instant) {
        let [a, b, c, ..] = self.head;
        self.payload_left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.second.roll(now);
        match self.kind() {
            DATA => {}
            HEADERS | PUSH_PROMISE | CONTINUATION => {
                if self.kind() == HEADERS {
                    self.open_stream(counts);
                }
                counts.header_block_since.get_or_insert(now);
            }
            RST_STREAM => {
                counts.resets += 1;
                self.second.resets += 1;
                let over_half = counts.resets > self.limits.max_resets_over_half
                    && counts.resets > counts.streams_opened / 2;
                let too_fast = self.second.resets > self.limits.max_resets_per_second;
                // A backend may reset as it likes: it only harms what we asked of it.
                if self.role == FrameRole::Server && (over_half || too_fast) {
                    counts.flood.get_or_insert(Flood::Resets);
                }
            }
            PING if !self.has_flag(ACK) => {
                counts.pings += 1;
                self.second.pings += 1;
                if self.second.pings > self.limits.max_pings_per_second {
                    counts.flood.get_or_insert(Flood::Pings);
                }
            }
            SETTINGS if !self.has_flag(ACK) => {
                counts.settings += 1;
                self.second.settings += 1;
                if self.second.settings > self.limits.max_settings_per_second {
                    counts.flood.get_or_insert(Flood::Settings);
                }
            }
            _ => counts.other_control += 1,
        }
        // What we send counts as payload: a long download is acknowledged by many WINDOW_UPDATEs.
        let payload = self.payload_bytes.saturating_add(written);
        if self.total_bytes / 8 > payload.saturating_add(self.limits.control_slack_bytes) {
            counts.flood.get_or_insert(Flood::Control);
        }
    }

    fn open_stream(&mut self, counts: &mut FrameCounts) {
        let [.., a, b, c, d] = self.head;
        let stream = u32::from_be_bytes([a & 0x7f, b, c, d]);
        // A later HEADERS of the same stream are its trailers.
        if self.role == FrameRole::Server && stream > self.last_stream {
            self.last_stream = stream;
            counts.streams_opened += 1;
        }
    }

    fn count_payload(&mut self, bytes: u64, counts: &mut FrameCounts) {
        match self.kind() {
            DATA => {
                counts.data_bytes += bytes;
                self.payload_bytes += bytes;
            }
            HEADERS | PUSH_PROMISE | CONTINUATION => self.payload_bytes += bytes,
            _ => {}
        }
    }

    fn end_frame(&mut self, counts: &mut FrameCounts) {
        self.head_len = 0;
        match self.kind() {
            HEADERS | PUSH_PROMISE | CONTINUATION if self.has_flag(END_HEADERS) => {
                counts.header_block_since = None;
            }
            SETTINGS if !self.has_flag(ACK) => counts.settings_seen = true,
            _ => {}
        }
    }
}

impl Second {
    fn roll(&mut self, now: Instant) {
        let over = self
            .since
            .is_none_or(|since| now.saturating_duration_since(since) >= Duration::from_secs(1));
        if over {
            *self = Self {
                since: Some(now),
                ..Self::default()
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Peer {
        counter: FrameCounter,
        counts: FrameCounts,
        now: Instant,
    }

    impl Peer {
        fn new(role: FrameRole) -> Self {
            let now = crate::clock::now();
            let mut peer = Self {
                counter: FrameCounter::new(role),
                counts: FrameCounts::new(now),
                now,
            };
            if role == FrameRole::Server {
                peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
            }
            peer
        }

        fn send(&mut self, bytes: &[u8]) {
            self.counter.count(bytes, 0, &mut self.counts, self.now);
        }

        fn frame(&mut self, kind: u8, flags: u8, stream: u32, length: u8) {
            self.send(&[0, 0, length, kind, flags]);
            self.send(&stream.to_be_bytes());
            self.send(&vec![0; length.into()]);
        }
    }

    #[test]
    fn settings_are_seen_when_complete() {
        let mut peer = Peer::new(FrameRole::Server);
        peer.send(&[0, 0, 6, SETTINGS, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5]);
        assert!(!peer.counts.settings_seen);
        peer.send(&[6]);
        assert!(peer.counts.settings_seen);
        peer.frame(SETTINGS, ACK, 0, 0);
        assert_eq!((peer.counts.settings, peer.counts.other_control), (1, 1));
    }

    #[test]
    fn header_block_is_open_from_its_first_frame_to_its_last() {
        let mut peer = Peer::new(FrameRole::Server);
        let began = peer.now;
        peer.frame(HEADERS, 0, 1, 10);
        peer.now += Duration::from_secs(5);
        peer.frame(CONTINUATION, 0, 1, 10);
        assert_eq!(peer.counts.header_block_since, Some(began));
        peer.send(&[0, 0, 2, CONTINUATION, END_HEADERS, 0, 0, 0, 1, 0]);
        assert_eq!(peer.counts.header_block_since, Some(began));
        peer.send(&[0]);
        assert_eq!(peer.counts.header_block_since, None);
    }

    #[test]
    fn trailers_open_no_stream() {
        let mut peer = Peer::new(FrameRole::Server);
        peer.frame(HEADERS, END_HEADERS, 1, 1);
        peer.frame(DATA, 0, 1, 100);
        peer.frame(HEADERS, END_HEADERS, 1, 1);
        assert_eq!(peer.counts.streams_opened, 1);
        assert_eq!(peer.counts.data_bytes, 100);
    }

    #[test]
    fn pings_are_limited_by_the_second() {
        let mut peer = Peer::new(FrameRole::Client);
        for _ in 0..10 {
            for _ in 0..100 {
                peer.frame(PING, 0, 0, 8);
            }
            peer.now += Duration::from_secs(1);
        }
        assert_eq!(peer.counts.flood, None);
        for _ in 0..101 {
            peer.frame(PING, 0, 0, 8);
        }
        assert_eq!(peer.counts.flood, Some(Flood::Pings));
    }

    #[test]
    fn settings_are_limited_by_the_second() {
        let mut peer = Peer::new(FrameRole::Client);
        for _ in 0..50 {
            peer.frame(SETTINGS, 0, 0, 0);
        }
        assert_eq!(peer.counts.flood, None);
        peer.frame(SETTINGS, 0, 0, 0);
        assert_eq!(peer.counts.flood, Some(Flood::Settings));
    }

    #[test]
    fn resets_of_more_than_half_the_streams_are_a_flood() {
        let mut peer = Peer::new(FrameRole::Server);
        for stream in 0..101 {
            peer.frame(HEADERS, END_HEADERS, 2 * stream + 1, 1);
        }
        for stream in 0..50 {
            peer.frame(RST_STREAM, 0, 2 * stream + 1, 4);
        }
        assert_eq!(peer.counts.flood, None);
        peer.frame(RST_STREAM, 0, 101, 4);
        assert_eq!(peer.counts.flood, Some(Flood::Resets));
    }

    #[test]
    fn a_backend_may_reset() {
        let mut peer = Peer::new(FrameRole::Client);
        for _ in 0..500 {
            peer.frame(RST_STREAM, 0, 1, 4);
        }
        assert_eq!((peer.counts.resets, peer.counts.flood), (500, None));
    }

    #[test]
    fn other_frames_are_limited_by_their_share_of_the_bytes() {
        const WINDOW_UPDATE: u8 = 8;
        let enough = 8 * 1024 * 1024 / 13 + 100;
        let mut peer = Peer::new(FrameRole::Server);
        for _ in 0..enough {
            peer.frame(WINDOW_UPDATE, 0, 0, 4);
        }
        assert_eq!(peer.counts.flood, Some(Flood::Control));

        let mut peer = Peer::new(FrameRole::Server);
        for _ in 0..enough {
            let downloaded = 8 * 1024 * 1024;
            let frame = [0, 0, 4, WINDOW_UPDATE, 0, 0, 0, 0, 0, 0, 0, 0, 1];
            let now = peer.now;
            peer.counter
                .count(&frame, downloaded, &mut peer.counts, now);
        }
        assert_eq!(peer.counts.flood, None);
    }
}
