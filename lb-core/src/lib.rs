//! Six load-balancing strategies as pure decisions.

mod strategy;

pub use strategy::Algorithm;
