//! Rules of layout that neither rustfmt nor clippy knows.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::check::LEAF_CRATES;
use crate::files;
use crate::steps::{Workspace, say};

/// Above this a file holds a second idea.
const MAX_LINES: usize = 600;

/// Names under which things without a place of their own gather.
const VAGUE_FILES: [&str; 9] = [
    "common", "helper", "helpers", "misc", "prelude", "shared", "types", "util", "utils",
];
const VAGUE_TYPES: [&str; 6] = ["Context", "Ctx", "Manager", "Shared", "Util", "Common"];

/// What a leaf crate may need to run.
const LEAF_DEPENDENCIES: [&str; 9] = [
    "bytes",
    "foldhash",
    "hmac",
    "http",
    "parking_lot",
    "serde",
    "serde_json",
    "sha2",
    "twox-hash",
];

/// What a leaf crate never touches, as it would be written in its sources.
const LEAF_FORBIDS: [&str; 10] = [
    "tokio::",
    "h2::",
    "rustls::",
    "tracing::",
    "std::fs",
    "std::env",
    "std::thread",
    "std::process",
    "TcpStream",
    "UdpSocket",
];

/// Lies in `lb-server/`, and is read with it.
const FUZZ: &str = "lb-fuzz";

/// The crates of the workspace a crate may depend on.
const DIRECTION: [(&str, &[&str]); 8] = [
    ("lb-cli", &["lb-server"]),
    ("lb-server", &LEAF_CRATES),
    (
        FUZZ,
        &["lb-server", "lb-session", "lb-ratelimit", "lb-cache"],
    ),
    ("lb-core", &[]),
    ("lb-session", &[]),
    ("lb-ratelimit", &[]),
    ("lb-cache", &[]),
    ("xtask", &[]),
];

/// Crates that must not be linked, by anyone.
const BANNED_CRATES: [&str; 1] = ["openssl-sys"];

pub(crate) fn run() -> Result<()> {
    check(&Workspace::load()?)
}

/// Checks every rule and lists all offences before failing.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut offences = Vec::new();
    dependencies(workspace, &mut offences);
    let lock = workspace.root.join("Cargo.lock");
    let locked = files::read(&lock)?;
    for banned in BANNED_CRATES {
        if locked.contains(&format!("name = \"{banned}\"\n")) {
            offences.push(format!("Cargo.lock: `{banned}` is banned"));
        }
    }
    let mut sources = Vec::new();
    for name in workspace.crates().into_iter().filter(|name| *name != FUZZ) {
        collect(&workspace.root.join(name), &mut sources)?;
    }
    sources.sort();
    for file in &sources {
        let text = files::read(file)?;
        let relative = file.strip_prefix(&workspace.root).unwrap_or(file);
        source(relative, &text, &mut offences);
    }
    if !offences.is_empty() {
        for offence in &offences {
            say(&format!("    {offence}"));
        }
        bail!("{} offences against the rules of layout", offences.len());
    }
    say(&format!("    {} files", sources.len()));
    Ok(())
}

fn dependencies(workspace: &Workspace, offences: &mut Vec<String>) {
    let crates = workspace.crates();
    for name in &crates {
        let Some((_, allowed)) = DIRECTION.iter().find(|(known, _)| known == name) else {
            offences.push(format!(
                "{name}: not one of the crates this workspace is made of"
            ));
            continue;
        };
        for dependency in workspace.dependencies(name) {
            if crates.contains(&dependency) && !allowed.contains(&dependency) {
                offences.push(format!("{name}: must not depend on `{dependency}`"));
            }
            if LEAF_CRATES.contains(name) && !LEAF_DEPENDENCIES.contains(&dependency) {
                offences.push(format!("{name}: a leaf crate does without `{dependency}`"));
            }
        }
    }
}

fn source(file: &Path, text: &str, offences: &mut Vec<String>) {
    let at = |line: usize| format!("{}:{}", file.display(), line + 1);
    let path = file.to_string_lossy().replace('\\', "/");
    let shipped = path.contains("/src/");
    let lines = text.lines().count();
    if lines > MAX_LINES {
        offences.push(format!(
            "{path}: {lines} lines, at most {MAX_LINES}: split it"
        ));
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    if shipped && (stem == "mod" || VAGUE_FILES.contains(&&*stem)) {
        offences.push(format!(
            "{path}: a file is named after its idea, and `mod.rs` is not used"
        ));
    }
    let explained = text.starts_with("//!") || text.starts_with("#![doc = include_str!");
    if !explained && !path.ends_with("/tests.rs") && !path.contains("/tests/") {
        offences.push(format!("{path}: its first line does not say what it is"));
    }
    let leaf = LEAF_CRATES
        .iter()
        .any(|leaf| path.starts_with(&format!("{leaf}/src/")));
    let clockless = leaf || path.starts_with("lb-server/src/") && !path.ends_with("/clock.rs");
    let unit_tests = stem == "tests" || stem == "testing" || path.contains("/tests/");
    let mut in_tests = unit_tests;
    for (number, line) in text.lines().enumerate() {
        let code = line.trim_start();
        if code.starts_with("//") {
            continue;
        }
        // Unit tests stand last in a file, so all that follows is test code.
        in_tests |= line == "#[cfg(test)]";
        let attribute = code.strip_prefix("#![").or_else(|| code.strip_prefix("#["));
        if attribute.is_some_and(|attribute| attribute.starts_with("allow(")) {
            offences.push(format!(
                "{}: `#[expect(.., reason = \"..\")]` instead of allow",
                at(number)
            ));
        }
        if !shipped || in_tests {
            continue;
        }
        if clockless && (code.contains("Instant::now(") || code.contains("SystemTime::now(")) {
            offences.push(format!(
                "{}: the clock is read in lb-server/src/clock.rs only",
                at(number)
            ));
        }
        if leaf && let Some(word) = LEAF_FORBIDS.iter().find(|word| mentions(code, word)) {
            offences.push(format!(
                "{}: a leaf crate does without `{word}`",
                at(number)
            ));
        }
        if let Some(name) = defines(code)
            && VAGUE_TYPES.contains(&name)
        {
            offences.push(format!(
                "{}: a type named `{name}` says nothing",
                at(number)
            ));
        }
        // What a library user names, as `Request`, is part of an API and may be one.
        if line.starts_with("type ") || line.starts_with("pub(crate) type ") {
            offences.push(format!("{}: no type aliases", at(number)));
        }
        // `get_or_insert_with` and the like are the names of the standard library.
        if code.contains(concat!("fn ", "get_")) && !code.contains(concat!("fn ", "get_or_")) {
            offences.push(format!("{}: methods go without `get_`", at(number)));
        }
    }
}

/// Whether `word` occurs with no identifier running into it (`h2::` is not in `auth2::`).
fn mentions(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || before == '_')
    })
}

/// The name of the type that this line begins to define.
fn defines(code: &str) -> Option<&str> {
    let code = ["pub(crate) ", "pub(super) ", "pub "]
        .iter()
        .find_map(|visibility| code.strip_prefix(visibility))
        .unwrap_or(code);
    let rest = ["struct ", "enum ", "trait "]
        .iter()
        .find_map(|kind| code.strip_prefix(kind))?;
    rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .next()
}

fn collect(directory: &Path, sources: &mut Vec<PathBuf>) -> Result<()> {
    for path in files::entries(directory)? {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, sources)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offences(path: &str, text: &str) -> Vec<String> {
        let mut offences = Vec::new();
        source(Path::new(path), text, &mut offences);
        offences
    }

    #[test]
    fn refuses_a_bare_allow_anywhere() {
        let text = format!("//! A test.\n#[{}(dead_code)]\nfn unused() {{}}\n", "allow");
        assert_eq!(offences("lb-cli/tests/init.rs", &text).len(), 1);
    }

    #[test]
    fn refuses_a_long_file() {
        let text = "//! Long.\n".repeat(MAX_LINES + 1);
        assert_eq!(offences("lb-core/src/long.rs", &text).len(), 1);
    }

    #[test]
    fn lets_only_the_clock_and_the_tests_read_time() {
        let text =
            "//! Time.\nfn f() { Instant::now(); }\n#[cfg(test)]\nfn g() { Instant::now(); }\n";
        assert_eq!(offences("lb-server/src/drain.rs", text).len(), 1);
        assert_eq!(offences("lb-server/src/clock.rs", text).len(), 0);
        assert_eq!(offences("lb-cli/src/serve.rs", text).len(), 0);
    }

    #[test]
    fn keeps_leaf_crates_pure() {
        let text = "//! Leaf.\nuse tokio::net::TcpListener;\nuse auth2::Token;\n";
        assert_eq!(offences("lb-core/src/pool.rs", text).len(), 1);
    }

    #[test]
    fn refuses_names_that_say_nothing() {
        let text = "//! Names.\npub(crate) struct Context<'a>(&'a str);\nstruct ContextLine;\n";
        assert_eq!(offences("lb-server/src/util.rs", text).len(), 2);
    }
}
