//! Nobody who could be served waits in vain, whatever threads do at once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lb_core::{Pick, PickHint};

use super::*;
use crate::config::Config;
use crate::snapshot::{PoolEntry, Snapshot};

fn pool(max_connections: u32) -> Arc<PoolEntry> {
    let config = format!(
        "listen = \"127.0.0.1:1\"\n[pools.p]\n\
         backends = [{{ url = \"http://a:1\", max_connections = {max_connections} }}]"
    );
    let config = Config::from_toml(&config, "test").unwrap();
    Arc::clone(&Snapshot::build(&config, false, None).unwrap().pools["p"])
}

fn pick(pool: &PoolEntry, now: Instant) -> Option<InFlight> {
    match pool.balancer.pick(&PickHint::new(7), now) {
        Pick::Picked(picked) => {
            let target = pool.target(picked.id()).unwrap();
            Some(InFlight::new(picked, target))
        }
        _ => None,
    }
}

async fn place(pool: &PoolEntry) -> Result<InFlight, Reject> {
    let now = clock::now();
    if !pool.queue.is_busy()
        && let Some(picked) = pick(pool, now)
    {
        return Ok(picked);
    }
    let until = now + pool.queue_policy.timeout;
    let found = |now| Ok(pick(pool, now));
    pool.queue
        .wait(&pool.queue_policy, &[], now, until, found)
        .await
}

/// Lets others run until so many wait for a place.
async fn waiting(pool: &PoolEntry, count: usize) {
    for _ in 0..100 {
        if pool.queue.state.lock().waiting.len() == count {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{count} should be waiting");
}

fn is_at_rest(pool: &PoolEntry) -> bool {
    let state = pool.queue.state.lock();
    state.waiting.is_empty() && state.woken == 0 && !pool.queue.is_busy()
}

#[tokio::test(start_paused = true)]
async fn serves_in_order_of_arrival() {
    let pool = pool(1);
    let first = place(&pool).await.unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..5 {
        let (queued, tell) = (Arc::clone(&pool), tell.clone());
        tokio::spawn(async move {
            let _held = place(&queued).await.unwrap();
            tell.send(number).unwrap();
        });
        waiting(&pool, number + 1).await;
    }
    drop(first);
    for number in 0..5 {
        assert_eq!(told.recv().await, Some(number));
    }
    tokio::task::yield_now().await;
    assert!(is_at_rest(&pool));
}

#[tokio::test(start_paused = true)]
async fn gives_up_exactly_at_the_timeout() {
    let pool = pool(1);
    let _held = place(&pool).await.unwrap();
    let started = clock::now();
    assert_eq!(place(&pool).await.unwrap_err(), Reject::QueueTimeout);
    assert_eq!(clock::now() - started, Duration::from_secs(1));
    assert!(is_at_rest(&pool));
}

#[tokio::test(start_paused = true)]
async fn passes_a_turn_on_that_nobody_takes() {
    let pool = pool(1);
    let held = place(&pool).await.unwrap();
    let leaving = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { place(&pool).await.map(drop) }
    });
    waiting(&pool, 1).await;
    let staying = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { place(&pool).await.map(drop) }
    });
    waiting(&pool, 2).await;
    drop(held);
    // Woken, it is gone before it has run.
    leaving.abort();
    staying.await.unwrap().unwrap();
    assert!(is_at_rest(&pool));
}

#[tokio::test(start_paused = true)]
async fn wakes_for_a_backend_that_comes() {
    let pool = pool(1);
    let _held = place(&pool).await.unwrap();
    let queued = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { place(&pool).await.map(drop) }
    });
    waiting(&pool, 1).await;
    let more = crate::config::BackendConfig::new("http://b:1").unwrap();
    pool.add(&more).unwrap();
    queued.await.unwrap().unwrap();
}

#[test]
fn no_wake_up_is_lost_between_threads() {
    const THREADS: u32 = 4;
    const TURNS: u32 = 60;
    const TASKS: u32 = 8;
    let pool = pool(3);
    let served = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (pool, served) = (&pool, &served);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                let tasks = (0..TASKS).map(|task| async move {
                    for turn in 0..TURNS {
                        // A lost wake-up would be a request that waits for its whole second.
                        let held = place(pool).await.expect("a turn");
                        if (thread + task + turn) % 3 == 0 {
                            tokio::task::yield_now().await;
                        }
                        drop(held);
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                });
                runtime.block_on(futures_util::future::join_all(tasks));
            });
        }
    });
    assert_eq!(served.into_inner(), THREADS * TASKS * TURNS);
    assert!(is_at_rest(&pool));
}
