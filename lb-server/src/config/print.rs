//! Configurations as text, and the schema of the format.

use serde_json::{Value, json};

use super::model::Config;
use super::written::File;

impl Config {
    /// Writes the configuration in the long form, every default included, as TOML.
    ///
    /// Reading it gives the same configuration, except for routes to a program's request handler,
    /// which a file cannot name: they are written without a target.
    ///
    /// # Panics
    /// Never: the long form is plain data.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(&File::from(self)).expect("maps have string keys, and no value is null")
    }

    /// As [`Config::to_toml`], as JSON.
    ///
    /// # Panics
    /// Never: the long form is plain data.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(&File::from(self)).expect("maps have string keys");
        text.push('\n');
        text
    }

    /// The JSON Schema (2020-12) of the format, for editors; all its objects are closed.
    #[must_use]
    pub fn schema() -> Value {
        let mut schema = schemars::schema_for!(File).to_value();
        optional(&mut schema, &[]);
        if let Some(definitions) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
            for (name, definition) in definitions {
                optional(definition, required(name));
            }
        }
        short_form(&mut schema);
        schema
    }
}

/// The keys without a default.
fn required(definition: &str) -> &'static [&'static str] {
    match definition {
        "Listener" => &["address"],
        "Pool" => &["backends"],
        "Backend" => &["url"],
        "AffinityTable" => &["cookie"],
        "TlsPair" | "Certificate" => &["cert", "key"],
        "TlsListed" => &["certificates"],
        "TlsSelfSigned" => &["self_signed"],
        "SlowStartTable" => &["window"],
        "Redirect" => &["to"],
        "Respond" => &["status"],
        "RateLimit" => &["limit"],
        "Redis" => &["url"],
        "Admin" => &["address"],
        "Tracing" => &["endpoint"],
        _ => &[],
    }
}

/// The printer writes every key; an author need not.
fn optional(definition: &mut Value, required: &[&str]) {
    let Some(definition) = definition.as_object_mut() else {
        return;
    };
    definition.remove("required");
    if !required.is_empty() {
        definition.insert("required".to_owned(), json!(required));
    }
}

/// Adds the keys of the short form, each the shadow of one of the long form.
fn short_form(schema: &mut Value) {
    let copy = |pointer: &str| {
        schema
            .pointer(pointer)
            .cloned()
            .unwrap_or(Value::Bool(true))
    };
    let short = [
        ("$schema", json!({ "type": "string" })),
        ("listen", copy("/$defs/Listener/properties/address")),
        ("tls", copy("/$defs/Listener/properties/tls")),
        ("algorithm", copy("/$defs/Pool/properties/algorithm")),
        ("backends", copy("/$defs/Pool/properties/backends")),
        ("rate_limit", json!({ "$ref": "#/$defs/RateLimit" })),
    ];
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.extend(short.map(|(key, value)| (key.to_owned(), value)));
    }
}
