//! The files that `[redis]` names.

use crate::config::RedisConfig;
use crate::error::{Error, ErrorKind};
use crate::tls;

impl RedisConfig {
    /// Reads the files, if there are any, and checks them; no connection is made.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the password cannot be read, [`ErrorKind::Tls`] where `ca` holds no
    /// certificate.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(path) = &self.ca {
            tls::check_certificates(path).map_err(|error| {
                Error::new(ErrorKind::Tls, "`ca` of [redis] cannot be used").with_source(error)
            })?;
        }
        self.password().map(|_| ()).map_err(|error| {
            let path = self.password_file.as_deref();
            let path = path.map_or_else(String::new, |path| path.display().to_string());
            let text = format!("cannot read `password_file` of [redis], `{path}`");
            Error::new(ErrorKind::Config, text).with_source(error)
        })
    }

    /// The password of the moment, without the line's end.
    pub(super) fn password(&self) -> std::io::Result<Option<String>> {
        let Some(path) = &self.password_file else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path)?;
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}
