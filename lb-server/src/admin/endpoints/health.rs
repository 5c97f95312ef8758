//! Whether it lives, and whether it wants requests.

use std::sync::atomic::Ordering;

use http::{Response, StatusCode};
use lb_core::Health;

use crate::admin::ServerState;
use crate::admin::reply::{Reply, text_of};
use crate::admin::service::{Call, Service};
use crate::clock;

/// That somebody answers is the answer.
pub(super) fn live() -> Response<Reply> {
    text_of("text/plain; charset=utf-8", "ok\n")
}

/// 200 while it wants requests, else 503; with `?verbose` what that depends on, as Kubernetes writes it.
pub(super) fn ready(service: &Service, call: &Call) -> Response<Reply> {
    let is_ready = service.is_ready();
    let mut text = String::new();
    if call.query("verbose").is_some() {
        for (name, is_ok, details) in service.checks() {
            let mark = if is_ok { "[+]" } else { "[-]" };
            text.push_str(&format!("{mark}{name} {details}\n"));
        }
    }
    text.push_str(if is_ready { "ready\n" } else { "not ready\n" });
    let mut response = text_of("text/plain; charset=utf-8", text);
    if !is_ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

impl Service {
    /// What the server is doing.
    pub(crate) fn state(&self) -> ServerState {
        if self.handle.is_draining() {
            ServerState::Draining
        } else if self.handle.is_stopping() {
            ServerState::Stopping
        } else if self.is_ready() {
            ServerState::Serving
        } else {
            ServerState::Starting
        }
    }

    /// Whether it wants requests: from the first round of probes until the end begins.
    pub(crate) fn is_ready(&self) -> bool {
        if self.handle.is_stopping() || self.handle.is_draining() {
            return false;
        }
        // A backend that is added later is no reason to send everybody away.
        self.was_ready.load(Ordering::Relaxed) || {
            let is_probed = self.unprobed() == 0;
            self.was_ready.fetch_or(is_probed, Ordering::Relaxed);
            is_probed
        }
    }

    /// Backends that are to be probed and were not yet.
    fn unprobed(&self) -> usize {
        let snapshot = self.handle.snapshot();
        let now = clock::now();
        let probed = snapshot
            .pools
            .values()
            .filter(|pool| pool.probe().is_some());
        probed
            .flat_map(|pool| pool.balancer.backends(now))
            .filter(|status| status.is_enabled && status.health == Health::Unknown)
            .count()
    }

    /// What is looked at: name, whether it is well, details. Only the first two decide; the others are for people.
    fn checks(&self) -> Vec<(String, bool, String)> {
        let mut checks = Vec::new();
        let mut add = |name: String, is_ok, details| checks.push((name, is_ok, details));
        let is_ending = self.handle.is_stopping() || self.handle.is_draining();
        let details = if is_ending { "it is ending" } else { "ok" };
        add("shutdown".to_owned(), !is_ending, details.to_owned());
        let unprobed = self.unprobed();
        let was_ready = self.was_ready.load(Ordering::Relaxed);
        let details = match unprobed {
            0 => "ok".to_owned(),
            count => format!("{count} backends were not probed yet"),
        };
        add("probes".to_owned(), was_ready || unprobed == 0, details);
        for pool in self.handle.pools() {
            let all = pool.backends.len();
            let details = format!("{} of {all} backends take requests", pool.eligible);
            add(format!("pool {}", pool.name), pool.eligible > 0, details);
        }
        if let Some(store) = self.handle.metrics().redis {
            let details = if store.is_up { "ok" } else { "no answer" };
            add("redis".to_owned(), store.is_up, details.to_owned());
        }
        if let Some(reload) = self.last_reload() {
            add("last reload".to_owned(), reload.ok, reload.details);
        }
        checks
    }
}
