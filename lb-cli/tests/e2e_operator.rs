//! The commands of an operator against a real server: what they print, what they change, how they fail.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use serde_json::{Value, json};
use support::clients::Curl;
use support::files::Directory;
use support::process::{Ended, PATIENCE, Process, poll, python, run, succeed};
use support::proxy::{command, listening};
use support::scripted::Scripted;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A server whose admin API is at a unix socket, and a directory to give commands in: the configuration is
/// found there.
struct Server {
    process: Process,
    url: String,
    directory: Directory,
    _backends: Vec<Scripted>,
}

impl Server {
    fn start(admin: &str, more: &str) -> Self {
        let directory = Directory::new();
        let backends: Vec<Scripted> = [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb",
        ]
        .into_iter()
        .map(Scripted::saying)
        .collect();
        let backend = |index: usize, name: &str| {
            format!(
                "{{ url = \"{}\", name = \"{name}\" }}",
                backends[index].url()
            )
        };
        let admin = admin.replace("{dir}", &directory.path().display().to_string());
        directory.write("token", TOKEN);
        directory.write(
            "lb.toml",
            &format!(
                "[admin]\n{admin}\n[listeners.plain]\naddress = \"127.0.0.1:0\"\ntls = \"off\"\n\
                 [pools.api]\nhealth_check = \"off\"\nalgorithm = \"round-robin\"\n\
                 backends = [{}, {}]\n{more}",
                backend(0, "a"),
                backend(1, "b"),
            ),
        );
        let mut serve = command();
        serve.arg("serve").current_dir(directory.path());
        let process = Process::start("lb-cli", &mut serve);
        let (_, url) = listening(&process);
        process.line_after("admin url=");
        Self {
            process,
            url,
            directory,
            _backends: backends,
        }
    }

    fn at_socket() -> Self {
        Self::start(
            "address = \"unix:{dir}/admin.sock\"",
            "[[routes]]\nname = \"all\"\npool = \"api\"\n",
        )
    }

    fn ask(&self, arguments: &[&str]) -> Ended {
        run(command().args(arguments).current_dir(self.directory.path()))
    }

    /// The output of a command that has to succeed.
    fn told(&self, arguments: &[&str]) -> String {
        succeed(command().args(arguments).current_dir(self.directory.path()))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.told(arguments)).expect("it is JSON")
    }

    fn state(&self, backend: &str) -> Value {
        let list = self.json(&["backend", "list", "--json"]);
        let found = list.as_array().into_iter().flatten();
        let mut found = found.filter(|it| it["id"] == backend);
        found.next().cloned().unwrap_or_default()
    }

    fn body(&self) -> String {
        Curl::get(&self.url).send().expect(200).text()
    }
}

#[test]
fn the_state_of_everything_is_shown_at_a_look() {
    let server = Server::at_socket();
    server.body();
    let table = server.told(&["status"]);
    for text in [
        "pool api  round-robin  2 of 2 usable",
        "BACKEND",
        "ready",
        "requests 1 ",
    ] {
        assert!(table.contains(text), "no `{text}` in\n{table}");
    }
    // No terminal, so no colours.
    assert!(!table.contains('\u{1b}'), "{table:?}");
    let status = server.json(&["status", "--json"]);
    assert_eq!(status["totals"]["requests"], 1);
    assert_eq!(server.told(&["health"]), "ready\n");
    assert_eq!(server.told(&["health", "--live"]), "alive\n");
}

#[test]
fn backends_are_steered_and_the_difference_is_told() {
    let server = Server::at_socket();
    assert_eq!(server.told(&["config", "diff"]), "no difference\n");
    let told = server.told(&["backend", "drain", "a"]);
    assert_eq!(told, "a in pool api: draining, weight 1, in flight 0\n");
    assert!((0..4).all(|_| server.body() == "b"));
    server.told(&["backend", "ready", "a"]);
    server.told(&["backend", "maintain", "b"]);
    assert!((0..4).all(|_| server.body() == "a"));
    server.told(&["backend", "weight", "b", "7", "--pool", "api"]);
    assert_eq!(server.state("b")["weight"], 7);
    let added = Scripted::saying(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nc");
    server.told(&[
        "backend",
        "add",
        &added.url(),
        "--name",
        "c",
        "--weight",
        "3",
        "--maintain",
    ]);
    assert_eq!(server.state("c")["state"], "maintenance");
    server.told(&["backend", "remove", "a"]);
    server.told(&["backend", "ready", "c"]);
    assert_eq!(server.body(), "c");

    let differing = server.ask(&["config", "diff"]);
    assert_eq!(differing.code, Some(1), "{}", differing.text());
    for text in [
        "backend a removed",
        "backend b state",
        "backend b weight",
        "backend c added",
    ] {
        assert!(
            differing.text().contains(text),
            "no `{text}` in\n{}",
            differing.text()
        );
    }
    // The file says what is so after a reload.
    server.told(&["reload"]);
    let same = server.ask(&["config", "diff"]);
    assert_eq!(
        (same.code, same.text().as_str()),
        (Some(0), "no difference\n")
    );
    assert_eq!(server.state("c"), Value::Null);
}

#[test]
fn a_mistake_is_answered_with_what_there_is() {
    let server = Server::at_socket();
    for (arguments, wrong, next) in [
        (
            &["backend", "drain", "x"][..],
            "there is no backend `x`",
            "a, b",
        ),
        (
            &["backend", "drain", "a", "--pool", "web"],
            "there is no pool `web`",
            "api",
        ),
        (
            &["backend", "list", "--pool", "web"],
            "there is no pool `web`",
            "api",
        ),
        (&["backend", "add", "ftp://x"], "ftp", "http"),
        (&["session", "end", "abc"], "session", ""),
        (&["cache", "purge", "--all"], "cache", ""),
        (&["log-level", "lb_server=loud"], "level filter", "try"),
    ] {
        let ended = server.ask(arguments);
        assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.messages);
        let said = ended.messages.trim();
        assert!(
            said.contains(wrong) && said.contains(next),
            "{arguments:?}: {said}"
        );
        assert!(said.contains("\ntry: "), "{arguments:?}: {said}");
    }
    let both = server.ask(&["cache", "purge", "--all", "--tag", "x"]);
    assert_eq!(both.code, Some(2));
}

#[test]
fn a_server_that_cannot_be_asked_says_how_it_could_be() {
    let nobody = Directory::new();
    let ask = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut asking = command();
        asking.args(arguments).current_dir(nobody.path());
        asking.envs(variables.iter().copied());
        run(&mut asking)
    };
    let nowhere = nobody.file("nobody.sock");
    let gone = ask(&["status", "--admin", &format!("unix:{nowhere}")], &[]);
    assert_eq!(gone.code, Some(1));
    assert!(
        gone.messages.contains("no server can be asked"),
        "{}",
        gone.messages
    );
    assert!(gone.messages.contains("--admin"), "{}", gone.messages);
    assert_eq!(
        ask(&["health", "--admin", &format!("unix:{nowhere}")], &[]).code,
        Some(1)
    );
    assert_eq!(ask(&["status", "--admin", "nonsense"], &[]).code, Some(2));
    assert_eq!(
        ask(&["status"], &[("LB_ADMIN", "https://x:1")]).code,
        Some(2)
    );

    let server = Server::start(
        "address = \"127.0.0.1:0\"\ntoken_file = \"{dir}/token\"",
        "[[routes]]\nname = \"all\"\npool = \"api\"\n",
    );
    // The port is any, so the configuration does not tell where to ask.
    let unknown = server.ask(&["status"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.messages.contains("--admin"), "{}", unknown.messages);
    // A listener is no admin API.
    let listener = server.url.as_str();
    let foreign = ask(&["status", "--admin", listener], &[]);
    assert!(
        foreign.messages.contains("is no admin API") || foreign.messages.contains("not understood"),
        "{}",
        foreign.messages
    );
}

#[test]
fn a_token_comes_from_a_file_or_a_variable() {
    let server = Server::start(
        "address = \"unix:{dir}/admin.sock\"\ntoken_file = \"{dir}/token\"",
        "[[routes]]\nname = \"all\"\npool = \"api\"\n",
    );
    // The configuration names the file.
    server.told(&["status"]);
    let elsewhere = Directory::new();
    let socket = format!("unix:{}", server.directory.file("admin.sock"));
    let token = server.directory.file("token");
    let ask = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut asking = command();
        asking.args(["status", "--admin", &socket]).args(arguments);
        asking
            .envs(variables.iter().copied())
            .current_dir(elsewhere.path());
        run(&mut asking)
    };
    for (arguments, variables) in [
        (&["--token-file", token.as_str()][..], &[][..]),
        (&[], &[("LB_ADMIN_TOKEN", TOKEN)]),
        (&[], &[("LB_ADMIN_TOKEN_FILE", token.as_str())]),
        (
            &["--token-file", token.as_str()],
            &[("LB_ADMIN_TOKEN", "wrong")],
        ),
    ] {
        let ended = ask(arguments, variables);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.messages);
    }
    for variables in [&[][..], &[("LB_ADMIN_TOKEN", "wrong")]] {
        let ended = ask(&[], variables);
        assert_eq!(ended.code, Some(1));
        assert!(
            ended.messages.contains("LB_ADMIN_TOKEN"),
            "{}",
            ended.messages
        );
        assert!(!ended.messages.contains(TOKEN));
    }
    // An orchestrator has no token to show.
    let mut health = command();
    health
        .args(["health", "--admin", &socket])
        .current_dir(elsewhere.path());
    assert_eq!(succeed(&mut health), "ready\n");
}

#[test]
fn a_reload_tells_what_changed_or_where_the_mistake_is() {
    let server = Server::at_socket();
    assert_eq!(server.told(&["reload"]), "reloaded, nothing has changed\n");
    let file = server.directory.file("lb.toml");
    let text = std::fs::read_to_string(&file).expect("it was written");
    server
        .directory
        .write("lb.toml", &text.replace("round-robin", "ip-hash"));
    let diff = server.ask(&["config", "diff"]);
    assert_eq!(diff.code, Some(1));
    assert!(
        diff.text().contains("+ pools.api.algorithm = \"ip-hash\""),
        "{}",
        diff.text()
    );
    assert_eq!(server.told(&["reload"]), "changed pools.api\n");
    assert_eq!(
        server.json(&["status", "--json"])["pools"][0]["algorithm"],
        "ip-hash"
    );

    server
        .directory
        .write("lb.toml", &text.replace("round-robin", "round-about"));
    let socket = format!("unix:{}", server.directory.file("admin.sock"));
    let refused = server.ask(&["reload", "--admin", &socket]);
    assert_eq!(refused.code, Some(3), "{}", refused.messages);
    assert!(
        refused.messages.contains("round-about"),
        "{}",
        refused.messages
    );
    assert!(
        refused.messages.contains('^'),
        "no caret in {}",
        refused.messages
    );
    let json = server.told(&["status", "--json", "--admin", &socket]);
    let status: Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(status["config"]["last_reload"]["ok"], false);
    assert_eq!(status["pools"][0]["algorithm"], "ip-hash");
}

#[test]
fn a_route_is_explained_with_and_without_a_server() {
    let server = Server::start(
        "address = \"unix:{dir}/admin.sock\"",
        "[[routes]]\nname = \"users\"\nmatch = { path = \"/users/*\", methods = [\"GET\"] }\npool = \"api\"\n\
         [[routes]]\nname = \"gone\"\nrespond = { status = 410 }\n",
    );
    server.told(&["backend", "drain", "a"]);
    let offline = server.told(&["route", "GET", "/users/7", "-H", "host: app.example"]);
    assert!(offline.contains("GET app.example/users/7"), "{offline}");
    assert!(offline.contains("users matches"), "{offline}");
    assert!(!offline.contains("out: "), "{offline}");
    let running = server.told(&["route", "GET", "http://app.example/users/7", "--running"]);
    assert!(running.contains("out: draining"), "{running}");
    assert!(running.contains("backend    b"), "{running}");
    let other = server.told(&["route", "POST", "/users/7"]);
    assert!(other.contains("users does not"), "{other}");
    assert!(other.contains("fixed reply 410"), "{other}");
    let json = server.json(&[
        "route",
        "GET",
        "/users/7",
        "--json",
        "--client",
        "192.0.2.9",
    ]);
    assert_eq!(
        (&json["route"], &json["client"]),
        (&json!("users"), &json!("192.0.2.9"))
    );
    assert_eq!(server.ask(&["route", "GE T", "/"]).code, Some(2));
    let nothing = Directory::new();
    let mut lost = command();
    lost.args(["route", "GET", "/"]).current_dir(nothing.path());
    lost.env("HOME", nothing.path());
    assert_eq!(run(&mut lost).code, Some(3));
}

#[test]
fn the_log_level_is_changed_while_it_runs() {
    let server = Server::at_socket();
    assert!(server.told(&["log-level"]).contains("info"));
    assert_eq!(server.told(&["log-level", "debug"]), "debug\n");
    assert_eq!(
        server.json(&["log-level", "--json"]),
        json!({ "level": "debug" })
    );
}

#[test]
fn a_stopped_server_is_gone_when_the_command_ends() {
    let mut server = Server::at_socket();
    let ended = server.ask(&["stop", "--timeout", "60s"]);
    assert_eq!(
        (ended.code, ended.text().as_str()),
        (Some(0), "gone\n"),
        "{}",
        ended.messages
    );
    assert_eq!(server.process.wait().code(), Some(0));
    assert_eq!(server.ask(&["health"]).code, Some(1));
}

#[test]
fn the_live_view_draws_sorts_and_gives_the_terminal_back() {
    let server = Server::at_socket();
    server.body();
    let mut view = Terminal::start(&server, &["top"]);
    let lines = view.wait("q ends");
    assert!(lines.len() <= 24, "{lines:?}");
    assert!(
        lines.iter().all(|line| line.chars().count() <= 80),
        "{lines:?}"
    );
    view.wait("pool api");
    view.send("type s");
    server.told(&["backend", "drain", "b"]);
    view.wait("draining");
    // By state, of which `draining` comes before `ready`.
    view.send("type sssssss");
    let rows = view.wait("now STATE");
    let row = |text: &str| {
        rows.iter()
            .position(|line| line.trim_start().starts_with(text))
    };
    assert!(row("draining") < row("ready"), "{rows:?}");
    view.send("type q");
    view.ends_as_it_began(0);
}

#[test]
fn a_server_that_hangs_or_goes_is_seen_and_the_view_stays() {
    let server = Server::at_socket();
    let mut view = Terminal::start(&server, &["top"]);
    view.wait("pool api");
    server.process.signal("STOP");
    view.wait("says nothing any more");
    // Killed while it stands still, without a farewell.
    drop(server);
    view.wait("no server can be asked");
    view.send("type q");
    view.ends_as_it_began(0);
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let server = Server::at_socket();
    for way in ["kill SIGTERM", "kill SIGHUP", "type \\x03"] {
        let mut view = Terminal::start(&server, &["top"]);
        view.wait("q ends");
        view.send(way);
        view.ends_as_it_began(0);
    }
}

#[test]
fn without_a_terminal_the_live_view_is_lines() {
    let server = Server::at_socket();
    let mut top = command();
    top.arg("top").current_dir(server.directory.path());
    let mut top = Process::start("lb-cli top", &mut top);
    assert!(top.line_after("requests ").contains("backends 2/2"));
    server.told(&["stop"]);
    assert_eq!(top.wait().code(), Some(1));
    assert!(
        poll(PATIENCE, || top.messages().contains("try: ")),
        "{}",
        top.messages()
    );
}

/// A command in a pseudo-terminal.
struct Terminal {
    process: Process,
}

impl Terminal {
    fn start(server: &Server, arguments: &[&str]) -> Self {
        let mut script = python("terminal.py");
        script.arg(env!("CARGO_BIN_EXE_lb-cli")).args(arguments);
        script
            .current_dir(server.directory.path())
            .env("TERM", "xterm");
        Self {
            process: Process::start("terminal.py", &mut script),
        }
    }

    fn send(&mut self, line: &str) {
        self.process.tell(line);
    }

    /// The screen once it shows a text.
    fn wait(&mut self, text: &str) -> Vec<String> {
        self.send(&format!("wait {text}"));
        let told: Value = serde_json::from_str(&self.process.line_after("")).expect("it is JSON");
        let lines = told["lines"].as_array().into_iter().flatten();
        lines
            .filter_map(|line| Some(line.as_str()?.to_owned()))
            .collect()
    }

    fn ends_as_it_began(mut self, code: i32) {
        self.send("end");
        let told: Value = serde_json::from_str(&self.process.line_after("")).expect("it is JSON");
        let began = json!({
            "code": code, "is_restored": true, "entered": 1, "left": 1, "cursor_is_shown": true,
        });
        assert_eq!(told, began);
    }
}
