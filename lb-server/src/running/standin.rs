//! STAND-IN until branch live is merged.
use super::{Handle, LocalAddress};
use crate::admin::CertificateStatus;
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use std::sync::Arc;
#[derive(Debug, Default, Clone)]
pub(crate) struct ReloadReport {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<String>,
    pub certificates: Vec<String>,
    pub undone: Vec<String>,
    pub needs_restart: Vec<String>,
    pub warnings: Vec<String>,
}
#[derive(Debug, Default, Clone)]
pub(crate) struct ReloadStatus {
    pub succeeded: u64,
    pub last_success: Option<std::time::SystemTime>,
    pub last_failure: Option<(std::time::SystemTime, String)>,
}
impl ReloadStatus {
    pub fn is_last_successful(&self) -> bool {
        self.last_failure.is_none()
    }
}
impl Handle {
    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.snapshot().config)
    }
    pub(crate) fn reloads(&self) -> ReloadStatus {
        ReloadStatus::default()
    }
    pub(crate) async fn reload(&self, _: Config) -> Result<ReloadReport, Error> {
        Err(Error::new(ErrorKind::Config, "no"))
    }
    pub(crate) async fn rehearse(&self, _: Config) -> Result<ReloadReport, Error> {
        Err(Error::new(ErrorKind::Config, "no"))
    }
    pub(crate) async fn reload_from_source(&self) -> Result<ReloadReport, Error> {
        Err(Error::new(ErrorKind::Config, "no"))
    }
    pub(crate) fn local_addrs(&self) -> Vec<LocalAddress> {
        Vec::new()
    }
    pub(crate) fn certificates(&self) -> Vec<CertificateStatus> {
        Vec::new()
    }
}
