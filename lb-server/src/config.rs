//! The configuration: as written in a file, and as meant.
//!
//! ```text
//! text ─ tree ─► Document ─ substitute ─ read ─► Config ─ check ─► Config
//! ```
//!
//! [`Document`] knows where every value stands, so that whatever a later step objects to is shown
//! with its line and a caret.

mod check;
mod conceal;
mod defaults;
mod error;
mod files;
mod hash_key;
mod hidden;
mod layers;
mod limit_key;
mod model;
mod otlp_endpoint;
mod print;
mod program;
mod read;
mod redis_url;
mod setters;
mod starter;
mod status_range;
mod substitute;
mod suggest;
mod tree;
mod units;
mod url;
mod written;

use std::path::Path;

pub use error::{ConfigError, ConfigProblem, ValueError};
pub use layers::{ConfigLayers, LoadedConfig};
pub use lb_session::AffinityMode;
pub use lb_session::cookie::SameSite;
pub use model::*;
pub use program::ServerConfig;

use error::Finding;
use substitute::Lookup;
use tree::{Document, parse_json, parse_toml};

/// The two spellings of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigFormat {
    /// `lb.toml`
    Toml,
    /// `lb.json`
    Json,
}

impl ConfigFormat {
    /// The format that the extension of a path names.
    ///
    /// # Errors
    /// When it is neither `.toml` nor `.json`.
    pub fn of(path: &Path) -> Result<Self, ConfigError> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("toml") => Ok(Self::Toml),
            Some("json") => Ok(Self::Json),
            _ => Err(whole_file(
                path,
                format!("`{}` ends neither in .toml nor in .json", path.display()),
                "name it `lb.toml` or `lb.json`".to_owned(),
            )),
        }
    }
}

impl Config {
    /// Reads TOML; `name` is what errors call the text. `${NAME}` is taken from the environment.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_toml(text: &str, name: &str) -> Result<Self, ConfigError> {
        Self::from_text(ConfigFormat::Toml, text, name, &environment)
    }

    /// Reads JSON; `name` is what errors call the text. `${NAME}` is taken from the environment.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_json(text: &str, name: &str) -> Result<Self, ConfigError> {
        Self::from_text(ConfigFormat::Json, text, name, &environment)
    }

    /// Reads a file, TOML or JSON by its extension. Paths in it are taken from the working directory.
    ///
    /// # Errors
    /// Everything that is wrong with it, and that it cannot be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let (format, text) = read_file(path.as_ref())?;
        Self::from_text(
            format,
            &text,
            &path.as_ref().display().to_string(),
            &environment,
        )
    }

    /// Reads a text with an environment of the caller's.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_text(
        format: ConfigFormat,
        text: &str,
        name: &str,
        variable: Lookup<'_>,
    ) -> Result<Self, ConfigError> {
        interpret(&mut document(format, text, name)?, variable)
    }

    /// Checks what one value says about another; done whenever a configuration is read or a server made.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        let findings = check::errors(self);
        if findings.is_empty() {
            return Ok(());
        }
        Err(ConfigError::new(
            findings.into_iter().map(Finding::unplaced).collect(),
        ))
    }

    /// What is not wrong but probably not meant: unused pools, weights that nobody reads.
    #[must_use]
    pub fn warnings(&self) -> Vec<ConfigProblem> {
        check::warnings(self)
            .into_iter()
            .map(Finding::unplaced)
            .collect()
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn read_file(path: &Path) -> Result<(ConfigFormat, String), ConfigError> {
    let format = ConfigFormat::of(path)?;
    let text = std::fs::read_to_string(path).map_err(|error| {
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => "write one with `lb-cli init`, or name another",
            std::io::ErrorKind::PermissionDenied => "let the user that runs the server read it",
            _ => "name a text file in UTF-8",
        };
        whole_file(
            path,
            format!("cannot read `{}`: {error}", path.display()),
            help.to_owned(),
        )
    })?;
    Ok((format, text))
}

fn whole_file(path: &Path, message: String, help: String) -> ConfigError {
    let mut problem = Finding::new("", message, help).unplaced();
    problem.source = Some(path.display().to_string());
    ConfigError::new(vec![problem])
}

fn document(format: ConfigFormat, text: &str, name: &str) -> Result<Document, ConfigError> {
    let root = match format {
        ConfigFormat::Toml => parse_toml(text),
        ConfigFormat::Json => parse_json(text),
    };
    let root = root.map_err(|(error, span)| {
        ConfigError::new(vec![tree::syntax_problem(name, text, error, span)])
    })?;
    Ok(Document {
        name: name.to_owned(),
        text: text.to_owned(),
        root,
    })
}

/// From the document to the configuration: references, values, then what they say about each other.
fn interpret(document: &mut Document, variable: Lookup<'_>) -> Result<Config, ConfigError> {
    substitute::substitute(&mut document.root, variable)
        .map_err(|findings| place(document, findings))?;
    understand(document)
}

fn understand(document: &Document) -> Result<Config, ConfigError> {
    read::config(&document.root)
        .and_then(|config| {
            let findings = check::errors(&config);
            if findings.is_empty() {
                Ok(config)
            } else {
                Err(findings)
            }
        })
        .map_err(|findings| place(document, findings))
}

fn place(document: &Document, findings: Vec<Finding>) -> ConfigError {
    let is_written = |key: &str| document.root.entry(key).is_some();
    let mut problems: Vec<ConfigProblem> = findings
        .into_iter()
        .map(|mut finding| {
            finding.path = read::written_path(&finding.path, is_written);
            document.place(finding)
        })
        .collect();
    problems.sort_by_key(|problem| (problem.line, problem.column));
    ConfigError::new(problems)
}
