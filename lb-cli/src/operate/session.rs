//! `lb-cli session`: sessions of a running server.

use http::Method;

use crate::admin::{Client, segment};
use crate::args::{SessionArguments, SessionCommand};
use crate::failure::{Exit, Failure};
use crate::output;

/// Ends a session by its handle.
pub(crate) fn run(arguments: &SessionArguments) -> Result<Exit, Failure> {
    let SessionCommand::End(arguments) = &arguments.command;
    let client = Client::new(&arguments.admin)?;
    let path = format!("/api/v1/sessions/{}", segment(&arguments.handle));
    client.order(Method::DELETE, &path)?;
    output::line(format_args!("session {} ended", arguments.handle));
    Ok(Exit::Done)
}
