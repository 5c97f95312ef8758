//! One configuration of three layers: flags over `LB_*` variables over the file.

use std::fs;
use std::path::Path;

use lb_server::Config;
use serde_json::{Map, Value, json};

use crate::args::ServeArguments;
use crate::failure::Failure;

/// Keys of the top level that a variable may set. Others are left alone: in a cluster with a
/// service called `lb`, variables such as `LB_SERVICE_HOST` are everywhere.
const KEYS: [&str; 8] = [
    "listen",
    "tls",
    "algorithm",
    "backends",
    "server",
    "listeners",
    "pools",
    "routes",
];

/// Values that go over the file, in the order in which they are applied.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    settings: Vec<Setting>,
    flags: Flags,
}

#[derive(Debug)]
struct Setting {
    path: Vec<Step>,
    value: Value,
}

#[derive(Debug, Default)]
struct Flags {
    listen: Option<String>,
    tls: Option<Value>,
    algorithm: Option<String>,
    backends: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Overrides {
    /// What the environment sets: `LB_POOLS__API__ALGORITHM=ip-hash`.
    pub(crate) fn of_environment() -> Self {
        Self::of_variables(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
    }

    fn of_variables(variables: impl Iterator<Item = (String, String)>) -> Self {
        let mut settings: Vec<(String, Setting)> = variables
            .filter_map(|(name, value)| {
                let path = name.strip_prefix("LB_")?.to_ascii_lowercase();
                let path: Vec<_> = path.split("__").map(step).collect();
                let known = matches!(&path[..], [Step::Key(key), ..] if KEYS.contains(&&key[..]));
                known.then(|| {
                    let value = literal(&value);
                    (name, Setting { path, value })
                })
            })
            .collect();
        // The environment has no order of its own; the result must have one.
        settings.sort_by(|a, b| a.0.cmp(&b.0));
        Self {
            settings: settings.into_iter().map(|(_, setting)| setting).collect(),
            flags: Flags::default(),
        }
    }

    /// Puts the flags above what is there.
    pub(crate) fn with_flags(mut self, arguments: &ServeArguments) -> Self {
        let tls = &arguments.tls;
        self.flags = Flags {
            listen: arguments.listen.clone(),
            tls: match (&tls.cert, &tls.key) {
                (Some(cert), Some(key)) => Some(json!({ "cert": cert, "key": key })),
                _ if tls.self_signed => Some(json!("self-signed")),
                _ if tls.no_tls => Some(json!("off")),
                _ => None,
            },
            algorithm: arguments.algorithm.clone(),
            backends: arguments.backends.clone(),
        };
        self.settings
            .extend(arguments.set.iter().map(|(path, value)| Setting {
                path: steps(path),
                value: literal(value),
            }));
        self
    }

    /// Whether the file alone is the configuration.
    pub(crate) fn is_empty(&self) -> bool {
        let flags = &self.flags;
        self.settings.is_empty()
            && flags.listen.is_none()
            && flags.tls.is_none()
            && flags.algorithm.is_none()
            && flags.backends.is_empty()
    }
}

/// Reads the file, if there is one, puts `overrides` over it and checks the whole.
///
/// Without a file the listener is `127.0.0.1:8443` with a certificate made at start.
///
/// # Errors
///
/// The configuration is invalid, or a flag does not say which of several pools or listeners it
/// means.
pub(crate) fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Config, Failure> {
    let invalid = |error: lb_server::ConfigError, next: String| Failure::invalid(error, next);
    let (mut root, name) = match path {
        Some(path) => {
            let next = format!("correct {0} and run `lb-cli check -c {0}`", path.display());
            if overrides.is_empty() {
                return Config::from_file(path).map_err(|error| invalid(error, next));
            }
            let Some(root) = tree(path) else {
                // What is no tree has an error of its own, with its place in the file.
                return Config::from_file(path).map_err(|error| invalid(error, next));
            };
            (root, format!("{} with variables and flags", path.display()))
        }
        None => (
            json!({ "listen": "127.0.0.1:8443" }),
            "variables and flags".to_owned(),
        ),
    };
    apply_flags(&mut root, &overrides.flags)?;
    for setting in &overrides.settings {
        set(&mut root, &setting.path, setting.value.clone()).map_err(|what| {
            Failure::usage(
                anyhow::anyhow!("`{}` cannot be set: {what}", shown(&setting.path)),
                "`lb-cli config show` prints the tree that --set and LB_* variables change",
            )
        })?;
    }
    let text = format!("{root:#}");
    Config::from_json(&text, &name).map_err(|error| {
        let next = "correct the flag, the LB_* variable or the file that sets this value";
        invalid(error, next.to_owned())
    })
}

fn tree(path: &Path) -> Option<Value> {
    let text = fs::read_to_string(path).ok()?;
    let root: Value = match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "toml" => toml::from_str(&text).ok()?,
        "json" => serde_json::from_str(&text).ok()?,
        _ => return None,
    };
    root.is_object().then_some(root)
}

/// A flag means the only listener or pool there is, in whichever form it is written.
fn apply_flags(root: &mut Value, flags: &Flags) -> Result<(), Failure> {
    let listener = [
        (
            "listen",
            "address",
            flags.listen.as_ref().map(|text| json!(text)),
        ),
        ("tls", "tls", flags.tls.clone()),
    ];
    let backends = (!flags.backends.is_empty()).then(|| json!(flags.backends));
    let algorithm = flags.algorithm.as_ref().map(|name| json!(name));
    let pool = [
        ("algorithm", "algorithm", algorithm),
        ("backends", "backends", backends),
    ];
    for (group, values) in [("listeners", listener), ("pools", pool)] {
        for (short, long, value) in values {
            let Some(value) = value else { continue };
            let target = match root.get_mut(group).and_then(Value::as_object_mut) {
                None => root.as_object_mut().map(|root| (root, short)),
                Some(named) if named.len() == 1 => named
                    .values_mut()
                    .next()
                    .and_then(Value::as_object_mut)
                    .map(|only| (only, long)),
                Some(named) => {
                    let names: Vec<_> = named.keys().map(String::as_str).collect();
                    return Err(Failure::usage(
                        anyhow::anyhow!(
                            "the flag for `{short}` could mean any of {group}: {}",
                            names.join(", ")
                        ),
                        format!("name the one you mean: --set {group}.NAME.{long}=VALUE"),
                    ));
                }
            };
            if let Some((object, key)) = target {
                object.insert(key.to_owned(), value);
            }
        }
    }
    Ok(())
}

/// `pools.api.backends[1].weight`
fn steps(path: &str) -> Vec<Step> {
    path.split(['.', '['])
        .map(|text| match text.strip_suffix(']').map(str::parse) {
            Some(Ok(index)) => Step::Index(index),
            _ => step(text),
        })
        .collect()
}

fn step(text: &str) -> Step {
    text.parse()
        .map_or_else(|_| Step::Key(text.to_owned()), Step::Index)
}

fn shown(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Index(index) => text.push_str(&format!("[{index}]")),
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.push_str(&format!(".{key}")),
        }
    }
    text
}

/// JSON where it is JSON, else the text itself, so that nobody has to quote a name twice.
fn literal(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn set(node: &mut Value, path: &[Step], value: Value) -> Result<(), String> {
    let Some((step, rest)) = path.split_first() else {
        *node = value;
        return Ok(());
    };
    let next = match (step, node) {
        (Step::Index(index), Value::Array(items)) => {
            let length = items.len();
            if *index == length {
                items.push(Value::Null);
            }
            items
                .get_mut(*index)
                .ok_or_else(|| format!("the list has {length} entries"))?
        }
        (Step::Key(key), Value::Object(object)) => entry(object, key),
        (Step::Index(index), Value::Object(object)) => entry(object, &index.to_string()),
        (Step::Key(key), Value::Array(_)) => {
            return Err(format!("a list has numbers, not `{key}`"));
        }
        (_, node) => {
            // A short spelling, such as tls = "off", gives way to the long one.
            *node = Value::Object(Map::new());
            return set(node, path, value);
        }
    };
    set(next, rest, value)
}

/// The entry of this name. Variables cannot spell a hyphen: `MY_POOL` is also `my-pool`.
fn entry<'a>(object: &'a mut Map<String, Value>, key: &str) -> &'a mut Value {
    let hyphenated = key.replace('_', "-");
    let key = if !object.contains_key(key) && object.contains_key(&hyphenated) {
        hyphenated
    } else {
        key.to_owned()
    };
    object.entry(key).or_insert(Value::Null)
}

#[cfg(test)]
mod tests;
