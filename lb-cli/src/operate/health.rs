//! `lb-cli health`: a word and an exit code, for whoever has to decide whether a server is well.

use std::time::Duration;

use crate::admin::Client;
use crate::args::HealthArguments;
use crate::failure::{Exit, Failure};
use crate::output;

/// Orchestrators count a check that hangs as a failure, but later than this.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks `/readyz` or `/livez`.
pub(crate) fn run(arguments: &HealthArguments) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.admin)?.patience(PATIENCE);
    let (path, well) = if arguments.live {
        ("/livez", "alive")
    } else {
        ("/readyz", "ready")
    };
    let answer = client.answer(&format!("{path}?verbose"))?;
    let text = String::from_utf8_lossy(&answer.body);
    if answer.head.status.is_success() {
        output::line(well);
        return Ok(Exit::Done);
    }
    let checks = text.trim();
    Err(Failure::failed(
        anyhow::anyhow!("not {well}: {}\n{checks}", answer.head.status),
        "look at `lb-cli status`",
    ))
}
