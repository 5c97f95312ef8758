use clap::CommandFactory as _;

use super::*;

fn help(path: &[&str]) -> String {
    let mut command = Arguments::command().term_width(100);
    command.build();
    let found = path.iter().fold(&mut command, |command, name| {
        command.find_subcommand_mut(name).unwrap()
    });
    found.render_long_help().to_string()
}

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn help_texts_are_as_reviewed() {
    for path in [
        &[][..],
        &["serve"],
        &["check"],
        &["init"],
        &["config"],
        &["config", "show"],
        &["config", "convert"],
        &["config", "diff"],
        &["status"],
        &["top"],
        &["health"],
        &["backend"],
        &["backend", "add"],
        &["backend", "weight"],
        &["route"],
        &["reload"],
        &["stop"],
        &["cache", "purge"],
        &["session", "end"],
        &["log-level"],
        &["gen-cert"],
        &["demo-backend"],
        &["completions"],
        &["man"],
        &["version"],
    ] {
        let name = format!("help {}", path.join(" "));
        insta::assert_snapshot!(name.trim().replace(' ', "_"), help(path));
    }
}

#[test]
fn nginx_hands_find_the_test() {
    let arguments = Arguments::try_parse_from(["lb-cli", "-t", "-c", "lb.toml"]).unwrap();
    assert!(matches!(arguments.command, Command::Check(_)));
}

#[test]
fn listen_alone_describes_no_server() {
    let parsed = Arguments::try_parse_from(["lb-cli", "serve", "--listen", "127.0.0.1:0"]).unwrap();
    let Command::Serve(arguments) = parsed.command else {
        unreachable!("`serve` was parsed");
    };
    assert!(!arguments.describes_a_server());
}

#[test]
fn contradictions_are_usage_errors() {
    for wrong in [
        &["lb-cli", "serve", "--cert", "a"][..],
        &["lb-cli", "serve", "--no-tls", "--self-signed"],
        &["lb-cli", "serve", "--set", "threads"],
        &["lb-cli", "serve", "-v", "-q"],
        &["lb-cli", "demo-backend", "--fail", "5"],
        &["lb-cli", "demo-backend", "--delay", "20"],
        &["lb-cli", "gen-cert", "--days", "0"],
        &["lb-cli", "backend", "weight", "a", "0"],
        &["lb-cli", "cache", "purge"],
        &["lb-cli", "cache", "purge", "--all", "--url", "http://a"],
        &["lb-cli", "stop", "--timeout", "5"],
        &["lb-cli", "route", "GET", "/", "-H", "host"],
    ] {
        let error = Arguments::try_parse_from(wrong).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{wrong:?}");
    }
}
