//! One request and its response.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{Request, StatusCode, Uri};

/// Sends a GET as soon as the proxy allows another stream.
///
/// # Errors
///
/// Fails if the connection is gone.
pub(crate) async fn send(sender: SendRequest<Bytes>, uri: &Uri) -> Result<ResponseFuture> {
    let mut sender = sender.ready().await.context("no stream")?;
    let mut request = Request::new(());
    *request.uri_mut() = uri.clone();
    let (response, _) = sender.send_request(request, true).context("no request")?;
    Ok(response)
}

/// Sends a GET and reads the response to its end.
///
/// # Errors
///
/// Fails if the stream breaks or the status is not 200.
pub(crate) async fn exchange(sender: SendRequest<Bytes>, uri: &Uri) -> Result<()> {
    let response = send(sender, uri).await?.await.context("no response")?;
    let status = response.status();
    ensure!(status == StatusCode::OK, "answered with {status}");
    let mut body = response.into_body();
    while let Some(chunk) = body.data().await {
        let length = chunk.context("the body broke off")?.len();
        let _ = body.flow_control().release_capacity(length);
    }
    Ok(())
}
