//! `lb-cli log-level`: how much a running server logs.

use http::Method;
use serde_json::{Value, json};

use crate::admin::Client;
use crate::args::LogLevelArguments;
use crate::failure::{Exit, Failure};
use crate::output;

const PATH: &str = "/api/v1/log-level";

/// Shows the level, after changing it if a new one is given.
pub(crate) fn run(arguments: &LogLevelArguments) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.admin)?;
    let now: Value = match &arguments.level {
        Some(level) => client.send(Method::PUT, PATH, &json!({ "level": level }))?,
        None => client.get(PATH)?,
    };
    if arguments.json {
        output::line(format_args!("{now:#}"));
    } else {
        output::line(now["level"].as_str().unwrap_or_default());
    }
    Ok(Exit::Done)
}
