//! Life under a service manager: what it is told, and the sockets it passes on.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;

use support::clients::Curl;
use support::files::Directory;
use support::process::{PATIENCE, Process, poll, program, succeed};
use support::proxy::{command, listening};

const CONFIG: &str = "listen = \"127.0.0.1:0\"\ntls = \"off\"\nalgorithm = \"round-robin\"\n\
    backends = [\"http://127.0.0.1:9\"]\n";

/// A manager that hears what its service says.
struct Manager {
    socket: UnixDatagram,
    directory: Directory,
}

impl Manager {
    fn new() -> Self {
        let directory = Directory::new();
        let socket = UnixDatagram::bind(directory.file("notify")).expect("the path is free");
        socket
            .set_read_timeout(Some(PATIENCE))
            .expect("it is not 0");
        Self { socket, directory }
    }

    fn serve(&self, variables: &[(&str, &str)]) -> Process {
        self.directory.write("lb.toml", CONFIG);
        let mut serve = command();
        serve.arg("serve").current_dir(self.directory.path());
        serve.env("NOTIFY_SOCKET", self.directory.file("notify"));
        serve.envs(variables.iter().copied());
        Process::start("lb-cli", &mut serve)
    }

    /// The next thing it says, by name.
    fn heard(&self) -> BTreeMap<String, String> {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("it says something");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Waits until it says this, and gives the rest of what it says then.
    fn until(&self, name: &str) -> BTreeMap<String, String> {
        loop {
            let heard = self.heard();
            if heard.get(name).is_some_and(|value| value == "1") {
                return heard;
            }
        }
    }
}

#[test]
fn the_manager_is_told_each_step() {
    let manager = Manager::new();
    let mut server = manager.serve(&[]);
    let ready = manager.until("READY");
    assert!(ready["STATUS"].starts_with("Serving, "), "{ready:?}");
    // Bound by then: the address was told before.
    let (_, url) = listening(&server);
    Curl::get(&url).send().expect(502);

    server.signal("HUP");
    let reloading = manager.until("RELOADING");
    assert!(
        reloading["MONOTONIC_USEC"]
            .parse::<u64>()
            .is_ok_and(|time| time > 0)
    );
    manager.until("READY");

    manager.directory.write("lb.toml", "listen = 1");
    server.signal("HUP");
    manager.until("RELOADING");
    manager.until("READY");
    Curl::get(&url).send().expect(502);

    server.signal("TERM");
    let stopping = manager.until("STOPPING");
    assert!(!stopping["STATUS"].is_empty());
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn the_watchdog_is_fed_while_the_server_lives() {
    let manager = Manager::new();
    let server = manager.serve(&[("WATCHDOG_USEC", "200000")]);
    for _time in 0..3 {
        manager.until("WATCHDOG");
    }
    server.signal("STOP");
    // What was said before it stood still.
    manager.socket.set_nonblocking(true).expect("it can be");
    let mut buffer = [0; 4096];
    let is_silent = || manager.socket.recv(&mut buffer).is_err();
    assert!(poll(PATIENCE, is_silent));
    server.signal("CONT");
    manager.socket.set_nonblocking(false).expect("it can be");
    manager.until("WATCHDOG");
}

#[test]
fn sockets_that_are_passed_are_used_and_survive_the_server() {
    let directory = Directory::new();
    let template = directory.write(
        "template",
        "[admin]\naddress = \"{unix}\"\n[listeners.public]\naddress = \"{tcp}\"\ntls = \"off\"\n\
         [[routes]]\nname = \"all\"\nrespond = { status = 200, body = \"passed\" }\n",
    );
    let config = directory.file("lb.toml");
    let socket = directory.file("admin.sock");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/inherit.py");
    let mut passing = program("python3", "python3");
    let binary = env!("CARGO_BIN_EXE_lb-cli");
    passing.args([
        script, &template, &config, &socket, binary, "serve", "--config", &config,
    ]);
    let mut server = Process::start("inherit.py", &mut passing);
    let unused = server.line_after("unused ");
    let (_, url) = listening(&server);
    assert_eq!(Curl::get(&url).send().expect(200).text(), "passed");
    let mut status = command();
    status.args([
        "backend",
        "list",
        "--json",
        "--admin",
        &format!("unix:{socket}"),
    ]);
    assert_eq!(succeed(&mut status).trim(), "[]");

    // What nobody wants, and what is no socket, is named.
    let said = server.messages();
    assert!(said.contains(&unused), "{unused} in {said}");
    assert!(said.contains("descriptor=6"), "{said}");

    // The listener goes and comes back: nobody could bind its address again.
    let text = std::fs::read_to_string(&config).expect("it was written");
    let other = text.replace(
        "[listeners.public]\naddress = ",
        "[listeners.public]\naddress = \"127.0.0.1:0\" #",
    );
    directory.write("lb.toml", &other);
    let admin = format!("unix:{socket}");
    let reload = || {
        let mut reload = command();
        reload.args(["reload", "--config", &config, "--admin", &admin]);
        succeed(&mut reload)
    };
    reload();
    directory.write("lb.toml", &text);
    reload();
    assert_eq!(Curl::get(&url).send().expect(200).text(), "passed");

    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    // The path belongs to whoever made it.
    assert!(std::path::Path::new(&socket).exists());
}
