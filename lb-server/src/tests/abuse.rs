//! Floods end their connection, and no other.

use std::time::Duration;

use h2::Reason;

use super::backend::Http2;
use super::wire::{self, Frame, Wire, block};
use super::{Proxy, settle};

const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "app.example"),
    (":path", "/"),
];

/// The frame that ends the connection after this flood.
async fn goodbye_to(flood: Vec<u8>) -> Option<Frame> {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let serving = tokio::spawn(async move {
        let pipe = backlog.0.recv().await?;
        let mut backend = Http2::built(pipe, &h2::server::Builder::new()).await;
        loop {
            let _never_answered = backend.request().await;
        }
        #[expect(unreachable_code, reason = "gives the block its type")]
        Some(())
    });
    let mut wire = Wire::client(proxy.pipe().await).await;
    // The rest of a flood may find the connection closed.
    let _end = tokio::io::AsyncWriteExt::write_all(&mut wire.0, &flood).await;
    let said = tokio::time::timeout(Duration::from_secs(3), async {
        loop {
            let frame = wire.frame().await?;
            if frame.kind == wire::GOAWAY {
                return Some(frame);
            }
        }
    })
    .await
    .unwrap_or(None);
    serving.abort();
    if said.is_some() {
        while wire.frame().await.is_some() {}
        settle().await;
        assert_eq!(proxy.in_flight(), 0);
    }
    said
}

fn rapid_resets(streams: u32) -> Vec<u8> {
    let flags = wire::END_STREAM | wire::END_HEADERS;
    let cancel = u32::from(Reason::CANCEL).to_be_bytes();
    (0..streams)
        .flat_map(|number| {
            let stream = 2 * number + 1;
            [
                wire::frame(wire::HEADERS, flags, stream, &block(&GET)),
                wire::frame(wire::RST_STREAM, 0, stream, &cancel),
            ]
            .concat()
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn ends_a_rapid_reset() {
    let goodbye = goodbye_to(rapid_resets(200)).await.unwrap();
    assert_eq!(goodbye.code(), u32::from(Reason::ENHANCE_YOUR_CALM));
}

#[tokio::test(start_paused = true)]
async fn bears_a_few_resets() {
    assert_eq!(goodbye_to(rapid_resets(15)).await, None);
}

#[tokio::test(start_paused = true)]
async fn ends_a_flood_of_pings() {
    let ping = wire::frame(wire::PING, 0, 0, &[0; 8]);
    assert_eq!(goodbye_to(ping.repeat(100)).await, None);
    let goodbye = goodbye_to(ping.repeat(1000)).await.unwrap();
    assert_eq!(goodbye.code(), u32::from(Reason::ENHANCE_YOUR_CALM));
}

#[tokio::test(start_paused = true)]
async fn ends_a_flood_of_settings() {
    let settings = wire::frame(wire::SETTINGS, 0, 0, &[]);
    assert_eq!(goodbye_to(settings.repeat(40)).await, None);
    let goodbye = goodbye_to(settings.repeat(1000)).await.unwrap();
    assert_eq!(goodbye.code(), u32::from(Reason::ENHANCE_YOUR_CALM));
}

#[tokio::test(start_paused = true)]
async fn ends_a_flood_of_frames_that_carry_nothing() {
    // PRIORITY frames, which mean nothing any more.
    let priority = wire::frame(2, 0, 1, &[0, 0, 0, 0, 1]);
    let goodbye = goodbye_to(priority.repeat(800_000)).await.unwrap();
    assert_eq!(goodbye.code(), u32::from(Reason::ENHANCE_YOUR_CALM));
}

#[tokio::test(start_paused = true)]
async fn ends_a_header_block_without_end() {
    let mut flood = wire::frame(wire::HEADERS, wire::END_STREAM, 1, &block(&GET));
    let crumbs = block(&[("cookie", &"a".repeat(8000))]);
    for _frame in 0..1000 {
        flood.extend_from_slice(&wire::frame(9, 0, 1, &crumbs));
    }
    assert!(goodbye_to(flood).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn ends_connections_that_break_the_protocol() {
    let flags = wire::END_STREAM | wire::END_HEADERS;
    for flood in [
        wire::frame(wire::HEADERS, flags, 2, &block(&GET)),
        wire::frame(wire::DATA, 0, 1, b"x"),
        wire::frame(wire::SETTINGS, 0, 0, b"x"),
        wire::frame(wire::PING, 0, 0, b"x"),
        wire::frame(wire::WINDOW_UPDATE, 0, 0, &[0; 4]),
        wire::frame(9, wire::END_HEADERS, 1, &block(&GET)),
        wire::frame(wire::HEADERS, flags, 1, &[0xff; 9]),
        wire::frame(wire::DATA, 0, 1, &[0; 16 * 1024 + 1]),
    ] {
        let shown = flood[..9.min(flood.len())].to_vec();
        assert!(goodbye_to(flood).await.is_some(), "{shown:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn refuses_streams_beyond_the_limit() {
    let proxy = Proxy::to(&["http://a:80"]);
    proxy.black_hole("a");
    let mut wire = Wire::client(proxy.pipe().await).await;
    let flags = wire::END_STREAM | wire::END_HEADERS;
    for number in 0..101 {
        wire.send(wire::HEADERS, flags, 2 * number + 1, &block(&GET))
            .await;
    }
    let refused = wire.find(wire::RST_STREAM).await;
    assert_eq!(refused.stream, 201);
    assert_eq!(refused.code(), u32::from(Reason::REFUSED_STREAM));
}
