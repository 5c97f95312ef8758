//! `lb-cli config diff`: what the file says, what is in force, and what was changed at run time.

use std::collections::BTreeMap;

use lb_server::admin::Drift;
use serde_json::{Value, json};

use crate::admin::Client;
use crate::args::DiffArguments;
use crate::failure::{Exit, Failure};
use crate::layers::Layers;
use crate::locate::locate;
use crate::output;

/// A value of one side that the other has differently or not at all.
struct Difference<'a> {
    path: &'a str,
    in_force: Option<&'a Value>,
    file: Option<&'a Value>,
}

/// Compares, and tells by the exit code whether anything differs.
pub(crate) fn run(arguments: &DiffArguments) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.admin)?;
    let layers = Layers::of_environment(locate(arguments.admin.config.as_deref()));
    let in_force = leaves(&client.get("/api/v1/config")?);
    let drift: Vec<Drift> = client.get("/api/v1/config/drift")?;
    let file = if layers.is_empty() {
        output::warning("there is no configuration here to compare with; name one with --config");
        in_force.clone()
    } else {
        let text = layers.load()?.config.to_json();
        leaves(&serde_json::from_str(&text).unwrap_or_default())
    };
    let differences = differences(&in_force, &file);
    if arguments.json {
        let list: Vec<Value> = differences
            .iter()
            .map(|it| json!({ "path": it.path, "in_force": it.in_force, "file": it.file }))
            .collect();
        output::line(format_args!(
            "{:#}",
            json!({ "differences": list, "drift": drift })
        ));
    } else {
        print(&differences, &drift);
    }
    if differences.is_empty() && drift.is_empty() {
        Ok(Exit::Done)
    } else {
        Ok(Exit::Failed)
    }
}

fn print(differences: &[Difference<'_>], drift: &[Drift]) {
    if differences.is_empty() && drift.is_empty() {
        output::line("no difference");
        return;
    }
    if !differences.is_empty() {
        output::line("- in force, + in the file: `lb-cli reload` puts the file in force");
    }
    for difference in differences {
        for (sign, value) in [('-', difference.in_force), ('+', difference.file)] {
            if let Some(value) = value {
                output::line(format_args!("{sign} {} = {value}", difference.path));
            }
        }
    }
    if !drift.is_empty() {
        output::line("changed at run time, until the next reload:");
    }
    for change in drift {
        let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        output::line(format_args!(
            "~ pools.{} backend {} {}: {} configured, {} in force",
            change.pool,
            change.backend,
            change.what,
            said(&change.configured),
            said(&change.in_force)
        ));
    }
}

/// The values of a tree by their paths: `pools.api.backends[1].weight`. What is empty is a value too.
fn leaves(tree: &Value) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    let mut rest = vec![(String::new(), tree)];
    while let Some((path, node)) = rest.pop() {
        match node {
            Value::Object(table) if !table.is_empty() => {
                let dot = if path.is_empty() { "" } else { "." };
                let entries = table.iter();
                rest.extend(entries.map(|(key, value)| (format!("{path}{dot}{key}"), value)));
            }
            Value::Array(list) if list.iter().any(|item| item.is_object() || item.is_array()) => {
                let items = list.iter().enumerate();
                rest.extend(items.map(|(index, value)| (format!("{path}[{index}]"), value)));
            }
            value => {
                leaves.insert(path, value.clone());
            }
        }
    }
    leaves
}

fn differences<'a>(
    before: &'a BTreeMap<String, Value>,
    after: &'a BTreeMap<String, Value>,
) -> Vec<Difference<'a>> {
    let new = after.keys().filter(|path| !before.contains_key(*path));
    let mut paths: Vec<&String> = before.keys().chain(new).collect();
    paths.sort();
    let sides = |path: &'a String| Difference {
        path,
        in_force: before.get(path),
        file: after.get(path),
    };
    paths
        .into_iter()
        .map(sides)
        .filter(|difference| difference.in_force != difference.file)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_the_path_of_what_differs() {
        let before = leaves(&json!({
            "listen": ["a", "b"],
            "pools": { "api": { "backends": [{ "url": "x", "weight": 1 }], "queue": {} } },
        }));
        let after = leaves(&json!({
            "listen": ["a"],
            "pools": { "api": { "backends": [{ "url": "x", "weight": 2 }, { "url": "y" }], "queue": {} } },
        }));
        let shown: Vec<String> = differences(&before, &after)
            .into_iter()
            .map(|it| format!("{} {} {}", it.path, json!(it.in_force), json!(it.file)))
            .collect();
        assert_eq!(
            shown,
            [
                "listen [\"a\",\"b\"] [\"a\"]",
                "pools.api.backends[0].weight 1 2",
                "pools.api.backends[1].url null \"y\"",
            ]
        );
        assert!(differences(&before, &before).is_empty());
    }
}
