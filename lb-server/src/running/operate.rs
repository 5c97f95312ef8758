//! What operators do to a running server's pools.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::Handle;
use crate::admin::{BackendChange, BackendStatus, Drift, NewBackend, PoolStatus};
use crate::config::BackendConfig;
use crate::error::{Error, ErrorKind};
use crate::snapshot::PoolEntry;

impl Handle {
    /// How each pool is doing, by name. Rates are 0: nobody has counted over a time.
    pub fn pools(&self) -> Vec<PoolStatus> {
        let snapshot = self.snapshot();
        snapshot.pools.values().map(|pool| pool.status()).collect()
    }

    /// Adds a backend to a pool, until the next reload or restart.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such pool, [`ErrorKind::Conflict`] where the backend is in it already,
    /// [`ErrorKind::Config`] where it cannot be used, [`ErrorKind::Tls`] where it cannot be verified.
    pub fn add_backend_to(&self, pool: &str, backend: &NewBackend) -> Result<BackendStatus, Error> {
        let _unchanged = self.inner.changing.lock();
        let pool = self.pool(pool)?;
        let config = configured(backend)?;
        let label = config.name.clone();
        let label = label.unwrap_or_else(|| config.url.to_string());
        let id = pool.id_of(&label);
        if pool.target(&id).is_some() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "backend `{label}` is in pool `{}` already; give one of the two a name",
                    pool.name
                ),
            ));
        }
        pool.add(&config)?;
        if let Some(state) = backend.state {
            pool.change(&label, &BackendChange::default().state(state))?;
        }
        pool.status_of(&id).ok_or_else(|| pool.no_backend(&label))
    }

    /// Changes a backend, by its name within its pool, until the next reload or restart.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such pool or backend, [`ErrorKind::Config`] for a weight or limit that
    /// no backend can have; then nothing has changed.
    pub fn change_backend(
        &self,
        pool: &str,
        backend: &str,
        change: &BackendChange,
    ) -> Result<BackendStatus, Error> {
        let _unchanged = self.inner.changing.lock();
        let pool = self.pool(pool)?;
        pool.change(backend, change)?;
        let status = pool.status_of(&pool.id_of(backend));
        status.ok_or_else(|| pool.no_backend(backend))
    }

    /// Takes a backend out of its pool by its name there, until the next reload or restart; what it is answering
    /// goes on.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such pool or backend.
    pub fn remove_backend_of(&self, pool: &str, backend: &str) -> Result<(), Error> {
        let _unchanged = self.inner.changing.lock();
        let pool = self.pool(pool)?;
        let id = pool.id_of(backend);
        if !pool.remove(&id) {
            return Err(pool.no_backend(backend));
        }
        self.forget_gone();
        Ok(())
    }

    /// What operators have changed in pools that the configuration in force does not say.
    pub fn drift(&self) -> Vec<Drift> {
        let snapshot = self.snapshot();
        let pools = snapshot.pools.values();
        pools.flat_map(|pool| pool.drift(&snapshot.found)).collect()
    }

    pub(crate) fn pool(&self, name: &str) -> Result<Arc<PoolEntry>, Error> {
        let snapshot = self.snapshot();
        snapshot.pools.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = snapshot.pools.keys().map(String::as_str).collect();
            Error::new(
                ErrorKind::NotFound,
                format!("there is no pool `{name}`; there are: {}", known.join(", ")),
            )
        })
    }
}

/// A backend as the configuration means it.
fn configured(backend: &NewBackend) -> Result<BackendConfig, Error> {
    let wrong = |text: String| Error::new(ErrorKind::Config, text);
    let mut config = BackendConfig::new(&backend.url)
        .map_err(|error| wrong(format!("{}; {}", error.message(), error.help())))?;
    if backend.name.as_deref() == Some("") {
        return Err(wrong("the name of a backend cannot be empty".to_owned()));
    }
    config.name = backend.name.clone();
    config.weight = backend.weight.unwrap_or(1);
    config.max_connections = match backend.max_connections {
        Some(limit) => Some(
            NonZeroU32::new(limit)
                .ok_or_else(|| wrong("`max_connections` must be at least 1, got 0".to_owned()))?,
        ),
        None => None,
    };
    config.backup = backend.backup;
    config.server_name = backend.server_name.clone();
    Ok(config)
}
