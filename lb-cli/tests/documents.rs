//! Completions and manual pages cover every command.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::process::{Command, Output};

fn lb_cli(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lb-cli"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = lb_cli(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains("gen-cert"), "{shell}");
    }
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("man1");
    let output = lb_cli(&["man", "--out", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for page in ["lb-cli.1", "lb-cli-gen-cert.1", "lb-cli-version.1"] {
        let text = std::fs::read_to_string(out.join(page)).unwrap();
        assert!(text.contains(".TH"), "{page}");
    }
}

#[test]
fn the_version_is_one_line_or_one_object() {
    let line = lb_cli(&["version"]).stdout;
    let short = lb_cli(&["-V"]).stdout;
    assert_eq!(line, short);
    let object: serde_json::Value =
        serde_json::from_slice(&lb_cli(&["version", "--json"]).stdout).unwrap();
    assert_eq!(object["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn unknown_commands_are_a_usage_error() {
    assert_eq!(lb_cli(&["sreve"]).status.code(), Some(2));
    assert_eq!(lb_cli(&[]).status.code(), Some(2));
}
