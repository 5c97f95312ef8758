//! The configuration: what is in force, and another one in its place.

use http::header::{ETAG, IF_MATCH};
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::admin::ReloadChanges;
use crate::admin::problem::Problem;
use crate::admin::reply::{self, Reply};
use crate::admin::service::{Call, Service, media_type};
use crate::config::{Config, ConfigFormat};
use crate::error::{Error, ErrorKind, chain};
use crate::running::ReloadReport;

/// What errors call a configuration that came by this API.
const NAME: &str = "request body";

impl Service {
    /// Names the configuration in force: another one has another name.
    pub(crate) fn etag(&self, config: &Config) -> String {
        // Reloads count too, since files that the text only names may have changed.
        let revision = self.handle.reloads().succeeded + 1;
        let hash = lb_core::hash::key(config.to_json().as_bytes());
        format!("\"{revision}-{hash:016x}\"")
    }
}

/// The configuration in the long form, as TOML where that is preferred; secrets are hidden.
pub(super) fn get(service: &Service, call: &Call) -> Result<Response<Reply>, Problem> {
    let config = service.handle.config();
    let accept = call.headers.get(http::header::ACCEPT);
    let wants_toml =
        accept.is_some_and(|accept| accept.as_bytes().starts_with(b"application/toml"));
    let mut response = if wants_toml {
        reply::text_of("application/toml", config.to_toml())
    } else {
        reply::text_of("application/json", config.to_json())
    };
    set_etag(&mut response, &service.etag(&config));
    Ok(response)
}

fn set_etag(response: &mut Response<Reply>, etag: &str) {
    if let Ok(value) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(ETAG, value);
    }
}

/// Whoever writes has to know what is replaced.
fn check_match(service: &Service, call: &Call) -> Result<(), Problem> {
    let etag = service.etag(&service.handle.config());
    let wanted = call
        .headers
        .get(IF_MATCH)
        .and_then(|value| value.to_str().ok());
    let Some(wanted) = wanted else {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "the request does not say which configuration it is to replace",
            format!("send `If-Match` with the ETag of GET /api/v1/config, now {etag}"),
        ));
    };
    if wanted.trim() == "*" || wanted.split(',').any(|one| one.trim() == etag) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::PRECONDITION_FAILED,
        format!("another configuration is in force by now: {etag}"),
        "read it with GET /api/v1/config, and apply the change to that",
    ))
}

pub(super) async fn put(service: &Service, call: &Call) -> Result<Response<Reply>, Problem> {
    check_match(service, call)?;
    let text = std::str::from_utf8(&call.body)
        .map_err(|_no_text| Problem::bad_request("the body is no UTF-8", "send JSON or TOML"))?;
    let format = match media_type(&call.headers).as_deref() {
        Some("application/toml") => ConfigFormat::Toml,
        _ => ConfigFormat::Json,
    };
    replace(service, call, format, text).await
}

/// A JSON merge patch (RFC 7396) of the long form.
pub(super) async fn patch(service: &Service, call: &Call) -> Result<Response<Reply>, Problem> {
    check_match(service, call)?;
    let patch: Value = call.json()?;
    let mut whole: Value =
        serde_json::from_str(&service.handle.config().to_json()).map_err(|error| {
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("the configuration in force cannot be read: {error}"),
                "send the whole of it with PUT",
            )
        })?;
    merge(&mut whole, patch);
    replace(service, call, ConfigFormat::Json, &whole.to_string()).await
}

fn merge(whole: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *whole = patch;
        return;
    };
    if !whole.is_object() {
        *whole = Value::Object(serde_json::Map::new());
    }
    let Value::Object(whole) = whole else { return };
    for (key, value) in patch {
        if value.is_null() {
            whole.remove(&key);
        } else {
            merge(whole.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn check_not_ending(service: &Service) -> Result<(), Problem> {
    if service.handle.is_stopping() {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "the server is ending, so its configuration stays as it is",
            "start it anew with the configuration",
        ));
    }
    Ok(())
}

async fn replace(
    service: &Service,
    call: &Call,
    format: ConfigFormat,
    text: &str,
) -> Result<Response<Reply>, Problem> {
    let dry_run = call.flag("dry_run")?;
    check_not_ending(service)?;
    let before = service.handle.config();
    let config = Config::from_printed(format, text, NAME, &before).map_err(|error| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            error.to_string(),
            "correct what is marked; `?dry_run=true` tries it without consequences",
        )
    })?;
    let done = if dry_run {
        service.handle.rehearse(config).await
    } else {
        let caller = Some(call.caller.clone());
        service.handle.reload_for(caller, config).await
    };
    finish(service, done, dry_run)
}

pub(super) async fn reload(service: &Service, call: &Call) -> Result<Response<Reply>, Problem> {
    if call.flag("dry_run")? {
        return Err(Problem::bad_request(
            "a reload of the file has no dry run",
            "`lb-cli check` tests the file; PUT /api/v1/config?dry_run=true tests a configuration",
        ));
    }
    check_not_ending(service)?;
    let caller = Some(call.caller.clone());
    let done = service.handle.reload_from_source_for(caller).await;
    finish(service, done, false)
}

fn finish(
    service: &Service,
    done: Result<ReloadReport, Error>,
    dry_run: bool,
) -> Result<Response<Reply>, Problem> {
    let report = done.map_err(|error| match error.kind() {
        ErrorKind::Draining => Problem::new(
            StatusCode::CONFLICT,
            chain(&error),
            "the server is ending; start it anew with the configuration",
        ),
        _ => Problem::of(&error, "correct it; what was in force before still is"),
    })?;
    let mut response = reply::json(&ReloadChanges { report, dry_run });
    set_etag(&mut response, &service.etag(&service.handle.config()));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::merge;

    /// RFC 7396, appendix A.
    #[test]
    fn patches_merge_as_the_rfc_says() {
        for (mut whole, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!([1, 2]),
                json!({"a": "b", "c": null}),
                json!({"a": "b"}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            merge(&mut whole, patch);
            assert_eq!(whole, merged);
        }
    }
}
