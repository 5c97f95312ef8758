//! JSON as a [`Node`]: `serde_json` says whether it is JSON, a second walk finds where things stand.

use std::ops::Range;

use serde::de::IgnoredAny;

use super::{Entry, MAX_DEPTH, Node, Origin, Value};
use crate::config::error::ValueError;

/// Reads a document; the error is what is wrong and where.
pub(in crate::config) fn parse(text: &str) -> Result<Node, (ValueError, Range<usize>)> {
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| syntax(text, &error))?;
    Walk { text, at: 0 }.node(MAX_DEPTH)
}

fn syntax(text: &str, error: &serde_json::Error) -> (ValueError, Range<usize>) {
    let line_start: usize = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    // The column counts bytes and may fall inside a character.
    let at = text.floor_char_boundary(line_start + error.column().saturating_sub(1));
    let full = error.to_string();
    let message = full.split(" at line ").next().unwrap_or(&full);
    let help = if message.starts_with("trailing comma") {
        "remove the comma before the bracket"
    } else if message.starts_with("EOF") {
        "close every bracket and quote"
    } else if text[..at].ends_with('/') || text[at..].starts_with(['/', '#']) {
        "JSON has no comments; use TOML for a commented file"
    } else {
        "see https://json.org for what JSON allows"
    };
    (
        ValueError::new(format!("not valid JSON: {message}"), help),
        at..at,
    )
}

/// A walk over text that is known to be JSON.
struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl Walk<'_> {
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Steps over the byte after white space, which the first pass has checked.
    fn step(&mut self) -> u8 {
        self.skip_space();
        let byte = self.peek();
        self.at += 1;
        byte
    }

    /// The end of the string, number or word that begins here.
    fn scalar_end(&self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        if self.peek() != b'"' {
            let stop = |b: &u8| matches!(b, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
            return self.at + rest.iter().position(stop).unwrap_or(rest.len());
        }
        let mut escaped = false;
        let close = rest.iter().skip(1).position(|&b| {
            let ends = b == b'"' && !escaped;
            escaped = b == b'\\' && !escaped;
            ends
        });
        self.at + close.map_or(rest.len(), |at| at + 2)
    }

    fn node(&mut self, depth: usize) -> Result<Node, (ValueError, Range<usize>)> {
        self.skip_space();
        let start = self.at;
        if depth == 0 {
            let error = ValueError::new(
                "nested too deeply",
                format!("use at most {MAX_DEPTH} levels"),
            );
            return Err((error, start..start + 1));
        }
        let value = match self.peek() {
            b'{' => Value::Table(self.entries(depth)?),
            b'[' => Value::List(self.values(depth)?),
            _ => {
                let end = self.scalar_end();
                let text = &self.text[start..end];
                self.at = end;
                scalar(text).map_err(|error| (error, start..end))?
            }
        };
        Ok(Node::new(value, Origin::File(start..self.at)))
    }

    fn values(&mut self, depth: usize) -> Result<Vec<Node>, (ValueError, Range<usize>)> {
        let mut values = Vec::new();
        self.step();
        self.skip_space();
        if self.peek() == b']' {
            self.step();
            return Ok(values);
        }
        loop {
            values.push(self.node(depth - 1)?);
            if self.step() != b',' {
                return Ok(values);
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<Entry>, (ValueError, Range<usize>)> {
        let mut entries: Vec<Entry> = Vec::new();
        self.step();
        self.skip_space();
        if self.peek() == b'}' {
            self.step();
            return Ok(entries);
        }
        loop {
            self.skip_space();
            let span = self.at..self.scalar_end();
            self.at = span.end;
            let key = string(&self.text[span.clone()]).map_err(|error| (error, span.clone()))?;
            if entries.iter().any(|entry| entry.key == key) {
                let error = ValueError::new(
                    format!("the key `{key}` stands here twice"),
                    "write it once",
                );
                return Err((error, span));
            }
            self.step();
            entries.push(Entry {
                key,
                key_origin: Origin::File(span),
                node: self.node(depth - 1)?,
            });
            if self.step() != b',' {
                return Ok(entries);
            }
        }
    }
}

fn string(text: &str) -> Result<String, ValueError> {
    serde_json::from_str(text).map_err(|error| {
        ValueError::new(
            format!("not valid JSON: {error}"),
            "write a string in double quotes",
        )
    })
}

fn scalar(text: &str) -> Result<Value, ValueError> {
    Ok(match text {
        "null" => Value::Null,
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        text if text.starts_with('"') => Value::Text(string(text)?),
        number => match number.parse::<i64>() {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Float(number.parse().unwrap_or(f64::NAN)),
        },
    })
}
