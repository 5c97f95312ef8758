//! What a report of a problem needs: how everything is, and by which configuration.

use std::collections::HashMap;
use std::net::IpAddr;

use http::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::admin::problem::Problem;
use crate::admin::reply::{self, Reply};
use crate::admin::service::{Call, Service};
use crate::admin::{Drift, Status};

/// `GET /api/v1/support-bundle`: everything that a report of a problem needs. Secrets are hidden; with `?anonymous=true`
/// addresses and host names stand as `host-1`, `host-2`, alike wherever one appears.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct SupportBundle {
    /// The version of the program.
    version: String,
    /// The system it runs on.
    system: String,
    /// How many processors it may use.
    processors: u64,
    /// How everything is.
    status: Status,
    /// The configuration in force, in the long form.
    config: Value,
    /// What operators have changed since.
    drift: Vec<Drift>,
    /// Whether addresses and names are replaced.
    anonymous: bool,
}

pub(super) fn bundle(service: &Service, call: &Call) -> Result<Response<Reply>, Problem> {
    let anonymous = call.flag("anonymous")?;
    let config = serde_json::from_str(&service.handle.config().to_json()).unwrap_or_default();
    let bundle = SupportBundle {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        processors: std::thread::available_parallelism().map_or(0, |count| count.get() as u64),
        status: service.status(),
        config,
        drift: service.handle.drift(),
        anonymous,
    };
    if !anonymous {
        return Ok(reply::json(&bundle));
    }
    let mut value = serde_json::to_value(&bundle).unwrap_or_default();
    Names::of(&value).replace(&mut value);
    Ok(reply::json(&value))
}

/// What stands for each address and host name.
struct Names(HashMap<String, String>);

impl Names {
    /// Finds the hosts of everything that is an address or a URL.
    fn of(value: &Value) -> Self {
        let mut names = Self(HashMap::new());
        names.collect(value);
        names
    }

    fn collect(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.collect_text(text),
            Value::Array(values) => values.iter().for_each(|value| self.collect(value)),
            Value::Object(map) => {
                for (key, value) in map {
                    self.collect_text(key);
                    match (key.as_str(), value) {
                        // Names of hosts without anything around them.
                        ("host" | "hosts" | "names" | "server_name" | "self_signed", value) => {
                            self.collect_hosts(value);
                        }
                        _ => self.collect(value),
                    }
                }
            }
            _ => {}
        }
    }

    fn collect_hosts(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add(text.strip_prefix("*.").unwrap_or(text)),
            Value::Array(values) => values.iter().for_each(|value| self.collect_hosts(value)),
            other => self.collect(other),
        }
    }

    /// The host of a URL or an address with a port, wherever it stands in a text.
    fn collect_text(&mut self, text: &str) {
        for word in text.split(|letter: char| letter.is_whitespace() || "`,;\"'()".contains(letter))
        {
            let (scheme, rest) = word.split_once("://").map_or(("", word), |it| it);
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let authority = authority
                .rsplit_once('@')
                .map_or(authority, |(_, host)| host);
            let host = match authority.strip_prefix('[') {
                Some(rest) => rest.split(']').next().unwrap_or_default(),
                None if authority.matches(':').count() > 1 => authority,
                None => authority.split(':').next().unwrap_or_default(),
            };
            if !scheme.is_empty() || host.parse::<IpAddr>().is_ok() {
                self.add(host);
            }
        }
    }

    fn add(&mut self, host: &str) {
        let is_ours = host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback() || address.is_unspecified());
        if host.is_empty() || host == "localhost" || is_ours || self.0.contains_key(host) {
            return;
        }
        let name = format!("host-{}", self.0.len() + 1);
        self.0.insert(host.to_owned(), name);
    }

    fn replace(&self, value: &mut Value) {
        let mut longest_first: Vec<(&String, &String)> = self.0.iter().collect();
        longest_first.sort_by_key(|(host, _)| std::cmp::Reverse(host.len()));
        replace(value, &longest_first);
    }
}

fn replace(value: &mut Value, names: &[(&String, &String)]) {
    let renamed = |text: &str| {
        let mut text = text.to_owned();
        for (host, name) in names {
            if text.contains(host.as_str()) {
                text = text.replace(host.as_str(), name);
            }
        }
        text
    };
    match value {
        Value::String(text) => *text = renamed(text),
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, names)),
        Value::Object(map) => {
            let entries = std::mem::take(map);
            for (key, mut value) in entries {
                replace(&mut value, names);
                map.insert(renamed(&key), value);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_are_replaced_alike_everywhere() {
        let mut value = json!({
            "pools": {"api": {"backends": [{"url": "http://10.0.0.1:3000"}, "https://app.internal:443"]}},
            "why": "no connection: 10.0.0.1:3000 refused",
            "removed": {"http://10.0.0.1:3000": 1},
            "routes": [{"match": {"host": ["*.example.com", "example.com"]}}],
            "listeners": ["127.0.0.1:8443", "[2001:db8::7]:443"],
            "version": "1.2.3"
        });
        Names::of(&value).replace(&mut value);
        let text = value.to_string();
        for secret in ["10.0.0.1", "app.internal", "example.com", "2001:db8"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(
            text.contains("127.0.0.1:8443") && text.contains("1.2.3"),
            "{text}"
        );
        let url = value["pools"]["api"]["backends"][0]["url"]
            .as_str()
            .unwrap();
        let host = url.strip_prefix("http://").unwrap();
        assert_eq!(value["why"], format!("no connection: {host} refused"));
    }
}
