//! Events as they happen.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use crate::admin::news;
use crate::admin::problem::Problem;
use crate::admin::reply::Reply;
use crate::admin::service::Service;

/// How long an event may wait for a client that reads slowly.
const SLOW: Duration = Duration::from_secs(10);
/// Events on their way to one client, beside what all share.
const AHEAD: usize = 4;

/// Answers with how things are, and then with what happens.
///
/// # Errors
/// As many listen as may, or too much changes.
pub(super) fn listen(service: &Arc<Service>) -> Result<Response<Reply>, Problem> {
    let place = Arc::clone(&service.listeners)
        .try_acquire_owned()
        .map_err(|_none_left| Problem::busy("as many clients listen to events as may"))?;
    let (sender, events) = mpsc::channel(AHEAD);
    let begun = service.read_between(Service::status, |moment, status| {
        let news = service.handle.news().listen(moment)?;
        Some((news, news::encode("status", status)))
    });
    let (mut news, first) =
        begun.ok_or_else(|| Problem::busy("too much changes to say how things are"))?;
    let forced = service.forced();
    let pump = async move {
        let _place = place;
        // Browsers come back after this time.
        let mut next = Bytes::from_iter(
            b"retry: 2000\n\n"
                .iter()
                .copied()
                .chain(first.unwrap_or_default()),
        );
        loop {
            if sender.send_timeout(next, SLOW).await.is_err() {
                return;
            }
            next = tokio::select! {
                biased;
                () = sender.closed() => return,
                event = news.recv() => match event {
                    Ok(event) => event,
                    // It has missed some: it is to begin anew with how things are.
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return,
                },
            };
        }
    };
    tokio::spawn(async move {
        tokio::select! {
            biased;
            () = forced => {}
            () = pump => {}
        }
    });
    let mut response = Response::new(Reply::Events(events));
    let value = http::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(CONTENT_TYPE, value);
    Ok(response)
}
