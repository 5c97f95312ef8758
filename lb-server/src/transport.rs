//! The I/O layer under `h2`.
