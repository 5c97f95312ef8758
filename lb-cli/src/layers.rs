//! What a command's configuration is made of: flags over `LB_*` variables over the file.

use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use lb_server::{ConfigFormat, ConfigLayers, LoadedConfig};
use serde_json::json;

use crate::args::{AccessLog, ServeArguments};
use crate::failure::Failure;
use crate::otel;

/// What lies below variables and flags where there is no file.
const WITHOUT_FILE: &str = "listen = \"127.0.0.1:8443\"";
const WITHOUT_FILE_NAME: &str = "variables and flags";

/// A file, if there is one, and what goes over it.
#[derive(Debug)]
pub(crate) struct Layers {
    path: Option<PathBuf>,
    over: ConfigLayers,
    /// Whether the environment counts.
    is_of_process: bool,
}

impl Layers {
    /// The file alone.
    pub(crate) fn of_file(path: &Path) -> Self {
        Self {
            path: Some(path.to_owned()),
            over: ConfigLayers::new(),
            is_of_process: false,
        }
    }

    /// The file, if there is one, and the environment over it.
    pub(crate) fn of_environment(path: Option<PathBuf>) -> Self {
        Self {
            path,
            over: ConfigLayers::new().environment(),
            is_of_process: true,
        }
    }

    /// Puts the flags above what is there, `--set` above the others.
    pub(crate) fn with_flags(self, arguments: &ServeArguments) -> Self {
        let Self {
            path,
            mut over,
            is_of_process,
        } = self;
        for (key, text) in [
            ("listen", &arguments.listen),
            ("algorithm", &arguments.algorithm),
        ] {
            if let Some(text) = text {
                // Quoted, because `--listen 1` is a text as well.
                over = over.flag(&format!("--{key} {text}"), key, &quoted(text));
            }
        }
        let tls = &arguments.tls;
        match (&tls.cert, &tls.key) {
            (Some(cert), Some(key)) => {
                let (cert, key) = (cert.display().to_string(), key.display().to_string());
                let name = format!("--cert {cert} --key {key}");
                let pair = format!("{{ cert = {}, key = {} }}", quoted(&cert), quoted(&key));
                over = over.flag(&name, "tls", &pair);
            }
            _ if tls.self_signed => over = over.flag("--self-signed", "tls", "self-signed"),
            _ if tls.no_tls => over = over.flag("--no-tls", "tls", "off"),
            _ => {}
        }
        if !arguments.backends.is_empty() {
            // The flags replace the list of the file, and each stays answerable for its own entry.
            over = over.flag("--backend", "backends", "[]");
        }
        for (index, url) in arguments.backends.iter().enumerate() {
            let name = format!("--backend {url}");
            over = over.flag(&name, &format!("backends[{index}]"), &quoted(url));
        }
        if let Some(format) = arguments.access_log {
            let name = format.to_possible_value();
            let name = name.as_ref().map_or("", |name| name.get_name());
            let flag = format!("--access-log {name}");
            over = match format {
                AccessLog::Off => over.flag(&flag, "access_log.output", "off"),
                _ => over.flag(&flag, "access_log.output", "stdout").flag(
                    &flag,
                    "access_log.format",
                    name,
                ),
            };
        }
        match arguments.admin.as_deref() {
            Some("off") => over = over.flag("--admin off", "admin", "off"),
            Some(address) => {
                let name = format!("--admin {address}");
                over = over.flag(&name, "admin.address", &quoted(address));
            }
            None => {}
        }
        for (path, value) in &arguments.set {
            over = over.set(&format!("{path}={value}"));
        }
        Self {
            path,
            over,
            is_of_process,
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether the file, if there is one, is not the whole configuration.
    pub(crate) fn has_overrides(&self) -> bool {
        self.over.has_overrides()
    }

    /// Whether nothing is configured at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.path.is_none() && !self.has_overrides()
    }

    /// Reads the layers and checks the whole.
    ///
    /// Without a file the listener is `127.0.0.1:8443` with a certificate made at start.
    ///
    /// # Errors
    ///
    /// The configuration is invalid, or a flag or variable does not say which of several pools or
    /// listeners it means.
    pub(crate) fn load(&self) -> Result<LoadedConfig, Failure> {
        let over = self.over.clone();
        let loaded = match &self.path {
            Some(path) => over.file(path).and_then(|layers| layers.load()),
            None => over
                .text(ConfigFormat::Toml, WITHOUT_FILE, WITHOUT_FILE_NAME)
                .load(),
        };
        let mut loaded = loaded.map_err(|error| match &self.path {
            _ if error.is_misplaced() => Failure::usage(
                error,
                "`lb-cli config show` prints the tree that --set and LB_* variables change",
            ),
            Some(path) if !self.has_overrides() => Failure::invalid(
                error,
                format!("correct {0} and run `lb-cli check -c {0}`", path.display()),
            ),
            _ => Failure::invalid(
                error,
                "correct the flag, the LB_* variable or the file that sets this value",
            ),
        })?;
        if self.is_of_process {
            otel::complete(&mut loaded.config, &|name| std::env::var(name).ok())?;
        }
        if self.path.is_none() {
            let written_here = format!("{WITHOUT_FILE_NAME}:1");
            for (_, origin) in &mut loaded.origins {
                if *origin == written_here {
                    "default".clone_into(origin);
                }
            }
        }
        Ok(loaded)
    }
}

/// The text as the library reads a string; TOML writes one as JSON does.
fn quoted(text: &str) -> String {
    json!(text).to_string()
}
