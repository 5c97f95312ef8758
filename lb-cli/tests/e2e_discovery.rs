//! Backends by name: traffic follows the answers of a name server, and stays where it was without one.
#![cfg(feature = "dns")]

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use support::clients::{Curl, Load, load_at};
use support::names::{NameServer, Record, at, service};
use support::process::{PATIENCE, poll};
use support::proxy::{Proxy, route};
use support::scripted::{Scripted, head};

const RATE: usize = 300;
const REQUESTS: usize = RATE * 12;
const CLIENTS: usize = 3;

/// Backends that say their number, at one port of as many loopback addresses.
struct Backends {
    places: Vec<Ipv4Addr>,
    port: u16,
}

impl Backends {
    fn start(count: u8) -> Self {
        let places: Vec<_> = (1..=count)
            .map(|last| Ipv4Addr::new(127, 0, 0, last))
            .collect();
        // Another program may have the port at one of them, so there are tries.
        for _ in 0..20 {
            let Ok(first) = TcpListener::bind((places[0], 0)) else {
                continue;
            };
            let port = first.local_addr().expect("it is bound").port();
            let others = places[1..]
                .iter()
                .map(|&place| TcpListener::bind((place, port)));
            let Ok(others) = others.collect::<Result<Vec<_>, _>>() else {
                continue;
            };
            for (number, listener) in [first].into_iter().chain(others).enumerate() {
                named(listener, number.to_string());
            }
            return Self { places, port };
        }
        panic!("no port is free at {places:?}");
    }

    fn records(&self, numbers: &[usize]) -> Vec<(&'static str, Record)> {
        let record = |&number: &usize| ("app.test", at(self.places[number]));
        numbers.iter().map(record).collect()
    }
}

/// A backend that says its name.
fn named(listener: TcpListener, name: String) -> Scripted {
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-backend: {name}\r\n\r\n");
    Scripted::on(listener, move |stream| {
        while !head(stream).is_empty() && stream.write_all(answer.as_bytes()).is_ok() {}
    })
}

fn proxy(server: &NameServer, url: &str, records: &str) -> Proxy {
    Proxy::start(&format!(
        "[dns]\nservers = [\"{}\"]\n[pools.default]\n\
         backends = [{{ url = \"{url}\", discover = \"{records}\", refresh = \"1s\" }}]\n{}",
        server.address(),
        route("/*", "default"),
    ))
}

/// Who answers some requests.
fn heard(proxy: &Proxy) -> BTreeSet<String> {
    let name = |_| {
        let answer = Curl::get(proxy.tls()).send().expect(200);
        answer.header("x-backend").unwrap_or_default().to_owned()
    };
    (0..6).map(name).collect()
}

#[track_caller]
fn until(proxy: &Proxy, numbers: &[&str]) {
    let wanted: BTreeSet<_> = numbers.iter().map(|&number| number.to_owned()).collect();
    let mut seen = BTreeSet::new();
    let done = poll(PATIENCE, || {
        seen = heard(proxy);
        seen == wanted
    });
    assert!(done, "{seen:?}, not {wanted:?}");
}

fn count(proxy: &Proxy, message: &str) -> usize {
    proxy.process.messages().matches(message).count()
}

#[test]
fn traffic_follows_addresses_and_stays_without_an_answer() {
    let backends = Backends::start(3);
    let server = NameServer::start();
    server.says(&backends.records(&[0, 1]));
    let url = format!("http://app.test:{}", backends.port);
    let proxy = proxy(&server, &url, "dns");
    until(&proxy, &["0", "1"]);

    let under_load = {
        let url = format!("{}/", proxy.tls());
        thread::spawn(move || load_at(&url, REQUESTS, CLIENTS, 5, RATE))
    };
    server.says(&backends.records(&[1, 2]));
    until(&proxy, &["1", "2"]);
    server.says(&backends.records(&[0]));
    until(&proxy, &["0"]);

    server.fails();
    let kept = "the last one is kept";
    assert!(poll(PATIENCE, || count(&proxy, kept) > 0));
    for _ in 0..3 {
        assert_eq!(heard(&proxy), BTreeSet::from(["0".to_owned()]));
    }
    // It was asked more than once by then, and says so once.
    server.says(&backends.records(&[2, 0]));
    until(&proxy, &["0", "2"]);
    assert_eq!(count(&proxy, kept), 1, "{}", proxy.process.messages());
    assert_eq!(count(&proxy, "a name is known again"), 1);

    let all = Load {
        succeeded: REQUESTS,
        failed: 0,
        status_2xx: REQUESTS,
    };
    assert_eq!(under_load.join().unwrap(), all);
}

#[test]
fn services_have_ports_and_others_wait_behind_them() {
    let server = NameServer::start();
    let [one, two] = ["one", "two"].map(|name| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        named(listener, name.to_owned()).port()
    });
    let name = "_http._tcp.app.test";
    let says = |rank_of_one, rank_of_two| {
        server.says(&[
            (name, service(rank_of_one, 1, one, "host.test")),
            (name, service(rank_of_two, 1, two, "host.test")),
            ("host.test", at(Ipv4Addr::LOCALHOST)),
        ]);
    };
    says(10, 20);
    let proxy = proxy(&server, &format!("http://{name}"), "srv");
    until(&proxy, &["one"]);
    says(20, 10);
    until(&proxy, &["two"]);
    says(10, 10);
    until(&proxy, &["one", "two"]);
}
