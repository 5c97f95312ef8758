//! The defaults of `[admin]`.

use crate::config::model::{AdminConfig, ListenAddress, ListenerTls};

impl AdminConfig {
    /// The admin API at this address, without a token: cleartext on this machine, elsewhere without a
    /// certificate, which is an error until one is given or [`ListenerTls::Off`] is chosen.
    #[must_use]
    pub fn at(address: ListenAddress) -> Self {
        Self {
            tls: ListenerTls::unwritten(std::slice::from_ref(&address)),
            address,
            names: Vec::new(),
            token: None,
            dashboard: true,
        }
    }
}
