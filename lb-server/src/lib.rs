#![doc = include_str!("../README.md")]

mod admission;
mod body;
mod clock;
mod config;
mod connection;
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
mod pipeline;
mod probe;
mod pump;
mod queue;
mod redis;
mod reject;
mod replay;
pub mod reply;
mod routes;
mod running;
mod server;
mod snapshot;
#[cfg(test)]
mod tests;
mod tls;
mod transport;
mod turn;
mod upstream;
mod watched;
mod window;

pub use body::{Body, BodyError};
pub use config::*;
pub use error::{Error, ErrorKind};
pub use handler::{Exchange, Handler, Request, Response};
pub use lb_core::Algorithm;
pub use metrics::{BackendMetrics, Metrics, RateLimitMetrics, StoreMetrics};
pub use running::{Handle, LocalAddress, Running};
pub use server::Server;
