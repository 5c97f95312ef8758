//! Where each value of a configuration comes from.

use serde_json::Value as Json;

use crate::config::model::Config;
use crate::config::read::written_path;
use crate::config::tree::Document;
use crate::config::written::File;

/// The leaves of the long form with their origins, in its order.
pub(super) fn of(config: &Config, document: &Document) -> Vec<(String, String)> {
    let mut origins = Vec::new();
    // The long form is plain data, which has no way to fail; if it did, there would be no origins to tell.
    let tree = serde_json::to_value(File::from(config)).unwrap_or_default();
    walk(&tree, String::new(), document, &mut origins);
    origins
}

fn walk(value: &Json, path: String, document: &Document, origins: &mut Vec<(String, String)>) {
    match value {
        Json::Object(map) => {
            for (key, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                walk(value, format!("{path}{dot}{key}"), document, origins);
            }
        }
        Json::Array(values) if !values.is_empty() => {
            for (index, value) in values.iter().enumerate() {
                walk(value, format!("{path}[{index}]"), document, origins);
            }
        }
        _ => {
            let written = written_path(&path, |key| document.root.entry(key).is_some());
            // For errors, what is not written stands at what made it necessary; here it is a default.
            let is_unwritten = (written == "backends" && path.ends_with(".algorithm"))
                || (written.starts_with("listen") && path.starts_with("listeners.default.tls"));
            let origin = Some(())
                .filter(|()| !is_unwritten)
                .and_then(|()| document.origin(&written))
                // One certificate may be written as a pair.
                .or_else(|| {
                    let pair = written.replace(".certificates[0]", "");
                    (pair != written).then(|| document.origin(&pair)).flatten()
                })
                .unwrap_or_else(|| "default".to_owned());
            origins.push((path, origin));
        }
    }
}
