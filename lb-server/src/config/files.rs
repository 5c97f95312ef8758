//! The files that a configuration names.

use std::path::PathBuf;

use super::{Config, ListenerTls, SecretsConfig};

impl Config {
    /// Every file that is read when the configuration is put in force: certificates, keys, authorities,
    /// secrets and passwords, each once, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for listener in self.listeners.values() {
            if let ListenerTls::Files { certificates, .. } = &listener.tls {
                for pair in certificates {
                    files.extend([pair.cert.clone(), pair.key.clone()]);
                }
            }
        }
        let mut secrets = Vec::new();
        for pool in self.pools.values() {
            files.extend(pool.tls.ca.clone());
            secrets.extend(pool.affinity.iter().map(|affinity| &affinity.secrets));
        }
        secrets.extend(self.sessions.iter().map(|sessions| &sessions.secrets));
        for secrets in secrets {
            if let SecretsConfig::Files(paths) = secrets {
                files.extend_from_slice(paths);
            }
        }
        if let Some(redis) = &self.redis {
            files.extend(redis.password_file.iter().chain(&redis.ca).cloned());
        }
        files.sort();
        files.dedup();
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_every_file_once() {
        let toml = r#"
            [listeners.a]
            address = "127.0.0.1:1"
            tls = { cert = "a.crt", key = "a.key" }
            [listeners.b]
            address = "127.0.0.1:2"
            tls = { cert = "a.crt", key = "a.key" }
            [pools.p]
            backends = ["https://a:1"]
            tls = { ca = "ca.pem" }
            affinity = { cookie = "c", secret_file = "s1" }
            [sessions]
            secret_file = "s2"
            [redis]
            url = "rediss://r:1"
            password_file = "pw"
            ca = "r.pem"
            [[routes]]
            pool = "p"
        "#;
        let config = Config::from_toml(toml, "test").unwrap();
        let files = config.files();
        let names: Vec<_> = files.iter().map(|path| path.to_str().unwrap()).collect();
        let all = ["a.crt", "a.key", "ca.pem", "pw", "r.pem", "s1", "s2"];
        assert_eq!(names, all);
    }
}
