//! `lb-cli stop`: asks a server to end, and waits until it has.

use std::time::{Duration, Instant};

use http::Method;
use lb_server::admin::Status;
use serde_json::{Value, json};

use crate::admin::{AdminError, Client};
use crate::args::StopArguments;
use crate::failure::{Exit, Failure};
use crate::figures::{age, count};
use crate::output;

/// How often it is looked whether the server is still there.
const PAUSE: Duration = Duration::from_millis(100);
/// A server that does not answer must not make the wait longer than was asked for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is said what it still does.
const REPORT: Duration = Duration::from_secs(5);

/// Drains the server and tells how that went.
pub(crate) fn run(arguments: &StopArguments) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.admin)?.patience(PATIENCE);
    let before: Status = client.get("/api/v1/status")?;
    let begun: Value = client.send(Method::POST, "/api/v1/drain", &json!({}))?;
    let seconds = |name: &str| begun[name].as_f64().unwrap_or_default();
    output::message(format_args!(
        "draining {}: it serves on for {} s, and what runs then has {} s",
        client.address(),
        seconds("shutdown_delay_seconds"),
        seconds("shutdown_timeout_seconds"),
    ));
    if arguments.timeout.is_zero() {
        return Ok(Exit::Done);
    }
    let start = Instant::now();
    let mut reported = start;
    loop {
        let status = match client.get::<Status>("/api/v1/status") {
            // Somebody else by now, where a manager restarts what ends.
            Ok(status) if status.started > before.started => break,
            Ok(status) => Some(status),
            Err(AdminError::Unreachable(..)) => break,
            // It ends while it answers.
            Err(_) => None,
        };
        let waited = start.elapsed();
        let in_flight = status.map(|status| status.totals.in_flight);
        if waited >= arguments.timeout {
            return Err(Failure::forced(
                anyhow::anyhow!(
                    "the server is still there after {}, with {} requests in flight",
                    age(waited.as_secs_f64()),
                    in_flight.map_or_else(|| "an unknown number of".to_owned(), count),
                ),
                "wait longer with --timeout, or force it with a second SIGTERM",
            ));
        }
        if let Some(in_flight) = in_flight
            && reported.elapsed() >= REPORT
        {
            reported = Instant::now();
            output::message(format_args!("in flight {}", count(in_flight)));
        }
        client.block_on(async { tokio::time::sleep(PAUSE).await });
    }
    output::line("gone");
    Ok(Exit::Done)
}
