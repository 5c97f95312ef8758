//! `lb-cli reload`: another configuration for a running server, or the reason why not.

use http::Method;
use serde_json::{Value, json};

use crate::admin::{AdminError, Client};
use crate::args::ReloadArguments;
use crate::failure::{Exit, Failure};
use crate::output;

/// What a reload may tell, in the order in which it is told.
const PARTS: [(&str, &str); 6] = [
    ("added", "added"),
    ("removed", "removed"),
    ("changed", "changed"),
    ("certificates", "certificates of"),
    ("undone", "again as configured"),
    ("needs_restart", "needs a restart"),
];

/// Lets the server reload and prints what changed.
pub(crate) fn run(arguments: &ReloadArguments) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.admin)?;
    let report: Value = client
        .send(Method::POST, "/api/v1/reload", &json!({}))
        .map_err(|error| match error {
            AdminError::Refused(refusal) if refusal.status == 422 => {
                Failure::invalid(anyhow::anyhow!(refusal.detail), refusal.help)
            }
            error => error.into(),
        })?;
    let texts = |key: &str| -> Vec<String> {
        let list = report[key].as_array().into_iter().flatten();
        list.filter_map(|item| Some(item.as_str()?.to_owned()))
            .collect()
    };
    for warning in texts("warnings") {
        output::warning(warning);
    }
    if arguments.json {
        output::line(format_args!("{report:#}"));
        return Ok(Exit::Done);
    }
    let mut is_same = true;
    for (key, title) in PARTS {
        for item in texts(key) {
            is_same = false;
            output::line(format_args!("{title} {item}"));
        }
    }
    if is_same {
        output::line("reloaded, nothing has changed");
    }
    Ok(Exit::Done)
}
