//! Log lines on standard error: how much of them, and in which form.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::args::Verbosity;
use crate::output;

/// Starts logging for the process.
///
/// `RUST_LOG` says what is logged where it is set and understood; else the number of `-v` and
/// `-q` does. Standard error takes the lines, so that standard output stays the result.
pub(crate) fn start(verbosity: &Verbosity) {
    let asked = std::env::var("RUST_LOG")
        .ok()
        .filter(|text| !text.is_empty());
    let (filter, mistake) = match asked.as_deref().map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (default_filter(verbosity), Some(error)),
        None => (default_filter(verbosity), None),
    };
    // A second subscriber can only be there in tests, and then it may stay.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(output::wants_colour())
        .with_target(verbosity.verbose > 0)
        .try_init();
    if let Some(error) = mistake {
        tracing::warn!(%error, "RUST_LOG is not understood and is ignored");
    }
}

fn default_filter(verbosity: &Verbosity) -> EnvFilter {
    EnvFilter::new(directives(verbosity))
}

fn directives(verbosity: &Verbosity) -> &'static str {
    match (verbosity.quiet, verbosity.verbose) {
        (true, _) => "error",
        (false, 0) => "warn,lb_cli=info,lb_server=info",
        (false, 1) => "info,lb_cli=debug,lb_server=debug",
        (false, 2) => "debug,lb_cli=trace,lb_server=trace",
        (false, _) => "trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verbosity_is_a_valid_filter() {
        for (quiet, verbose) in [(true, 0), (false, 0), (false, 1), (false, 2), (false, 9)] {
            let text = directives(&Verbosity { verbose, quiet });
            assert!(EnvFilter::try_new(text).is_ok(), "{text}");
        }
    }
}
