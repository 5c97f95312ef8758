use std::collections::BTreeMap;

use lb_session::cookie::{SetCookie, Without, find, values, without};
use lb_session::{AffinityTable, Secrets, SessionCookie, SessionId};
use proptest::prelude::*;

fn secrets(count: u8) -> Secrets {
    Secrets::try_new((0..count).map(|number| [number; 32])).expect("the secrets are right")
}

fn session_cookie(secrets: &Secrets) -> SessionCookie {
    SessionCookie::new(SetCookie::try_new("s").expect("a name"), secrets)
}

/// Fields of few characters, so that names, signs and blanks meet in all orders.
fn fields() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab=; \t\",]{0,40}",
        "[ -~]{0,60}",
        "([ab]{1,2}=[ab]{0,9}; ){0,5}[ab]=[ab]{0,9}"
    ]
}

/// The text with another letter at one place.
fn changed(text: &str, at: usize, letter: char) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    let at = at % letters.len();
    letters[at] = letter;
    letters.into_iter().collect()
}

proptest! {
    #[test]
    fn a_cookie_is_found_as_the_cookie_crate_finds_it(field in fields(), name in "[ab]{1,2}") {
        let theirs: Vec<String> = cookie::Cookie::split_parse(&field)
            .filter_map(Result::ok)
            .filter(|cookie| cookie.name() == name)
            .map(|cookie| cookie.value().to_owned())
            .collect();
        let ours: Vec<_> = values(field.as_bytes(), &name).collect();
        prop_assert_eq!(&ours, &theirs.iter().map(String::as_bytes).collect::<Vec<_>>());
        prop_assert_eq!(find(field.as_bytes(), &name), ours.first().copied());
    }

    #[test]
    fn any_bytes_are_read_without_harm(field in prop::collection::vec(any::<u8>(), 0..200), name in ".{0,3}") {
        let all = values(&field, &name).map(<[u8]>::len).sum::<usize>();
        prop_assert!(all <= field.len());
        if let Without::Rest(rest) = without(&field, &[&name]) {
            prop_assert_eq!(find(&rest, &name), None);
        }
        let secrets = secrets(2);
        prop_assert_eq!(session_cookie(&secrets).read([&field[..]]), None);
        let table = AffinityTable::seal(&secrets, "p", ["a", "b"]);
        prop_assert_eq!(table.verify(&field), None);
    }

    #[test]
    fn what_is_taken_out_is_gone_and_the_rest_stays(field in fields()) {
        let rest = match without(field.as_bytes(), &["a"]) {
            Without::Unchanged => field.clone().into_bytes(),
            Without::Rest(rest) => rest,
            Without::Empty => Vec::new(),
        };
        prop_assert_eq!(find(&rest, "a"), None);
        for name in ["b", "ab", "ba"] {
            let before: Vec<_> = values(field.as_bytes(), name).collect();
            prop_assert_eq!(values(&rest, name).collect::<Vec<_>>(), before);
        }
    }

    #[test]
    fn a_changed_session_cookie_is_refused(
        random: [u8; 16],
        signer in 0_u8..3,
        at in 0_usize..43,
        letter in prop_oneof!["[A-Za-z0-9_-]", "[ -~]"],
    ) {
        let secrets = Secrets::try_new((0..3).map(|number| [(number + signer) % 3; 32])).expect("the secrets are right");
        let id = SessionId::from_random(random);
        let field = session_cookie(&secrets).issue(&id, None);
        let pair = field.split(';').next().expect("a pair");
        let reader = session_cookie(&self::secrets(3));
        let presented = reader.read([pair.as_bytes()]).expect("it is intact");
        prop_assert_eq!((presented.id, presented.current), (id, signer == 0));
        let letter = letter.chars().next().expect("one letter");
        let tampered = format!("s={}", changed(&pair[2..], at, letter));
        if tampered != pair {
            prop_assert_eq!(reader.read([tampered.as_bytes()]), None);
        }
    }

    #[test]
    fn a_changed_affinity_cookie_is_refused(
        names in prop::collection::btree_set("[a-z]{1,6}", 1..40),
        pick: prop::sample::Index,
        at in 0_usize..24,
        letter in prop_oneof!["[A-Za-z0-9_-]", "[ -~]"],
    ) {
        let names: Vec<String> = names.into_iter().collect();
        let table = AffinityTable::seal(&secrets(2), "pool", names.clone());
        let name = pick.get(&names);
        let value = table.value(name).expect("it is in the list").to_owned();
        prop_assert_eq!(table.verify(value.as_bytes()).map(|bound| bound.backend), Some(name));
        let letter = letter.chars().next().expect("one letter");
        let tampered = changed(&value, at, letter);
        if tampered != value {
            prop_assert_eq!(table.verify(tampered.as_bytes()), None);
        }
    }

    #[test]
    fn affinity_depends_on_identities_alone(
        names in prop::collection::btree_map("[a-z]{1,6}", any::<u32>(), 1..40),
    ) {
        // The same backends in another order, among others.
        let mut shuffled: Vec<(u32, String)> = names.iter().map(|(name, rank)| (*rank, name.clone())).collect();
        shuffled.sort();
        let others = (0..10).map(|number| format!("other{number}"));
        let here = AffinityTable::seal(&secrets(1), "pool", names.keys().cloned());
        let there = AffinityTable::seal(&secrets(1), "pool", others.chain(shuffled.into_iter().map(|(_, name)| name)));
        let bound: BTreeMap<&String, &String> = names
            .keys()
            .filter_map(|name| Some((name, there.verify(here.value(name)?.as_bytes())?.backend)))
            .collect();
        prop_assert_eq!(bound.len(), names.len());
        prop_assert!(bound.iter().all(|(name, backend)| name == backend));
    }

    #[test]
    fn a_written_field_is_read_as_it_was_meant(value in "[!#-+--:<-\\[\\]-~]{0,50}", age in 0_u64..1 << 40) {
        let cookie = SetCookie::try_new("__Host-a").expect("a name");
        let field = cookie.write(&value, Some(std::time::Duration::from_secs(age)));
        let read = cookie::Cookie::parse(&*field).expect("a cookie");
        prop_assert_eq!((read.name(), read.value()), ("__Host-a", &*value));
        let seconds = read.max_age().map(|age| age.whole_seconds());
        prop_assert_eq!(seconds, i64::try_from(age.min(400 * 86_400)).ok());
    }
}
