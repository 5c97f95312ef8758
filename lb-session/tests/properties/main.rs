//! What holds for any cookies, values, times and orders of events.

mod cookies;
mod records;
mod store;
