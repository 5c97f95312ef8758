//! From the tree as written to the configuration as meant.

mod access_log;
mod admin;
mod cache;
mod discovery;
mod limits;
mod listener;
mod metrics;
mod pool;
mod redis;
mod resilience;
mod route;
mod server;
mod sessions;
mod short;
mod tracing;

pub(super) use access_log::FORMATS;
pub(super) use discovery::RECORDS;
pub(super) use limits::{ALGORITHMS, MODES};
pub(super) use redis::{ON_STORE_ERROR, STORES};
pub(super) use resilience::CONDITIONS;
pub(super) use server::parse_network;
pub(super) use sessions::{AFFINITY_MODES, SAME_SITE};
pub(super) use short::{NAME as DEFAULT_NAME, written_path};

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use super::error::{Finding, ValueError};
use super::model::Config;
use super::suggest::{enumerate, nearest};
use super::tree::{Entry, Node, Value};
use super::units;

/// Every key of the top level; what else a variable names is not ours.
pub(super) const TOP_LEVEL: [&str; 19] = [
    "version",
    "listen",
    "tls",
    "algorithm",
    "backends",
    "server",
    "listeners",
    "pools",
    "caches",
    "routes",
    "rate_limit",
    "rate_limits",
    "redis",
    "dns",
    "sessions",
    "access_log",
    "metrics",
    "admin",
    "tracing",
];

/// Reads the whole tree; the findings are everything that is wrong with single values.
pub(super) fn config(root: &Node) -> Result<Config, Vec<Finding>> {
    let findings = RefCell::new(Vec::new());
    let config = {
        let cursor = Cursor::new(root, String::new(), &findings);
        let mut config = Config::default();
        cursor.table(|fields| {
            fields.get("$schema");
            if let Some(version) = fields.get("version") {
                version.version();
            }
            fields.read("server", &mut config.server, server::process);
            let short = short::Short::read(fields);
            fields.read("listeners", &mut config.listeners, |cursor| {
                cursor.named(listener::listener)
            });
            fields.read("pools", &mut config.pools, |cursor| {
                cursor.named(pool::pool)
            });
            fields.read("rate_limits", &mut config.rate_limits, |cursor| {
                cursor.named(limits::rate_limit)
            });
            fields.read_some("redis", &mut config.redis, redis::redis);
            fields.read("dns", &mut config.dns, discovery::dns);
            fields.read("caches", &mut config.caches, |cursor| {
                cursor.named(cache::cache)
            });
            short.add_to(&mut config);
            fields.read_some("sessions", &mut config.sessions, sessions::sessions);
            fields.read("access_log", &mut config.access_log, access_log::access_log);
            fields.read("metrics", &mut config.metrics, metrics::metrics);
            fields.read("admin", &mut config.admin, |cursor| {
                resilience::unless_off(cursor, admin::admin)
            });
            fields.read_some("tracing", &mut config.tracing, tracing::tracing);
            match fields.get("routes") {
                Some(routes) => {
                    let read = |(index, cursor): (usize, Cursor<'_>)| route::route(&cursor, index);
                    config.routes = routes
                        .list()
                        .into_iter()
                        .enumerate()
                        .filter_map(read)
                        .collect();
                }
                None => config.routes = route::catch_all(&config, &cursor),
            }
        });
        config
    };
    let findings = findings.into_inner();
    if findings.is_empty() {
        Ok(config)
    } else {
        Err(findings)
    }
}

/// A value, its path, and where to report what is wrong with it.
#[derive(Clone)]
struct Cursor<'a> {
    node: &'a Node,
    path: String,
    findings: &'a RefCell<Vec<Finding>>,
}

impl<'a> Cursor<'a> {
    fn new(node: &'a Node, path: String, findings: &'a RefCell<Vec<Finding>>) -> Self {
        Self {
            node,
            path,
            findings,
        }
    }

    fn report(&self, message: impl Into<String>, help: impl Into<String>) {
        let finding = Finding::new(self.path.clone(), message, help);
        self.findings.borrow_mut().push(finding);
    }

    /// The last part of the path, for messages.
    fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }

    fn expected(&self, what: &str, help: impl Into<String>) {
        self.report(
            format!("expected {what}, got {}", self.node.describe()),
            help,
        );
    }

    fn version(&self) {
        match self.node.value {
            Value::Integer(1) => {}
            _ => self.report(
                format!("unknown configuration version: {}", self.node.describe()),
                "write `version = 1`, or use a newer lb-cli",
            ),
        }
    }

    fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Date(_) => {
                self.expected("a string", "put it in quotes");
                None
            }
            _ => {
                self.expected("a string", format!("write `{} = \"…\"`", self.name()));
                None
            }
        }
    }

    fn filled_text(&self) -> Option<String> {
        let text = self.text()?;
        if text.is_empty() {
            self.report(
                "expected a value, got the empty string \"\"",
                "write a value or remove the key",
            );
            return None;
        }
        Some(text.to_owned())
    }

    fn parse<T: FromStr<Err = ValueError>>(&self) -> Option<T> {
        self.text()?
            .parse()
            .map_err(|error: ValueError| self.report(error.message(), error.help()))
            .ok()
    }

    fn boolean(&self) -> Option<bool> {
        match &self.node.value {
            Value::Boolean(value) => Some(*value),
            Value::Text(text) if text == "true" || text == "false" => {
                self.expected("true or false", format!("remove the quotes: `{text}`"));
                None
            }
            _ => {
                self.expected("true or false", "write `true` or `false`, without quotes");
                None
            }
        }
    }

    fn integer<T: TryFrom<i64>>(&self, least: i64, most: i64) -> Option<T> {
        let help = || format!("write a whole number from {least} to {most}, without quotes");
        match self.node.value {
            Value::Integer(value) if (least..=most).contains(&value) => T::try_from(value).ok(),
            Value::Integer(value) => {
                self.report(
                    format!(
                        "`{}` must be from {least} to {most}, got {value}",
                        self.name()
                    ),
                    help(),
                );
                None
            }
            _ => {
                self.expected("a whole number", help());
                None
            }
        }
    }

    fn float(&self) -> Option<f64> {
        match self.node.value {
            Value::Float(value) => Some(value),
            #[expect(clippy::cast_precision_loss, reason = "a factor, not a count")]
            Value::Integer(value) => Some(value as f64),
            _ => {
                self.expected("a number", "write a number like `1.25`, without quotes");
                None
            }
        }
    }

    fn duration(&self) -> Option<Duration> {
        match &self.node.value {
            Value::Text(text) => units::parse_duration(text)
                .map_err(|help| self.report(format!("`{text}` is no duration"), help))
                .ok(),
            Value::Integer(number) if *number >= 0 => {
                let help = units::bare_duration(&number.to_string());
                self.report(
                    format!("a duration needs a unit, got the bare number {number}"),
                    help,
                );
                None
            }
            _ => {
                self.expected("a duration", "write \"30s\", \"250ms\" or \"5m\"");
                None
            }
        }
    }

    fn size(&self) -> Option<u32> {
        let bytes = self.large_size()?;
        u32::try_from(bytes)
            .map_err(|_| {
                let text = units::print_size(bytes);
                self.report(
                    format!("`{}` is too large: {text}", self.name()),
                    "use less than \"4GiB\"",
                );
            })
            .ok()
    }

    fn large_size(&self) -> Option<u64> {
        match &self.node.value {
            Value::Text(text) => units::parse_size(text)
                .map_err(|help| self.report(format!("`{text}` is no size"), help))
                .ok(),
            Value::Integer(number) if *number >= 0 => {
                let help = units::bare_size(&number.to_string());
                self.report(
                    format!("a size needs a unit, got the bare number {number}"),
                    help,
                );
                None
            }
            _ => {
                self.expected("a size", "write \"64KiB\" or \"8MiB\"");
                None
            }
        }
    }

    fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let known = choices.iter().find(|(name, _)| *name == text);
        if known.is_none() {
            let names = choices.iter().map(|(name, _)| *name);
            let help = nearest(text, names.clone()).map_or_else(
                || format!("write {}", one_of(names)),
                |name| format!("did you mean `{name}`?"),
            );
            self.report(format!("unknown value `{text}` of `{}`", self.name()), help);
        }
        known.map(|(_, value)| *value)
    }

    fn list(&self) -> Vec<Self> {
        if let Value::List(values) = &self.node.value {
            let at =
                |(index, node)| Self::new(node, format!("{}[{index}]", self.path), self.findings);
            return values.iter().enumerate().map(at).collect();
        }
        self.expected(
            "a list",
            format!("put it in brackets: `{} = [ … ]`", self.name()),
        );
        Vec::new()
    }

    /// A list, or its only element without brackets.
    fn one_or_more(&self) -> Vec<Self> {
        match self.node.value {
            Value::List(_) => self.list(),
            _ => vec![self.clone()],
        }
    }

    fn each<T>(&self, read: impl Fn(&Self) -> Option<T>) -> Option<Vec<T>> {
        Some(self.one_or_more().iter().filter_map(read).collect())
    }

    fn entries(&self) -> &'a [Entry] {
        if let Value::Table(entries) = &self.node.value {
            return entries;
        }
        let name = self.name();
        let help = if name.is_empty() {
            "start with `{`".to_owned()
        } else {
            format!("write `{name} = {{ … }}`")
        };
        self.expected("a table", help);
        &[]
    }

    fn children(&self) -> Vec<(&'a str, Self)> {
        let at = |entry: &'a Entry| (entry.key.as_str(), self.child(entry));
        self.entries().iter().map(at).collect()
    }

    fn child(&self, entry: &'a Entry) -> Self {
        let path = match self.path.as_str() {
            "" => entry.key.clone(),
            path => format!("{path}.{}", entry.key),
        };
        Self::new(&entry.node, path, self.findings)
    }

    /// A table whose keys are names that the author chose.
    fn named<T>(&self, read: impl Fn(&Self) -> Option<T>) -> Option<BTreeMap<String, T>> {
        let mut named = BTreeMap::new();
        for (name, cursor) in self.children() {
            cursor.check_name(name);
            if let Some(value) = read(&cursor) {
                named.insert(name.to_owned(), value);
            }
        }
        Some(named)
    }

    fn check_name(&self, name: &str) {
        if !super::check::is_name(name) {
            self.report(format!("`{name}` is no name"), super::check::NAME_HELP);
        }
    }

    /// A table whose keys the model knows; all others are reported.
    fn table(&self, read: impl FnOnce(&mut Fields<'a>)) -> Option<()> {
        let Value::Table(_) = self.node.value else {
            self.entries();
            return None;
        };
        let mut fields = Fields {
            cursor: self.clone(),
            known: Vec::new(),
        };
        read(&mut fields);
        fields.report_unknown();
        Some(())
    }
}

/// The known keys of a table, as they are asked for.
struct Fields<'a> {
    cursor: Cursor<'a>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    fn get(&mut self, key: &'static str) -> Option<Cursor<'a>> {
        self.known.push(key);
        let cursor = &self.cursor;
        cursor.node.entry(key).map(|entry| cursor.child(entry))
    }

    /// Reads a key that has a default.
    fn read<T>(
        &mut self,
        key: &'static str,
        place: &mut T,
        read: impl FnOnce(&Cursor<'a>) -> Option<T>,
    ) {
        if let Some(value) = self.get(key).and_then(|cursor| read(&cursor)) {
            *place = value;
        }
    }

    /// Reads a key whose absence means something.
    fn read_some<T>(
        &mut self,
        key: &'static str,
        place: &mut Option<T>,
        read: impl FnOnce(&Cursor<'a>) -> Option<T>,
    ) {
        self.read(key, place, |cursor| read(cursor).map(Some));
    }

    fn report_unknown(&self) {
        for entry in self.cursor.entries() {
            if self.known.contains(&entry.key.as_str()) {
                continue;
            }
            let mut known: Vec<&str> = Vec::new();
            for key in self.known.iter().filter(|key| **key != "$schema") {
                if !known.contains(key) {
                    known.push(key);
                }
            }
            let help = nearest(&entry.key, known.iter().copied()).map_or_else(
                || format!("known here are {}", enumerate(known)),
                |key| format!("did you mean `{key}`?"),
            );
            let child = self.cursor.child(entry);
            let mut finding =
                Finding::new(child.path, format!("unknown key `{}`", entry.key), help);
            finding.at_key = true;
            self.cursor.findings.borrow_mut().push(finding);
        }
    }
}

fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(", ")
}
