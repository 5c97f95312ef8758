//! The way to the admin API of a running server.

mod address;
mod client;
mod error;
mod events;
mod token;

pub(crate) use address::AdminAddress;
pub(crate) use client::{Client, segment};
pub(crate) use error::AdminError;
pub(crate) use events::{Event, Events};
