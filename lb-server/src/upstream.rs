//! Connections to backends.

mod http1;
