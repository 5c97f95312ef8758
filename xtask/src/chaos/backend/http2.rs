//! HTTP/2 with prior knowledge, as far as its faults differ from those of HTTP/1.1.

use std::future::poll_fn;
use std::rc::Rc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::{Mode, State};
use crate::journal::Event;
use crate::load::BROKEN;

/// Serves one connection to its end.
pub(super) async fn serve(stream: TcpStream, state: &Rc<State>) -> Result<()> {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(1000);
    let mut connection = builder.handshake::<_, Bytes>(stream).await?;
    let mut is_ending = false;
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(accepted) = accepted else { return Ok(()) };
                let (request, reply) = accepted?;
                let state = Rc::clone(state);
                spawn_local(async move {
                    // A stream that the peer reset is over.
                    let _ = exchange(request, reply, &state).await;
                });
            }
            () = state.drained(), if !is_ending => {
                is_ending = true;
                connection.graceful_shutdown();
            }
        }
    }
}

async fn exchange(
    request: Request<RecvStream>,
    mut reply: SendResponse<Bytes>,
    state: &State,
) -> Result<()> {
    let path = request.uri().path().to_owned();
    let id = request.headers().get("x-chaos-id");
    let id = id
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let is_probe = path == "/health";
    if !is_probe {
        state.note(Event::Head, &id);
    }
    let mut body = request.into_body();
    while let Some(chunk) = body.data().await {
        let length = chunk?.len();
        let _ = body.flow_control().release_capacity(length);
    }
    if is_probe {
        let status = if state.is_ready.get() { 200 } else { 503 };
        return answer(&mut reply, state, status);
    }
    state.note(Event::Whole, &id);
    if BROKEN.contains(&path.as_str()) {
        return break_off(&mut reply).await;
    }
    match state.next() {
        Mode::Well => answer(&mut reply, state, 200),
        Mode::Late(wait) => {
            sleep(wait).await;
            answer(&mut reply, state, 200)
        }
        Mode::Status(status) => answer(&mut reply, state, status),
        Mode::ResetSecond => {
            reply.send_reset(Reason::INTERNAL_ERROR);
            Ok(())
        }
    }
}

fn answer(reply: &mut SendResponse<Bytes>, state: &State, status: u16) -> Result<()> {
    let head = Response::builder()
        .status(status)
        .header("x-backend", &state.name)
        .body(())
        .context("a valid response")?;
    let mut body = reply.send_response(head, false)?;
    body.send_data(Bytes::from_static(&[b'x'; 100]), true)?;
    Ok(())
}

/// Half of a body, then a reset.
async fn break_off(reply: &mut SendResponse<Bytes>) -> Result<()> {
    let mut body = reply.send_response(Response::new(()), false)?;
    body.send_data(Bytes::from_static(&[b'x'; 500]), false)?;
    sleep(crate::load::TRICKLE_PAUSE).await;
    body.send_reset(Reason::INTERNAL_ERROR);
    let _ = poll_fn(|cx| body.poll_reset(cx)).await;
    Ok(())
}
