//! The server as a whole, and what is not a pool.

use lb_server::admin::{PoolStatus, ServerState, Status};

use crate::figures::{age, bytes, count, latency, percent, rate};
use crate::paint::{Line, Look};

/// A certificate that ends sooner than this deserves a look.
const SOON_DAYS: i64 = 14;

/// Who it is, what passes through it, and how fast.
pub(crate) fn head(status: &Status, address: &str) -> Vec<Line> {
    let (look, state) = match status.state {
        ServerState::Starting => (Look::Warn, "starting"),
        ServerState::Serving => (Look::Good, "serving"),
        ServerState::Stopping => (Look::Warn, "stopping"),
        ServerState::Draining => (Look::Warn, "draining"),
        _ => (Look::Warn, "unknown"),
    };
    let mut title = Line::of(Look::Strong, &format!("lb {}", status.version))
        .plain(&format!(" at {address}, "))
        .with(look, state)
        .plain(&format!(" for {}", age(status.uptime_seconds)));
    if status.config.drift > 0 {
        let drift = format!(", {} changed at run time", status.config.drift);
        title = title.with(Look::Warn, &drift);
    }
    if let Some(path) = &status.config.path {
        title = title.plain(&format!(", {path}"));
    }
    let mut lines = vec![title];
    if let Some(reload) = status.config.last_reload.as_ref().filter(|last| !last.ok) {
        let ago = age(status.now - reload.at);
        let text = format!("reload failed {ago} ago: {}", reload.details);
        lines.push(Line::of(Look::Bad, &text));
    }

    let totals = &status.totals;
    let erring = if totals.error_rate_10s > 0.0 {
        Look::Bad
    } else {
        Look::Plain
    };
    lines.push(
        Line::default()
            .plain(&format!("requests {}", count(totals.requests)))
            .with(Look::Strong, &format!("  {}/s", rate(totals.rate_10s)))
            .plain("  errors ")
            .with(
                erring,
                &format!(
                    "{} ({})  {}/s",
                    count(totals.errors),
                    percent(totals.errors, totals.requests),
                    rate(totals.error_rate_10s)
                ),
            )
            .plain(&format!("  in flight {}", count(totals.in_flight)))
            .plain(&format!(
                "  connections {}",
                count(status.connections.active),
            )),
    );
    // Over the last seconds where there was anything, else over all time.
    let (times, over) = if totals.latency.last_10s.count > 0 {
        (&totals.latency.last_10s, "10 s")
    } else {
        (&totals.latency.since_start, "the whole time")
    };
    lines.push(Line::default().plain(&format!(
        "latency over {over}  p50 {}  p90 {}  p99 {}  max {}",
        latency(times.p50_ms),
        latency(times.p90_ms),
        latency(times.p99_ms),
        latency(times.max_ms),
    )));
    let classes = &totals.classes;
    lines.push(Line::default().plain(&format!(
        "replies  2xx {}  3xx {}  4xx {}  5xx {}",
        count(classes.success),
        count(classes.redirection),
        count(classes.client_error),
        count(classes.server_error),
    )));
    lines
}

/// A pool, above its backends.
pub(crate) fn pool_title(pool: &PoolStatus) -> Line {
    let all = pool.backends.len() as u64;
    let look = match pool.eligible {
        0 => Look::Bad,
        some if some < all => Look::Warn,
        _ => Look::Good,
    };
    let mut title = Line::of(Look::Strong, &format!("pool {}", pool.name))
        .plain(&format!("  {}  ", pool.algorithm))
        .with(look, &format!("{} of {all} usable", pool.eligible))
        .plain(&format!("  in flight {}", count(pool.in_flight)));
    if pool.queue > 0 {
        let queue = format!(
            "  waiting {} of {}",
            count(pool.queue),
            count(pool.queue_max)
        );
        title = title.with(Look::Warn, &queue);
    }
    if pool.breaker.open > 0 {
        title = title.with(Look::Bad, &format!("  breakers open {}", pool.breaker.open));
    }
    if pool.retries > 0 {
        title = title.plain(&format!("  retries {}", count(pool.retries)));
    }
    if pool.panic_since.is_some() {
        title = title.with(Look::Bad, "  ejections disregarded, too few are left");
    }
    title
}

/// Caches, limits, sessions, the store, and certificates that end soon.
pub(crate) fn features(status: &Status) -> Vec<Line> {
    let mut lines = Vec::new();
    for cache in &status.caches {
        let hits = cache.hit_ratio * 100.0;
        lines.push(
            Line::of(Look::Strong, &format!("cache {}", cache.name)).plain(&format!(
                "  hits {hits:.0}%  misses {}  entries {}  {} of {}",
                count(cache.misses),
                count(cache.entries),
                bytes(cache.bytes),
                bytes(cache.max_bytes),
            )),
        );
    }
    for limit in &status.rate_limits {
        lines.push(
            Line::of(Look::Strong, &format!("limit {}", limit.name)).plain(&format!(
                "  admitted {}  refused {}  keys {}",
                count(limit.admitted),
                count(limit.refused),
                count(limit.keys),
            )),
        );
    }
    if let Some(sessions) = &status.sessions {
        let mut line =
            Line::of(Look::Strong, "sessions").plain(&format!("  in {}", sessions.store));
        if sessions.store == "memory" {
            line = line.plain(&format!(
                "  active {}  logged in {}",
                count(sessions.active),
                count(sessions.logged_in)
            ));
        }
        lines.push(line);
    }
    if let Some(store) = &status.store {
        let (look, word) = if store.is_up {
            (Look::Good, "up")
        } else {
            (Look::Bad, "down")
        };
        let errors = store.errors.values().sum();
        lines.push(
            Line::of(Look::Strong, "redis")
                .plain("  ")
                .with(look, word)
                .plain(&format!(
                    "  answered {}  errors {}",
                    count(store.answered),
                    count(errors)
                )),
        );
    }
    for certificate in &status.certificates {
        if certificate.days_left < SOON_DAYS && !certificate.is_self_signed {
            let names = certificate.names.join(" ");
            let text = format!(
                "certificate {} ({names}) ends in {} days",
                certificate.name, certificate.days_left
            );
            lines.push(Line::of(Look::Bad, &text));
        }
    }
    lines
}
