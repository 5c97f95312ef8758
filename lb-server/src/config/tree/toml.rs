//! TOML as a [`Node`].

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Entry, MAX_DEPTH, Node, Origin, Value};
use crate::config::error::ValueError;

/// Reads a document; the error is what is wrong and where.
pub(in crate::config) fn parse(text: &str) -> Result<Node, (ValueError, Range<usize>)> {
    let table = DeTable::parse(text).map_err(syntax)?;
    let span = table.span();
    let value = table_value(table.into_inner(), MAX_DEPTH)?;
    Ok(Node::new(value, Origin::File(span)))
}

/// Reads one value, as a variable or a flag gives it.
pub(in crate::config) fn parse_value(text: &str) -> Option<Value> {
    let value = DeValue::parse(text).ok()?;
    Some(node(value, MAX_DEPTH).ok()?.value)
}

fn syntax(error: toml::de::Error) -> (ValueError, Range<usize>) {
    let help = match error.message() {
        text if text.contains("duplicate key") => "write it once",
        text if text.contains("string values must be quoted") => "put it in quotes: \"…\"",
        _ => "see https://toml.io for what TOML allows",
    };
    (
        ValueError::new(format!("not valid TOML: {}", error.message()), help),
        error.span().unwrap_or(0..0),
    )
}

fn node(value: Spanned<DeValue<'_>>, depth: usize) -> Result<Node, (ValueError, Range<usize>)> {
    let span = value.span();
    if depth == 0 {
        return Err((
            ValueError::new(
                "nested too deeply",
                format!("use at most {MAX_DEPTH} levels"),
            ),
            span,
        ));
    }
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Boolean(value) => Value::Boolean(value),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => {
                let message = format!("the number `{number}` is too large");
                return Err((ValueError::new(message, "write a smaller number"), span));
            }
        },
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Array(values) => Value::List(
            values
                .into_iter()
                .map(|value| node(value, depth - 1))
                .collect::<Result<_, _>>()?,
        ),
        DeValue::Table(table) => table_value(table, depth)?,
    };
    Ok(Node::new(value, Origin::File(span)))
}

fn table_value(table: DeTable<'_>, depth: usize) -> Result<Value, (ValueError, Range<usize>)> {
    let mut entries = Vec::with_capacity(table.len());
    for (key, value) in table {
        entries.push(Entry {
            key_origin: Origin::File(key.span()),
            key: key.into_inner().into_owned(),
            node: node(value, depth - 1)?,
        });
    }
    // The parser sorts by name; what the author wrote first comes first.
    entries.sort_by_key(|entry| match &entry.key_origin {
        Origin::File(span) => span.start,
        _ => 0,
    });
    Ok(Value::Table(entries))
}
