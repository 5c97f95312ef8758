//! What is installed beside the binary is true of it.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use support::files::Directory;
use support::process::{program, run, succeed};
use support::proxy::command;

const INSTALLED: &str = "/etc/lb/lb.toml";

fn packaged(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("packaging")
        .join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(packaged(name)).expect("it is in the repository")
}

/// The words of each line of a unit that begins so, as systemd runs them.
fn commands(unit: &str, key: &str) -> Vec<Vec<String>> {
    let lines = unit.lines().filter_map(|line| line.strip_prefix(key));
    lines
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect()
}

#[test]
fn the_unit_starts_what_there_is() {
    let unit = read("systemd/lb.service");
    let config = packaged("debian/lb.toml").display().to_string();
    let before = commands(&unit, "ExecStartPre=");
    let start = commands(&unit, "ExecStart=");
    assert_eq!((before.len(), start.len()), (1, 1));
    for words in before.iter().chain(&start) {
        assert_eq!(words[0], "/usr/bin/lb-cli");
        let mut ours = command();
        ours.args(
            words[1..]
                .iter()
                .map(|word| word.replace(INSTALLED, &config)),
        );
        if words[1] == "serve" {
            ours.arg("--check");
        }
        assert!(succeed(&mut ours).contains("ok"), "{words:?}");
    }
}

#[test]
fn the_unit_may_do_little() {
    // In tenths: the exposure that is still passed.
    let mut security = program("systemd-analyze", "systemd");
    security.args(["security", "--offline=yes", "--no-pager", "--threshold=20"]);
    let told = run(security.arg(packaged("systemd/lb.service")));
    assert_eq!(told.code, Some(0), "{}", told.text());
}

#[test]
fn the_image_can_be_asked_for_its_health() {
    let file = read("Containerfile");
    let line = file
        .lines()
        .find(|line| line.contains("CMD") && line.contains("health"));
    let line = line.expect("there is a health check");
    let words = &line[line.find('[').expect("it is a list")..];
    let words: Vec<String> = serde_json::from_str(words).expect("it is JSON");
    let nowhere = Directory::new();
    let mut health = command();
    health
        .args(&words[1..])
        .args(["--admin", &format!("unix:{}", nowhere.file("none"))]);
    // Not a mistake of usage, only nobody there.
    assert_eq!(run(&mut health).code, Some(1));
}

#[test]
fn the_alerts_fire_when_they_should() {
    let mut check = program("promtool", "prometheus");
    succeed(
        check
            .args(["check", "rules"])
            .arg(packaged("prometheus/alerts.yaml")),
    );
    let mut test = program("promtool", "prometheus");
    succeed(
        test.args(["test", "rules"])
            .arg(packaged("prometheus/alerts.test.yaml")),
    );
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_exist() {
    let asked: BTreeSet<String> = ["prometheus/alerts.yaml", "grafana/dashboard.json"]
        .into_iter()
        .flat_map(|name| names(&read(name)))
        .collect();
    assert!(asked.len() > 10, "{asked:?}");
    let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lb-server/METRICS.md");
    let Ok(documented) = fs::read_to_string(documented) else {
        return;
    };
    let documented = names(&documented);
    let missing: Vec<&String> = asked
        .iter()
        .filter(|name| {
            // A histogram is asked for by its parts.
            let parts = ["_bucket", "_sum", "_count"];
            let whole = parts.iter().find_map(|part| name.strip_suffix(part));
            !documented.contains(*name) && !whole.is_some_and(|whole| documented.contains(whole))
        })
        .collect();
    assert!(missing.is_empty(), "not in METRICS.md: {missing:?}");
}

/// The words that are names of our metrics.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_part(c))
        .filter(|word| word.starts_with("lb_") && *word != "lb_")
        .map(str::to_owned)
        .collect()
}
