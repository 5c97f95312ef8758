use std::collections::HashMap;
use std::time::{Duration, Instant};

use lb_session::{
    Changes, Committed, Cursor, Session, SessionHandle, SessionId, SessionParameters, SessionStore,
};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Event {
    Create {
        logged_in: bool,
    },
    Load(usize),
    Update(usize, i64),
    Rotate(usize),
    Destroy(usize),
    End(usize),
    Expire,
    Pass(u64),
    /// The clock steps back.
    Back(u64),
}

fn events(longest_pass: u64) -> impl Strategy<Value = Vec<Event>> {
    let session = 0_usize..1000;
    let event = prop_oneof![
        6 => any::<bool>().prop_map(|logged_in| Event::Create { logged_in }),
        6 => session.clone().prop_map(Event::Load),
        4 => (session.clone(), 0_i64..5).prop_map(|(at, value)| Event::Update(at, value)),
        2 => session.clone().prop_map(Event::Rotate),
        1 => session.clone().prop_map(Event::Destroy),
        1 => session.prop_map(Event::End),
        1 => Just(Event::Expire),
        6 => (0..=longest_pass).prop_map(Event::Pass),
        1 => (0..=longest_pass).prop_map(Event::Back),
    ];
    prop::collection::vec(event, 0..200)
}

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise"
)]
fn start() -> Instant {
    Instant::now()
}

/// A store with what its users do: ids counted up, times from the start in milliseconds.
struct Harness {
    store: SessionStore,
    parameters: SessionParameters,
    start: Instant,
    now: u64,
    latest: u64,
    /// All ids that were ever given out, to be tried dead or alive.
    ids: Vec<SessionId>,
}

impl Harness {
    fn new(parameters: SessionParameters) -> Self {
        let start = start();
        Self {
            store: SessionStore::new(&parameters, start),
            parameters,
            start,
            now: 0,
            latest: 0,
            ids: Vec::new(),
        }
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    fn pass(&mut self, millis: i64) {
        self.now = self.now.saturating_add_signed(millis);
        self.latest = self.latest.max(self.now);
        // Shows the store this moment, as requests do.
        self.store.expire(0, &self.parameters, self.instant());
    }

    fn id(&self, at: usize) -> Option<SessionId> {
        let at = at.checked_rem(self.ids.len())?;
        Some(self.ids[at].clone())
    }

    fn load(&self, id: &SessionId) -> Option<Session> {
        self.store.load(id, &self.parameters, self.instant())
    }

    fn commit(&mut self, changes: &Changes<'_>) -> Committed {
        let fresh = SessionId::from_random((self.ids.len() as u128).to_le_bytes());
        let committed = self
            .store
            .commit(changes, || fresh, &self.parameters, self.instant());
        if let Committed::Created(id) | Committed::Rotated(id) = &committed {
            self.ids.push(id.clone());
        }
        committed
    }

    fn create(&mut self, logged_in: bool) -> Committed {
        let mut session = Session::new(&self.parameters);
        session.set("n", 0).expect("there is room");
        if logged_in {
            session.rotate();
        }
        self.commit(&session.changes())
    }

    fn handles(&self) -> Vec<SessionHandle> {
        let (mut handles, mut cursor) = (Vec::new(), Some(Cursor::default()));
        while let Some(from) = cursor {
            let page = self.store.list(from, 3, &self.parameters, self.instant());
            assert!(page.sessions.len() <= 3);
            handles.extend(page.sessions.iter().map(|session| session.handle));
            cursor = page.next;
        }
        handles.sort();
        handles
    }
}

#[derive(Debug, Clone)]
struct Known {
    value: i64,
    created: u64,
    used: u64,
    logged_in: bool,
}

const IDLE: u64 = 50;
const AGE: u64 = 120;

/// With room for all, a session lives exactly as long as a map says that looks at every session at every moment.
fn check_lifetimes(events: &[Event]) {
    let parameters = SessionParameters::default()
        .idle_timeout(Duration::from_millis(IDLE))
        .max_age(Duration::from_millis(AGE));
    let mut harness = Harness::new(parameters.max_sessions(2000));
    let mut model: HashMap<SessionHandle, Known> = HashMap::new();
    for event in events {
        let (now, latest) = (harness.now, harness.latest);
        model.retain(|_, known| {
            latest - known.used < IDLE && latest.saturating_sub(known.created) < AGE
        });
        match *event {
            Event::Create { logged_in } => {
                let Committed::Created(id) = harness.create(logged_in) else {
                    panic!("there is room");
                };
                let known = Known {
                    value: 0,
                    created: now,
                    used: latest,
                    logged_in,
                };
                model.insert(id.handle(), known);
            }
            Event::Load(at) | Event::Update(at, _) | Event::Rotate(at) | Event::Destroy(at) => {
                let Some(id) = harness.id(at) else { continue };
                let (found, known) = (harness.load(&id), model.get_mut(&id.handle()));
                let (Some(mut session), Some(known)) = (found.clone(), known) else {
                    assert!(
                        found.is_none() && !model.contains_key(&id.handle()),
                        "{event:?}"
                    );
                    continue;
                };
                assert_eq!(session.get("n"), Some(known.value));
                assert_eq!(session.is_logged_in(), known.logged_in);
                known.used = latest;
                match *event {
                    Event::Update(_, value) => {
                        session.set("n", value).expect("there is room");
                        let unchanged = known.value == value;
                        let expected = if unchanged {
                            Committed::Unchanged
                        } else {
                            Committed::Updated
                        };
                        known.value = value;
                        assert_eq!(harness.commit(&session.changes()), expected);
                    }
                    Event::Rotate(_) => {
                        session.rotate();
                        let Committed::Rotated(new) = harness.commit(&session.changes()) else {
                            panic!("it was just loaded");
                        };
                        let mut known = model.remove(&id.handle()).expect("it was just there");
                        if !known.logged_in {
                            (known.logged_in, known.created) = (true, now);
                        }
                        model.insert(new.handle(), known);
                    }
                    Event::Destroy(_) => {
                        session.destroy();
                        assert_eq!(harness.commit(&session.changes()), Committed::Destroyed);
                        model.remove(&id.handle());
                    }
                    _ => {}
                }
            }
            Event::End(at) => {
                let Some(id) = harness.id(at) else { continue };
                let ended = harness.store.end(&id.handle());
                // One that has expired may still have had its place.
                assert!(ended || model.remove(&id.handle()).is_none());
                model.remove(&id.handle());
            }
            Event::Expire => {
                harness
                    .store
                    .expire(usize::MAX, &harness.parameters, harness.instant());
            }
            Event::Pass(millis) => harness.pass(millis.cast_signed()),
            Event::Back(millis) => harness.pass(-millis.cast_signed()),
        }
    }
    model.retain(|_, known| {
        harness.latest - known.used < IDLE && harness.latest.saturating_sub(known.created) < AGE
    });
    let mut expected: Vec<SessionHandle> = model.into_keys().collect();
    expected.sort();
    assert_eq!(harness.handles(), expected);
    harness.now = harness.latest;
    harness.pass(IDLE.cast_signed());
    harness
        .store
        .expire(usize::MAX, &harness.parameters, harness.instant());
    assert_eq!(
        harness.store.stats().sessions,
        0,
        "idle sessions give all places back"
    );
}

/// The sessions of a full store in the order in which they go, by tier.
#[derive(Default)]
struct Places {
    seen_once: Vec<SessionHandle>,
    returned: Vec<SessionHandle>,
    logged_in: Vec<SessionHandle>,
}

impl Places {
    fn tiers(&mut self) -> [&mut Vec<SessionHandle>; 3] {
        [&mut self.seen_once, &mut self.returned, &mut self.logged_in]
    }

    fn remove(&mut self, handle: &SessionHandle) -> bool {
        let before = self.len();
        for tier in self.tiers() {
            tier.retain(|known| known != handle);
        }
        self.len() < before
    }

    fn len(&self) -> usize {
        self.seen_once.len() + self.returned.len() + self.logged_in.len()
    }

    fn make_room(&mut self, places: usize, logged_in: bool) -> bool {
        let share = places / 8;
        if logged_in && self.logged_in.len() >= places - share {
            self.logged_in.remove(0);
        }
        if self.len() < places {
            return true;
        }
        if self.seen_once.len() >= share.max(1) {
            self.seen_once.remove(0);
        } else if !self.returned.is_empty() {
            self.returned.remove(0);
        } else if !self.seen_once.is_empty() {
            self.seen_once.remove(0);
        } else {
            return false;
        }
        true
    }
}

/// Without expiry, a full store evicts exactly what a list says that is written down plainly.
fn check_evictions(events: &[Event], places: usize) {
    let mut harness = Harness::new(SessionParameters::default().max_sessions(places));
    let mut model = Places::default();
    for event in events {
        match *event {
            Event::Create { logged_in } => {
                let before = harness.store.stats();
                let room = model.make_room(places, logged_in);
                match harness.create(logged_in) {
                    Committed::Created(id) if room => {
                        let tier = if logged_in {
                            &mut model.logged_in
                        } else {
                            &mut model.seen_once
                        };
                        tier.push(id.handle());
                    }
                    other => assert_eq!((other, room), (Committed::Refused, false)),
                }
                if !logged_in {
                    let after = harness.store.stats();
                    assert_eq!(after.logged_in, before.logged_in);
                    assert_eq!(after.evicted_logged_in, before.evicted_logged_in);
                }
            }
            Event::Load(at) | Event::Rotate(at) => {
                let Some(id) = harness.id(at) else { continue };
                let handle = id.handle();
                let found = harness.load(&id);
                let was_logged_in = model.logged_in.contains(&handle);
                assert_eq!(found.is_some(), model.remove(&handle));
                let Some(mut session) = found else { continue };
                if matches!(event, Event::Load(_)) {
                    let tier = if was_logged_in {
                        &mut model.logged_in
                    } else {
                        &mut model.returned
                    };
                    tier.push(handle);
                    continue;
                }
                session.rotate();
                assert!(
                    model.make_room(places, true),
                    "a login always finds a place"
                );
                let Committed::Rotated(new) = harness.commit(&session.changes()) else {
                    panic!("a login always finds a place");
                };
                model.logged_in.push(new.handle());
            }
            Event::End(at) => {
                let Some(id) = harness.id(at) else { continue };
                assert_eq!(harness.store.end(&id.handle()), model.remove(&id.handle()));
            }
            _ => {}
        }
        let stats = harness.store.stats();
        assert!(stats.sessions <= places);
        assert_eq!(
            (stats.sessions, stats.logged_in),
            (model.len(), model.logged_in.len())
        );
    }
    let mut expected: Vec<SessionHandle> = model
        .tiers()
        .into_iter()
        .flatten()
        .map(|handle| *handle)
        .collect();
    expected.sort();
    assert_eq!(harness.handles(), expected);
}

proptest! {
    #[test]
    fn sessions_live_as_long_as_they_should(events in events(40)) {
        check_lifetimes(&events);
    }

    #[test]
    fn a_full_store_evicts_what_it_should(events in events(0), places in 1_usize..30) {
        check_evictions(&events, places);
    }
}
