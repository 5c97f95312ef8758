//! `demo-backend`.

use std::time::Duration;

use clap::Args;

use super::Verbosity;

const DEMO_BACKEND_HELP: &str = "\
Examples:
  lb-cli demo-backend --port 3000 --name a
  lb-cli demo-backend --h2c --delay 20ms --fail 5%

Paths: /slow?ms=200 answers late, /status/503 with that status, /bytes/1000000 with that many
bytes, /echo with the body it received, and every other one tells as JSON what was received.";

/// Run a toy backend that tells what it received
#[derive(Debug, Clone, Args)]
#[command(after_help = DEMO_BACKEND_HELP)]
pub(crate) struct DemoBackendArguments {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,

    /// Its name in the answers
    #[arg(long, value_name = "NAME", default_value = "demo")]
    pub(crate) name: String,

    /// Wait before each answer, such as 20ms
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = delay)]
    pub(crate) delay: Duration,

    /// Share of the requests answered with 500, such as 5%
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = percent)]
    pub(crate) fail: f64,

    /// HTTP/2 with prior knowledge only, instead of HTTP/1.1 and it
    #[arg(long)]
    pub(crate) h2c: bool,

    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
}

pub(super) fn delay(text: &str) -> Result<Duration, String> {
    let mistake = || "expected a time with its unit, such as 20ms or 1.5s".to_owned();
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').ok_or_else(mistake)?, 1.0),
    };
    let number: f64 = number.trim().parse().map_err(|_| mistake())?;
    let delay = Duration::try_from_secs_f64(number * unit).map_err(|_| mistake())?;
    if delay > Duration::from_secs(3600) {
        return Err("expected at most 3600s".to_owned());
    }
    Ok(delay)
}

/// A share between 0 and 1 from `5%`.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|n| n.trim().parse().ok());
    match number {
        Some(number) if (0.0..=100.0).contains(&number) => Ok(number / 100.0),
        _ => Err("expected a share from 0% to 100%, such as 5%".to_owned()),
    }
}
