//! Sessions found, changed and replaced in stores of several sizes.

use std::collections::HashMap;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use lb_session::{Committed, Session, SessionId, SessionParameters, SessionStore};

use crate::measure::Entry;

/// Random bits that cost next to nothing.
fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

fn id(number: u64) -> SessionId {
    SessionId::from_random(u128::from(number).to_le_bytes())
}

fn insert(store: &SessionStore, number: u64, parameters: &SessionParameters, now: Instant) {
    let mut session = Session::new(parameters);
    session.set("user", "user-1234567").expect("there is room");
    let committed = store.commit(&session.changes(), || id(number), parameters, now);
    assert!(matches!(committed, Committed::Created(_)));
}

/// Adds the operations on a store of so many sessions; the bytes that each of them takes.
pub(crate) fn add_to(entries: &mut Vec<Entry>, count: usize) -> f64 {
    let now = Instant::now();
    // A tenth more room than needed: shards fill up unevenly.
    let parameters = SessionParameters::default().max_sessions(count + count / 10);
    let mut store = None;
    let allocated = allocation_counter::measure(|| {
        let filled = SessionStore::new(&parameters, now);
        for number in 0..count as u64 {
            insert(&filled, number, &parameters, now);
        }
        store = Some(Rc::new(filled));
    });
    let Some(store) = store else { return f64::NAN };
    assert_eq!(store.stats().sessions, count);

    // Goes on from round to round, so that no round finds in the cache what the last one has used.
    let mut random = 88_172_645_463_325_252;
    let (found, used) = (Rc::clone(&store), parameters.clone());
    entries.push(Entry::new(
        format!("load and touch, {count} sessions"),
        move |rounds| {
            for _ in 0..rounds {
                let id = id(next(&mut random) % count as u64);
                black_box(found.load(&id, &used, now));
            }
        },
    ));
    let mut random = 1_234_567_891_011_121_314;
    let (ended, used) = (store, parameters);
    entries.push(Entry::new(
        format!("end one and create one, {count} sessions"),
        move |rounds| {
            for _ in 0..rounds {
                let number = next(&mut random) % count as u64;
                ended.end(&id(number).handle());
                insert(&ended, number, &used, now);
            }
        },
    ));
    add_floor(entries, count);
    allocated.bytes_current as f64 / count as f64
}

/// What a plain map from ids to values and the time of use costs, without order, bound or lifetimes.
fn add_floor(entries: &mut Vec<Entry>, count: usize) {
    let value: Arc<str> = "user-1234567".into();
    let now = Instant::now();
    let plain = (0..count as u64).map(|number| (u128::from(number), (Arc::clone(&value), now)));
    let mut random = 9_182_736_455_463_728_190;
    let plain: Mutex<HashMap<u128, (Arc<str>, Instant)>> = Mutex::new(plain.collect());
    entries.push(Entry::new(
        format!("floor: Mutex<HashMap>, {count} values"),
        move |rounds| {
            for _ in 0..rounds {
                let id = u128::from(next(&mut random) % count as u64);
                let mut plain = plain.lock().expect("no panic");
                if let Some((value, used)) = plain.get_mut(&id) {
                    *used = now;
                    black_box(Arc::clone(value));
                }
            }
        },
    ));
}
