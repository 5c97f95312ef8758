//! Another configuration for a server that runs.
//!
//! Everything that can fail is done first, beside what is in force: reading files, building pools and
//! routes, binding addresses. Only then is anything changed, and nothing of that can fail.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use super::Handle;
use super::report::{ReloadReport, ReloadStatus};
use crate::admin::{Change, ChangeKind};
use crate::clock;
use crate::config::{Config, LoadedConfig};
use crate::discovery;
use crate::error::{Error, ErrorKind, chain};
use crate::server;
use crate::snapshot::Draft;

/// Where a server's configuration comes from, so that it can be read again: a closure, usually.
pub trait ConfigSource: Send + Sync + 'static {
    /// Reads the configuration anew. May block.
    ///
    /// # Errors
    /// Whatever keeps it from being read, in words for whoever asked for the reload.
    fn load(&self) -> Result<LoadedConfig, Box<dyn StdError + Send + Sync>>;
}

impl<F> ConfigSource for F
where
    F: Fn() -> Result<LoadedConfig, Box<dyn StdError + Send + Sync>> + Send + Sync + 'static,
{
    fn load(&self) -> Result<LoadedConfig, Box<dyn StdError + Send + Sync>> {
        self()
    }
}

impl std::fmt::Debug for dyn ConfigSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ConfigSource(..)")
    }
}

/// What became of reloads.
#[derive(Debug, Default)]
pub(super) struct ReloadCounters {
    succeeded: AtomicU64,
    failed: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    success: Option<SystemTime>,
    failure: Option<(SystemTime, Box<str>)>,
}

impl Handle {
    /// Puts a configuration in force, all of it or, on an error, nothing.
    ///
    /// Files that it names (certificates, keys, authorities, secrets) are read again even where it is the
    /// same, and the file of the access log is opened anew. What has a name keeps its state under that name: backends with their health, latencies,
    /// requests in flight and connections, rate limits with what they counted, sessions, caches with what
    /// they store. Exchanges that run finish as they began. Listeners that are gone drain; those that stay
    /// are never closed. What was changed at run time (backends added, drained or re-weighted through a
    /// `Handle`) is again as configured.
    ///
    /// It is done on a thread for work that blocks of the Tokio runtime that polls the future, and once begun
    /// it is completed even if the future is dropped. One reload runs at a time; others wait.
    ///
    /// # Errors
    /// [`ErrorKind::Draining`] after [`Handle::shutdown`]; [`ErrorKind::Config`], [`ErrorKind::Tls`] or
    /// [`ErrorKind::Listen`] for what cannot be used. The configuration before is in force then.
    pub async fn reload(&self, config: Config) -> Result<ReloadReport, Error> {
        self.reload_for(None, config).await
    }

    /// As [`Handle::reload`], for whom operators are told of.
    pub(crate) async fn reload_for(
        &self,
        caller: Option<String>,
        config: Config,
    ) -> Result<ReloadReport, Error> {
        self.one_at_a_time(caller, move |_| Ok(LoadedConfig::from(config)))
            .await
    }

    /// Reads the configuration again from where the server has it from, and puts it in force as
    /// [`Handle::reload`] does.
    ///
    /// # Errors
    /// As [`Handle::reload`]; [`ErrorKind::Config`] where it cannot be read, and where the server was told
    /// of no [`ConfigSource`].
    pub async fn reload_from_source(&self) -> Result<ReloadReport, Error> {
        self.reload_from_source_for(None).await
    }

    /// As [`Handle::reload_from_source`], for whom operators are told of.
    pub(crate) async fn reload_from_source_for(
        &self,
        caller: Option<String>,
    ) -> Result<ReloadReport, Error> {
        self.one_at_a_time(caller, |handle| {
            let source = handle.inner.source.get().ok_or_else(|| {
                let text = "the server does not know where its configuration comes from";
                Error::new(ErrorKind::Config, text)
            })?;
            source.load().map_err(|error| {
                Error::new(ErrorKind::Config, "the configuration cannot be read").with_source(error)
            })
        })
        .await
    }

    /// How many reloads succeeded and failed, and when the last ones were.
    pub fn reloads(&self) -> ReloadStatus {
        let counters = &self.inner.reloads;
        let last = counters.last.lock();
        ReloadStatus {
            succeeded: counters.succeeded.load(Ordering::Relaxed),
            failed: counters.failed.load(Ordering::Relaxed),
            last_success: last.success,
            last_failure: last
                .failure
                .as_ref()
                .map(|(at, why)| (*at, why.to_string())),
        }
    }

    async fn one_at_a_time(
        &self,
        caller: Option<String>,
        load: impl FnOnce(&Self) -> Result<LoadedConfig, Error> + Send + 'static,
    ) -> Result<ReloadReport, Error> {
        let turn = Arc::clone(&self.inner.reloading).lock_owned().await;
        let handle = self.clone();
        // The turn goes along: who asked may leave, the reload is completed before the next begins.
        let reloading = tokio::task::spawn_blocking(move || handle.reload_now(caller, load, turn));
        reloading.await.unwrap_or_else(|panicked| {
            Err(Error::new(ErrorKind::Start, "the reload panicked").with_source(panicked))
        })
    }

    fn reload_now(
        &self,
        caller: Option<String>,
        load: impl FnOnce(&Self) -> Result<LoadedConfig, Error>,
        _turn: OwnedMutexGuard<()>,
    ) -> Result<ReloadReport, Error> {
        let counters = &self.inner.reloads;
        let result = load(self).and_then(|loaded| self.replace(loaded));
        self.news().tell(|| {
            let (event, details) = match &result {
                Ok(report) => ("reloaded", report.summary()),
                Err(error) => ("reload_failed", chain(error)),
            };
            Change {
                at: clock::unix_seconds(clock::now()),
                kind: ChangeKind::Reload,
                pool: None,
                backend: None,
                event: event.to_owned(),
                details,
                caller,
            }
        });
        let now = clock::wall();
        match &result {
            Ok(report) => {
                counters.succeeded.fetch_add(1, Ordering::Relaxed);
                counters.last.lock().success = Some(now);
                report.log();
            }
            Err(error) => {
                counters.failed.fetch_add(1, Ordering::Relaxed);
                counters.last.lock().failure = Some((now, chain(error).into()));
                tracing::error!(
                    error = error as &dyn StdError,
                    "reload failed, the configuration before stays in force"
                );
            }
        }
        result
    }

    pub(super) fn check_may_reload(&self) -> Result<(), Error> {
        if self.inner.requested.is_cancelled() || self.is_draining() {
            let text = "the server is draining, so its configuration stays as it is";
            return Err(Error::new(ErrorKind::Draining, text));
        }
        Ok(())
    }

    fn replace(&self, loaded: LoadedConfig) -> Result<ReloadReport, Error> {
        self.check_may_reload()?;
        let LoadedConfig {
            mut config,
            warnings,
            ..
        } = loaded;
        config.check().map_err(Error::config)?;
        let before = self.snapshot();
        let needs_restart = keep_what_needs_a_restart(&before.config, &mut config);
        let mut report = ReloadReport::between(&before.config, &config);
        report.needs_restart = needs_restart;
        report.warnings = warnings.iter().map(ToString::to_string).collect();
        if let Some(names) = self.inner.names.get() {
            let runtime = tokio::runtime::Handle::current();
            runtime.block_on(discovery::first(&config, &before.found, &**names))?;
        }
        let config = Arc::new(config);
        let draft = Draft::build(Arc::clone(&config), before.has_handler, Some(&before))?;
        let outside = self.inner.outside.get();
        let sockets = outside.map(|outside| outside.sockets.draft(&config, draft.listeners()));
        let sockets = sockets.transpose()?;

        let changing = self.inner.changing.lock();
        let (snapshot, undone) = draft.commit(clock::now());
        let snapshot = Arc::new(snapshot);
        self.inner.snapshot.store(Arc::clone(&snapshot));
        // Names may have changed while the rest was built.
        snapshot.follow_names();
        snapshot.found.keep_of(&config);
        drop(changing);
        for (name, pool) in &before.pools {
            if !snapshot.pools.contains_key(name) {
                pool.give_up();
            }
        }
        report.undone = undone.iter().map(ToString::to_string).collect();
        self.inner.memory.set_limit(config.server.memory_limit);
        if let (Some(outside), Some(sockets)) = (outside, sockets) {
            report.certificates.clone_from(&sockets.certified);
            outside.admissions.set(server::bounds(&config.server));
            outside.sockets.commit(sockets, &config);
        }
        // A log file may have been renamed for this reload to open another.
        self.reopen_logs();
        self.forget_gone();
        snapshot.purge_uncovered();
        Ok(report)
    }
}

/// Puts back what a running server cannot change, and says so.
pub(super) fn keep_what_needs_a_restart(before: &Config, config: &mut Config) -> Vec<String> {
    let mut kept = Vec::new();
    let mut keep = |key: &str| kept.push(key.to_owned());
    if config.server.threads != before.server.threads {
        config.server.threads = before.server.threads;
        keep("server.threads");
    }
    if config.server.pseudonym != before.server.pseudonym {
        config.server.pseudonym.clone_from(&before.server.pseudonym);
        keep("server.pseudonym");
    }
    if config.dns != before.dns {
        config.dns.clone_from(&before.dns);
        keep("dns");
    }
    if config.metrics.duration_buckets != before.metrics.duration_buckets {
        let buckets = &before.metrics.duration_buckets;
        config.metrics.duration_buckets.clone_from(buckets);
        keep("metrics.duration_buckets");
    }
    if config.metrics.report != before.metrics.report {
        config.metrics.report = before.metrics.report;
        keep("metrics.report");
    }
    if config.admin != before.admin {
        config.admin.clone_from(&before.admin);
        keep("admin");
    }
    if config.redis != before.redis {
        config.redis.clone_from(&before.redis);
        keep("redis");
    }
    kept
}
