//! The commands for a server that runs: each asks its admin API, or tells it what to do.

mod backend;
mod cache;
mod diff;
mod health;
mod log_level;
mod reload;
mod route;
mod session;
mod status;
mod stop;
mod top;

pub(crate) use backend::run as backend;
pub(crate) use cache::run as cache;
pub(crate) use diff::run as diff;
pub(crate) use health::run as health;
pub(crate) use log_level::run as log_level;
pub(crate) use reload::run as reload;
pub(crate) use route::run as route;
pub(crate) use session::run as session;
pub(crate) use status::run as status;
pub(crate) use stop::run as stop;
pub(crate) use top::run as top;
