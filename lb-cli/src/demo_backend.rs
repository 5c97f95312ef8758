//! `lb-cli demo-backend`: a toy backend that tells what it received.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use lb_server::{
    Algorithm, Body, BodyError, CacheConfig, Error, LoadBalancerConfig, Protocol, RateLimitConfig,
    Request, Response, Running, Server, ServerConfig, SessionConfig, reply,
};
use serde_json::{Value, json};

use crate::args::DemoBackendArguments;
use crate::failure::{Exit, Failure};
use crate::logging;
use crate::serve::{Signals, announce, block_on, start_failure, until_signalled};

const LONGEST_WAIT_MS: u64 = 3_600_000;
const CHUNK: &[u8] = &[b'x'; 16 * 1024];

/// Runs a toy backend until a signal.
pub(crate) fn run(arguments: &DemoBackendArguments) -> Result<Exit, Failure> {
    logging::start(&arguments.verbosity);
    let mut toy = Toy::new(&arguments.name, arguments.delay);
    toy.fail = arguments.fail;
    block_on(async {
        let mut signals = Signals::listen()?;
        let running = start(toy, arguments.port, arguments.h2c).await?;
        announce(&running);
        until_signalled(running, &mut signals).await
    })
}

/// How a toy backend behaves.
#[derive(Debug)]
pub(crate) struct Toy {
    name: String,
    delay: Duration,
    /// Share of the requests answered with 500, from 0 to 1.
    fail: f64,
}

impl Toy {
    pub(crate) fn new(name: &str, delay: Duration) -> Self {
        Self {
            name: name.to_owned(),
            delay,
            fail: 0.0,
        }
    }
}

/// Starts a toy backend on loopback; port 0 takes a free one.
///
/// # Errors
///
/// It cannot listen there.
pub(crate) async fn start(toy: Toy, port: u16, h2_only: bool) -> Result<Running, Failure> {
    let mut config = ServerConfig::new(format!("127.0.0.1:{port}"))
        .tls_off()
        .threads(1);
    if h2_only {
        config = config.protocols(&[Protocol::H2]);
    }
    let mut server = Server::new(
        config,
        LoadBalancerConfig::new(Algorithm::RoundRobin),
        SessionConfig::off(),
        RateLimitConfig::off(),
        CacheConfig::off(),
    )
    .map_err(start_failure)?;
    let toy = Arc::new(toy);
    server.set_request_handler(move |request, _exchange| answer(Arc::clone(&toy), request));
    server.start().await.map_err(start_failure)
}

async fn answer(toy: Arc<Toy>, request: Request) -> Result<Response, Error> {
    if !toy.delay.is_zero() {
        tokio::time::sleep(toy.delay).await;
    }
    if toy.fail > 0.0 {
        let random = getrandom::u32().map_err(Error::handler)?;
        if f64::from(random) < toy.fail * f64::from(u32::MAX) {
            return Ok(reply::json(
                500,
                &json!({ "backend": toy.name, "failed": true }),
            ));
        }
    }
    let path = request.uri().path();
    if path == "/echo" {
        return Ok(Response::new(request.into_body()));
    }
    if let Some(status) = path.strip_prefix("/status/") {
        let status = status
            .parse()
            .ok()
            .filter(|status| (200..=599).contains(status));
        return Ok(reply::status(status.unwrap_or(400)));
    }
    if let Some(number) = path.strip_prefix("/bytes/") {
        let body = number.parse().map(|left| Body::new(Filler { left }));
        return Ok(body.map_or_else(|_| reply::status(400), Response::new));
    }
    if path == "/slow" {
        let wait_ms = wait_ms(request.uri().query().unwrap_or(""));
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }
    tell(&toy, request).await
}

fn wait_ms(query: &str) -> u64 {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let written = pairs.find(|(name, _)| *name == "ms");
    let wait_ms = written.and_then(|(_, value)| value.parse().ok());
    wait_ms.unwrap_or(1000).min(LONGEST_WAIT_MS)
}

/// Answers with what was received, the body by its length.
async fn tell(toy: &Toy, request: Request) -> Result<Response, Error> {
    let (head, mut body) = request.into_parts();
    let mut headers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.as_str()).or_default().push(value);
    }
    let mut body_bytes = 0_u64;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Some(data) = frame.map_err(Error::handler)?.data_ref() {
            body_bytes += data.len() as u64;
        }
    }
    let received: Value = json!({
        "backend": toy.name,
        "method": head.method.as_str(),
        "path": head.uri.path_and_query().map_or("", |path| path.as_str()),
        "host": head.uri.host(),
        "version": format!("{:?}", head.version),
        "headers": headers,
        "body_bytes": body_bytes,
    });
    Ok(reply::json(200, &received))
}

/// So many bytes, made while they are sent.
struct Filler {
    left: u64,
}

impl http_body::Body for Filler {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
        let chunk = Bytes::from_static(CHUNK).slice(..wanted.min(CHUNK.len()));
        self.left -= chunk.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_read_from_the_query_and_bounded() {
        assert_eq!(wait_ms("a=b&ms=200"), 200);
        assert_eq!(wait_ms(""), 1000);
        assert_eq!(wait_ms("ms=99999999999"), LONGEST_WAIT_MS);
    }

    #[test]
    fn the_filler_is_as_long_as_it_says() {
        let mut filler = Filler { left: 40_000 };
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut sum = 0;
        while let Poll::Ready(Some(frame)) = Pin::new(&mut filler).poll_frame(&mut cx) {
            sum += frame.unwrap().into_data().map_or(0, |data| data.len());
        }
        assert_eq!(sum, 40_000);
        assert!(filler.is_end_stream());
    }
}
