//! The HTTP cache: what is kept, shared and thrown away, end to end.

mod collapsing;
mod handler;
mod origin;
mod purging;
mod replies;
mod second;

mod streaming;
mod table;

use super::Proxy;

/// A cache named `main` with these settings before the only route.
fn cached(settings: &str) -> Proxy {
    cached_to("http://a:80", settings)
}

fn cached_to(backend: &str, settings: &str) -> Proxy {
    Proxy::with(
        &[backend],
        &format!("[caches.main]\n{settings}\n[[routes]]\npool = \"default\"\ncache = \"main\"\n"),
    )
}
