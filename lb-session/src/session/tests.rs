use std::time::{Duration, SystemTime};

use super::*;
use crate::id::SessionId;

fn empty() -> Session {
    Session::new(&SessionParameters::default())
}

fn handle() -> SessionHandle {
    SessionId::from_random([1; 16]).handle()
}

/// A session that was stored with these texts.
fn loaded(texts: &[(&str, &str)]) -> Session {
    let (parameters, mut new) = (SessionParameters::default(), empty());
    for (key, text) in texts {
        new.set(key, *text).unwrap();
    }
    let record = Record::create(&new.changes(), &parameters, SystemTime::UNIX_EPOCH).unwrap();
    Session::of(handle(), &record, &parameters)
}

#[test]
fn nothing_is_written_before_something_is_set() {
    let mut session = empty();
    session.rotate();
    session.remove("a");
    session.set("a", 1).unwrap();
    session.remove("a");
    assert_eq!(session.changes().write, Write::Nothing);
    session.destroy();
    assert_eq!(session.changes().ended, None);
}

#[test]
fn only_what_changes_is_written() {
    let mut session = loaded(&[("a", "1"), ("b", "2")]);
    session.set("a", "1").unwrap();
    assert!(!session.remove("c"));
    assert_eq!(session.changes().write, Write::Nothing);
    session.set("a", "3").unwrap();
    assert_eq!(session.changes().write, Write::Update(handle()));
    session.set("a", "1").unwrap();
    assert_eq!(session.changes().write, Write::Nothing);
    assert!(session.remove("a"));
    assert_eq!(session.get::<&str>("a"), None);
    assert_eq!(session.changes().write, Write::Update(handle()));
}

#[test]
fn a_logout_ends_it_and_what_follows_is_new() {
    let mut session = loaded(&[("user", "alice")]);
    session.rotate();
    session.destroy();
    assert_eq!(session.get::<&str>("user"), None);
    assert!(!session.is_logged_in());
    let changes = session.changes();
    assert_eq!(
        (changes.ended, changes.write),
        (Some(handle()), Write::Nothing)
    );
    session.set("flash", "goodbye").unwrap();
    session.destroy();
    session.set("flash", "goodbye").unwrap();
    let changes = session.changes();
    assert_eq!(
        (changes.ended, changes.write),
        (Some(handle()), Write::Create)
    );
}

#[test]
fn values_are_read_as_what_they_are() {
    let mut session = empty();
    session.set("n", 7).unwrap();
    session.set("t", "seven".to_owned()).unwrap();
    session.set("b", b"7".to_vec()).unwrap();
    assert_eq!(session.get::<i64>("n"), Some(7));
    assert_eq!(session.get::<&str>("n"), None);
    assert_eq!(session.get::<bool>("n"), None);
    assert_eq!(session.get::<f64>("n"), None);
    assert_eq!(session.get::<String>("t"), Some("seven".to_owned()));
    assert_eq!(session.get::<&[u8]>("b"), Some(&b"7"[..]));
}

#[test]
fn what_is_too_large_is_refused_and_changes_nothing() {
    let parameters = SessionParameters::default().max_bytes(20);
    let mut session = Session::new(&parameters);
    session.set("a", "0123456789").unwrap();
    assert_eq!(session.set("b", "0"), Err(SessionError::TooLarge(20)));
    session.set("a", "0123456789abcde").unwrap();
    assert_eq!(session.get::<&str>("b"), None);
    let record = Record::create(&session.changes(), &parameters, SystemTime::UNIX_EPOCH);
    assert_eq!(record.unwrap().values().bytes(), 20);
    let tighter = parameters.max_bytes(19);
    let refused = Record::create(&session.changes(), &tighter, SystemTime::UNIX_EPOCH);
    assert_eq!(refused, Err(SessionError::TooLarge(19)));
}

#[test]
fn no_setting_allows_more_than_lengths_can_say() {
    let parameters = SessionParameters::default().max_bytes(usize::MAX);
    let mut session = Session::new(&parameters);
    assert!(session.set("a", vec![0; 65_536]).is_err());
    session.set("a", vec![0; 65_530]).unwrap();
    let record = Record::create(&session.changes(), &parameters, SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(Record::decode(&record.encode()), Ok(record));
}

#[test]
fn keys_have_1_to_255_bytes() {
    let mut session = empty();
    for length in [0, 256, 70_000] {
        assert_eq!(
            session.set(&"k".repeat(length), 1),
            Err(SessionError::Key(length))
        );
    }
    assert!(session.set(&"k".repeat(255), 1).is_ok());
}

#[test]
fn a_first_rotation_starts_the_age_and_a_second_does_not() {
    let parameters = SessionParameters::default();
    let at = |hours: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(hours * 3_600);
    let mut session = empty();
    session.set("cart", 1).unwrap();
    let anonymous = Record::create(&session.changes(), &parameters, at(0)).unwrap();
    let mut session = Session::of(handle(), &anonymous, &parameters);
    session.rotate();
    let login = anonymous
        .rotate(&session.changes(), &parameters, at(20))
        .unwrap();
    assert!(login.is_logged_in() && login.time_left(&parameters, at(43)).is_some());
    let renewed = login
        .rotate(&session.changes(), &parameters, at(30))
        .unwrap();
    assert_eq!(renewed.time_left(&parameters, at(44)), None);
}

#[test]
fn a_clock_that_steps_backwards_makes_nothing_older() {
    let parameters = SessionParameters::default();
    let mut session = empty();
    session.set("a", 1).unwrap();
    let late = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 32);
    let record = Record::create(&session.changes(), &parameters, late).unwrap();
    let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(
        record.time_left(&parameters, before),
        Some(parameters.idle_timeout)
    );
}
