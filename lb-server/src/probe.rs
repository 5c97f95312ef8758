//! Active health checks: asks backends, tells their pools, and logs what changes.

mod ask;
mod grpc;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lb_core::{HealthChange, HealthEvent, ProbeResult};

pub(crate) use ask::{Question, over_http1};

use crate::admin::{Change, ChangeKind};
use crate::clock;
use crate::drain::Drain;
use crate::entropy::Entropy;
use crate::running::Handle;
use crate::snapshot::{BackendTarget, PoolEntry};
use crate::upstream::connect::Connector;

/// How late news is noticed that no probe brings: an ejection, a pool that is new.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Probes the backends of all pools until the server's end, and logs each change of their health
/// once.
///
/// Pools are those of the snapshot in force, and what is known of a backend is its pool's, so a new
/// snapshot changes who is asked and forgets nothing.
pub(crate) async fn watch(
    handle: Handle,
    connector: Arc<dyn Connector>,
    entropy: Arc<Entropy>,
    drain: Drain,
) {
    let mut running = FuturesUnordered::new();
    let watching = async {
        loop {
            let now = clock::now();
            let mut next = now + LOOK_EVERY;
            let snapshot = handle.snapshot();
            for pool in snapshot.pools.values() {
                for id in pool.balancer.due_probes(now) {
                    if let Some(target) = pool.target(&id) {
                        running.push(probe(
                            handle.clone(),
                            Arc::clone(&connector),
                            Arc::clone(pool),
                            target,
                            Arc::clone(&entropy),
                        ));
                    }
                }
                tell_changes(&handle, pool, now);
                next = pool
                    .balancer
                    .next_probe_at()
                    .map_or(next, |at| at.min(next));
            }
            tokio::select! {
                biased;
                Some(()) = running.next() => {}
                () = tokio::time::sleep_until(next.into()) => {}
            }
        }
    };
    tokio::select! {
        biased;
        () = drain.forced() => {}
        () = watching => {}
    }
}

async fn probe(
    handle: Handle,
    connector: Arc<dyn Connector>,
    pool: Arc<PoolEntry>,
    target: Arc<BackendTarget>,
    entropy: Arc<Entropy>,
) {
    let Some(config) = pool.probe() else {
        return;
    };
    let began = clock::now();
    let asked = tokio::time::timeout(config.timeout, ask::ask(&connector, &target, &config.probe));
    let answer = asked
        .await
        .unwrap_or_else(|_elapsed| Err(format!("no answer within {:?}", config.timeout)));
    let now = clock::now();
    let took = now.saturating_duration_since(began);
    let result = match &answer {
        Ok(text) => ProbeResult::passed(text, took),
        Err(text) => ProbeResult::failed(text, took),
    };
    target.counters.probed(answer.is_ok());
    // A backend that was removed meanwhile is nobody's.
    let _is_known = pool
        .balancer
        .probed(&target.id, result, entropy.draw(), now);
    tell_changes(&handle, &pool, now);
}

fn tell_changes(handle: &Handle, pool: &PoolEntry, now: Instant) {
    let changes = pool.balancer.take_changes(now);
    if changes.is_empty() {
        return;
    }
    for change in &changes {
        if let (HealthEvent::Ejected(ejected), Some(id)) = (&change.event, &change.id)
            && let Some(target) = pool.target(id)
        {
            target.counters.ejected(ejected.cause);
        }
        log(&pool.name, change);
        handle.news().tell(|| Change {
            at: clock::unix_seconds(change.at),
            kind: ChangeKind::Health,
            pool: Some(pool.name.to_string()),
            backend: change.id.as_ref().map(|id| pool.label(id).to_owned()),
            event: change.event.as_str().to_owned(),
            details: change.event.to_string(),
            caller: None,
        });
    }
    // Whoever waits may find a place now, or learn that there is none to wait for.
    pool.queue.wake_all(now);
}

fn log(pool: &str, change: &HealthChange) {
    let HealthChange { id, event, .. } = change;
    let backend = id.as_ref().map(lb_core::BackendId::as_str);
    let details = event.to_string();
    let event_name = event.as_str();
    match event {
        HealthEvent::Unhealthy(_) | HealthEvent::Ejected(_) | HealthEvent::PanicBegan { .. } => {
            tracing::warn!(pool, backend, event = event_name, details, "health changed");
        }
        HealthEvent::Breaker(lb_core::BreakerState::Open { .. }) => {
            tracing::warn!(pool, backend, event = event_name, details, "health changed");
        }
        _ => tracing::info!(pool, backend, event = event_name, details, "health changed"),
    }
}
