//! A configuration as written: a tree of values, each knowing where it stands.

mod json;
mod toml;

pub(super) use json::parse as parse_json;
pub(super) use toml::{parse as parse_toml, parse_value as parse_toml_value};

use std::ops::Range;

use super::conceal;
use super::error::{ConfigProblem, Excerpt, Finding};
use crate::config::error::ValueError;

/// Nesting that no configuration needs; deeper input is refused before it can exhaust the stack.
const MAX_DEPTH: usize = 32;

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// These bytes of the file.
    File(Range<usize>),
    /// An environment variable, by its name.
    Variable(String),
    /// A flag, as it was written.
    Flag(String),
}

/// What both spellings can express.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Date(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key and its value, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_origin: Origin,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn new(value: Value, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// An empty table, as an empty file is.
    pub(super) fn empty() -> Self {
        Self::new(Value::Table(Vec::new()), Origin::File(0..0))
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// What it is, for "expected a string, got …".
    pub(super) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Boolean(value) => format!("the boolean `{value}`"),
            Value::Integer(value) => format!("the number `{value}`"),
            Value::Float(value) => format!("the number `{value}`"),
            Value::Text(value) => format!("the string \"{value}\""),
            Value::Date(value) => format!("the date `{value}`"),
            Value::List(values) => format!("a list of {}", values.len()),
            Value::Table(_) => "a table".to_owned(),
        }
    }

    /// Makes everything in it come from one place.
    pub(super) fn claim(&mut self, origin: &Origin) {
        self.origin.clone_from(origin);
        match &mut self.value {
            Value::List(values) => values.iter_mut().for_each(|node| node.claim(origin)),
            Value::Table(entries) => {
                for entry in entries {
                    entry.key_origin.clone_from(origin);
                    entry.node.claim(origin);
                }
            }
            _ => {}
        }
    }

    /// The origin of the value at `path`, or of the nearest thing around it; of its key if `at_key`.
    /// Also whether that is a table around it, so that the value itself is not written.
    fn locate(&self, path: &str, at_key: bool) -> (&Origin, bool) {
        let mut node = self;
        let mut origin = &self.origin;
        for segment in path.split(['.', '[']).filter(|segment| !segment.is_empty()) {
            let segment = segment.strip_suffix(']').unwrap_or(segment);
            let next = match &node.value {
                Value::Table(_) => node.entry(segment).map(|entry| {
                    origin = if at_key {
                        &entry.key_origin
                    } else {
                        &entry.node.origin
                    };
                    &entry.node
                }),
                Value::List(values) => segment.parse().ok().and_then(|index: usize| {
                    let node = values.get(index)?;
                    origin = &node.origin;
                    Some(node)
                }),
                _ => None,
            };
            let Some(next) = next else {
                return (origin, matches!(node.value, Value::Table(_)));
            };
            node = next;
        }
        (origin, false)
    }
}

/// A configuration as written, with what is needed to point into it.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) root: Node,
}

impl Document {
    /// Says where in this document the finding stands.
    pub(super) fn place(&self, finding: Finding) -> ConfigProblem {
        let (origin, _) = self.root.locate(&finding.path, finding.at_key);
        let mut problem = finding.unplaced();
        match origin {
            Origin::File(span) => point(&mut problem, &self.name, &self.text, span.clone()),
            Origin::Variable(name) => problem.source = Some(name.clone()),
            Origin::Flag(flag) => problem.source = Some(flag.clone()),
        }
        problem
    }

    /// Where the value at `path` is written: `lb.toml:12`, a variable or a flag.
    pub(super) fn origin(&self, path: &str) -> Option<String> {
        match self.root.locate(path, false) {
            (_, true) => None,
            (Origin::File(span), false) => {
                let before = &self.text[..floor(&self.text, span.start)];
                Some(format!(
                    "{}:{}",
                    self.name,
                    before.matches('\n').count() + 1
                ))
            }
            (Origin::Variable(name), false) => Some(name.clone()),
            (Origin::Flag(flag), false) => Some(flag.clone()),
        }
    }
}

/// A file that is no TOML or JSON at all.
pub(super) fn syntax_problem(
    name: &str,
    text: &str,
    error: ValueError,
    span: Range<usize>,
) -> ConfigProblem {
    let mut problem = Finding::value("", error).unplaced();
    point(&mut problem, name, text, span);
    problem
}

/// Fills in file, line, column and excerpt.
fn point(problem: &mut ConfigProblem, name: &str, text: &str, span: Range<usize>) {
    problem.source = Some(name.to_owned());
    // What is missing from the file as a whole stands nowhere.
    if problem.path.is_empty() && span == (0..0)
        || text.is_empty()
        || span.len() >= text.trim_end().len().max(1)
    {
        return;
    }
    let start = floor(text, span.start);
    let end = floor(text, span.end).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let column = text[line_start..start].chars().count();
    problem.line = Some(text[..start].matches('\n').count() + 1);
    problem.column = Some(column + 1);
    problem.excerpt = Some(excerpt(
        &text[line_start..line_end],
        column,
        text[start..end.min(line_end)].chars().count(),
    ));
}

/// At most 100 characters of a line, so that a file of one long line stays readable.
fn excerpt(line: &str, column: usize, width: usize) -> Excerpt {
    const SHOWN: usize = 100;
    let line: Vec<char> = conceal::passwords(line)
        .trim_end()
        .chars()
        // A tab would move the caret, a control character the terminal.
        .map(|c| {
            if c == '\t' {
                ' '
            } else if c.is_control() {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    let first = if line.len() > SHOWN {
        column.saturating_sub(SHOWN / 2)
    } else {
        0
    };
    let last = line.len().min(first + SHOWN);
    let first = first.min(last);
    Excerpt {
        text: line[first..last].iter().collect(),
        indent: column - first.min(column),
        width: width.clamp(1, last.saturating_sub(column).max(1)),
    }
}

fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}
