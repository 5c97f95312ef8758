//! `lb-cli serve` without a configuration answers the line it tells the reader to try.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use support::clients::Curl;
use support::files::Directory;
use support::process::Process;
use support::proxy::{command, listening};

#[test]
fn answers_the_example_application() {
    let empty = Directory::new();
    let mut serve = command();
    serve
        .args(["serve", "--listen", "127.0.0.1:0"])
        .current_dir(empty.path());
    // No file of the machine is found either.
    serve
        .env("HOME", empty.path())
        .env("XDG_CONFIG_HOME", empty.path());
    let mut process = Process::start("lb-cli", &mut serve);
    let (_, url) = listening(&process);
    let url = url.replace("127.0.0.1", "localhost");
    let ask = || {
        Curl::get(&format!("{url}/api/users"))
            .arguments(&["-4", "--http2"])
            .send()
            .expect(200)
    };
    let made = ask();
    assert_eq!(made.version, "2");
    assert!(made.json().is_array());
    assert!(made.header("cache-status").unwrap().contains("stored"));
    let kept = ask();
    assert_eq!(kept.json(), made.json());
    assert!(kept.header("cache-status").unwrap().contains("hit"));
    // What the application does not answer itself goes to one of the built-in backends.
    Curl::get(&format!("{url}/anything"))
        .arguments(&["-4"])
        .send()
        .expect(200);
    process.signal("TERM");
    assert_eq!(process.wait().code(), Some(0));
}
