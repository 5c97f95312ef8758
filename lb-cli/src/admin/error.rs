//! What can go wrong between an operator and a server, and what to try next.

use std::fmt;
use std::io;

use http::StatusCode;
use serde::Deserialize;

use super::AdminAddress;
use crate::failure::Failure;

/// A request to the admin API that did not get what it asked for.
#[derive(Debug)]
pub(crate) enum AdminError {
    /// There is nobody to ask.
    Unreachable(AdminAddress, io::Error),
    /// Somebody is there and says nothing, or stops in the middle.
    Broken(AdminAddress, String),
    /// Somebody answers who is no admin API.
    Foreign(AdminAddress, StatusCode),
    /// The server says no.
    Refused(Refusal),
}

/// The answer of a server that refuses (RFC 9457).
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) detail: String,
    #[serde(default)]
    pub(crate) help: String,
}

impl AdminError {
    fn next(&self) -> String {
        match self {
            Self::Unreachable(AdminAddress::Unix(_), error)
                if error.kind() == io::ErrorKind::PermissionDenied =>
            {
                "run it as the user of the server, to whom the socket belongs: \
                 `sudo -u lb lb-cli …`"
                    .to_owned()
            }
            Self::Unreachable(..) => {
                "start the server with `[admin]` in its configuration or with \
                 `lb-cli serve --admin 127.0.0.1:9900`, or name another address with --admin or \
                 LB_ADMIN"
                    .to_owned()
            }
            Self::Broken(..) => "look into the log of the server".to_owned(),
            Self::Foreign(..) => {
                "name the address of the admin API, not of a listener, with --admin".to_owned()
            }
            Self::Refused(refusal) if refusal.status == 401 => {
                "name the file with the token by --token-file or LB_ADMIN_TOKEN_FILE, or set \
                 LB_ADMIN_TOKEN"
                    .to_owned()
            }
            Self::Refused(refusal) if refusal.help.is_empty() => {
                "look into the log of the server".to_owned()
            }
            Self::Refused(refusal) => refusal.help.clone(),
        }
    }
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(address, error) => {
                write!(f, "no server can be asked at {address}: {error}")
            }
            Self::Broken(address, what) => write!(f, "{address}: {what}"),
            Self::Foreign(address, status) => {
                write!(
                    f,
                    "what answers at {address} is no admin API: it says {status}"
                )
            }
            Self::Refused(refusal) => f.write_str(&refusal.detail),
        }
    }
}

impl std::error::Error for AdminError {}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        let next = error.next();
        Self::failed(error, next)
    }
}
