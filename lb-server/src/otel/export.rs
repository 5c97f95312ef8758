//! Spans on their way to a collector: OTLP over HTTP/1.1, a connection for each request.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use rustls::pki_types::ServerName;

use super::{spans, wire};
use crate::config::{BackendAddress, BackendScheme, BackendTlsConfig, Protocol, TracingConfig};
use crate::error::{Error, ErrorKind};
use crate::probe::{Question, over_http1};
use crate::spool::Drain;
use crate::tls;
use crate::transport::Transport;
use crate::upstream::connect::{Connector, SocketConnector};

/// Sends what the workers wrote.
pub(super) struct Exporter {
    config: TracingConfig,
    /// Attributes of the service.
    attributes: Vec<(String, String)>,
    tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
    runtime: tokio::runtime::Runtime,
    /// What the collector did not take for now.
    waiting: Vec<u8>,
    is_failing: bool,
}

/// Why the collector has not got the spans.
enum Failure {
    /// It may take them later.
    Passing(String),
    /// It never will.
    Final(String),
}

impl Exporter {
    pub(super) fn new(config: &TracingConfig) -> Result<Self, Error> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Start, "the exporter of traces cannot be started")
                .with_source(error)
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let mut attributes = vec![
            ("service.name".to_owned(), config.service_name.clone()),
            (
                "service.version".to_owned(),
                env!("CARGO_PKG_VERSION").to_owned(),
            ),
        ];
        for (key, value) in &config.attributes {
            attributes.retain(|(known, _)| known != key);
            attributes.push((key.clone(), value.clone()));
        }
        Ok(Self {
            config: config.clone(),
            attributes,
            tls: tls_of(config)?,
            runtime,
            waiting: Vec::new(),
            is_failing: false,
        })
    }

    async fn send(&self, body: Vec<u8>) -> Result<(), Failure> {
        let passing = |error: String| Failure::Passing(error);
        let endpoint = &self.config.endpoint;
        let io = SocketConnector
            .connect(&endpoint.url.address)
            .await
            .map_err(|error| passing(format!("no connection: {error}")))?;
        let transport = match &self.tls {
            None => Transport::plain(io),
            Some((config, name)) => Transport::connect(io, Arc::clone(config), name.clone())
                .await
                .map_err(|error| passing(format!("TLS: {error}")))?,
        };
        let mut headers = HeaderMap::from_iter(self.config.headers.iter().cloned());
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-protobuf"),
        );
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("lb-server/", env!("CARGO_PKG_VERSION"))),
        );
        let question = Question {
            method: Method::POST,
            path: endpoint.path.clone(),
            host: endpoint.url.authority(),
            headers,
            body: Bytes::from(body),
            reads_body: false,
        };
        let answer = over_http1(transport, question).await.map_err(passing)?;
        let text = format!("status {}", answer.status.as_u16());
        match answer.status {
            status if status.is_success() => Ok(()),
            // Those that the specification names ("OTLP/HTTP Response", "Failures").
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(Failure::Passing(text)),
            _ => Err(Failure::Final(text)),
        }
    }
}

impl Exporter {
    /// Sends what is waiting and returns how many entries the collector will never have.
    fn flush(&mut self) -> u64 {
        let body = spans::request(&self.attributes, &self.waiting);
        let sent = self.runtime.block_on(async {
            let timeout = self.config.timeout;
            match tokio::time::timeout(timeout, self.send(body)).await {
                Ok(result) => result,
                Err(_elapsed) => Err(Failure::Passing(format!("no answer within {timeout:?}"))),
            }
        });
        let (error, lost) = match sent {
            Ok(()) => {
                self.waiting.clear();
                if std::mem::replace(&mut self.is_failing, false) {
                    tracing::info!("the collector takes spans again");
                }
                return 0;
            }
            Err(Failure::Passing(error)) => (error, 0),
            Err(Failure::Final(error)) => (error, self.give_up()),
        };
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::error!(
                error,
                endpoint = %self.config.endpoint,
                "the collector does not take spans; they are dropped once the buffer is full"
            );
        }
        lost
    }

    fn give_up(&mut self) -> u64 {
        let lost = wire::count(&self.waiting);
        self.waiting.clear();
        lost
    }
}

impl Drain for Exporter {
    /// What cannot be sent now is sent with what comes next, as far as there is room for it.
    fn take(&mut self, entries: &[u8]) -> u64 {
        let mut lost = 0;
        if self.waiting.len() + entries.len() > self.config.buffer as usize {
            lost = self.give_up();
        }
        self.waiting.extend_from_slice(entries);
        lost + self.flush()
    }

    fn finish(&mut self) -> u64 {
        if self.waiting.is_empty() {
            return 0;
        }
        self.flush() + self.give_up()
    }
}

fn tls_of(
    config: &TracingConfig,
) -> Result<Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>, Error> {
    let BackendAddress::Host { host, .. } = &config.endpoint.url.address else {
        return Ok(None);
    };
    if config.endpoint.url.scheme != BackendScheme::Https {
        return Ok(None);
    }
    let believed = BackendTlsConfig {
        ca: config.ca.clone(),
        server_name: None,
    };
    let failed = |text: String| Error::new(ErrorKind::Tls, text);
    let tls = tls::client(&believed, &[Protocol::Http11], None).map_err(|error| {
        failed("TLS towards the collector cannot be spoken".to_owned()).with_source(error)
    })?;
    let name = ServerName::try_from(host.clone()).map_err(|error| {
        failed(format!("`{host}` is not a server name to verify")).with_source(error)
    })?;
    Ok(Some((tls.config, name)))
}
