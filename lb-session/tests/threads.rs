//! One store under several threads.

use std::thread;
use std::time::Instant;

use lb_session::{Committed, Session, SessionId, SessionParameters, SessionStore};

const THREADS: u8 = 4;
const ROUNDS: u8 = 200;

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise"
)]
fn now() -> Instant {
    Instant::now()
}

fn id(thread: u8, round: u8) -> SessionId {
    let mut random = [1; 16];
    (random[0], random[1]) = (thread, round);
    SessionId::from_random(random)
}

fn created(store: &SessionStore, parameters: &SessionParameters, now: Instant) -> SessionId {
    let mut session = Session::new(parameters);
    session.set("n", 0).expect("there is room");
    match store.commit(&session.changes(), || id(255, 255), parameters, now) {
        Committed::Created(id) => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_thread_loses_what_it_wrote() {
    let (parameters, now) = (SessionParameters::default(), now());
    let store = SessionStore::new(&parameters, now);
    let shared = created(&store, &parameters, now);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, parameters, shared) = (&store, &parameters, &shared);
            scope.spawn(move || {
                let key = thread.to_string();
                for round in 0..ROUNDS {
                    let mut session = store.load(shared, parameters, now).expect("it lives");
                    let before: Option<i64> = session.get(&key);
                    assert_eq!(before, round.checked_sub(1).map(i64::from));
                    session.set(&key, i32::from(round)).expect("there is room");
                    let committed =
                        store.commit(&session.changes(), || id(thread, round), parameters, now);
                    assert_eq!(committed, Committed::Updated);
                }
            });
        }
    });
    assert_eq!(store.stats().sessions, 1);
}

#[test]
fn of_many_rotations_at_once_one_succeeds() {
    let (parameters, now) = (SessionParameters::default(), now());
    let store = SessionStore::new(&parameters, now);
    let mut current = created(&store, &parameters, now);
    for round in 0..ROUNDS {
        let loaded = store.load(&current, &parameters, now).expect("it lives");
        let rotated: Vec<SessionId> = thread::scope(|scope| {
            #[expect(
                clippy::needless_collect,
                reason = "all have to run before one is waited for"
            )]
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (store, parameters, mut session) = (&store, &parameters, loaded.clone());
                    scope.spawn(move || {
                        session.rotate();
                        match store.commit(
                            &session.changes(),
                            || id(thread, round),
                            parameters,
                            now,
                        ) {
                            Committed::Rotated(id) => Some(id),
                            Committed::Gone => None,
                            other => panic!("{other:?}"),
                        }
                    })
                })
                .collect();
            let results = threads.into_iter().map(|thread| thread.join());
            results
                .filter_map(|result| result.expect("no panic"))
                .collect()
        });
        assert_eq!(rotated.len(), 1);
        assert!(store.load(&current, &parameters, now).is_none());
        current = rotated[0].clone();
    }
    assert_eq!(store.stats().sessions, 1);
}
