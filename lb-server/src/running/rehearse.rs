//! A reload that stops before anything is changed.

use std::sync::Arc;

use super::Handle;
use super::reload::keep_what_needs_a_restart;
use super::report::ReloadReport;
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::snapshot::Draft;

impl Handle {
    /// Does of [`Handle::reload`] what can fail, and tells what would change: files are read, addresses are bound and
    /// given back, and everything stays as it is.
    ///
    /// # Errors
    /// As [`Handle::reload`].
    pub async fn rehearse(&self, config: Config) -> Result<ReloadReport, Error> {
        let turn = Arc::clone(&self.inner.reloading).lock_owned().await;
        let handle = self.clone();
        let rehearsing = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            handle.rehearse_now(config)
        });
        rehearsing.await.unwrap_or_else(|panicked| {
            Err(Error::new(ErrorKind::Start, "the rehearsal panicked").with_source(panicked))
        })
    }

    fn rehearse_now(&self, mut config: Config) -> Result<ReloadReport, Error> {
        self.check_may_reload()?;
        config.check().map_err(Error::config)?;
        let before = self.snapshot();
        let needs_restart = keep_what_needs_a_restart(&before.config, &mut config);
        let mut report = ReloadReport::between(&before.config, &config);
        report.needs_restart = needs_restart;
        report.warnings = config.warnings().iter().map(ToString::to_string).collect();
        let config = Arc::new(config);
        let draft = Draft::build(Arc::clone(&config), before.has_handler, Some(&before))?;
        if let Some(outside) = self.inner.outside.get() {
            let sockets = outside.sockets.draft(&config, draft.listeners())?;
            report.certificates.clone_from(&sockets.certified);
        }
        drop(draft);
        Ok(report)
    }
}
