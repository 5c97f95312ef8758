//! How everything is at one moment.

use std::time::UNIX_EPOCH;

use crate::admin::sampler::Sample;
use crate::admin::service::Service;
use crate::admin::{
    CacheStatus, CertificateStatus, ConfigStatus, ConnectionsStatus, ListenerStatus, MemoryStatus,
    PoolStatus, ReloadResult, SessionsStatus, Status, StoreStatus, Totals,
};
use crate::clock;
use crate::config::{Config, Protocol, StoreKind};

impl Service {
    /// How everything is.
    pub(crate) fn status(&self) -> Status {
        let mut pools = self.handle.pools();
        let sample = self.read(&pools);
        let sampler = self.sampler.lock();
        sampler.rate_backends(&sample, &mut pools);
        let rates = sampler.rates(&sample);
        drop(sampler);
        self.status_of(pools, &sample, rates)
    }

    /// As [`Service::status`], and what is counted is kept to compare with later.
    pub(crate) fn sample(&self) -> Status {
        let mut pools = self.handle.pools();
        let sample = self.read(&pools);
        let mut sampler = self.sampler.lock();
        sampler.rate_backends(&sample, &mut pools);
        let rates = sampler.rates(&sample);
        sampler.keep(sample.clone());
        drop(sampler);
        self.status_of(pools, &sample, rates)
    }

    fn read(&self, pools: &[PoolStatus]) -> Sample {
        let counted = self.handle.counted();
        let mut sample = Sample {
            at: clock::now(),
            requests: counted.requests,
            errors: counted.errors,
            latency: counted.latency,
            backends: Default::default(),
        };
        sample.add_pools(pools);
        sample
    }

    fn status_of(
        &self,
        pools: Vec<PoolStatus>,
        sample: &Sample,
        rates: crate::admin::sampler::Rates,
    ) -> Status {
        let counted = self.handle.counted();
        let metrics = self.handle.metrics();
        let snapshot = self.handle.snapshot();
        let config = self.handle.config();
        let now = clock::unix_seconds(sample.at);
        let started = clock::unix_seconds(self.about.started);
        let (active, max) = self.about.admissions.connections();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now,
            started,
            uptime_seconds: ((now - started) * 1e3).round() / 1e3,
            state: self.state(),
            config: self.config_status(&config),
            totals: Totals {
                requests: counted.requests,
                errors: counted.errors,
                in_flight: counted.in_flight,
                rate_1s: rates.last_1s,
                rate_10s: rates.last_10s,
                error_rate_10s: rates.errors_10s,
                classes: counted.classes,
                latency: rates.latency,
                reasons: counted.reasons,
            },
            connections: ConnectionsStatus { active, max },
            memory: MemoryStatus {
                held_bytes: metrics.held_bytes,
                limit_bytes: config.server.memory_limit,
            },
            pools,
            caches: caches(&metrics, &config),
            rate_limits: snapshot.limits.status(),
            sessions: self.sessions(),
            store: metrics.redis.map(|store| StoreStatus {
                is_up: store.is_up,
                answered: store.answered,
                errors: store
                    .errors
                    .into_iter()
                    .map(|(cause, count)| (cause.to_owned(), count))
                    .collect(),
            }),
            certificates: self.certificates(),
            listeners: self.listeners_status(&config),
        }
    }

    pub(crate) fn config_status(&self, config: &Config) -> ConfigStatus {
        ConfigStatus {
            path: self.about.config_path.clone(),
            etag: self.etag(config),
            revision: self.handle.reloads().succeeded + 1,
            last_reload: self.last_reload(),
            drift: self.handle.drift().len() as u64,
        }
    }

    /// How the last attempt at another configuration ended.
    pub(crate) fn last_reload(&self) -> Option<ReloadResult> {
        let reloads = self.handle.reloads();
        let at = |time: std::time::SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            (since.as_secs_f64() * 1e3).round() / 1e3
        };
        if reloads.is_last_successful() {
            return reloads.last_success.map(|time| ReloadResult {
                at: at(time),
                ok: true,
                details: "it is in force".to_owned(),
            });
        }
        reloads.last_failure.map(|(time, why)| ReloadResult {
            at: at(time),
            ok: false,
            details: why,
        })
    }

    /// The certificates of the listeners and of the admin API.
    pub(crate) fn certificates(&self) -> Vec<CertificateStatus> {
        let now = clock::unix_seconds(clock::now());
        let mut certificates = self.handle.certificates();
        for certificate in &mut certificates {
            #[expect(clippy::cast_possible_truncation, reason = "days are few")]
            let days = ((certificate.not_after - now) / 86_400.0).floor() as i64;
            certificate.days_left = days;
        }
        certificates
    }

    /// What is counted of sessions; `None` where there are none.
    pub(crate) fn sessions(&self) -> Option<SessionsStatus> {
        let sessions = self.handle.sessions()?;
        let config = self.handle.config();
        let store = config.active_sessions().map(|sessions| sessions.store);
        let stats = sessions.stats().unwrap_or_default();
        Some(SessionsStatus {
            store: match store {
                Some(StoreKind::Redis) => "redis",
                _ => "memory",
            }
            .to_owned(),
            active: stats.active as u64,
            logged_in: stats.logged_in as u64,
            stored: stats.stored,
            expired: stats.expired,
            ended: stats.ended,
            evicted: stats.evicted,
            refused: stats.refused,
        })
    }

    fn listeners_status(&self, config: &Config) -> Vec<ListenerStatus> {
        let of_address = |local: &crate::running::LocalAddress| {
            let listener = config.listeners.get(&local.listener);
            let protocols = listener.map_or(&[][..], |listener| &listener.protocols);
            ListenerStatus {
                name: local.listener.clone(),
                address: local.address.to_string(),
                is_tls: local.is_tls,
                protocols: protocols
                    .iter()
                    .map(|it| protocol(*it).to_owned())
                    .collect(),
            }
        };
        self.handle.local_addrs().iter().map(of_address).collect()
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::H2 => "h2",
        Protocol::Http11 => "http/1.1",
    }
}

fn caches(metrics: &crate::metrics::Metrics, config: &Config) -> Vec<CacheStatus> {
    let of_cache = |(name, it): (&String, &crate::metrics::CacheMetrics)| {
        let answered = it.hits + it.stale + it.validated + it.collapsed;
        let asked = answered + it.misses;
        #[expect(clippy::cast_precision_loss, reason = "a ratio of four digits")]
        let ratio = if asked == 0 {
            0.0
        } else {
            (answered as f64 / asked as f64 * 1e4).round() / 1e4
        };
        CacheStatus {
            name: name.clone(),
            hits: it.hits,
            stale: it.stale,
            validated: it.validated,
            collapsed: it.collapsed,
            misses: it.misses,
            bypassed: it.bypassed,
            hit_ratio: ratio,
            stored: it.stored,
            purged: it.purged,
            evicted: it.evicted,
            entries: it.entries as u64,
            bytes: it.bytes,
            max_bytes: config.caches.get(name).map_or(0, |cache| cache.max_size),
        }
    };
    metrics.caches.iter().map(of_cache).collect()
}
