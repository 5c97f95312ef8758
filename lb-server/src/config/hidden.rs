//! Secrets that a printed configuration hides, put back where it is read again.

use super::error::ConfigError;
use super::model::{AdminToken, Config, SecretText, SecretsConfig};
use super::substitute::substitute;
use super::written::HIDDEN;
use super::{ConfigFormat, check, document, place, read};

impl Config {
    /// Reads what was printed of `before` and changed: where only what stands for a secret in print is written, the
    /// secret is that of `before`. No variable of the environment is read.
    pub(crate) fn from_printed(
        format: ConfigFormat,
        text: &str,
        name: &str,
        before: &Self,
    ) -> Result<Self, ConfigError> {
        let mut document = document(format, text, name)?;
        substitute(&mut document.root, &|_| None).map_err(|findings| place(&document, findings))?;
        let read = read::config(&document.root).map_err(|findings| place(&document, findings))?;
        let config = read.with_hidden_of(before);
        let findings = check::errors(&config);
        if findings.is_empty() {
            Ok(config)
        } else {
            Err(place(&document, findings))
        }
    }

    /// The configuration with the secrets of another one where it has only what stands for them in print: whoever
    /// changes what was printed need not know them.
    fn with_hidden_of(mut self, other: &Self) -> Self {
        if let (Some(own), Some(others)) = (&mut self.sessions, &other.sessions) {
            restore(&mut own.secrets, &others.secrets);
        }
        for (name, pool) in &mut self.pools {
            let others = other.pools.get(name).and_then(|it| it.affinity.as_ref());
            if let (Some(own), Some(others)) = (&mut pool.affinity, others) {
                restore(&mut own.secrets, &others.secrets);
            }
        }
        if let (Some(own), Some(others)) = (&mut self.admin, &other.admin)
            && own.token == Some(AdminToken::Text(SecretText::new(HIDDEN)))
        {
            own.token.clone_from(&others.token);
        }
        if let (Some(own), Some(others)) = (&mut self.tracing, &other.tracing) {
            for (name, value) in &mut own.headers {
                let known = others.headers.iter().find(|(known, _)| known == name);
                if let Some((_, known)) = known.filter(|_| *value == HIDDEN) {
                    value.clone_from(known);
                }
            }
        }
        self
    }
}

fn restore(own: &mut SecretsConfig, others: &SecretsConfig) {
    let is_hidden = |texts: &Vec<SecretText>| texts.iter().all(|text| text.as_str() == HIDDEN);
    if matches!(own, SecretsConfig::Texts(texts) if is_hidden(texts)) {
        own.clone_from(others);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "listen = \"127.0.0.1:8443\"\n\
        [pools.default]\nbackends = [\"http://a:1\"]\n\
        affinity = { cookie = \"route\", secret = \"11111111111111111111111111111111\" }\n\
        [sessions]\nsecret = [\"22222222222222222222222222222222\", \"33333333333333333333333333333333\"]\n\
        [admin]\naddress = \"127.0.0.1:9900\"\ntoken = \"4444444444444444\"\n\
        [tracing]\nendpoint = \"http://c:4318\"\nheaders = { authorization = \"5555\" }\n";

    #[test]
    fn what_was_printed_and_is_read_again_has_its_secrets() {
        let toml = TOML.replace(
            "listen = \"127.0.0.1:8443\"",
            "[listeners.default]\naddress = \"127.0.0.1:8443\"",
        );
        let config = Config::from_toml(&toml, "test").unwrap();
        let printed = config.to_json();
        for secret in ["1111", "2222", "3333", "4444", "5555"] {
            assert!(!printed.contains(secret), "{printed}");
        }
        let read = Config::from_printed(ConfigFormat::Json, &printed, "printed", &config);
        assert_eq!(read.unwrap(), config);
    }

    #[test]
    fn a_new_secret_is_kept() {
        let config = Config::from_toml("listen = \"127.0.0.1:8443\"\nbackends = [\"http://a:1\"]\n[sessions]\nsecret = \"22222222222222222222222222222222\"\n", "test").unwrap();
        let mut other = config.clone();
        other.sessions.as_mut().unwrap().secrets = SecretsConfig::Unwritten;
        assert_eq!(config.clone().with_hidden_of(&other), config);
    }
}
