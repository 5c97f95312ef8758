//! How much is logged, changed while the server runs.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Reads and sets how much the program logs: what subscribes to its logs is the program's.
///
/// A program gives one to [`Server::set_log_control`](crate::Server::set_log_control); without it the log's level is
/// settled with the start.
pub trait LogControl: Send + Sync + 'static {
    /// The directives in force, as in `RUST_LOG`: `info,lb_server=debug`.
    fn level(&self) -> String;

    /// Puts directives in force.
    ///
    /// # Errors
    /// What is wrong with them, for whoever asked.
    fn set_level(&self, directives: &str) -> Result<(), String>;
}

impl fmt::Debug for dyn LogControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogControl(..)")
    }
}

/// `GET` and `PUT /api/v1/log-level`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LogLevel {
    /// Directives as in `RUST_LOG`: a level (`info`), or levels by target (`warn,lb_server=debug`).
    pub level: String,
}

impl LogLevel {
    pub(crate) fn new(level: String) -> Self {
        Self { level }
    }
}
