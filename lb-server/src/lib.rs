//! An HTTP/2 load balancer as a library.

mod body;
mod clock;
mod config;
mod tls;
mod transport;
mod upstream;

pub use body::{Body, BodyError};
