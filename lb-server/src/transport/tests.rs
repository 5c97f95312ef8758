use std::future::poll_fn;
use std::time::Duration;

use proptest::prelude::*;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::tls::tests::both_ends;

/// Numbers that look random and come again with their seed (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

/// A pipe that is often not ready, and then reads and writes less than it could.
struct Fragmented {
    pipe: DuplexStream,
    random: Random,
    largest: usize,
}

impl Fragmented {
    fn is_ready(&mut self, cx: &Context<'_>) -> bool {
        let ready = self.random.below(4) > 0;
        if !ready {
            cx.waker().wake_by_ref();
        }
        ready
    }
}

impl AsyncRead for Fragmented {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_ready(cx) {
            return Poll::Pending;
        }
        let largest = self.largest;
        let count = (1 + self.random.below(largest)).min(buf.remaining());
        let mut bytes = vec![0; count];
        let mut part = ReadBuf::new(&mut bytes);
        let read = Pin::new(&mut self.pipe).poll_read(cx, &mut part);
        buf.put_slice(part.filled());
        read
    }
}

impl AsyncWrite for Fragmented {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.is_ready(cx) {
            return Poll::Pending;
        }
        let largest = self.largest;
        let count = (1 + self.random.below(largest)).min(bytes.len());
        Pin::new(&mut self.pipe).poll_write(cx, &bytes[..count])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

#[derive(Debug, Clone, Copy)]
enum Under {
    Cleartext,
    Tls12,
    Tls13,
}

async fn connected(under: Under, near: Box<dyn Io>, far: Box<dyn Io>) -> (Transport, Transport) {
    let (server, client) = both_ends(match under {
        Under::Cleartext => return (Transport::plain(near), Transport::plain(far)),
        Under::Tls12 => &TLS12,
        Under::Tls13 => &TLS13,
    });
    let name = ServerName::try_from("localhost").unwrap();
    let (near, far) = tokio::join!(
        Transport::accept(near, server),
        Transport::connect(far, client, name)
    );
    (near.unwrap(), far.unwrap())
}

/// Writes all of `out` and reads `expected` bytes, both as far as they go at each turn.
async fn swap(
    transport: &mut Transport,
    flusher: Option<&Flusher>,
    out: &[u8],
    expected: usize,
    mut random: Random,
) -> Vec<u8> {
    let (mut sent, mut got) = (0, Vec::new());
    poll_fn(|cx| {
        loop {
            let mut moved = false;
            if sent < out.len() {
                let end = out.len().min(sent + 1 + random.below(40_000));
                let (first, second) = out[sent..end].split_at(random.below(end - sent));
                let slices = [io::IoSlice::new(first), io::IoSlice::new(second)];
                let written = Pin::new(&mut *transport).poll_write_vectored(cx, &slices);
                if let Poll::Ready(count) = written {
                    sent += count.unwrap();
                    moved = true;
                }
            }
            let mut bytes = vec![0; 1 + random.below(20_000)];
            let mut buf = ReadBuf::new(&mut bytes);
            if got.len() < expected {
                match Pin::new(&mut *transport).poll_read(cx, &mut buf) {
                    Poll::Ready(read) => {
                        read.unwrap();
                        assert!(!buf.filled().is_empty(), "the end came early");
                        moved = true;
                    }
                    Poll::Pending => assert!(buf.filled().is_empty(), "pending after bytes"),
                }
                got.extend_from_slice(buf.filled());
            }
            if !moved {
                break;
            }
        }
        let flushed = match flusher {
            Some(flusher) => flusher.poll_flush(cx),
            None => Pin::new(&mut *transport).poll_flush(cx),
        };
        if sent == out.len() && got.len() == expected && flushed.is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
    got
}

fn fragmented(seed: u64, largest: usize) -> (Box<dyn Io>, Box<dyn Io>) {
    let (near, far) = tokio::io::duplex(32 * 1024);
    let end = |pipe, seed| -> Box<dyn Io> {
        Box::new(Fragmented {
            pipe,
            random: Random(seed | 1),
            largest,
        })
    };
    (end(near, seed), end(far, seed.rotate_left(32)))
}

/// Runs under virtual time, so that what waits for ever fails at once.
fn on_paused_clock<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(async { tokio::time::timeout(Duration::from_secs(60), future).await })
        .expect("nothing waits for ever")
}

fn under() -> impl Strategy<Value = Under> {
    prop_oneof![
        Just(Under::Cleartext),
        Just(Under::Tls12),
        Just(Under::Tls13)
    ]
}

fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed | 1);
    std::iter::repeat_with(|| random.below(256).try_into().unwrap())
        .take(count)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn bytes_survive_any_fragmentation(
        under in under(),
        deferred in any::<bool>(),
        seed in any::<u64>(),
        largest in prop_oneof![1..40_usize, 40..5_000_usize, 5_000..100_000_usize],
        there in 0..30_000_usize,
        back in 0..300_000_usize,
    ) {
        // One byte at a time would take too many turns for the large bodies.
        let back = back.min(largest * 2_000);
        let (there, back) = (bytes(there, seed), bytes(back, !seed));
        on_paused_clock(async {
            let (near, far) = fragmented(seed, largest);
            let (mut near, mut far) = connected(under, near, far).await;
            let flushers = deferred.then(|| {
                (near.defer_flush(FrameRole::Server), far.defer_flush(FrameRole::Client))
            });
            let (near_flusher, far_flusher) = flushers.as_ref().map(|(a, b)| (a, b)).unzip();
            let (at_near, at_far) = tokio::join!(
                swap(&mut near, near_flusher, &back, there.len(), Random(seed | 1)),
                swap(&mut far, far_flusher, &there, back.len(), Random(!seed | 1)),
            );
            assert!(at_near == there && at_far == back, "other bytes came out");
        });
    }

    #[test]
    fn counts_do_not_depend_on_fragmentation(
        under in under(),
        seed in any::<u64>(),
        largest in 1..2_000_usize,
        frames in prop::collection::vec((0..12_u8, any::<u8>(), 0..300_usize), 0..200),
    ) {
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        for (stream, (kind, flags, length)) in (1_u32..).zip(frames) {
            sent.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes()[1..]);
            sent.extend_from_slice(&[kind, flags]);
            sent.extend_from_slice(&stream.to_be_bytes());
            sent.extend_from_slice(&bytes(length, seed));
        }
        on_paused_clock(async {
            let now = crate::clock::now();
            let mut expected = FrameCounts::new(now);
            frames::FrameCounter::new(FrameRole::Server).count(&sent, 0, &mut expected, now);
            let (near, far) = fragmented(seed, largest);
            let (mut near, mut far) = connected(under, near, far).await;
            let flusher = near.defer_flush(FrameRole::Server);
            tokio::join!(
                swap(&mut near, Some(&flusher), &[], sent.len(), Random(seed | 1)),
                swap(&mut far, None, &sent, 0, Random(!seed | 1)),
            );
            let counted = flusher.frames();
            expected.bytes_in = counted.bytes_in;
            expected.bytes_out = counted.bytes_out;
            assert_eq!(counted, expected);
        });
    }
}

#[tokio::test]
async fn handshakes_agree_on_h2_and_tell_the_name() {
    for under in [Under::Tls12, Under::Tls13] {
        let (near, far) = tokio::io::duplex(1024);
        let (near, far) = connected(under, Box::new(near), Box::new(far)).await;
        assert!(near.is_tls() && far.is_tls());
        assert_eq!(near.alpn(), Some(b"h2".as_slice()));
        assert_eq!(far.alpn(), Some(b"h2".as_slice()));
        assert_eq!(near.server_name(), Some("localhost"));
        assert_eq!(far.server_name(), None);
    }
}

#[tokio::test]
async fn a_peer_that_reads_nothing_bounds_what_waits() {
    for under in [Under::Cleartext, Under::Tls13] {
        let (near, far) = tokio::io::duplex(4096);
        let (mut near, _far) = connected(under, Box::new(near), Box::new(far)).await;
        let flusher = near.defer_flush(FrameRole::Server);
        let chunk = [7; 10_000];
        let mut accepted = 0;
        poll_fn(|cx| {
            while let Poll::Ready(count) = Pin::new(&mut near).poll_write(cx, &chunk) {
                accepted += count.unwrap();
            }
            Poll::Ready(())
        })
        .await;
        assert!(accepted >= link::MAX_WAITING_BYTES, "{accepted}");
        assert!(accepted <= link::MAX_WAITING_BYTES + 4096, "{accepted}");
        assert!(flusher.is_write_blocked());
    }
}

#[tokio::test]
async fn deferred_flush_writes_when_the_flusher_says_so() {
    for under in [Under::Cleartext, Under::Tls13] {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (mut near, mut far) = connected(under, Box::new(near), Box::new(far)).await;
        let flusher = near.defer_flush(FrameRole::Server);
        let before = flusher.frames().bytes_out;
        near.write_all(b"hello").await.unwrap();
        near.flush().await.unwrap();
        assert_eq!(flusher.frames().bytes_out, before);
        poll_fn(|cx| flusher.poll_flush(cx)).await.unwrap();
        let mut got = [0; 5];
        far.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"hello");
        assert!(near.link.lock().holds_no_buffers());
        assert!(far.link.lock().holds_no_buffers());
    }
}

#[tokio::test]
async fn gathered_bytes_leave_as_full_records() {
    let (near, far) = tokio::io::duplex(256 * 1024);
    let (mut near, _far) = connected(Under::Tls13, Box::new(near), Box::new(far)).await;
    let flusher = near.defer_flush(FrameRole::Server);
    let before = flusher.frames().bytes_out;
    for _ in 0..48 {
        near.write_all(&[1; 1024]).await.unwrap();
    }
    poll_fn(|cx| flusher.poll_flush(cx)).await.unwrap();
    // Head, content type and tag of a TLS 1.3 record are 22 bytes.
    assert_eq!(flusher.frames().bytes_out - before, 3 * (16 * 1024 + 22));
}

#[tokio::test]
async fn end_without_close_notify_is_an_error_for_http1_only() {
    for deferred in [false, true] {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (mut near, mut far) = connected(Under::Tls13, Box::new(near), Box::new(far)).await;
        if deferred {
            near.defer_flush(FrameRole::Server);
        }
        far.write_all(b"half").await.unwrap();
        far.flush().await.unwrap();
        drop(far);
        let mut got = Vec::new();
        let read = near.read_to_end(&mut got).await;
        assert_eq!(got, b"half");
        let expected = (!deferred).then_some(io::ErrorKind::UnexpectedEof);
        assert_eq!(read.err().map(|error| error.kind()), expected);
    }
}

#[tokio::test]
async fn shutdown_sends_close_notify() {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (mut near, mut far) = connected(Under::Tls12, Box::new(near), Box::new(far)).await;
    near.write_all(b"all").await.unwrap();
    near.shutdown().await.unwrap();
    let mut got = Vec::new();
    far.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"all");
    assert!(near.write_all(b"more").await.is_err());
}

#[tokio::test]
async fn failed_handshake_sends_its_alert() {
    const ALERT: u8 = 21;
    let (server, _) = both_ends(&TLS13);
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    far.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let error = Transport::accept(Box::new(near), server).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(far.read_u8().await.unwrap(), ALERT);
}

/// A pipe whose end the test may still use under the transport.
#[derive(Clone)]
struct Tapped(Arc<Mutex<DuplexStream>>);

impl AsyncRead for Tapped {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.lock()).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn broken_record_sends_its_alert_though_the_flush_is_deferred() {
    const ALERT: u8 = 21;
    let (near, far) = tokio::io::duplex(64 * 1024);
    let mut tap = Tapped(Arc::new(Mutex::new(far)));
    let ends = connected(Under::Tls12, Box::new(near), Box::new(tap.clone()));
    let (mut near, _far) = ends.await;
    near.defer_flush(FrameRole::Server);
    tap.write_all(b"\x17\x03\x03\x00\x20no record that anyone has sealed")
        .await
        .unwrap();
    let error = near.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(tap.read_u8().await.unwrap(), ALERT);
}
