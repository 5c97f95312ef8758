//! How a command ends: the exit codes, and an error that knows what to try next.

use std::fmt;
use std::process::ExitCode;

/// The exit codes of the process, as a unit file or a script sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: done what was asked.
    Done,
    /// 1: could not start or run.
    Failed,
    /// 2: bad usage; also what clap exits with.
    Usage,
    /// 3: the configuration is invalid, or the file that was named does not exist.
    Invalid,
    /// 4: forced by a second signal, or the drain passed its deadline.
    Forced,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Invalid => 3,
            Exit::Forced => 4,
        })
    }
}

/// Why a command ends early, and the next thing to try.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    error: anyhow::Error,
    next: String,
}

impl Failure {
    /// Could not start or run.
    pub(crate) fn failed(error: impl Into<anyhow::Error>, next: impl Into<String>) -> Self {
        Self::new(Exit::Failed, error.into(), next.into())
    }

    /// The arguments contradict each other in a way clap cannot see.
    pub(crate) fn usage(error: impl Into<anyhow::Error>, next: impl Into<String>) -> Self {
        Self::new(Exit::Usage, error.into(), next.into())
    }

    /// The configuration is invalid.
    pub(crate) fn invalid(error: impl Into<anyhow::Error>, next: impl Into<String>) -> Self {
        Self::new(Exit::Invalid, error.into(), next.into())
    }

    /// Forced, or too late.
    pub(crate) fn forced(error: impl Into<anyhow::Error>, next: impl Into<String>) -> Self {
        Self::new(Exit::Forced, error.into(), next.into())
    }

    fn new(exit: Exit, error: anyhow::Error, next: String) -> Self {
        Self { exit, error, next }
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// What is wrong with the configuration, where that is why.
    pub(crate) fn config_error(&self) -> Option<&lb_server::ConfigError> {
        self.error.downcast_ref()
    }

    /// The error without what to try next.
    pub(crate) fn into_error(self) -> anyhow::Error {
        self.error
    }

    /// The next thing to try.
    pub(crate) fn next(&self) -> &str {
        &self.next
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The alternate form of anyhow is the whole chain on one line.
        write!(f, "{:#}", self.error)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn shows_the_whole_chain_once() {
        let cause = std::io::Error::other("disk full");
        let error = Err::<(), _>(cause)
            .context("cannot write `server.key`")
            .unwrap_err();
        let failure = Failure::failed(error, "free some space");
        assert_eq!(failure.to_string(), "cannot write `server.key`: disk full");
        assert_eq!(failure.next(), "free some space");
        assert_eq!(failure.exit(), Exit::Failed);
    }
}
