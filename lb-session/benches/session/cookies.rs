//! Cookies read and written, here and by the `cookie` crate.

use std::hint::black_box;
use std::time::Duration;

use lb_session::cookie::{SetCookie, find, without};
use lb_session::{AffinityTable, Secrets, SessionCookie, SessionId};

use crate::measure::Entry;

pub(crate) const FIND: &str = "find the last of five cookies";
pub(crate) const SPLIT_PARSE: &str = "cookie::Cookie::split_parse, to the last of five";
pub(crate) const VERIFY_10: &str = "verify affinity, 10 backends";
pub(crate) const VERIFY_1000: &str = "verify affinity, 1,000 backends";

const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

pub(crate) fn add_to(entries: &mut Vec<Entry>) {
    let secrets = Secrets::try_new([[1; 32], [2; 32]]).expect("the secrets are right");
    let template = SetCookie::try_new("__Host-lb_session").expect("a name");
    let cookie = SessionCookie::new(template.clone(), &secrets);
    let id = SessionId::from_random([7; 16]);
    let issued = cookie.issue(&id, None);
    let pair = issued.split(';').next().expect("a pair").to_owned();
    let field = format!(
        "_ga=GA1.1.1234567890.1700000000; theme=dark; lang=en-GB; consent=yes.analytics.ads; {pair}"
    );

    let read = field.clone();
    entries.push(Entry::new(FIND, move |count| {
        for _ in 0..count {
            black_box(find(black_box(read.as_bytes()), "__Host-lb_session"));
        }
    }));
    let read = field.clone();
    entries.push(Entry::new(SPLIT_PARSE, move |count| {
        for _ in 0..count {
            let mut cookies = cookie::Cookie::split_parse(black_box(read.as_str())).flatten();
            black_box(cookies.find(|cookie| cookie.name() == "__Host-lb_session"));
        }
    }));
    let read = field.clone();
    entries.push(Entry::new("take one of five cookies out", move |count| {
        for _ in 0..count {
            black_box(without(black_box(read.as_bytes()), &["theme"]));
        }
    }));
    for (name, number) in [(VERIFY_10, 10), (VERIFY_1000, 1_000)] {
        add_affinity(entries, name, &secrets, number);
    }
    let (reader, read) = (cookie.clone(), field);
    entries.push(Entry::new(
        "find and verify a session cookie, first secret",
        move |count| {
            for _ in 0..count {
                black_box(reader.read([black_box(read.as_bytes())]));
            }
        },
    ));
    let (writer, written) = (cookie, id.clone());
    entries.push(Entry::new(
        "sign and write a session cookie",
        move |count| {
            for _ in 0..count {
                black_box(writer.issue(black_box(&written), HOUR));
            }
        },
    ));
    entries.push(Entry::new("write a cookie", move |count| {
        for _ in 0..count {
            black_box(template.write(
                black_box("0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"),
                HOUR,
            ));
        }
    }));
    entries.push(Entry::new(
        "cookie crate: build and write the same",
        move |count| {
            for _ in 0..count {
                let value = black_box("0123456789abcdefghijklmnopqrstuvwxyzABCDEFG");
                let built = cookie::Cookie::build(("__Host-lb_session", value))
                    .path("/")
                    .secure(true)
                    .http_only(true)
                    .same_site(cookie::SameSite::Lax)
                    .max_age(cookie::time::Duration::HOUR);
                black_box(built.build().to_string());
            }
        },
    ));
    entries.push(Entry::new("handle of an id", move |count| {
        for _ in 0..count {
            black_box(black_box(&id).handle());
        }
    }));
}

/// Values of all backends in turn, found as they stand in a field.
fn add_affinity(entries: &mut Vec<Entry>, name: &str, secrets: &Secrets, number: usize) {
    let backends =
        (0..number).map(|index| format!("http://10.0.{}.{}:8080", index / 250, index % 250));
    let table = AffinityTable::seal(secrets, "web", backends);
    let values: Vec<String> = (0..number)
        .filter_map(|index| table.value_at(index).map(str::to_owned))
        .collect();
    entries.push(Entry::new(name, move |count| {
        let mut values = values.iter().cycle();
        for _ in 0..count {
            let value = values.next().map_or("", String::as_str);
            black_box(table.verify(black_box(value.as_bytes())));
        }
    }));
}
