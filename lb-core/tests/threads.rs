//! Picks in several threads while the pool changes under them.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lb_core::{
    Algorithm, Backend, BackendId, BackendStatus, BreakerPolicy, Cause, Outcome, Pick, PickHint,
    Picked, Pool, PoolParameters, PoolPolicy, SlowStart, Weight, hash,
};

const THREADS: u64 = 4;
const PICKS: u64 = 5_000;

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise"
)]
fn now() -> Instant {
    Instant::now()
}

fn random(thread: u64, n: u64) -> u64 {
    hash::key(&(thread << 32 | n).to_le_bytes())
}

#[test]
fn max_connections_are_never_exceeded() {
    let now = now();
    for algorithm in Algorithm::ALL {
        let backend = |index| Backend::new(format!("b{index}")).max_connections(NonZeroU32::new(2));
        let pool = Pool::new(
            PoolParameters::new(algorithm),
            (0..3).map(backend).collect(),
            now,
        )
        .unwrap();
        let counts = [0; 3].map(|_| AtomicU32::new(0));
        let counter = |id: &BackendId| &counts[id.as_str()[1..].parse::<usize>().unwrap()];
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (pool, counter) = (&pool, &counter);
                // Counted out here first, so that the count here is never above the pool's.
                let end = move |picked: Picked| {
                    counter(picked.id()).fetch_sub(1, Ordering::SeqCst);
                    drop(picked);
                };
                scope.spawn(move || {
                    let mut held = Vec::new();
                    for n in 0..PICKS {
                        let hint = PickHint::new(random(thread, n)).key(random(thread, n));
                        match pool.pick(&hint, now) {
                            Pick::Picked(picked) => {
                                assert!(counter(picked.id()).fetch_add(1, Ordering::SeqCst) < 2);
                                held.push(picked);
                            }
                            Pick::AllFull => {}
                            Pick::NoneEligible => unreachable!("all are eligible"),
                        }
                        if n % 2 == 1 {
                            held.drain(..).for_each(end);
                        }
                    }
                    held.drain(..).for_each(end);
                });
            }
        });
        assert!(
            pool.backends(now)
                .iter()
                .all(|status| status.in_flight == 0),
            "{algorithm}"
        );
    }
}

#[test]
fn round_robin_is_exact_across_threads() {
    let now = now();
    for algorithm in [Algorithm::RoundRobin, Algorithm::WeightedRoundRobin] {
        let backends = ["a", "b", "c", "d"].map(Backend::new).into();
        let pool = Pool::new(PoolParameters::new(algorithm), backends, now).unwrap();
        let counts = [0; 4].map(|_| AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..PICKS {
                        let picked = pool.pick(&PickHint::new(0), now).picked().unwrap();
                        counts[usize::from(picked.id().as_str().as_bytes()[0] - b'a')]
                            .fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        let counts = counts.map(AtomicU32::into_inner);
        assert_eq!(
            counts,
            [u32::try_from(THREADS * PICKS / 4).unwrap(); 4],
            "{algorithm}"
        );
    }
}

/// A backend that was removed, disabled or drained is not picked by a pick that begins afterwards; what stays keeps its
/// count; nothing is lost at the end.
#[test]
fn backends_come_and_go_while_picks_go_on() {
    let start = now();
    for algorithm in Algorithm::ALL {
        let list = || {
            (0..6)
                .map(|index| Backend::new(format!("b{index}")))
                .collect::<Vec<_>>()
        };
        let pool = Pool::new(PoolParameters::new(algorithm), list(), start).unwrap();
        let (b0, b1, b2) = (
            BackendId::new("b0"),
            BackendId::new("b1"),
            BackendId::new("b2"),
        );
        let kept = pool
            .pick(&PickHint::new(0).affinity(&b1), start)
            .picked()
            .unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (pool, is_over) = (&pool, &is_over);
                scope.spawn(move || {
                    let mut n = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        n += 1;
                        let hint = PickHint::new(random(thread, n)).key(random(thread, n));
                        let picked = pool
                            .pick(&hint, start)
                            .picked()
                            .expect("some are always eligible");
                        let latency = Duration::from_micros(n % 700);
                        picked.finish(Outcome::Success { latency }, start + latency);
                    }
                });
            }
            for n in 0..20 {
                assert!(pool.remove(&b0));
                assert_ne!(
                    *pool
                        .pick(&PickHint::new(n).key(n).affinity(&b0), start)
                        .picked()
                        .unwrap()
                        .id(),
                    b0
                );
                pool.add(
                    Backend::new("b0").weight(Weight::try_new(2).unwrap()),
                    start,
                )
                .unwrap();
                assert!(
                    pool.set_weight(&b1, Weight::try_new(u32::try_from(n).unwrap() + 1).unwrap())
                );
                assert!(pool.set_draining(&b2, n % 2 == 0));
                if n % 2 == 0 {
                    assert_ne!(
                        *pool
                            .pick(&PickHint::new(n).key(n), start)
                            .picked()
                            .unwrap()
                            .id(),
                        b2
                    );
                }
                assert!(pool.set_max_connections(&b2, NonZeroU32::new(3)));
                if n % 10 == 9 {
                    pool.update(PoolParameters::new(algorithm), list(), start)
                        .unwrap();
                }
                let status = pool.backends(start);
                assert!(
                    status
                        .iter()
                        .any(|status| status.backend.id == b1 && status.in_flight >= 1)
                );
            }
            is_over.store(true, Ordering::Relaxed);
        });
        drop(kept);
        assert!(
            pool.backends(start)
                .iter()
                .all(|status| status.in_flight == 0),
            "{algorithm}"
        );
    }
}

/// With everything watched and backends that fail, in all threads at once: the limit of the pool holds, so does the share
/// that may be ejected, and nothing is lost at the end.
#[test]
fn failing_backends_are_taken_out_while_picks_go_on() {
    let start = now();
    for algorithm in Algorithm::ALL {
        let policy = PoolPolicy::recommended()
            .breaker(BreakerPolicy::default().open_for(Duration::from_millis(20)))
            .slow_start(SlowStart::default())
            .max_in_flight(NonZeroU32::new(6));
        let backends = (0..6).map(|index| Backend::new(format!("b{index}")));
        let pool = Pool::with_policy(
            PoolParameters::new(algorithm),
            policy,
            backends.collect(),
            start,
        );
        let pool = pool.unwrap();
        let in_flight = AtomicU32::new(0);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (pool, in_flight) = (&pool, &in_flight);
                scope.spawn(move || {
                    for n in 0..PICKS {
                        let at = start + Duration::from_micros(n * 50);
                        let hint = PickHint::new(random(thread, n)).key(random(thread, n));
                        let Pick::Picked(mut picked) = pool.pick(&hint, at) else {
                            continue;
                        };
                        assert!(in_flight.fetch_add(1, Ordering::SeqCst) < 6);
                        let fails =
                            picked.id().as_str() < "b4" && !random(n, thread).is_multiple_of(4);
                        let latency = Duration::from_micros(n % 700);
                        let outcome = if fails {
                            Outcome::failure(latency, Cause::Reset)
                        } else {
                            Outcome::success(latency)
                        };
                        // Counted out here first, so that the count here is never above the pool's.
                        match n % 3 {
                            0 => picked.answered(outcome, at),
                            1 => picked.answered(Outcome::success(latency), at),
                            _ => {}
                        }
                        in_flight.fetch_sub(1, Ordering::SeqCst);
                        if n % 3 != 2 {
                            picked.finish(outcome, at);
                        }
                    }
                });
            }
            for n in 0..200_u32 {
                let at = start + Duration::from_millis(1) * n;
                let status = pool.backends(at);
                assert!(
                    status
                        .iter()
                        .filter(|status| status.ejected.is_some())
                        .count()
                        <= 3
                );
                pool.take_changes(at);
            }
        });
        let end = start + Duration::from_secs(600);
        assert_eq!(pool.status(end).in_flight, 0);
        let status = pool.backends(end);
        assert!(
            status
                .iter()
                .all(|status| status.in_flight == 0 && status.exclusion.is_none()),
            "{status:?}"
        );
        let taken_out = |status: &BackendStatus| status.ejections + status.breaker_opens > 0;
        // By its latency a backend that fails is hardly picked at all.
        let is_avoided = algorithm == Algorithm::LeastResponseTime;
        assert!(is_avoided || status.iter().any(taken_out), "{algorithm}");
    }
}
