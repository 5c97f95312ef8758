//! Secrets: what cookies are signed with, and what Redis asks for. Their files are there and hold enough.

use lb_server::{Config, RedisConfig, SecretsConfig};

/// What keeps the secrets of `config` from being used, each with its place.
pub(super) fn problems(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    let mut examine = |place: String, secrets: &SecretsConfig| {
        if let Err(error) = secrets.check() {
            problems.push(format!("{place}: {:#}", anyhow::Error::from(error)));
        }
    };
    if let Some(sessions) = &config.sessions {
        examine("sessions".to_owned(), &sessions.secrets);
    }
    for (name, pool) in &config.pools {
        if let Some(affinity) = &pool.affinity {
            examine(format!("pools.{name}.affinity"), &affinity.secrets);
        }
    }
    if let Some(Err(error)) = config.redis.as_ref().map(RedisConfig::check) {
        problems.push(format!("redis: {:#}", anyhow::Error::from(error)));
    }
    problems
}
