#![doc = include_str!("../README.md")]

mod access_log;
pub mod admin;
mod admission;
mod affinity;
mod body;
mod cache;
mod clock;
mod config;
mod connection;
mod cookies;
mod discovery;
mod dispatch;
mod drain;
mod entropy;
mod error;
mod exchange;
mod handler;
mod headers;
mod incoming;
mod limits;
mod listener;
mod memory;
mod metrics;
mod otel;
mod pipeline;
mod probe;
mod pump;
mod queue;
#[expect(
    dead_code,
    reason = "of the parts of a record some are read by logs and traces alone"
)]
mod record;
mod redis;
mod reject;
mod replay;
pub mod reply;
mod routes;
mod running;
mod secrets;
mod server;
mod sessions;
mod snapshot;
mod spool;
#[cfg(test)]
mod tests;
mod tls;
mod transport;
mod turn;
mod upstream;
mod watched;
mod window;

pub use body::{Body, BodyError};
pub use cache::{Cache, Purge};
pub use config::*;
pub use error::{Error, ErrorKind};
pub use handler::{Exchange, Handler, Request, Response};
pub use lb_core::Algorithm;
pub use listener::InheritedSocket;
pub use metrics::{
    BackendMetrics, CacheMetrics, Metrics, MetricsFormat, Percentiles, RateLimitMetrics,
    RouteMetrics, StoreMetrics,
};
pub use running::{ConfigSource, Handle, LocalAddress, ReloadReport, ReloadStatus, Running};
pub use server::Server;
pub use sessions::{Session, SessionInfo, SessionPage, SessionStats, Sessions};
