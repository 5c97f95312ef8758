//! `lb-cli cache`: what is stored in a running server.

use http::Method;
use serde_json::{Map, Value, json};

use crate::admin::Client;
use crate::args::{CacheArguments, CacheCommand};
use crate::failure::{Exit, Failure};
use crate::output;

/// Purges a cache and tells how many responses went.
pub(crate) fn run(arguments: &CacheArguments) -> Result<Exit, Failure> {
    let CacheCommand::Purge(arguments) = &arguments.command;
    let client = Client::new(&arguments.admin)?;
    let mut wanted = Map::new();
    let texts = [
        ("cache", &arguments.cache),
        ("url", &arguments.url),
        ("prefix", &arguments.prefix),
        ("tag", &arguments.tag),
        ("key", &arguments.key),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            wanted.insert(name.to_owned(), json!(text));
        }
    }
    if arguments.all {
        wanted.insert("all".to_owned(), json!(true));
    }
    let purged: Value = client.send(Method::POST, "/api/v1/cache/purge", &Value::Object(wanted))?;
    output::line(format_args!(
        "{} removed from cache {}",
        purged["purged"],
        purged["cache"].as_str().unwrap_or_default()
    ));
    Ok(Exit::Done)
}
