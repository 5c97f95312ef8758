//! The only place that writes to the terminal: results on standard output, messages on standard
//! error, colours only where a person reads them.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use crate::failure::Failure;

const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[1;33m";
const PLAIN: &str = "\u{1b}[0m";

/// Writes one line of a result and flushes it, so that whoever reads a pipe sees it at once.
///
/// A closed pipe is not an error: `lb-cli schema | head` has what it wanted.
pub(crate) fn line(text: impl Display) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// As [`line()`], and tells whether somebody still reads.
pub(crate) fn is_read(text: impl Display) -> bool {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .is_ok()
}

/// Writes a result as it is; a closed pipe is not an error.
pub(crate) fn bytes(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
}

/// Says something about the run without being its result.
pub(crate) fn message(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Says what is wrong without being in the way.
pub(crate) fn warning(text: impl Display) {
    labelled(YELLOW, "warning", text);
}

/// Says what is wrong.
pub(crate) fn error(text: impl Display) {
    labelled(RED, "error", text);
}

/// Says why the command ends and what to try next.
pub(crate) fn failure(failure: &Failure) {
    error(failure);
    message(format_args!("try: {}", failure.next()));
}

fn labelled(colour: &str, label: &str, text: impl Display) {
    if wants_colour() {
        message(format_args!("{colour}{label}:{PLAIN} {text}"));
    } else {
        message(format_args!("{label}: {text}"));
    }
}

/// Whether standard error is a terminal whose reader did not decline colours (`NO_COLOR`).
pub(crate) fn wants_colour() -> bool {
    colours_of(io::stderr().is_terminal())
}

/// Whether whoever reads wants colours; programs never do (`NO_COLOR`).
pub(crate) fn colours_of(is_terminal: bool) -> bool {
    is_terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// How many columns standard output has, where it is a terminal; else what `COLUMNS` says.
pub(crate) fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
    let columns = size.map(|size| usize::from(size.ws_col));
    let stated = || env::var("COLUMNS").ok()?.parse().ok();
    columns.or_else(stated).filter(|columns| *columns > 0)
}
