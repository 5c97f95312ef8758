//! The description of the API, made of the table that requests are looked up in and of the types that are sent.

use http::Method;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::endpoints::SupportBundle;
use super::table::{ENDPOINTS, Endpoint, Operation};
use super::{
    BackendChange, BackendStatus, CertificateStatus, Change, DrainStarted, Drift, ExplainRequest,
    Explained, LogLevel, NewBackend, PoolStatus, Problem, PurgeRequest, Purged, RateLimitKeyStatus,
    ReloadChanges, RouteStatus, SessionList, SessionsStatus, Status,
};

/// What a body is.
enum Body {
    Json(Value),
    Text(&'static str),
    Nothing,
}

/// What is said of an operation.
struct Said {
    summary: &'static str,
    status: &'static str,
    reply: Body,
    request: Option<Value>,
    query: &'static [(&'static str, &'static str)],
    /// Statuses of refusals besides those that every operation has.
    refusals: &'static [&'static str],
}

/// The whole description, OpenAPI 3.1.
pub(crate) fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for endpoint in &ENDPOINTS {
        let operation = operation(endpoint, &mut generator);
        let path = paths
            .entry(endpoint.path)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(path) = path {
            path.insert(endpoint.method.as_str().to_ascii_lowercase(), operation);
        }
    }
    // Events have no place of their own in OpenAPI; the type of their data is there all the same.
    let _change = generator.subschema_for::<Change>();
    let _problem = generator.subschema_for::<Problem>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "lb admin API",
            "description": "Times are seconds since 1970; a name of a pool or backend in a path is percent-encoded. \
                Changes of backends last until the next reload.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, {}],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token of [admin]; without one in the configuration none is needed."
                },
            },
        },
    })
}

fn operation(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let said = said(endpoint.operation, generator);
    let mut parameters: Vec<Value> = endpoint
        .path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        })
        .collect();
    parameters.extend(said.query.iter().map(|(name, description)| {
        json!({ "name": name, "in": "query", "description": description, "schema": { "type": "string" } })
    }));
    let needs_match = matches!(
        endpoint.operation,
        Operation::PutConfig | Operation::PatchConfig
    );
    if needs_match {
        parameters.push(json!({
            "name": "If-Match", "in": "header", "required": true,
            "description": "The ETag of the configuration that is to be replaced.",
            "schema": { "type": "string" },
        }));
    }
    let content = match said.reply {
        Body::Json(schema) => json!({ "application/json": { "schema": schema } }),
        Body::Text(kind) => json!({ kind: { "schema": { "type": "string" } } }),
        Body::Nothing => Value::Null,
    };
    let mut reply = json!({ "description": said.summary });
    if !content.is_null() {
        reply["content"] = content;
    }
    let mut responses = Map::new();
    responses.insert(said.status.to_owned(), reply);
    let always: &[&str] = if endpoint.is_open {
        &["400"]
    } else {
        &["400", "401", "403"]
    };
    let refused = json!({
        "description": "Why not, and the way out.",
        "content": { "application/problem+json": {
            "schema": { "$ref": "#/components/schemas/Problem" }
        } },
    });
    let of_bodies: &[&str] = if endpoint.method.is_safe() {
        &[]
    } else {
        &["408", "413", "415"]
    };
    for status in always.iter().chain(of_bodies).chain(said.refusals) {
        responses.insert((*status).to_owned(), refused.clone());
    }
    let id = format!("{:?}", endpoint.operation);
    let id = if endpoint.path == "/healthz" {
        "Healthz".to_owned()
    } else {
        id
    };
    let mut operation = json!({
        "operationId": id,
        "summary": said.summary,
        "responses": responses,
    });
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if endpoint.is_open {
        operation["security"] = json!([]);
    }
    if let Some(schema) = said.request {
        let mut content = json!({ "application/json": { "schema": schema } });
        if endpoint.operation == Operation::PutConfig {
            content["application/toml"] = json!({ "schema": { "type": "string" } });
        }
        if endpoint.method == Method::PATCH && needs_match {
            content["application/merge-patch+json"] = json!({ "schema": { "type": "object" } });
        }
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

fn said(operation: Operation, generator: &mut SchemaGenerator) -> Said {
    let mut schema =
        |make: fn(&mut SchemaGenerator) -> schemars::Schema| make(generator).to_value();
    macro_rules! schema_of {
        ($type:ty) => {
            schema(|generator| generator.subschema_for::<$type>())
        };
    }
    let config = || json!({ "type": "object", "description": "As `lb-cli schema` describes it." });
    let get = |summary, reply| Said {
        summary,
        status: "200",
        reply,
        request: None,
        query: &[],
        refusals: &[],
    };
    match operation {
        Operation::Page => get("A page for browsers.", Body::Text("text/html")),
        Operation::Live => get("Whether the process lives.", Body::Text("text/plain")),
        Operation::Ready => Said {
            query: &[("verbose", "Says what that depends on.")],
            refusals: &["503"],
            ..get(
                "Whether the server wants requests.",
                Body::Text("text/plain"),
            )
        },
        Operation::Metrics => get(
            "What is counted, as text for monitoring systems; `[metrics] path` is where.",
            Body::Text("text/plain"),
        ),
        Operation::OpenApi => get("This description.", Body::Json(json!({ "type": "object" }))),
        Operation::Status => get("How everything is.", Body::Json(schema_of!(Status))),
        Operation::Pools => get("All pools.", Body::Json(schema_of!(Vec<PoolStatus>))),
        Operation::Pool => Said {
            refusals: &["404"],
            ..get("One pool.", Body::Json(schema_of!(PoolStatus)))
        },
        Operation::Backends => Said {
            refusals: &["404"],
            ..get(
                "The backends of a pool.",
                Body::Json(schema_of!(Vec<BackendStatus>)),
            )
        },
        Operation::AddBackend => Said {
            status: "201",
            request: Some(schema_of!(NewBackend)),
            refusals: &["404", "409", "422"],
            ..get(
                "Adds a backend to a pool.",
                Body::Json(schema_of!(BackendStatus)),
            )
        },
        Operation::Backend => Said {
            refusals: &["404"],
            ..get("One backend.", Body::Json(schema_of!(BackendStatus)))
        },
        Operation::ChangeBackend => Said {
            request: Some(schema_of!(BackendChange)),
            refusals: &["404", "422"],
            ..get(
                "Drains, maintains or readies a backend, or changes its weight or limit.",
                Body::Json(schema_of!(BackendStatus)),
            )
        },
        Operation::RemoveBackend => Said {
            status: "204",
            refusals: &["404"],
            ..get(
                "Takes a backend out of its pool; what it is answering goes on.",
                Body::Nothing,
            )
        },
        Operation::Routes => get(
            "The routes, in the order in which they are looked at.",
            Body::Json(schema_of!(Vec<RouteStatus>)),
        ),
        Operation::Explain => Said {
            request: Some(schema_of!(ExplainRequest)),
            ..get(
                "Where a request would go and why; nothing is sent.",
                Body::Json(schema_of!(Explained)),
            )
        },
        Operation::Config => get(
            "The configuration in force, with its ETag; secrets are hidden.",
            Body::Json(config()),
        ),
        Operation::PutConfig => Said {
            request: Some(config()),
            query: &[(
                "dry_run",
                "`true` builds everything and puts nothing in force.",
            )],
            refusals: &["409", "412", "422", "428", "504"],
            ..get(
                "Puts a configuration in force, all of it or nothing.",
                Body::Json(schema_of!(ReloadChanges)),
            )
        },
        Operation::PatchConfig => Said {
            request: Some(json!({ "type": "object", "description": "A merge patch (RFC 7396)." })),
            query: &[(
                "dry_run",
                "`true` builds everything and puts nothing in force.",
            )],
            refusals: &["409", "412", "422", "428", "504"],
            ..get(
                "Changes parts of the configuration, all of them or nothing.",
                Body::Json(schema_of!(ReloadChanges)),
            )
        },
        Operation::Drift => get(
            "What operators have changed that the configuration does not say.",
            Body::Json(schema_of!(Vec<Drift>)),
        ),
        Operation::Reload => Said {
            refusals: &["409", "422", "504"],
            ..get(
                "Reads the configuration again from where it came from.",
                Body::Json(schema_of!(ReloadChanges)),
            )
        },
        Operation::Certificates => get(
            "The certificates that listeners show.",
            Body::Json(schema_of!(Vec<CertificateStatus>)),
        ),
        Operation::SessionStats => Said {
            refusals: &["404"],
            ..get(
                "What was counted of sessions.",
                Body::Json(schema_of!(SessionsStatus)),
            )
        },
        Operation::Sessions => Said {
            query: &[
                ("cursor", "`next` of the page before."),
                ("limit", "About so many; 100."),
            ],
            refusals: &["404", "502"],
            ..get(
                "Sessions by their handles, page by page.",
                Body::Json(schema_of!(SessionList)),
            )
        },
        Operation::EndSession => Said {
            status: "204",
            refusals: &["404", "502"],
            ..get("Ends a session.", Body::Nothing)
        },
        Operation::PurgeCache => Said {
            request: Some(schema_of!(PurgeRequest)),
            refusals: &["404", "422"],
            ..get(
                "Removes responses from a cache.",
                Body::Json(schema_of!(Purged)),
            )
        },
        Operation::RateLimit => Said {
            refusals: &["404", "422"],
            ..get(
                "What a rate limit has counted of one key.",
                Body::Json(schema_of!(RateLimitKeyStatus)),
            )
        },
        Operation::ResetRateLimit => Said {
            status: "204",
            refusals: &["404", "422", "502"],
            ..get(
                "Forgets what a rate limit has counted of one key.",
                Body::Nothing,
            )
        },
        Operation::LogLevel => Said {
            refusals: &["404"],
            ..get("How much is logged.", Body::Json(schema_of!(LogLevel)))
        },
        Operation::SetLogLevel => Said {
            request: Some(schema_of!(LogLevel)),
            refusals: &["404", "422"],
            ..get(
                "Changes how much is logged.",
                Body::Json(schema_of!(LogLevel)),
            )
        },
        Operation::Drain => Said {
            status: "202",
            ..get(
                "Begins the end of the server: drains, then stops.",
                Body::Json(schema_of!(DrainStarted)),
            )
        },
        Operation::Events => Said {
            refusals: &["503"],
            ..get(
                "Server-sent events: `status` (Status) each second, `change` (Change) as it happens.",
                Body::Text("text/event-stream"),
            )
        },
        Operation::SupportBundle => Said {
            query: &[("anonymous", "`true` replaces addresses and names of hosts.")],
            ..get(
                "What a report of a problem needs, without secrets.",
                Body::Json(schema_of!(SupportBundle)),
            )
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Each method and path of the description.
    fn described(document: &Value) -> BTreeSet<(String, String)> {
        let paths = document["paths"].as_object().unwrap();
        let mut described = BTreeSet::new();
        for (path, operations) in paths {
            for method in operations.as_object().unwrap().keys() {
                described.insert((method.clone(), path.clone()));
            }
        }
        described
    }

    #[test]
    fn what_is_there_is_described_and_what_is_described_is_there() {
        let document = document();
        let described = described(&document);
        for endpoint in &ENDPOINTS {
            let method = endpoint.method.as_str().to_ascii_lowercase();
            let key = (method, endpoint.path.to_owned());
            assert!(described.contains(&key), "{key:?}");
        }
        for (method, path) in &described {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let real = path.replace(['{', '}'], "");
            let found = super::super::table::find(&method, &real);
            assert!(
                matches!(found, super::super::table::Found::Endpoint(..)),
                "{method} {path}"
            );
        }
        assert_eq!(described.len(), ENDPOINTS.len());
    }

    #[test]
    fn every_type_that_is_named_is_there() {
        let text = document().to_string();
        let document: Value = serde_json::from_str(&text).unwrap();
        let named = text.split("\"#/components/schemas/").skip(1);
        let mut count = 0;
        for name in named.filter_map(|rest| rest.split('"').next()) {
            assert!(
                document["components"]["schemas"].get(name).is_some(),
                "{name}"
            );
            count += 1;
        }
        assert!(count > 50, "{count}");
        for name in ["Status", "Change", "Problem"] {
            assert!(
                document["components"]["schemas"].get(name).is_some(),
                "{name}"
            );
        }
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let document = document();
        let mut names = BTreeSet::new();
        for operations in document["paths"].as_object().unwrap().values() {
            for operation in operations.as_object().unwrap().values() {
                assert!(names.insert(operation["operationId"].to_string()));
            }
        }
    }
}
