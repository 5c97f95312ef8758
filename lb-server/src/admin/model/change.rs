//! What operators ask for, as bodies of requests.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// `PATCH /api/v1/pools/{pool}/backends/{backend}`: what is named is changed, all of it or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BackendChange {
    /// What it is to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<BackendOrder>,
    /// Its share of the requests relative to the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub weight: Option<u32>,
    /// How many requests it may have; `null` lifts the limit.
    #[serde(
        default,
        deserialize_with = "written",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1))]
    pub max_connections: Option<Option<u32>>,
}

/// What an operator wants a backend to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BackendOrder {
    /// It takes requests, as far as its health allows.
    Ready,
    /// It finishes what it has, and takes new requests only of clients that affinity binds to it.
    Drain,
    /// It finishes what it has, takes no new requests of anybody, and is not probed.
    Maintain,
}

/// `POST /api/v1/pools/{pool}/backends`: a backend, as the configuration writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NewBackend {
    /// Where it is: `http://10.0.0.1:3000`, `h2c://…`, `https://…`, `unix:/run/app.sock`.
    pub url: String,
    /// Its name where the URL is not to be it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its share of the requests relative to the others; 1 where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub weight: Option<u32>,
    /// How many requests it may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_connections: Option<u32>,
    /// Whether it serves only while no other can.
    #[serde(default)]
    pub backup: bool,
    /// The name to verify and to send as SNI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// What it is to do at first; `ready` where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<BackendOrder>,
}

/// A run-time change that the configuration does not say, from `GET /api/v1/config/drift`. A reload sets what the
/// configuration says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Drift {
    /// The pool.
    pub pool: String,
    /// The backend's name within it.
    pub backend: String,
    /// What differs: `added`, `removed`, `state`, `weight` or `max_connections`.
    pub what: String,
    /// What the configuration says; `null` where it says nothing.
    pub configured: Option<String>,
    /// What is in force; `null` where nothing is.
    pub in_force: Option<String>,
    /// Since when, where that is known.
    pub since: Option<f64>,
}

impl BackendOrder {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maintain => "maintain",
        }
    }
}

/// Tells `null` from what is not there.
fn written<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

impl BackendChange {
    /// Sets [`BackendChange::state`].
    #[must_use]
    pub fn state(mut self, state: BackendOrder) -> Self {
        self.state = Some(state);
        self
    }

    /// Sets [`BackendChange::weight`].
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Sets [`BackendChange::max_connections`]; `None` lifts the limit.
    #[must_use]
    pub fn max_connections(mut self, limit: Option<u32>) -> Self {
        self.max_connections = Some(limit);
        self
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
