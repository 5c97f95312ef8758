//! The admin API over real sockets: what it answers, what it refuses, and what it changes.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

#[path = "admin/client.rs"]
mod client;
#[path = "admin/configuration.rs"]
mod configuration;
#[path = "admin/endpoints.rs"]
mod endpoints;
#[path = "admin/events.rs"]
mod events;
#[path = "admin/explain.rs"]
mod explain;
#[path = "admin/refusals.rs"]
mod refusals;
#[path = "admin/stage.rs"]
mod stage;
