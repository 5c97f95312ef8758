//! What a reload has changed.

use std::collections::BTreeMap;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{BackendConfig, Config};

/// What a reload has changed, each as its path in the configuration: `pools.api`, `routes.login`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ReloadReport {
    /// What is there now and was not before; a backend as `pools.api.backends.http://10.0.0.1:80`.
    pub added: Vec<String>,
    /// What was there before and is not now.
    pub removed: Vec<String>,
    /// What stays and is another.
    pub changed: Vec<String>,
    /// Listeners whose certificates are others, though the configuration may be the same.
    pub certificates: Vec<String>,
    /// Backends that are again as configured after an operator had drained or disabled them.
    pub undone: Vec<String>,
    /// What only a restart can change; it is as it was before.
    pub needs_restart: Vec<String>,
    /// What is probably not meant.
    pub warnings: Vec<String>,
}

/// What became of reloads since the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ReloadStatus {
    /// Those that put their configuration in force.
    pub succeeded: u64,
    /// Those after which everything was as before.
    pub failed: u64,
    /// When the last one succeeded.
    pub last_success: Option<SystemTime>,
    /// When the last one failed, and why.
    pub last_failure: Option<(SystemTime, String)>,
}

impl ReloadStatus {
    /// Whether the last reload put its configuration in force; so it is before the first.
    pub fn is_last_successful(&self) -> bool {
        match (&self.last_success, &self.last_failure) {
            (_, None) => true,
            (success, Some((failure, _))) => success.as_ref() > Some(failure),
        }
    }
}

impl ReloadReport {
    /// Whether the configuration that was put in force is that from before, and so are the certificates.
    pub fn is_unchanged(&self) -> bool {
        let lists = [
            &self.added,
            &self.removed,
            &self.changed,
            &self.certificates,
            &self.undone,
            &self.needs_restart,
        ];
        lists.iter().all(|list| list.is_empty())
    }

    /// All of it in one line.
    pub(crate) fn summary(&self) -> String {
        let parts = [
            ("added", &self.added),
            ("removed", &self.removed),
            ("changed", &self.changed),
            ("certificates", &self.certificates),
            ("undone", &self.undone),
            ("needs a restart", &self.needs_restart),
        ];
        let parts = parts.iter().filter(|(_, list)| !list.is_empty());
        let said: Vec<String> = parts
            .map(|(what, list)| format!("{what}: {}", list.join(", ")))
            .collect();
        if said.is_empty() {
            "nothing changed".to_owned()
        } else {
            said.join("; ")
        }
    }

    /// The differences between two configurations.
    pub(super) fn between(before: &Config, after: &Config) -> Self {
        let mut report = Self::default();
        if before.server != after.server {
            report.changed.push("server".to_owned());
        }
        report.named("listeners", &before.listeners, &after.listeners);
        report.named("rate_limits", &before.rate_limits, &after.rate_limits);
        report.named("caches", &before.caches, &after.caches);
        report.pools(before, after);
        report.routes(before, after);
        report.table(
            "sessions",
            before.sessions.as_ref(),
            after.sessions.as_ref(),
        );
        report.table("redis", before.redis.as_ref(), after.redis.as_ref());
        report.table("metrics", Some(&before.metrics), Some(&after.metrics));
        let logs = (&before.access_log, &after.access_log);
        report.table("access_log", Some(logs.0), Some(logs.1));
        report.table("tracing", before.tracing.as_ref(), after.tracing.as_ref());
        report.table("admin", before.admin.as_ref(), after.admin.as_ref());
        report
    }

    fn table<T: PartialEq>(&mut self, name: &str, before: Option<&T>, after: Option<&T>) {
        let list = match (before, after) {
            (None, None) => return,
            (Some(before), Some(after)) if before == after => return,
            (None, Some(_)) => &mut self.added,
            (Some(_), None) => &mut self.removed,
            (Some(_), Some(_)) => &mut self.changed,
        };
        list.push(name.to_owned());
    }

    fn named<T: PartialEq>(
        &mut self,
        table: &str,
        before: &BTreeMap<String, T>,
        after: &BTreeMap<String, T>,
    ) {
        let new = after.keys().filter(|name| !before.contains_key(*name));
        for name in before.keys().chain(new) {
            let path = format!("{table}.{name}");
            self.table(&path, before.get(name), after.get(name));
        }
    }

    fn pools(&mut self, before: &Config, after: &Config) {
        for (name, pool) in &after.pools {
            let Some(old) = before.pools.get(name) else {
                continue;
            };
            let mut rest = old.clone();
            rest.backends.clone_from(&pool.backends);
            if rest != *pool {
                self.changed.push(format!("pools.{name}"));
            }
            let path = format!("pools.{name}.backends");
            self.named(&path, &by_label(&old.backends), &by_label(&pool.backends));
        }
        let names = |config: &Config| config.pools.keys().map(|name| (name.clone(), ())).collect();
        self.named("pools", &names(before), &names(after));
    }

    fn routes(&mut self, before: &Config, after: &Config) {
        let by_name = |config: &Config| -> BTreeMap<String, _> {
            let routes = config.routes.iter();
            routes
                .map(|route| (route.name.clone(), route.clone()))
                .collect()
        };
        let (old, new) = (by_name(before), by_name(after));
        self.named("routes", &old, &new);
        // The first that matches counts, so their order is part of what they say.
        let order = |config: &Config, other: &BTreeMap<String, _>| -> Vec<String> {
            let names = config.routes.iter().map(|route| route.name.clone());
            names.filter(|name| other.contains_key(name)).collect()
        };
        if order(before, &new) != order(after, &old) {
            self.changed.push("routes".to_owned());
        }
    }

    /// Says it in one line, and what is left undone in more.
    pub(super) fn log(&self) {
        tracing::info!(
            added = self.added.join(" "),
            removed = self.removed.join(" "),
            changed = self.changed.join(" "),
            certificates = self.certificates.join(" "),
            undone = self.undone.join(" "),
            "reloaded"
        );
        for key in &self.needs_restart {
            tracing::warn!(
                key,
                "this change needs a restart; until then it is as before"
            );
        }
    }
}

/// Backends by what they are called in their pool.
fn by_label(backends: &[BackendConfig]) -> BTreeMap<String, &BackendConfig> {
    let label = |backend: &BackendConfig| backend.name.clone();
    let labelled = |backend| {
        (
            label(backend).unwrap_or_else(|| backend.url.to_string()),
            backend,
        )
    };
    backends.iter().map(labelled).collect()
}
