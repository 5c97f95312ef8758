//! Log lines on standard error: how much of them, and in which form.

use std::io;

use lb_server::admin::LogControl;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::args::Verbosity;
use crate::output;

/// Starts logging for the process.
///
/// `RUST_LOG` says what is logged where it is set and understood; else the number of `-v` and
/// `-q` does. Standard error takes the lines, so that standard output stays the result.
pub(crate) fn start(verbosity: &Verbosity) -> Log {
    let asked = std::env::var("RUST_LOG")
        .ok()
        .filter(|text| !text.is_empty());
    let (filter, mistake) = match asked.as_deref().map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (default_filter(verbosity), Some(error)),
        None => (default_filter(verbosity), None),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(output::wants_colour())
        .with_target(verbosity.verbose > 0)
        .with_filter_reloading();
    let (reading, writing) = (subscriber.reload_handle(), subscriber.reload_handle());
    // A second subscriber can only be there in tests, and then it may stay.
    let _ = subscriber.try_init();
    if let Some(error) = mistake {
        tracing::warn!(%error, "RUST_LOG is not understood and is ignored");
    }
    Log {
        read: Box::new(move || {
            let read = reading.with_current(ToString::to_string);
            read.unwrap_or_default()
        }),
        write: Box::new(move |filter| writing.reload(filter).map_err(|error| error.to_string())),
    }
}

/// How much is logged, while the program runs.
pub(crate) struct Log {
    read: Box<dyn Fn() -> String + Send + Sync>,
    write: Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>,
}

impl LogControl for Log {
    fn level(&self) -> String {
        (self.read)()
    }

    fn set_level(&self, directives: &str) -> Result<(), String> {
        // A word alone would be taken for a target of which everything is logged.
        let is_meant = |one: &str| one.contains(['=', '[']) || one.parse::<LevelFilter>().is_ok();
        if let Some(wrong) = directives
            .split(',')
            .map(str::trim)
            .find(|one| !is_meant(one))
        {
            return Err(format!("`{}` is no level", wrong.escape_debug()));
        }
        let filter = EnvFilter::try_new(directives).map_err(|error| error.to_string())?;
        (self.write)(filter)
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
