use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use lb_session::{
    FromValue as _, Record, Session, SessionId, SessionParameters, Value, ValueRef, Write,
};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Edit {
    Set(String, Value),
    Remove(String),
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(Value::from),
        "[ -~]{0,12}".prop_map(|text| Value::Json(text.into())),
    ]
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        3 => ("[abcd]{1,2}", value()).prop_map(|(key, value)| Edit::Set(key, value)),
        1 => "[abcd]{1,2}".prop_map(Edit::Remove),
    ];
    prop::collection::vec(edit, 0..12)
}

fn parameters() -> SessionParameters {
    SessionParameters::default()
}

/// Applies edits to a session and to a map, which have to agree after each.
fn apply(session: &mut Session, model: &mut BTreeMap<String, Value>, edits: &[Edit]) {
    for edit in edits {
        match edit {
            Edit::Set(key, value) => {
                session.set(key, value.clone()).expect("there is room");
                model.insert(key.clone(), value.clone());
            }
            Edit::Remove(key) => assert_eq!(session.remove(key), model.remove(key).is_some()),
        }
        for key in ["a", "b", "ab", "dd"] {
            assert_eq!(session.value(key), model.get(key).map(Value::as_ref));
        }
    }
}

fn record_of(model: &BTreeMap<String, Value>) -> Record {
    let mut session = Session::new(&parameters());
    for (key, value) in model {
        session.set(key, value.clone()).expect("there is room");
    }
    Record::create(&session.changes(), &parameters(), SystemTime::UNIX_EPOCH)
        .expect("there is room")
}

fn pairs(record: &Record) -> Vec<(&str, ValueRef<'_>)> {
    record.values().iter().collect()
}

fn expected(model: &BTreeMap<String, Value>) -> Vec<(&str, ValueRef<'_>)> {
    model
        .iter()
        .map(|(key, value)| (&**key, value.as_ref()))
        .collect()
}

proptest! {
    #[test]
    fn a_session_is_a_map(first in edits(), second in edits()) {
        let mut model = BTreeMap::new();
        apply(&mut Session::new(&parameters()), &mut model, &first);
        let record = record_of(&model);
        let handle = SessionId::from_random([0; 16]).handle();
        let mut session = Session::of(handle, &record, &parameters());
        let before = model.clone();
        apply(&mut session, &mut model, &second);
        let updated = record.update(&session.changes(), &parameters()).expect("there is room");
        prop_assert_eq!(pairs(&updated), expected(&model));
        if session.changes().write == Write::Nothing {
            prop_assert_eq!(before, model);
        }
    }

    /// Whichever writes last wins, key by key, and nothing else is lost.
    #[test]
    fn two_requests_keep_what_each_wrote(start in edits(), one in edits(), other in edits()) {
        let mut model = BTreeMap::new();
        apply(&mut Session::new(&parameters()), &mut model, &start);
        let record = record_of(&model);
        let handle = SessionId::from_random([0; 16]).handle();
        let changed = |edits: &[Edit]| {
            let (mut session, mut model) = (Session::of(handle, &record, &parameters()), model.clone());
            apply(&mut session, &mut model, edits);
            (session, model)
        };
        let ((first, seen_first), (second, seen_second)) = (changed(&one), changed(&other));
        let stored = record.update(&first.changes(), &parameters()).expect("there is room");
        let stored = stored.update(&second.changes(), &parameters()).expect("there is room");
        let mut keys: Vec<&String> = seen_first.keys().chain(seen_second.keys()).chain(model.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let written = |seen: &BTreeMap<String, Value>| seen.get(key) != model.get(key);
            let wanted = if written(&seen_second) { &seen_second } else { &seen_first };
            prop_assert_eq!(stored.values().value(key), wanted.get(key).map(Value::as_ref), "{}", key);
        }
        prop_assert_eq!(stored.revision(), 2);
    }

    #[test]
    fn a_record_comes_back(edits in edits(), seconds in 0_u64..1 << 33, rotate: bool) {
        let mut session = Session::new(&parameters());
        apply(&mut session, &mut BTreeMap::new(), &edits);
        if rotate {
            session.rotate();
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let record = Record::create(&session.changes(), &parameters(), now).expect("there is room");
        prop_assert_eq!(Record::decode(&record.encode()), Ok(record.clone()));
        prop_assert_eq!(record.is_logged_in(), rotate);
        for cut in 0..record.encode().len() {
            if let Ok(part) = Record::decode(&record.encode()[..cut]) {
                prop_assert!(pairs(&part).len() < pairs(&record).len());
            }
        }
    }

    /// Two runs of bytes are never the same record, and no bytes do harm.
    #[test]
    fn any_bytes_are_one_record_or_none(head in 0_u8..3, rest in prop::collection::vec(0_u8..8, 0..60)) {
        let bytes: Vec<u8> = [1, head].into_iter().chain(rest).collect();
        if let Ok(record) = Record::decode(&bytes) {
            prop_assert_eq!(record.encode(), bytes);
        }
    }

    #[test]
    fn damaged_bytes_are_read_without_harm(edits in edits(), at: prop::sample::Index, bit in 0..8) {
        let mut session = Session::new(&parameters());
        apply(&mut session, &mut BTreeMap::new(), &edits);
        let record = Record::create(&session.changes(), &parameters(), SystemTime::UNIX_EPOCH).expect("there is room");
        let mut bytes = record.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        if let Ok(damaged) = Record::decode(&bytes) {
            prop_assert_eq!(damaged.encode(), bytes);
        }
    }

    #[test]
    fn a_session_never_exceeds_its_bytes(edits in edits(), max_bytes in 0_usize..60) {
        let parameters = parameters().max_bytes(max_bytes);
        let mut session = Session::new(&parameters);
        for edit in &edits {
            match edit {
                Edit::Set(key, value) => {
                    let before: Option<String> = session.value(key).map(|value| format!("{value:?}"));
                    if session.set(key, value.clone()).is_err() {
                        prop_assert_eq!(session.value(key).map(|value| format!("{value:?}")), before);
                    }
                }
                Edit::Remove(key) => {
                    session.remove(key);
                }
            }
            let record = Record::create(&session.changes(), &parameters, SystemTime::UNIX_EPOCH);
            prop_assert!(record.expect("what could be set can be stored").values().bytes() <= max_bytes);
        }
    }

    #[test]
    fn a_value_is_only_what_it_is(value in value()) {
        let value = value.as_ref();
        let readings = [
            bool::from_value(value).is_some(),
            i64::from_value(value).is_some(),
            f64::from_value(value).is_some(),
            <&str>::from_value(value).is_some(),
            <&[u8]>::from_value(value).is_some(),
        ];
        let right = readings.iter().filter(|&&reading| reading).count();
        prop_assert_eq!(right, usize::from(!matches!(value, ValueRef::Json(_))));
    }
}
