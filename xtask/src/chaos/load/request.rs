//! One request, and the connections that requests take turns on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Method as HttpMethod, Request};
use rustls::client::Resumption;
use tokio::sync::Mutex;

use super::{Answer, End, Method, TRICKLE_PATH, runtime};
use crate::client::{Client, Connection};

const BODY: &[u8] = &[b'x'; 200];

/// Connections that end before a request could be sent; whoever refuses so many refuses all.
const TRIES: u32 = 3;

/// A connection that is made anew when it has ended.
pub(super) struct Slot {
    client: Arc<Client>,
    number: usize,
    open: Mutex<Open>,
}

struct Open {
    connection: Option<Connection>,
    /// Counts connections, so that nobody throws away one that another request just made.
    generation: u64,
}

impl Slot {
    pub(super) async fn open(client: Arc<Client>, number: usize) -> Result<Self> {
        let connection = Some(client.connect(number).await?);
        Ok(Self {
            client,
            number,
            open: Mutex::new(Open {
                connection,
                generation: 0,
            }),
        })
    }

    /// A connection that takes another stream; none if the proxy takes no connections.
    async fn sender(&self) -> Option<SendRequest<Bytes>> {
        for _ in 0..TRIES {
            let (sender, generation) = {
                let mut open = self.open.lock().await;
                if open.connection.is_none() {
                    open.connection = self.client.connect(self.number).await.ok();
                    open.generation += 1;
                }
                let sender = open.connection.as_ref()?.sender.clone();
                (sender, open.generation)
            };
            if let Ok(sender) = sender.ready().await {
                return Some(sender);
            }
            // Ended, or told to go away: nothing was sent.
            let mut open = self.open.lock().await;
            if open.generation == generation {
                open.connection = None;
            }
        }
        None
    }
}

/// Sends a request and waits for its end.
pub(super) async fn exchange(slot: &Slot, id: u64, method: Method, path: &str) -> End {
    let Some(mut sender) = slot.sender().await else {
        return End::Unsent;
    };
    let mut request = Request::builder()
        .uri(format!("https://localhost{path}"))
        .header("x-chaos-id", id);
    let is_get = method == Method::Get;
    if !is_get {
        request = request
            .method(HttpMethod::POST)
            .header("content-length", BODY.len());
    }
    if method == Method::Keyed {
        request = request.header("idempotency-key", format!("\"{id}\""));
    }
    let Ok(request) = request.body(()) else {
        return End::Unsent;
    };
    let response = match sender.send_request(request, is_get) {
        Ok((response, _)) if is_get => response,
        Ok((response, mut body)) => {
            // A proxy that ends the stream says so in its response.
            let _ = body.send_data(Bytes::from_static(BODY), true);
            response
        }
        Err(_) => return End::Unsent,
    };
    match response.await {
        Err(error) => End::Lost {
            is_reset: is_reset(&error),
            text: error.to_string(),
        },
        Ok(response) => {
            let (head, mut body) = response.into_parts();
            while let Some(chunk) = body.data().await {
                match chunk {
                    Ok(chunk) => {
                        let _ = body.flow_control().release_capacity(chunk.len());
                    }
                    Err(error) => {
                        return End::Broken {
                            is_reset: is_reset(&error),
                        };
                    }
                }
            }
            End::Complete(answer(head.status.as_u16(), &head.headers))
        }
    }
}

fn is_reset(error: &h2::Error) -> bool {
    error.is_reset() && error.is_remote()
}

fn answer(status: u16, headers: &HeaderMap) -> Answer {
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
    Answer {
        status,
        backend: text("x-backend"),
        proxy_status: text("proxy-status"),
        has_retry_after: headers.contains_key("retry-after"),
    }
}

/// What became of a download.
#[derive(Debug)]
pub(crate) struct Download {
    pub(crate) is_complete: bool,
    pub(crate) bytes: usize,
    pub(crate) ended: Instant,
}

/// Downloads slowly in a thread of its own; returns once the head is there.
///
/// # Errors
///
/// Fails if there is no head.
pub(crate) fn download(
    address: SocketAddr,
    authority: PathBuf,
) -> Result<JoinHandle<Result<Download>>> {
    let (begin, begun) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        runtime()?.block_on(async {
            let client = Client::try_new(address, Some(&authority), Resumption::disabled())?;
            let connection = client.connect(0).await?;
            let request = Request::get(format!("https://localhost{TRICKLE_PATH}"));
            let request = request.body(()).context("a valid request")?;
            let mut sender = connection.sender.clone().ready().await?;
            let (response, _) = sender.send_request(request, true)?;
            let mut body = response.await.context("no head")?.into_body();
            let _ = begin.send(());
            let (mut bytes, mut is_complete) = (0, true);
            while let Some(chunk) = body.data().await {
                let Ok(chunk) = chunk else {
                    is_complete = false;
                    break;
                };
                bytes += chunk.len();
                let _ = body.flow_control().release_capacity(chunk.len());
            }
            Ok(Download {
                is_complete,
                bytes,
                ended: Instant::now(),
            })
        })
    });
    begun.recv().context("the download did not begin")?;
    Ok(thread)
}
