//! The store that several instances share: what features ask of it, and the way to it.
//!
//! Features see [`Store`] alone, so that tests put one in its place that is slow, failing or wrong. In a
//! server it is a [`Link`]: one for each worker, with a connection of its own, and a state that is up or
//! down. While it is down every command is answered at once.

#[cfg(feature = "redis")]
mod connect;
mod files;
mod link;
mod report;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;

use crate::config::RedisConfig;
use crate::error::Error;
use crate::metrics::Bounds;

pub(crate) use link::Link;
pub(crate) use report::Report;

/// Runs commands on a store that others share.
pub(crate) trait Store: fmt::Debug + Send + Sync {
    /// Runs one command. It is answered within the configured timeout, whatever happens to the store.
    fn run(&self, command: Command) -> BoxFuture<'_, Result<Value, StoreError>>;
}

/// What commands are called in metrics; the last one is every other.
const OPS: [&str; 7] = ["script", "get", "set", "del", "scan", "pttl", "other"];

/// A command, or a script with its keys and arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) script: Option<&'static Script>,
    /// How many of the words of a script are keys; they come first.
    pub(crate) keys: usize,
    pub(crate) words: Vec<Vec<u8>>,
}

impl Command {
    /// A command by its name: `Command::new("GET").word(key)`.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            script: None,
            keys: 0,
            words: vec![name.into()],
        }
    }

    /// A script; its keys have to come before its other words.
    pub(crate) fn script(script: &'static Script) -> Self {
        Self {
            script: Some(script),
            keys: 0,
            words: Vec::new(),
        }
    }

    /// Adds a key of a script. In a cluster all of them have to be in one slot.
    pub(crate) fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.keys += 1;
        self.words.push(key.into());
        self
    }

    /// Adds a word: the key of a command, a value, an option.
    pub(crate) fn word(mut self, word: impl Into<Vec<u8>>) -> Self {
        self.words.push(word.into());
        self
    }

    /// What it is called in metrics.
    fn op(&self) -> usize {
        let word = match (self.script, self.words.first()) {
            (None, Some(word)) => word.as_slice(),
            _ => b"SCRIPT",
        };
        let known = OPS
            .iter()
            .position(|op| word.eq_ignore_ascii_case(op.as_bytes()));
        known.unwrap_or(OPS.len() - 1)
    }

    /// Adds a number.
    pub(crate) fn number(self, number: u64) -> Self {
        self.word(number.to_string())
    }
}

/// A Lua script, called by its hash; its text is sent only to a store that does not know it.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) text: &'static str,
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "without a client nobody asks for it")
    )]
    hash: OnceLock<String>,
}

impl Script {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self {
            text,
            hash: OnceLock::new(),
        }
    }
}

impl PartialEq for Script {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Script {}

/// What a store answers.
#[cfg_attr(
    not(any(feature = "redis", test)),
    expect(dead_code, reason = "without a client nobody answers")
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Nil,
    Integer(i64),
    Bytes(Vec<u8>),
    /// `OK` and the like.
    Status(String),
    List(Vec<Self>),
}

impl Value {
    /// The integers of a list of them, in the form scripts answer in.
    pub(crate) fn integers(&self) -> Option<Vec<i64>> {
        let Self::List(values) = self else {
            return None;
        };
        let integer = |value: &Self| match value {
            Self::Integer(integer) => Some(*integer),
            _ => None,
        };
        values.iter().map(integer).collect()
    }
}

/// Why a store gave no answer.
#[cfg_attr(
    not(any(feature = "redis", test)),
    expect(dead_code, reason = "without a client nobody answers")
)]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// Known before it was asked.
    #[error("the store is down")]
    Down,
    #[error("the store did not answer in time")]
    Timeout,
    /// It cannot be used by anybody now: unreachable, read-only, loading, in failover.
    #[error("the store cannot be used: {0}")]
    Unusable(Box<str>),
    /// It refused this one command or answered what nobody expects; others may succeed.
    #[error("the store refused a command: {0}")]
    Refused(Box<str>),
}

impl StoreError {
    /// The word for metrics.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Timeout => "timeout",
            Self::Unusable(_) => "unusable",
            Self::Refused(_) => "refused",
        }
    }

    /// The error for an answer that no command could have.
    pub(crate) fn unexpected(value: &Value) -> Self {
        let kind = match value {
            Value::Nil => "nothing",
            Value::Integer(_) => "an integer",
            Value::Bytes(_) => "bytes",
            Value::Status(_) => "a status",
            Value::List(_) => "a list",
        };
        Self::Refused(format!("it answered {kind}, which is not expected").into())
    }
}

/// Opens connections to a store.
pub(crate) trait Opener: fmt::Debug + Send + Sync {
    /// Connects, logs in and proves that the store can be written to. May take its time: nobody waits for
    /// it longer than for a command.
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn Store>, StoreError>>;
}

/// The configured store: where the workers' links come from, and what they report.
#[derive(Debug)]
pub(crate) struct Redis {
    opener: Arc<dyn Opener>,
    timeout: std::time::Duration,
    report: Arc<Report>,
}

impl Redis {
    /// Makes ready to connect; a store that cannot be reached yet is no error.
    #[cfg(feature = "redis")]
    pub(crate) fn new(config: &RedisConfig, bounds: &Arc<Bounds>) -> Result<Self, Error> {
        Ok(Self {
            opener: Arc::new(connect::Client::new(config)?),
            timeout: config.timeout,
            report: Arc::new(Report::new(bounds)),
        })
    }

    #[cfg(not(feature = "redis"))]
    pub(crate) fn new(_config: &RedisConfig, _bounds: &Arc<Bounds>) -> Result<Self, Error> {
        Err(Error::new(
            crate::error::ErrorKind::Config,
            "[redis] is configured, and this program was built without the feature `redis`",
        ))
    }

    /// A worker's way to the store.
    pub(crate) fn link(&self) -> Link {
        let report = Arc::clone(&self.report);
        Link::new(Arc::clone(&self.opener), self.timeout, report)
    }

    pub(crate) fn report(&self) -> Arc<Report> {
        Arc::clone(&self.report)
    }
}
