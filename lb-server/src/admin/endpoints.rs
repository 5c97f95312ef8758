//! What each endpoint does.

mod config;
mod events;
mod explain;
mod features;
mod health;
mod metrics;
mod pools;
mod status;
mod support;

pub use explain::explain_offline;
pub(crate) use support::SupportBundle;

use std::sync::Arc;

use http::Response;

use super::problem::Problem;
use super::reply::{self, Reply};
use super::service::{Call, Service};
use super::table::Operation;
use super::{openapi, page};

/// Does what is asked for.
///
/// # Errors
/// Why it was not done.
pub(crate) async fn run(
    service: &Arc<Service>,
    operation: Operation,
    call: Call,
) -> Result<Response<Reply>, Problem> {
    match operation {
        Operation::Page => Ok(page::answer(service.about.has_dashboard)),
        Operation::Live => Ok(health::live()),
        Operation::Ready => Ok(health::ready(service, &call)),
        Operation::Metrics => Ok(metrics::text(service, &call)),
        Operation::OpenApi => Ok(reply::json(&openapi::document())),
        Operation::Status => Ok(reply::json(&service.status())),
        Operation::Pools => Ok(reply::json(&service.status().pools)),
        Operation::Pool => pools::pool(service, &call),
        Operation::Backends => pools::backends(service, &call),
        Operation::AddBackend => pools::add(service, &call),
        Operation::Backend => pools::backend(service, &call),
        Operation::ChangeBackend => pools::change(service, &call),
        Operation::RemoveBackend => pools::remove(service, &call),
        Operation::Routes => Ok(explain::routes(service)),
        Operation::Explain => explain::explain(service, &call),
        Operation::Config => config::get(service, &call),
        Operation::PutConfig => config::put(service, &call).await,
        Operation::PatchConfig => config::patch(service, &call).await,
        Operation::Drift => Ok(reply::json(&service.handle.drift())),
        Operation::Reload => config::reload(service, &call).await,
        Operation::Certificates => Ok(reply::json(&service.certificates())),
        Operation::SessionStats => features::session_stats(service),
        Operation::Sessions => features::sessions(service, &call).await,
        Operation::EndSession => features::end_session(service, &call).await,
        Operation::PurgeCache => features::purge(service, &call),
        Operation::RateLimit => features::rate_limit(service, &call),
        Operation::ResetRateLimit => features::reset_rate_limit(service, &call).await,
        Operation::LogLevel => features::log_level(service),
        Operation::SetLogLevel => features::set_log_level(service, &call),
        Operation::Drain => Ok(features::drain(service, &call)),
        Operation::Events => events::listen(service),
        Operation::SupportBundle => support::bundle(service, &call),
    }
}
