//! One probe: a connection of its own, one question, and what the answer is worth.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body::Frame;

use super::grpc;
use crate::body::Body;
use crate::config::{BackendScheme, HttpProbeConfig, ProbeConfig, StatusRange};
use crate::snapshot::BackendTarget;
use crate::transport::Transport;
use crate::upstream::connect::Connector;
use crate::upstream::http1;

/// Bytes of an answer that are read at most.
const BODY_MAX: usize = 64 * 1024;
const AGENT: HeaderValue = HeaderValue::from_static("lb-health-check");

/// A question in HTTP.
pub(crate) struct Question {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether the answer's body matters.
    pub(crate) reads_body: bool,
}

/// An answer in HTTP.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Of the head; with those of the trailers, where there are any.
    fields: HeaderMap,
    body: BytesMut,
}

/// Asks a backend; what was seen, in words, is an `Ok` where it passes.
pub(super) async fn ask(
    connector: &Arc<dyn Connector>,
    target: &BackendTarget,
    probe: &ProbeConfig,
) -> Result<String, String> {
    let io = connector
        .connect(&target.url.address)
        .await
        .map_err(|error| format!("no connection: {error}"))?;
    let transport = match &target.tls {
        None => Transport::plain(io),
        Some(tls) => Transport::connect(io, Arc::clone(&tls.config), tls.server_name.clone())
            .await
            .map_err(|error| format!("TLS: {error}"))?,
    };
    let speaks_http2 = match target.url.scheme {
        BackendScheme::Http => false,
        BackendScheme::H2c => true,
        BackendScheme::Https => transport.alpn() == Some(b"h2"),
    };
    let is_tls = target.tls.is_some();
    match probe {
        ProbeConfig::Tcp => Ok("connected".to_owned()),
        ProbeConfig::Http(http) => {
            let question = http_question(http, target);
            let answer = if speaks_http2 {
                over_http2(transport, question, is_tls).await?
            } else {
                over_http1(transport, question).await?
            };
            judge(http, &answer)
        }
        ProbeConfig::Grpc { .. } if !speaks_http2 => {
            Err("the backend does not speak HTTP/2, which gRPC needs".to_owned())
        }
        ProbeConfig::Grpc { service } => {
            let answer = over_http2(transport, grpc_question(service, target), is_tls).await?;
            if answer.status != StatusCode::OK {
                return Err(format!("status {}", answer.status.as_u16()));
            }
            grpc::verdict(&answer.body, &answer.fields).map(str::to_owned)
        }
    }
}

fn http_question(http: &HttpProbeConfig, target: &BackendTarget) -> Question {
    let mut headers = HeaderMap::with_capacity(http.headers.len() + 1);
    headers.insert(USER_AGENT, AGENT);
    for (name, value) in &http.headers {
        headers.insert(name, value.clone());
    }
    Question {
        method: http.method.clone(),
        path: http.path.clone(),
        host: http.host.clone().unwrap_or_else(|| target.url.authority()),
        headers,
        body: Bytes::new(),
        reads_body: http.expect_body.is_some(),
    }
}

fn grpc_question(service: &str, target: &BackendTarget) -> Question {
    Question {
        method: Method::POST,
        path: grpc::PATH.to_owned(),
        host: target.url.authority(),
        headers: HeaderMap::from_iter([
            (USER_AGENT, AGENT),
            (CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
            (TE, HeaderValue::from_static("trailers")),
        ]),
        body: grpc::request(service),
        reads_body: true,
    }
}

fn judge(http: &HttpProbeConfig, answer: &Answer) -> Result<String, String> {
    let status = answer.status.as_u16();
    if !http
        .expect_status
        .iter()
        .any(|range| range.contains(status))
    {
        let expected: Vec<String> = http
            .expect_status
            .iter()
            .map(StatusRange::to_string)
            .collect();
        return Err(format!("status {status}, expected {}", expected.join(", ")));
    }
    if let Some(text) = &http.expect_body
        && !answer
            .body
            .windows(text.len().max(1))
            .any(|window| window == text.as_bytes())
    {
        return Err(format!(
            "status {status}, but the body does not contain `{text}`"
        ));
    }
    Ok(format!("status {status}"))
}

impl Answer {
    /// Whether enough was read.
    fn take(&mut self, frame: Frame<Bytes>) -> bool {
        match frame.into_data() {
            Ok(data) => {
                let room = BODY_MAX - self.body.len();
                self.body.extend_from_slice(&data[..data.len().min(room)]);
                self.body.len() == BODY_MAX
            }
            Err(frame) => {
                self.fields
                    .extend(frame.into_trailers().unwrap_or_default());
                false
            }
        }
    }
}

/// Asks over a connection that ends with it.
pub(crate) async fn over_http1(transport: Transport, question: Question) -> Result<Answer, String> {
    let head = http1::RequestHead {
        method: &question.method,
        path_and_query: &question.path,
        host: &question.host,
        headers: &question.headers,
        forwarding: None,
        close: true,
    };
    let mut exchange = http1::Exchange::start(
        http1::Connection::new(transport),
        head,
        Body::from(question.body.clone()),
        Some(question.body.len() as u64),
        http1::ResponseLimits::default(),
    );
    let wrong = |error: http1::Http1Error| error.to_string();
    let response = loop {
        match poll_fn(|cx| exchange.poll_head(cx)).await.map_err(wrong)? {
            http1::Event::Informational(_) => {}
            http1::Event::Final(response) => break response,
        }
    };
    let mut answer = Answer::new(response);
    if question.reads_body {
        while let Some(frame) = poll_fn(|cx| exchange.poll_frame(cx)).await {
            if answer.take(frame.map_err(wrong)?) {
                break;
            }
        }
    }
    Ok(answer)
}

async fn over_http2(
    transport: Transport,
    question: Question,
    is_tls: bool,
) -> Result<Answer, String> {
    let wrong = |error: h2::Error| error.to_string();
    let (sender, connection) = h2::client::Builder::new()
        .max_header_list_size(64 * 1024)
        .max_concurrent_streams(0)
        .enable_push(false)
        .handshake::<_, Bytes>(transport)
        .await
        .map_err(wrong)?;
    let mut connection = pin!(connection);
    let mut is_open = true;
    let mut exchange = pin!(stream(sender, question, is_tls));
    // The connection ends with the exchange; what ends it earlier, its stream is told.
    poll_fn(|cx| {
        loop {
            is_open = is_open && connection.as_mut().poll(cx).is_pending();
            match exchange.as_mut().poll(cx) {
                Poll::Ready(result) => return Poll::Ready(result.map_err(wrong)),
                // What the exchange wants sent is sent by the connection.
                Poll::Pending if is_open => {
                    is_open = connection.as_mut().poll(cx).is_pending();
                    if is_open {
                        return Poll::Pending;
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

async fn stream(
    sender: h2::client::SendRequest<Bytes>,
    question: Question,
    is_tls: bool,
) -> Result<Answer, h2::Error> {
    let scheme = if is_tls { "https" } else { "http" };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(question.host)
        .path_and_query(question.path)
        .build()
        .unwrap_or_default();
    let mut request = Request::new(());
    *request.method_mut() = question.method;
    *request.uri_mut() = uri;
    *request.headers_mut() = question.headers;
    let mut sender = sender.ready().await?;
    let (response, mut upload) = sender.send_request(request, question.body.is_empty())?;
    if !question.body.is_empty() {
        upload.send_data(question.body, true)?;
    }
    let (head, mut body) = response.await?.into_parts();
    let mut answer = Answer::new(http::Response::from_parts(head, ()));
    if question.reads_body {
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            if answer.take(Frame::data(chunk)) {
                return Ok(answer);
            }
        }
        if let Some(trailers) = body.trailers().await? {
            answer.fields.extend(trailers);
        }
    }
    Ok(answer)
}

impl Answer {
    fn new(response: http::Response<()>) -> Self {
        let (head, ()) = response.into_parts();
        Self {
            status: head.status,
            fields: head.headers,
            body: BytesMut::new(),
        }
    }
}
