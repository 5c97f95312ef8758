//! What is wrong with a configuration, where, and the way out.

use std::error::Error;
use std::fmt;

use serde::Serialize;

use super::conceal;

/// A configuration that cannot be used: every problem that was found, in the order of the file.
///
/// Its text shows each problem with the line and a caret; serialised it is the list of problems.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ConfigError {
    problems: Vec<ConfigProblem>,
    #[serde(skip)]
    misplaced: bool,
}

impl ConfigError {
    pub(super) fn new(problems: Vec<ConfigProblem>) -> Self {
        Self {
            problems,
            misplaced: false,
        }
    }

    /// The problems of variables and flags that could not be put over the file.
    pub(super) fn misplaced(problems: Vec<ConfigProblem>) -> Self {
        Self {
            problems,
            misplaced: true,
        }
    }

    /// Whether variables or flags name places that are not there, or several; what the layers make
    /// together was not looked at.
    #[must_use]
    pub fn is_misplaced(&self) -> bool {
        self.misplaced
    }

    pub(super) fn into_problems(self) -> Vec<ConfigProblem> {
        self.problems
    }

    /// The problems, at least one.
    #[must_use]
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl Error for ConfigError {}

/// One thing that is wrong, or worth a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConfigProblem {
    /// The file, variable or flag it stands in; `None` for a configuration built by a program.
    pub source: Option<String>,
    /// Line, from 1, where it stands in a file.
    pub line: Option<usize>,
    /// Column in characters, from 1, where it stands in a file.
    pub column: Option<usize>,
    /// The key, as `pools.api.backends[1].weight`; empty for the whole file.
    pub path: String,
    /// What is wrong, with the value.
    pub message: String,
    /// The way out.
    pub help: Option<String>,
    #[serde(skip)]
    pub(super) excerpt: Option<Excerpt>,
}

/// The part of a line that is shown, and which of its characters are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) text: String,
    pub(super) indent: usize,
    pub(super) width: usize,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            write!(f, "{source}:")?;
            if let (Some(line), Some(column)) = (self.line, self.column) {
                write!(f, "{line}:{column}:")?;
            }
            f.write_str(" ")?;
        }
        if self.excerpt.is_none() && !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        let mut margin = 1;
        if let (Some(line), Some(excerpt)) = (self.line, &self.excerpt) {
            let Excerpt {
                text,
                indent,
                width,
            } = excerpt;
            let number = line.to_string();
            margin = number.len();
            write!(
                f,
                "\n{:margin$} |\n{number} | {text}\n{:margin$} | ",
                "", ""
            )?;
            write!(f, "{:indent$}{:^<width$}", "", "")?;
            if !self.path.is_empty() {
                write!(f, "\n{:margin$} = at: {}", "", self.path)?;
            }
        }
        if let Some(help) = &self.help {
            write!(f, "\n{:margin$} = help: {help}", "")?;
        }
        Ok(())
    }
}

/// A text that is not what it should be: a URL, an address, a hash key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError {
    message: String,
    help: String,
}

impl ValueError {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }

    /// What is wrong, with the value.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The way out.
    #[must_use]
    pub fn help(&self) -> &str {
        &self.help
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}

impl Error for ValueError {}

/// A problem before it is known where in the file it stands: only its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) path: String,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// Point at the key and not at its value.
    pub(super) at_key: bool,
}

impl Finding {
    pub(super) fn new(
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            message: conceal::passwords(&message.into()),
            help: Some(conceal::passwords(&help.into())),
            at_key: false,
        }
    }

    pub(super) fn value(path: impl Into<String>, error: ValueError) -> Self {
        Self::new(path, error.message, error.help)
    }

    /// The problem of a configuration that no file holds.
    pub(super) fn unplaced(self) -> ConfigProblem {
        ConfigProblem {
            source: None,
            line: None,
            column: None,
            path: self.path,
            message: self.message,
            help: self.help,
            excerpt: None,
        }
    }
}
