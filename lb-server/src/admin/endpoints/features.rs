//! Caches, sessions, rate limits, the log's level, metrics, and the end.

use http::{Response, StatusCode};

use crate::admin::problem::Problem;
use crate::admin::reply::{self, Reply};
use crate::admin::service::{Call, Service};
use crate::admin::{DrainStarted, LogLevel, PurgeRequest, Purged, SessionList, SessionStatus};
use crate::cache::Purge;
use crate::sessions::Sessions;

/// Sessions on a page.
const PAGE: usize = 100;
const PAGE_MOST: usize = 1000;

pub(super) fn purge(service: &Service, call: &Call) -> Result<Response<Reply>, Problem> {
    let wanted: PurgeRequest = call.json()?;
    let PurgeRequest {
        url,
        prefix,
        tag,
        key,
        all,
        ..
    } = &wanted;
    let named = [
        url.as_deref().map(Purge::Url),
        prefix.as_deref().map(Purge::Prefix),
        tag.as_deref().map(Purge::Tag),
        key.as_deref().map(Purge::Key),
        all.filter(|all| *all).map(|_| Purge::All),
    ];
    let mut named = named.into_iter().flatten();
    let (Some(purge), None) = (named.next(), named.next()) else {
        return Err(Problem::bad_request(
            "the body does not say what to purge, or says it twice",
            "name one of `url`, `prefix`, `tag`, `key` and `\"all\": true`",
        ));
    };
    let snapshot = service.handle.snapshot();
    let mut names = snapshot.caches.keys();
    let cache = match (&wanted.cache, names.next(), names.next()) {
        (Some(name), ..) => name.clone(),
        (None, Some(only), None) => only.clone(),
        _ => {
            let known: Vec<&str> = snapshot.caches.keys().map(String::as_str).collect();
            return Err(Problem::bad_request(
                "the body names no cache",
                format!("name one as `cache`; there are: {}", known.join(", ")),
            ));
        }
    };
    if !snapshot.caches.contains_key(&cache) {
        let known: Vec<&str> = snapshot.caches.keys().map(String::as_str).collect();
        return Err(Problem::not_found(
            format!("there is no cache `{cache}`"),
            format!("there are: {}", known.join(", ")),
        ));
    }
    let purged = service.handle.purge(&cache, purge);
    let purged = purged
        .map_err(|error| Problem::of(&error, "write the whole URL: `https://example.com/news`"))?;
    service.tell(
        call,
        (None, None),
        "purged",
        format!("{purged} responses of cache {cache}"),
    );
    Ok(reply::json(&Purged {
        cache,
        purged: purged as u64,
    }))
}

fn sessions_of(service: &Service) -> Result<Sessions, Problem> {
    service
        .handle
        .sessions()
        .ok_or_else(|| Problem::not_found("there are no sessions", "[sessions] turns them on"))
}

pub(super) fn session_stats(service: &Service) -> Result<Response<Reply>, Problem> {
    let stats = service.sessions();
    let stats = stats
        .ok_or_else(|| Problem::not_found("there are no sessions", "[sessions] turns them on"))?;
    Ok(reply::json(&stats))
}

pub(super) async fn sessions(service: &Service, call: &Call) -> Result<Response<Reply>, Problem> {
    let limit = match call.query("limit") {
        None => PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=PAGE_MOST).contains(limit))
            .ok_or_else(|| {
                Problem::bad_request(
                    format!(
                        "`limit` is no number from 1 to {PAGE_MOST}: `{}`",
                        text.escape_debug()
                    ),
                    "leave it out for 100",
                )
            })?,
    };
    let cursor = call.query("cursor");
    let page = sessions_of(service)?.list(cursor.as_deref(), limit).await;
    let page = page.map_err(|error| Problem::of(&error, "begin without `cursor`"))?;
    let status = |it: crate::sessions::SessionInfo| SessionStatus {
        handle: it.handle,
        is_logged_in: it.is_logged_in,
        age_seconds: it.age.as_secs_f64(),
        idle_seconds: it.idle.as_secs_f64(),
        bytes: it.bytes as u64,
    };
    Ok(reply::json(&SessionList {
        sessions: page.sessions.into_iter().map(status).collect(),
        next: page.next,
    }))
}

pub(super) async fn end_session(
    service: &Service,
    call: &Call,
) -> Result<Response<Reply>, Problem> {
    const HELP: &str = "GET /api/v1/sessions lists the handles of sessions";
    let handle = call.parameter(0);
    let ended = sessions_of(service)?.end(handle).await;
    let was_there = ended.map_err(|error| match error.to_string() {
        text if text.contains("names no session") => Problem::bad_request(text, HELP),
        _ => Problem::of(&error, "try again when the store answers"),
    })?;
    if !was_there {
        return Err(Problem::not_found(
            format!("there is no session `{handle}`"),
            HELP,
        ));
    }
    service.tell(
        call,
        (None, None),
        "session_ended",
        format!("session {handle}"),
    );
    Ok(reply::done())
}

pub(super) fn rate_limit(service: &Service, call: &Call) -> Result<Response<Reply>, Problem> {
    let snapshot = service.handle.snapshot();
    let limits = &snapshot.limits;
    let status = limits.look(call.parameter(0), call.parameter(1));
    status.map(|status| reply::json(&status)).map_err(|error| {
        Problem::of(
            &error,
            "write the key as the limit counts: an address, or its parts with commas between them",
        )
    })
}

pub(super) async fn reset_rate_limit(
    service: &Service,
    call: &Call,
) -> Result<Response<Reply>, Problem> {
    let (policy, key) = (call.parameter(0), call.parameter(1));
    let snapshot = service.handle.snapshot();
    let store = service.handle.link();
    let reset = snapshot.limits.forget(policy, key, store.as_deref()).await;
    reset.map_err(|error| {
        Problem::of(
            &error,
            "write the key as the limit counts: an address, or its parts with commas between them",
        )
    })?;
    service.tell(
        call,
        (None, None),
        "rate_limit_reset",
        format!("{policy} for {key}"),
    );
    Ok(reply::done())
}

fn no_log_control() -> Problem {
    Problem::not_found(
        "the program does not let its log's level be changed",
        "a program gives a `LogControl` to `Server::set_log_control`, as lb-cli does",
    )
}

pub(super) fn log_level(service: &Service) -> Result<Response<Reply>, Problem> {
    let control = service.about.log.as_ref().ok_or_else(no_log_control)?;
    Ok(reply::json(&LogLevel::new(control.level())))
}

pub(super) fn set_log_level(service: &Service, call: &Call) -> Result<Response<Reply>, Problem> {
    let control = service.about.log.as_ref().ok_or_else(no_log_control)?;
    let wanted: LogLevel = call.json()?;
    control.set_level(&wanted.level).map_err(|text| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            text,
            "write a level, `error`, `warn`, `info`, `debug` or `trace`, or levels by target: `warn,lb_server=debug`",
        )
    })?;
    let level = control.level();
    service.tell(call, (None, None), "log_level", level.clone());
    Ok(reply::json(&LogLevel::new(level)))
}

pub(super) fn drain(service: &Service, call: &Call) -> Response<Reply> {
    let config = service.handle.config();
    let delay = config.server.shutdown_delay.as_secs();
    let timeout = config.server.shutdown_timeout.as_secs();
    let details = format!("serving on for {delay} s, then {timeout} s to finish");
    service.tell(call, (None, None), "draining", details);
    service.handle.shutdown();
    reply::with_status(
        StatusCode::ACCEPTED,
        &DrainStarted {
            shutdown_delay_seconds: delay,
            shutdown_timeout_seconds: timeout,
        },
    )
}
