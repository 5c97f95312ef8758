//! A file, and over it environment variables, and over them flags.

mod origins;

use std::path::Path;

use super::error::{ConfigError, ConfigProblem, Finding};
use super::model::Config;
use super::read::{DEFAULT_NAME, TOP_LEVEL, written_path};
use super::suggest::nearest;
use super::tree::{Document, Entry, Node, Origin, Value, parse_toml_value};
use super::{ConfigFormat, check, document, environment, place, read_file, understand};

/// What a configuration is made of besides its defaults: a file, variables over it, flags over them.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), lb_server::ConfigError> {
/// let loaded = lb_server::ConfigLayers::new()
///     .set("listen=127.0.0.1:8443")
///     .set(r#"backends=["http://127.0.0.1:3000"]"#)
///     .load()?;
/// assert_eq!(loaded.config.pools["default"].backends.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct ConfigLayers {
    file: Option<(ConfigFormat, String, String)>,
    variables: Vec<(String, String)>,
    flags: Vec<(String, String, String)>,
}

/// A configuration with what is to be said about it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LoadedConfig {
    /// The configuration.
    pub config: Config,
    /// What is probably not meant, with its place.
    pub warnings: Vec<ConfigProblem>,
    /// Where each value of the long form comes from: `lb.toml:12`, `LB_LISTEN`, `--set …` or `default`.
    pub origins: Vec<(String, String)>,
}

impl From<Config> for LoadedConfig {
    /// A configuration that a program made: nothing is to be said about it.
    fn from(config: Config) -> Self {
        Self {
            config,
            warnings: Vec::new(),
            origins: Vec::new(),
        }
    }
}

impl ConfigLayers {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file below everything, TOML or JSON by its extension.
    ///
    /// # Errors
    /// When it cannot be read, or its extension is neither.
    pub fn file(mut self, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let (format, text) = read_file(path.as_ref())?;
        self.file = Some((format, text, path.as_ref().display().to_string()));
        Ok(self)
    }

    /// Puts a text below everything; `name` is what errors call it.
    #[must_use]
    pub fn text(mut self, format: ConfigFormat, text: &str, name: &str) -> Self {
        self.file = Some((format, text.to_owned(), name.to_owned()));
        self
    }

    /// Takes the `LB_*` variables of the process.
    #[must_use]
    pub fn environment(self) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        self.variables(std::env::vars_os().filter_map(text))
    }

    /// Takes the `LB_*` variables of a list: `LB_POOLS__API__ALGORITHM` is `pools.api.algorithm`.
    /// What begins with no key of the format is left alone.
    #[must_use]
    pub fn variables(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        // These two say where the file is, and where a running server is asked.
        let others = ["LB_CONFIG", "LB_ADMIN"];
        let ours = |(name, _): &(String, String)| {
            name.starts_with("LB_") && !others.contains(&name.as_str())
        };
        self.variables.extend(variables.into_iter().filter(ours));
        // The order of an environment means nothing; errors should not depend on it.
        self.variables.sort();
        self
    }

    /// Sets one key over everything before: `pools.api.backends[1].weight=3`.
    #[must_use]
    pub fn set(self, assignment: &str) -> Self {
        let (path, value) = assignment.split_once('=').unwrap_or((assignment, ""));
        self.flag(&format!("--set {assignment}"), path, value)
    }

    /// Sets one key over everything before, for a flag that errors call `flag`.
    #[must_use]
    pub fn flag(mut self, flag: &str, path: &str, value: &str) -> Self {
        let entry = (
            flag.to_owned(),
            path.trim().to_owned(),
            value.trim().to_owned(),
        );
        self.flags.push(entry);
        self
    }

    /// Whether a variable or a flag says anything over the file.
    #[must_use]
    pub fn has_overrides(&self) -> bool {
        let ours = |(name, _): &(String, String)| is_key(&path_of(name)[0]);
        !self.flags.is_empty() || self.variables.iter().any(ours)
    }

    /// Reads and checks what the layers make together.
    ///
    /// # Errors
    /// Everything that is wrong, with the file's line, the variable or the flag it stands in.
    pub fn load(&self) -> Result<LoadedConfig, ConfigError> {
        self.load_with(&environment)
    }

    /// As [`ConfigLayers::load`], with an environment of the caller's for `${NAME}`.
    ///
    /// # Errors
    /// As [`ConfigLayers::load`].
    pub fn load_with(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<LoadedConfig, ConfigError> {
        let mut document = match &self.file {
            Some((format, text, name)) => document(*format, text, name)?,
            None => Document {
                name: "configuration".to_owned(),
                text: String::new(),
                root: Node::empty(),
            },
        };
        let mut notes = Vec::new();
        let substituted = super::substitute::substitute(&mut document.root, variable);
        substituted.map_err(|findings| place(&document, findings))?;
        self.apply(&mut document.root, &mut notes)?;
        let config = understand(&document)?;
        let mut warnings = place(&document, check::warnings(&config)).into_problems();
        warnings.extend(notes);
        let origins = origins::of(&config, &document);
        Ok(LoadedConfig {
            config,
            warnings,
            origins,
        })
    }

    fn apply(&self, root: &mut Node, notes: &mut Vec<ConfigProblem>) -> Result<(), ConfigError> {
        let mut wrong = Vec::new();
        for (name, value) in &self.variables {
            let path = path_of(name);
            let first = path[0].as_str();
            if !is_key(first) {
                if let Some(meant) = nearest(first, TOP_LEVEL).filter(|meant| *meant != "version") {
                    let help = format!("did you mean `LB_{}`?", meant.to_ascii_uppercase());
                    let message = format!("`{name}` is ignored: `{first}` is no key");
                    notes.push(problem(name, String::new(), (message, help)));
                }
                continue;
            }
            let origin = Origin::Variable(name.clone());
            if let Err(why) = put(root, &path, value, &origin) {
                wrong.push(problem(name, path.join("."), why));
            }
        }
        for (flag, path, value) in &self.flags {
            let segments: Vec<String> = path
                .split(['.', '['])
                .map(|segment| segment.strip_suffix(']').unwrap_or(segment).to_owned())
                .collect();
            if segments.iter().any(String::is_empty)
                || !flag.contains('=') && flag.starts_with("--set")
            {
                let why = (
                    format!("`{path}` sets nothing"),
                    "write `--set pools.api.algorithm=ip-hash`".to_owned(),
                );
                wrong.push(problem(flag, String::new(), why));
                continue;
            }
            if let Err(why) = put(root, &segments, value, &Origin::Flag(flag.clone())) {
                wrong.push(problem(flag, path.clone(), why));
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(ConfigError::misplaced(wrong))
        }
    }
}

/// The path that a variable names; it has at least one segment.
fn path_of(variable: &str) -> Vec<String> {
    let path = variable.strip_prefix("LB_").unwrap_or(variable);
    path.split("__").map(str::to_ascii_lowercase).collect()
}

/// Whether variables that begin so are ours: orchestrators set `LB_PORT` and `LB_VERSION` for
/// reasons of their own.
fn is_key(first: &str) -> bool {
    first != "version" && TOP_LEVEL.contains(&first)
}

fn problem(source: &str, path: String, (message, help): (String, String)) -> ConfigProblem {
    let mut problem = Finding::new(path, message, help).unplaced();
    problem.source = Some(source.to_owned());
    problem
}

/// Puts a value into the tree; the error is what is wrong and the way out.
fn put(
    root: &mut Node,
    path: &[String],
    text: &str,
    origin: &Origin,
) -> Result<(), (String, String)> {
    let path = in_the_form_of(root, path)?;
    let mut node = root;
    for segment in &path {
        let place = node.describe();
        node = match &mut node.value {
            Value::Table(entries) => {
                let fold = |key: &str| key.to_ascii_lowercase().replace('-', "_");
                let exact = entries.iter().position(|entry| entry.key == *segment);
                // A variable has neither lower case nor `-`.
                let folded = || {
                    entries
                        .iter()
                        .position(|entry| fold(&entry.key) == fold(segment))
                };
                let index = exact.or_else(folded).unwrap_or_else(|| {
                    entries.push(Entry {
                        key: segment.clone(),
                        key_origin: origin.clone(),
                        node: Node::new(Value::Table(Vec::new()), origin.clone()),
                    });
                    entries.len() - 1
                });
                &mut entries[index].node
            }
            Value::List(values) => {
                let length = values.len();
                let index = segment
                    .parse()
                    .ok()
                    .filter(|index: &usize| *index <= length);
                let Some(index) = index else {
                    let message = format!("`{segment}` is no place in a list of {length}");
                    return Err((
                        message,
                        format!("write a number from 0 to {length}; {length} adds one"),
                    ));
                };
                if index == length {
                    values.push(Node::new(Value::Table(Vec::new()), origin.clone()));
                }
                &mut values[index]
            }
            _ => {
                let message = format!("`{segment}` is set inside of {place}");
                return Err((message, "set the whole value instead".to_owned()));
            }
        };
    }
    *node = Node::new(value(text), origin.clone());
    node.claim(origin);
    Ok(())
}

/// The path in the form, short or long, that the file uses. In the long form a short key means the
/// only listener or pool there is; the error is that there are several.
fn in_the_form_of(root: &Node, path: &[String]) -> Result<Vec<String>, (String, String)> {
    let has = |keys: &[&str]| {
        let mut node = Some(root);
        for key in keys {
            node = node
                .and_then(|node| node.entry(key))
                .map(|entry| &entry.node);
        }
        node.is_some()
    };
    let written = written_path(&path.join("."), |key| {
        // A key about to be written counts as written, or `tls` would land on `listen`.
        has(&[key]) || matches!(key, "tls" | "algorithm")
    });
    let mut path: Vec<String> = written.split('.').map(str::to_owned).collect();
    let short = path[0].as_str();
    let (group, key) = match short {
        "listen" => ("listeners", "address"),
        "tls" => ("listeners", "tls"),
        "algorithm" | "backends" => ("pools", short),
        _ => return Ok(path),
    };
    let Some(Value::Table(named)) = root.entry(group).map(|entry| &entry.node.value) else {
        return Ok(path);
    };
    let name = match &named[..] {
        [] => DEFAULT_NAME,
        [only] => only.key.as_str(),
        several => {
            let names: Vec<&str> = several.iter().map(|entry| entry.key.as_str()).collect();
            return Err((
                format!("could mean any of {group}: {}", names.join(", ")),
                format!("name the one you mean: `--set {group}.NAME.{key}=VALUE`"),
            ));
        }
    };
    let long = [group, name, key].map(str::to_owned);
    path.splice(..1, long);
    Ok(path)
}

/// A number, boolean, list or table where it reads as one, else the text itself.
fn value(text: &str) -> Value {
    match parse_toml_value(text) {
        None | Some(Value::Date(_)) => Value::Text(text.to_owned()),
        Some(value) => value,
    }
}
