//! What happens, as `GET /api/v1/events` tells it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The data of the event `change`: something is not what it was before. The event `status` has a [`Status`](super::Status).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Change {
    /// When.
    pub at: f64,
    /// What kind of thing.
    pub kind: ChangeKind,
    /// The pool that it is about.
    pub pool: Option<String>,
    /// The backend that it is about, by its name within the pool.
    pub backend: Option<String>,
    /// What happened, in one word: `unhealthy`, `ejected`, `readmitted`, `breaker_opened`, `draining`, `reloaded`, …
    pub event: String,
    /// The same for people.
    pub details: String,
    /// Who asked for it: the peer and the token's name, or `local`; `null` for what happened by itself.
    pub caller: Option<String>,
}

/// What kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// The health of a backend or a pool: probes, ejections, breakers.
    Health,
    /// Somebody changed something through this API.
    Operation,
    /// A configuration was put in force, or was not.
    Reload,
    /// The server begins to end.
    Shutdown,
}
