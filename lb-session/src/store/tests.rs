use std::time::Duration;

use super::*;

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise; tests only add to it"
)]
fn now() -> Instant {
    Instant::now()
}

fn id(number: u128) -> SessionId {
    SessionId::from_random(number.to_le_bytes())
}

/// A store whose clock stands still unless a test moves it.
struct Sessions {
    store: SessionStore,
    parameters: SessionParameters,
    now: Instant,
    ids: u128,
}

impl Sessions {
    fn new(parameters: SessionParameters) -> Self {
        let now = now();
        Self {
            store: SessionStore::new(&parameters, now),
            parameters,
            now,
            ids: 0,
        }
    }

    fn of(max_sessions: usize) -> Self {
        Self::new(SessionParameters::default().max_sessions(max_sessions))
    }

    fn commit(&mut self, session: &Session) -> Committed {
        self.ids += 1;
        let ids = self.ids;
        self.store
            .commit(&session.changes(), || id(ids), &self.parameters, self.now)
    }

    fn create(&mut self, logged_in: bool) -> SessionId {
        let mut session = Session::new(&self.parameters);
        session.set("a", 1).unwrap();
        if logged_in {
            session.rotate();
        }
        match self.commit(&session) {
            Committed::Created(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn load(&self, id: &SessionId) -> Option<Session> {
        self.store.load(id, &self.parameters, self.now)
    }
}

#[test]
fn a_login_moves_the_session_to_a_new_id_and_the_old_one_dies() {
    let mut sessions = Sessions::of(100_000);
    let planted = sessions.create(false);
    let mut session = sessions.load(&planted).unwrap();
    session.set("user", "alice").unwrap();
    session.rotate();
    let Committed::Rotated(new) = sessions.commit(&session) else {
        panic!("the session is there");
    };
    assert!(sessions.load(&planted).is_none());
    let session = sessions.load(&new).unwrap();
    assert_eq!(session.get("user"), Some("alice"));
    assert_eq!(session.get("a"), Some(1_i64));
    assert!(session.is_logged_in());
}

#[test]
fn a_logout_is_not_undone_by_a_request_that_began_before() {
    let mut sessions = Sessions::of(100);
    let id = sessions.create(true);
    let (mut logout, mut late) = (sessions.load(&id).unwrap(), sessions.load(&id).unwrap());
    let mut later = late.clone();
    logout.destroy();
    assert_eq!(sessions.commit(&logout), Committed::Destroyed);
    late.set("a", 2).unwrap();
    assert_eq!(sessions.commit(&late), Committed::Gone);
    later.rotate();
    assert_eq!(sessions.commit(&later), Committed::Gone);
    assert!(sessions.load(&id).is_none());
    assert_eq!(sessions.store.stats().sessions, 0);
}

#[test]
fn requests_at_once_keep_what_each_wrote() {
    let mut sessions = Sessions::of(100);
    let id = sessions.create(false);
    let (mut one, mut other) = (sessions.load(&id).unwrap(), sessions.load(&id).unwrap());
    one.set("b", 1).unwrap();
    one.set("a", 5).unwrap();
    other.set("c", 2).unwrap();
    assert_eq!(sessions.commit(&one), Committed::Updated);
    assert_eq!(sessions.commit(&other), Committed::Updated);
    let session = sessions.load(&id).unwrap();
    let values = ["a", "b", "c"].map(|key| session.get::<i64>(key));
    assert_eq!(values, [Some(5), Some(1), Some(2)]);
}

#[test]
fn what_two_wrote_can_be_too_large_together() {
    let mut sessions = Sessions::new(SessionParameters::default().max_bytes(40));
    let id = sessions.create(false);
    let (mut one, mut other) = (sessions.load(&id).unwrap(), sessions.load(&id).unwrap());
    one.set("b", "0123456789").unwrap();
    other.set("c", "0123456789").unwrap();
    assert_eq!(sessions.commit(&one), Committed::Updated);
    assert_eq!(sessions.commit(&other), Committed::TooLarge);
    other.rotate();
    assert_eq!(sessions.commit(&other), Committed::TooLarge);
    assert!(sessions.load(&id).unwrap().value("b").is_some());
}

#[test]
fn a_flood_without_logins_takes_no_place_of_somebody_logged_in() {
    let mut sessions = Sessions::of(80);
    let logged_in: Vec<SessionId> = (0..60).map(|_| sessions.create(true)).collect();
    let visitor = sessions.create(false);
    assert!(sessions.load(&visitor).is_some(), "it comes back");
    for _ in 0..10_000 {
        sessions.create(false);
    }
    assert!(logged_in.iter().all(|id| sessions.load(id).is_some()));
    assert!(
        sessions.load(&visitor).is_some(),
        "floods that do not come back go first"
    );
    let stats = sessions.store.stats();
    assert_eq!(
        (stats.sessions, stats.logged_in, stats.evicted_logged_in),
        (80, 60, 0)
    );
}

#[test]
fn places_are_kept_for_those_who_are_not_logged_in_yet() {
    let mut sessions = Sessions::of(80);
    for _ in 0..200 {
        sessions.create(true);
    }
    let stats = sessions.store.stats();
    assert_eq!((stats.logged_in, stats.evicted_logged_in), (70, 130));
    let visitor = sessions.create(false);
    assert!(sessions.load(&visitor).is_some());
}

#[test]
fn the_only_place_is_not_lost_to_somebody_anonymous() {
    let mut sessions = Sessions::of(1);
    let id = sessions.create(true);
    let mut anonymous = Session::new(&sessions.parameters);
    anonymous.set("a", 1).unwrap();
    assert_eq!(sessions.commit(&anonymous), Committed::Refused);
    assert!(sessions.load(&id).is_some());
}

#[test]
fn an_id_in_use_is_never_given_out_again() {
    let mut sessions = Sessions::of(100);
    let id = sessions.create(true);
    let mut stranger = Session::new(&sessions.parameters);
    stranger.set("a", 2).unwrap();
    sessions.ids = 0;
    assert_eq!(sessions.commit(&stranger), Committed::Refused);
    assert_eq!(sessions.load(&id).unwrap().get("a"), Some(1_i64));
}

#[test]
fn idle_and_absolute_lifetimes_both_end_a_session() {
    let hour = Duration::from_secs(3600);
    let parameters = SessionParameters::default()
        .idle_timeout(hour)
        .max_age(3 * hour);
    let mut sessions = Sessions::new(parameters);
    let (used, unused) = (sessions.create(true), sessions.create(true));
    for _ in 0..5 {
        sessions.now += hour / 2;
        assert!(sessions.load(&used).is_some());
    }
    assert!(sessions.load(&unused).is_none());
    sessions.now += hour / 2 - Duration::from_millis(1);
    assert!(sessions.load(&used).is_some());
    sessions.now += Duration::from_millis(1);
    assert!(sessions.load(&used).is_none());
    assert_eq!(sessions.store.stats().sessions, 0);
}

#[test]
fn a_shorter_lifetime_counts_for_sessions_that_exist() {
    let mut sessions = Sessions::of(100);
    let id = sessions.create(true);
    sessions.now += Duration::from_secs(10);
    sessions.parameters.idle_timeout = Duration::from_secs(10);
    assert_eq!(
        sessions
            .store
            .expire(10, &sessions.parameters, sessions.now),
        1
    );
    assert!(sessions.load(&id).is_none());
}

#[test]
fn a_smaller_bound_is_reached_by_and_by() {
    let mut sessions = Sessions::of(1000);
    for _ in 0..1000 {
        sessions.create(false);
    }
    sessions.parameters.max_sessions = 10;
    for _ in 0..200 {
        sessions.create(false);
    }
    assert_eq!(sessions.store.stats().sessions, 10);
}

#[test]
fn the_operator_finds_lists_and_ends_sessions() {
    let mut sessions = Sessions::of(1_000_000);
    let ids: Vec<SessionId> = (0..500)
        .map(|number| sessions.create(number % 2 == 0))
        .collect();
    sessions.now += Duration::from_secs(5);
    let handle = ids[0].handle();
    let summary = sessions
        .store
        .describe(&handle, &sessions.parameters, sessions.now)
        .unwrap();
    assert_eq!(
        (summary.handle, summary.logged_in, summary.bytes),
        (handle, true, 11)
    );
    assert_eq!(
        (summary.age, summary.idle),
        (Duration::from_secs(5), Duration::from_secs(5))
    );

    let (mut listed, mut cursor) = (Vec::new(), Some(Cursor::default()));
    while let Some(from) = cursor {
        let from = from.to_string().parse().unwrap();
        let page = sessions
            .store
            .list(from, 7, &sessions.parameters, sessions.now);
        assert!(page.sessions.len() <= 7);
        listed.extend(page.sessions.into_iter().map(|summary| summary.handle));
        cursor = page.next;
    }
    listed.sort();
    listed.dedup();
    assert_eq!(listed.len(), 500);

    assert!(sessions.store.end(&handle));
    assert!(!sessions.store.end(&handle));
    assert!(sessions.load(&ids[0]).is_none());
    assert!(
        sessions
            .store
            .describe(&handle, &sessions.parameters, sessions.now)
            .is_none()
    );
}

#[test]
fn a_made_up_cursor_does_no_harm() {
    let mut sessions = Sessions::of(100);
    sessions.create(false);
    for text in ["0.7", "0.4294967295", "4294967295.0", "5.5"] {
        let page =
            sessions
                .store
                .list(text.parse().unwrap(), 9, &sessions.parameters, sessions.now);
        assert_eq!((page.sessions.len(), page.next), (0, None), "{text}");
    }
    for text in ["", ".", "1", "1.", "-1.0", "1.4294967296", "0.0.0"] {
        assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text}");
    }
    let none = sessions
        .store
        .list(Cursor::default(), 0, &sessions.parameters, sessions.now);
    assert_eq!(none.next, Some(Cursor::default()));
}

#[test]
fn nothing_printed_opens_a_session() {
    let mut sessions = Sessions::of(100);
    let mut session = Session::new(&sessions.parameters);
    session.set("user", "alice").unwrap();
    let printed = format!("{session:?}");
    assert!(!printed.contains("alice"), "{printed}");
    let committed = sessions.commit(&session);
    let printed = format!("{committed:?} {:?}", sessions.store);
    assert!(!printed.contains("alice"), "{printed}");
    assert!(printed.contains("SessionId(..)"), "{printed}");
}
