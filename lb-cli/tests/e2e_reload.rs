//! A running proxy gets other configurations: nothing is lost, and a mistake changes nothing.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::collections::BTreeMap;
use std::thread;

use support::backends::{Nginx, free_port};
use support::clients::{Curl, Load, load_at};
use support::files::{Certificates, Directory, sha256};
use support::process::{PATIENCE, Process, poll};
use support::proxy::{command, listening, with_listeners};

const RELOADS: usize = 100;
/// In a second, over all clients.
const RATE: usize = 1000;
const CLIENTS: usize = 4;
/// What may remain of a reload, after the first twenty.
const GROWTH_MAX_BYTES: u64 = 4 << 20;

/// `lb-cli serve` with a configuration that is written again and again.
struct Live {
    process: Process,
    directory: Directory,
    certificates: Certificates,
    urls: BTreeMap<String, String>,
}

impl Live {
    /// Starts with a TLS listener `tls`, a cleartext listener `plain`, and the rest.
    fn start(flags: &[&str], rest: &str) -> Self {
        let directory = Directory::new();
        let certificates = directory.certificates();
        let file = directory.write("lb.toml", &with_listeners(&certificates, rest));
        let mut serve = command();
        serve
            .args(["serve", "--config", &file])
            .args(flags)
            .current_dir(directory.path());
        let process = Process::start("lb-cli", &mut serve);
        let urls = (0..2).map(|_| listening(&process)).collect();
        Self {
            process,
            directory,
            certificates,
            urls,
        }
    }

    fn url(&self, listener: &str, path: &str) -> String {
        format!("{}{path}", self.urls[listener])
    }

    /// Replaces the file as editors do: nobody sees a part of it.
    fn write(&self, rest: &str) {
        let new = self
            .directory
            .write("lb.toml.new", &with_listeners(&self.certificates, rest));
        std::fs::rename(new, self.directory.file("lb.toml")).expect("the file is replaced");
    }

    fn count(&self, message: &str) -> usize {
        self.process.messages().matches(message).count()
    }

    /// Waits until the log has so many of these.
    #[track_caller]
    fn until(&self, message: &str, count: usize) {
        let seen = poll(PATIENCE, || self.count(message) >= count);
        assert!(
            seen,
            "no {count} × `{message}`:\n{}",
            self.process.messages()
        );
    }

    /// Puts the rest in force.
    #[track_caller]
    fn reload(&self, rest: &str) {
        let before = self.count(" reloaded");
        self.write(rest);
        self.process.signal("HUP");
        self.until(" reloaded", before + 1);
    }

    /// Tries to; returns what the log says.
    #[track_caller]
    fn fail(&self) -> String {
        let before = self.count("reload failed");
        self.process.signal("HUP");
        self.until("reload failed", before + 1);
        let messages = self.process.messages();
        let at = messages.rfind("reload failed").unwrap_or_default();
        messages[at..].to_owned()
    }

    /// One exchange over a new connection that believes the authority alone.
    fn get(&self, path: &str) -> support::clients::Answer {
        let curl = Curl::get(&self.url("tls", path));
        let trust = ["--http2", "--cacert", &self.certificates.ca];
        curl.arguments(&trust).send().expect(200)
    }

    fn end(mut self) {
        self.process.signal("TERM");
        let status = self.process.wait();
        assert_eq!(status.code(), Some(0), "{}", self.process.messages());
    }
}

/// The variants that take turns: other backends, algorithms, pools and routes; `b` is in all of them.
fn variant(number: usize, urls: &[String]) -> String {
    let algorithm = ["round-robin", "least-connections", "weighted-round-robin"][number % 3];
    let backends = match number % 4 {
        0 => vec![&urls[0], &urls[1]],
        1 => vec![&urls[1], &urls[2]],
        2 => vec![&urls[2], &urls[1], &urls[0]],
        _ => vec![&urls[1]],
    };
    let extra = if number.is_multiple_of(2) {
        format!(
            "[pools.extra]\nbackends = [{:?}]\n[[routes]]\nname = \"extra\"\nmatch = {{ path = \"/extra/*\" }}\npool = \"extra\"\n",
            urls[2]
        )
    } else {
        String::new()
    };
    let queue = 100 + number;
    format!(
        "[pools.web]\nalgorithm = \"{algorithm}\"\nbackends = {backends:?}\nqueue = {queue}\n\
         affinity = {{ cookie = \"stay\", secret = \"a secret of the tests, long enough\" }}\n\
         {extra}[[routes]]\nname = \"web\"\npool = \"web\"\n"
    )
}

#[test]
fn a_hundred_reloads_under_load_lose_nothing() {
    let nginx = Nginx::start(&["a", "b", "c"]);
    let urls = nginx.urls();
    let large = nginx.files().noise("large", 12 << 20);
    let mut live = Live::start(&[], &variant(3, &urls));
    // Bound to `b`, which is the only one there is.
    let first = live.get("/");
    let cookie = first.header("set-cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    live.reload(&variant(0, &urls));

    let download = {
        let url = live.url("tls", "/files/large");
        thread::spawn(move || {
            let slowly = ["--http2", "--limit-rate", "600k"];
            Curl::get(&url).arguments(&slowly).send().expect(200)
        })
    };
    let requests = RATE * 20;
    let under_load = {
        let url = live.url("tls", "/");
        thread::spawn(move || load_at(&url, requests, CLIENTS, 10, RATE))
    };
    let mut memory_bytes = 0;
    for number in 1..=RELOADS {
        if number % 5 == 0 {
            live.certificates = live.directory.certificates();
        }
        live.reload(&variant(number, &urls));
        if number % 10 == 0 {
            // The new certificate is shown, and who is bound stays.
            let bound = Curl::get(&live.url("tls", "/"));
            let bound = bound.arguments(&["--cacert", &live.certificates.ca, "--cookie", &cookie]);
            assert_eq!(bound.send().expect(200).header("x-backend"), Some("b"));
        }
        if number == 20 {
            memory_bytes = live.process.memory_bytes();
        }
    }
    let grown = live.process.memory_bytes().saturating_sub(memory_bytes);
    assert!(
        !under_load.is_finished(),
        "the load was over before the last reload"
    );
    let all = Load {
        succeeded: requests,
        failed: 0,
        status_2xx: requests,
    };
    assert_eq!(under_load.join().unwrap(), all);
    let whole = download.join().unwrap();
    assert_eq!(sha256(&whole.body_file()), sha256(&large));
    let text = format!("grown by {grown} bytes over {memory_bytes}");
    assert!(grown < GROWTH_MAX_BYTES, "{text}");
    assert_eq!(
        live.count("reload failed"),
        0,
        "{}",
        live.process.messages()
    );
    live.end();
}

#[test]
fn a_mistake_changes_nothing_and_is_told() {
    let nginx = Nginx::start(&["a", "b"]);
    let urls = nginx.urls();
    let pool = |url: &String, more: &str| {
        format!("[pools.web]\nbackends = [{url:?}]\n{more}[[routes]]\npool = \"web\"\n")
    };
    let live = Live::start(&[], &pool(&urls[0], ""));
    live.write(&pool(&urls[1], "algoritm = \"ip-hash\"\n"));
    let said = live.fail();
    for part in ["lb.toml:", "algoritm", "algorithm"] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    // Valid as a text, and of no use.
    let other = live.directory.file("other.key");
    let made = rcgen::KeyPair::generate().unwrap();
    std::fs::write(&other, made.serialize_pem()).unwrap();
    live.write(&pool(&urls[1], ""));
    let key = std::fs::read(&live.certificates.key).unwrap();
    std::fs::rename(&other, &live.certificates.key).unwrap();
    let said = live.fail();
    for part in [
        &live.certificates.key,
        &live.certificates.cert,
        "does not match",
    ] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    assert_eq!(live.get("/").header("x-backend"), Some("a"));
    std::fs::write(&live.certificates.key, key).unwrap();
    live.reload(&pool(&urls[1], ""));
    assert_eq!(live.get("/").header("x-backend"), Some("b"));
    live.end();
}

#[test]
fn listeners_come_and_go_with_their_connections() {
    let nginx = Nginx::start(&["a"]);
    let large = nginx.files().noise("large", 4 << 20);
    let pool = format!(
        "[pools.web]\nbackends = {:?}\n[[routes]]\npool = \"web\"\n",
        nginx.urls()
    );
    let live = Live::start(&[], &pool);
    let port = free_port();
    let more = format!("{pool}[listeners.more]\naddress = \"127.0.0.1:{port}\"\ntls = \"off\"\n");
    let url = format!("http://127.0.0.1:{port}");
    live.reload(&more);
    assert_eq!(
        Curl::get(&url).send().expect(200).header("x-backend"),
        Some("a")
    );
    let download = {
        let url = format!("{url}/files/large");
        let slowly = ["--limit-rate", "2M", "--http2-prior-knowledge"];
        thread::spawn(move || Curl::get(&url).arguments(&slowly).send().expect(200))
    };
    let logged = || nginx.counts(2).iter().sum::<usize>() >= 1;
    assert!(poll(PATIENCE, logged));
    // An address that is taken changes nothing, not even what comes before it.
    let taken = nginx.urls()[0].replace("http://", "");
    live.write(&format!(
        "{pool}[listeners.ants]\naddress = \"127.0.0.1:0\"\ntls = \"off\"\n[listeners.taken]\naddress = \"{taken}\"\ntls = \"off\"\n"
    ));
    let said = live.fail();
    assert!(
        said.contains(&format!("cannot listen on {taken}")),
        "{said}"
    );
    assert_eq!(
        Curl::get(&url).send().expect(200).header("x-backend"),
        Some("a")
    );
    live.reload(&pool);
    let refused = || Curl::get(&url).send().exit == Some(7);
    assert!(poll(PATIENCE, refused), "it is still listened on {url}");
    assert_eq!(
        sha256(&download.join().unwrap().body_file()),
        sha256(&large)
    );
    assert_eq!(live.get("/").header("x-backend"), Some("a"));
    live.end();
}

#[test]
fn a_watched_file_that_changes_is_read() {
    let nginx = Nginx::start(&["a", "b"]);
    let urls = nginx.urls();
    let pool =
        |url: &String| format!("[pools.web]\nbackends = [{url:?}]\n[[routes]]\npool = \"web\"\n");
    let mut live = Live::start(&["--watch"], &pool(&urls[0]));
    live.write(&pool(&urls[1]));
    live.until(" reloaded", 1);
    assert_eq!(live.get("/").header("x-backend"), Some("b"));
    // The certificates alone, under the names they had.
    live.certificates = live.directory.certificates();
    live.until(" reloaded", 2);
    live.get("/");
    live.end();
}
