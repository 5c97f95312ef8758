//! `${NAME}` and `${NAME:-default}` inside strings.

use super::error::Finding;
use super::tree::{Node, Value};

/// Looks up an environment variable.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces what every string of the tree refers to; keys stay as they are.
pub(super) fn substitute(root: &mut Node, lookup: Lookup<'_>) -> Result<(), Vec<Finding>> {
    let mut findings = Vec::new();
    walk(root, "", lookup, &mut findings);
    if findings.is_empty() {
        Ok(())
    } else {
        Err(findings)
    }
}

fn walk(node: &mut Node, path: &str, lookup: Lookup<'_>, findings: &mut Vec<Finding>) {
    match &mut node.value {
        Value::Text(text) if text.contains("${") => match expand(text, lookup) {
            Ok(expanded) => *text = expanded,
            Err((message, help)) => findings.push(Finding::new(path, message, help)),
        },
        Value::List(values) => {
            for (index, value) in values.iter_mut().enumerate() {
                walk(value, &format!("{path}[{index}]"), lookup, findings);
            }
        }
        Value::Table(entries) => {
            for entry in entries {
                let dot = if path.is_empty() { "" } else { "." };
                walk(
                    &mut entry.node,
                    &format!("{path}{dot}{}", entry.key),
                    lookup,
                    findings,
                );
            }
        }
        _ => {}
    }
}

/// The text with its references replaced; `$${` stands for `${` itself.
fn expand(text: &str, lookup: Lookup<'_>) -> Result<String, (String, String)> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = &reference[2..];
            continue;
        }
        expanded.push_str(before);
        let (inside, after) = reference[2..].split_once('}').ok_or_else(|| {
            (
                format!("`{reference}` is not closed"),
                "write `${NAME}`, or `$${` for the characters themselves".to_owned(),
            )
        })?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
        if !name.starts_with(starts) || !name.chars().all(|c| starts(c) || c.is_ascii_digit()) {
            return Err((
                format!("`${{{name}}}` names no environment variable"),
                "write `${NAME}` with letters, digits and `_`, or `$${` for the characters themselves".to_owned(),
            ));
        }
        // As in a shell, `:-` also stands in for an empty variable.
        let value = lookup(name).filter(|value| default.is_none() || !value.is_empty());
        match (value, default) {
            (Some(value), _) => expanded.push_str(&value),
            (None, Some(default)) => expanded.push_str(default),
            (None, None) => {
                return Err((
                    format!("the environment variable `{name}` is not set"),
                    format!("set it, or write a default: `${{{name}:-…}}`"),
                ));
            }
        }
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Writes a text so that it stands for itself.
pub(super) fn escape(text: &str) -> String {
    text.replace("${", "$${")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(text: &str) -> Option<String> {
        let lookup = |name: &str| match name {
            "PORT" => Some("3000".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        expand(text, &lookup).ok()
    }

    #[test]
    fn replaces_variables_and_defaults() {
        assert_eq!(with("http://a:${PORT}"), Some("http://a:3000".into()));
        assert_eq!(with("${NOPE:-8080}x${PORT}"), Some("8080x3000".into()));
        assert_eq!(with("a${EMPTY}b"), Some("ab".into()));
        assert_eq!(with("${EMPTY:-x}"), Some("x".into()));
        assert_eq!(with("$${PORT} $5"), Some("${PORT} $5".into()));
        for wrong in ["${NOPE}", "${PORT", "${}", "${1A}", "${A B}"] {
            assert_eq!(with(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn an_escaped_text_stands_for_itself(text in "[a${}:-]{0,12}") {
            prop_assert_eq!(with(&escape(&text)), Some(text));
        }
    }
}
