//! HTTP/1.1 as the backend speaks it, faults included.

use std::rc::Rc;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{LINGER, Mode, State};
use crate::journal::Event;
use crate::load::{BROKEN, TRICKLE_CHUNK, TRICKLE_CHUNKS, TRICKLE_PATH, TRICKLE_PAUSE};

/// Largest request head.
const MAX_HEAD: usize = 16 * 1024;

/// A request head, as far as it matters here.
struct Head {
    path: String,
    id: String,
    /// `None` is chunked.
    length: Option<usize>,
}

/// Serves one connection to its end.
pub(super) async fn serve(mut stream: TcpStream, state: &Rc<State>) -> Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        let head = if state.is_draining.get() {
            let next = timeout(LINGER, read_head(&mut stream, &mut buffer)).await;
            next.unwrap_or(Ok(None))?
        } else {
            tokio::select! {
                head = read_head(&mut stream, &mut buffer) => head?,
                // What has been read so far stays in the buffer.
                () = state.drained() => continue,
            }
        };
        let Some(head) = head else { return Ok(()) };
        let is_probe = head.path == "/health";
        if !is_probe {
            state.note(Event::Head, &head.id);
        }
        skip_body(&mut stream, &mut buffer, head.length).await?;
        if is_probe {
            let status = if state.is_ready.get() { 200 } else { 503 };
            answer(&mut stream, state, status).await?;
            continue;
        }
        state.note(Event::Whole, &head.id);
        if let Some(broken) = BROKEN.iter().find(|broken| head.path == **broken) {
            return break_off(stream, broken).await;
        }
        if head.path == TRICKLE_PATH {
            trickle(&mut stream).await?;
            continue;
        }
        match state.next() {
            Mode::Well => answer(&mut stream, state, 200).await?,
            Mode::Late(wait) => {
                sleep(wait).await;
                answer(&mut stream, state, 200).await?;
            }
            Mode::Status(status) => answer(&mut stream, state, status).await?,
            Mode::ResetSecond => {
                stream.set_zero_linger()?;
                return Ok(());
            }
        }
        if state.is_draining.get() {
            return Ok(());
        }
    }
}

async fn answer(stream: &mut TcpStream, state: &State, status: u16) -> Result<()> {
    let close = if state.is_draining.get() {
        "connection: close\r\n"
    } else {
        ""
    };
    let name = &state.name;
    let text = format!(
        "HTTP/1.1 {status} Status\r\ncontent-length: 100\r\nx-backend: {name}\r\n{close}\r\n{:100}",
        "body"
    );
    stream.write_all(text.as_bytes()).await?;
    Ok(())
}

/// A response that is not whole, each in its way.
async fn break_off(mut stream: TcpStream, how: &str) -> Result<()> {
    let start = "HTTP/1.1 200 OK\r\n";
    let half = "x".repeat(500);
    let text = match how {
        // Fewer bytes than promised.
        "/truncated" | "/reset" => format!("{start}content-length: 1000\r\n\r\n{half}"),
        "/cut-chunked" => format!("{start}transfer-encoding: chunked\r\n\r\n1f4\r\n{half}\r\n"),
        _ => format!("{start}transfer-encoding: chunked\r\n\r\n1f4\r\n{half}\r\nnonsense\r\n"),
    };
    stream.write_all(text.as_bytes()).await?;
    // The first half gets through, so that the proxy has a head to pass on.
    sleep(TRICKLE_PAUSE).await;
    if how == "/reset" {
        stream.set_zero_linger()?;
    }
    Ok(())
}

async fn trickle(stream: &mut TcpStream) -> Result<()> {
    let length = TRICKLE_CHUNK * TRICKLE_CHUNKS;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let chunk = vec![b'x'; TRICKLE_CHUNK];
    for _ in 0..TRICKLE_CHUNKS {
        stream.write_all(&chunk).await?;
        sleep(TRICKLE_PAUSE).await;
    }
    Ok(())
}

/// The next head; `None` if the peer is done.
async fn read_head(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<Option<Head>> {
    loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            let text = buffer.split_to(end + 4);
            let text = std::str::from_utf8(&text).context("a head of text")?;
            return parse(text).map(Some);
        }
        ensure!(buffer.len() < MAX_HEAD, "the head is too long");
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

fn parse(text: &str) -> Result<Head> {
    let mut lines = text.lines();
    let request = lines.next().unwrap_or_default();
    let path = request.split(' ').nth(1).context("a request line")?;
    let mut head = Head {
        path: path.to_owned(),
        id: String::new(),
        length: Some(0),
    };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("x-chaos-id") {
            value.clone_into(&mut head.id);
        } else if name.eq_ignore_ascii_case("content-length") {
            head.length = Some(value.parse().context("a length")?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            head.length = None;
        }
    }
    Ok(head)
}

async fn skip_body(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    length: Option<usize>,
) -> Result<()> {
    if let Some(length) = length {
        return skip(stream, buffer, length).await;
    }
    loop {
        let Some(end) = find(buffer, b"\r\n") else {
            ensure!(buffer.len() < MAX_HEAD, "no size of a chunk");
            ensure!(stream.read_buf(buffer).await? > 0, "the body broke off");
            continue;
        };
        let line = buffer.split_to(end + 2);
        let size = std::str::from_utf8(&line[..end]).unwrap_or_default();
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else {
            bail!("no size of a chunk");
        };
        // The line end behind the chunk; nothing here sends trailers.
        skip(stream, buffer, size + 2).await?;
        if size == 0 {
            return Ok(());
        }
    }
}

async fn skip(stream: &mut TcpStream, buffer: &mut BytesMut, mut left: usize) -> Result<()> {
    loop {
        let now = left.min(buffer.len());
        buffer.advance(now);
        left -= now;
        if left == 0 {
            return Ok(());
        }
        ensure!(stream.read_buf(buffer).await? > 0, "the body broke off");
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
