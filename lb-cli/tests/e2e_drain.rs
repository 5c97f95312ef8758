//! A first signal lets running exchanges finish, a second or the deadline ends them.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use support::clients::Curl;
use support::process::{PATIENCE, poll};
use support::proxy::{Proxy, authority, route};
use support::scripted::{Scripted, head};

/// A backend that tells when a request has come and answers when it is told to.
fn patient() -> (Scripted, Receiver<()>, Sender<()>) {
    let (came, arrivals) = channel();
    let (release, released) = channel();
    let released = Mutex::new(released);
    let backend = Scripted::start(move |stream| {
        if head(stream).is_empty() {
            return;
        }
        let _ = came.send(());
        let released = released.lock().expect("no holder panics");
        if released.recv_timeout(PATIENCE).is_ok() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone");
        }
    });
    (backend, arrivals, release)
}

fn proxy(backend: &Scripted, shutdown_timeout: &str) -> Proxy {
    Proxy::start(&format!(
        "[server]\nshutdown_timeout = \"{shutdown_timeout}\"\n[pools.default]\nbackends = [\"{}\"]\n{}",
        backend.url(),
        route("/*", "default"),
    ))
}

/// Waits until new connections are refused, which says that the drain has begun.
fn wait_until_closed(url: &str) {
    assert!(
        poll(PATIENCE, || TcpStream::connect(authority(url)).is_err()),
        "still accepting"
    );
}

#[test]
fn running_exchanges_finish() {
    for (signal, protocol) in [
        ("TERM", "--http2"),
        ("INT", "--http1.1"),
        ("QUIT", "--http2"),
    ] {
        let (backend, arrivals, release) = patient();
        let mut proxy = proxy(&backend, "60s");
        let url = proxy.tls().to_owned();
        let client = thread::spawn(move || Curl::get(&url).arguments(&[protocol]).send());
        arrivals.recv_timeout(PATIENCE).unwrap();
        proxy.process.signal(signal);
        wait_until_closed(proxy.tls());
        release.send(()).unwrap();
        assert_eq!(client.join().unwrap().expect(200).text(), "done");
        assert_eq!(
            proxy.process.wait().code(),
            Some(0),
            "SIG{signal}\n{}",
            proxy.process.messages()
        );
    }
}

#[test]
fn an_idle_proxy_ends_at_once() {
    let (backend, _arrivals, _release) = patient();
    let mut proxy = proxy(&backend, "60s");
    proxy.process.signal("TERM");
    assert_eq!(proxy.process.wait().code(), Some(0));
}

#[test]
fn a_second_signal_forces() {
    let (backend, arrivals, _release) = patient();
    let mut proxy = proxy(&backend, "60s");
    let url = proxy.tls().to_owned();
    let client = thread::spawn(move || Curl::get(&url).send());
    arrivals.recv_timeout(PATIENCE).unwrap();
    proxy.process.signal("TERM");
    wait_until_closed(proxy.tls());
    proxy.process.signal("TERM");
    assert_eq!(proxy.process.wait().code(), Some(4));
    assert_ne!(client.join().unwrap().exit, Some(0));
}

#[test]
fn the_deadline_ends_the_rest() {
    let (backend, arrivals, _release) = patient();
    let mut proxy = proxy(&backend, "300ms");
    let url = proxy.tls().to_owned();
    let client = thread::spawn(move || Curl::get(&url).send());
    arrivals.recv_timeout(PATIENCE).unwrap();
    proxy.process.signal("TERM");
    assert_eq!(proxy.process.wait().code(), Some(4));
    assert_ne!(client.join().unwrap().exit, Some(0));
}
