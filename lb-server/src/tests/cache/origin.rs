//! A backend that answers by a list and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::super::Proxy;
use super::super::backend::Backlog;

/// Answers each request with the next response, and with the last one again from then on.
#[derive(Clone)]
pub(super) struct Origin(Arc<Mutex<Script>>);

struct Script {
    heads: Vec<String>,
    responses: VecDeque<String>,
}

impl Origin {
    pub(super) fn of(proxy: &Proxy, responses: &[&str]) -> Self {
        let origin = Self(Arc::new(Mutex::new(Script {
            heads: Vec::new(),
            responses: responses.iter().map(ToString::to_string).collect(),
        })));
        let Backlog(mut connections) = proxy.backend("a");
        let serving = origin.clone();
        tokio::spawn(async move {
            while let Some(pipe) = connections.recv().await {
                tokio::spawn(serving.clone().serve(pipe));
            }
        });
        origin
    }

    /// The heads it has heard, oldest first.
    pub(super) fn heads(&self) -> Vec<String> {
        self.0.lock().heads.clone()
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().heads.len()
    }

    /// The value of a field of the latest request.
    pub(super) fn last_field(&self, name: &str) -> Option<String> {
        let heads = self.heads();
        let prefix = format!("{name}: ");
        let line = heads.last()?.lines().find(|line| line.starts_with(&prefix));
        line.map(|line| line[prefix.len()..].to_owned())
    }

    async fn serve(self, mut pipe: DuplexStream) {
        let mut heard = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = heard.windows(4).position(|end| end == b"\r\n\r\n") {
                    break at + 4;
                }
                if pipe.read_buf(&mut heard).await.unwrap_or(0) == 0 {
                    return;
                }
            };
            let rest = heard.split_off(end);
            let head = String::from_utf8(std::mem::replace(&mut heard, rest)).unwrap();
            let response = {
                let mut script = self.0.lock();
                script.heads.push(head);
                if script.responses.len() > 1 {
                    script.responses.pop_front().unwrap()
                } else {
                    script.responses[0].clone()
                }
            };
            let closes = response.contains("connection: close");
            if pipe.write_all(response.as_bytes()).await.is_err() || closes {
                return;
            }
        }
    }
}

/// A whole response with this status, these fields, and this body.
pub(super) fn response(status: u16, fields: &[&str], body: &str) -> String {
    let mut text = format!("HTTP/1.1 {status} X\r\n");
    for field in fields {
        text.push_str(field);
        text.push_str("\r\n");
    }
    if status != 304 && status != 204 {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text + "\r\n" + body
}

pub(super) fn fresh(body: &str) -> String {
    response(200, &["cache-control: max-age=60"], body)
}
