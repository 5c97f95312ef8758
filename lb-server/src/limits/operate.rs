//! What operators ask of rate limits, by what is counted.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};

use super::key::Subject;
use super::state::Limits;
use super::{Limit, LimitStates, RouteLimits};
use crate::admin::{ExplainedLimit, RateLimitKeyStatus, RateLimitStatus};
use crate::clock;
use crate::config::RateLimitKey;
use crate::error::{Error, ErrorKind};
use crate::redis::{Command, Store, StoreError};

/// What a request would be that is counted by a key.
struct Named {
    client: IpAddr,
    headers: HeaderMap,
    route: String,
}

impl Named {
    fn subject(&self) -> Subject<'_> {
        Subject {
            client: self.client,
            headers: &self.headers,
            route: &self.route,
        }
    }
}

impl Limits {
    /// What each limit has decided, and how many keys it counts.
    ///
    /// # Complexity
    /// Reads the tables of the limits: about 1 ms for 100,000 keys.
    pub(crate) fn status(&self) -> Vec<RateLimitStatus> {
        let now = clock::now();
        let counted = self.metrics();
        let of_limit = |(name, limit): (&String, &std::sync::Arc<Limit>)| {
            let decided = counted.get(name);
            let read =
                |which: fn(&crate::metrics::RateLimitMetrics) -> u64| decided.map_or(0, which);
            RateLimitStatus {
                name: name.clone(),
                admitted: read(|it| it.admitted),
                refused: read(|it| it.refused),
                observed: read(|it| it.observed),
                store_errors: read(|it| it.store_errors),
                keys: limit.state.limiter.stats(&limit.policy, now).keys as u64,
                max_keys: limit.state.max_keys() as u64,
            }
        };
        self.iter().map(of_limit).collect()
    }

    /// What is counted of a key. In a store that others share it is not asked for: that would count.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such limit, [`ErrorKind::Config`] for a key that it does not count by,
    /// and where it is counted in the store.
    pub(crate) fn look(&self, name: &str, key: &str) -> Result<RateLimitKeyStatus, Error> {
        let limit = self.find(name)?;
        if limit.shared.is_some() {
            let text = format!(
                "rate limit `{name}` is counted in Redis, where looking would count; DELETE works there too"
            );
            return Err(Error::new(ErrorKind::Config, text));
        }
        let named = named(limit, key)?;
        let key = self.states().key(limit, &named.subject());
        let decision = limit
            .state
            .limiter
            .peek(key, &limit.policy, limit.cost, clock::now());
        Ok(RateLimitKeyStatus {
            policy: name.to_owned(),
            counted_by: limit.parts.iter().map(ToString::to_string).collect(),
            limit: limit.policy.limit(),
            window_seconds: limit.policy.window().as_secs_f64(),
            cost: limit.cost,
            remaining: decision.remaining(),
            would_admit: decision.is_admitted(),
            retry_after_seconds: decision.retry_after().map(|time| time.as_secs_f64()),
        })
    }

    /// Forgets what is counted of a key, here and in the store.
    ///
    /// # Errors
    /// As [`Limits::look`], and [`ErrorKind::Session`] where the store gives no answer.
    pub(crate) async fn forget(
        &self,
        name: &str,
        key: &str,
        store: Option<&dyn Store>,
    ) -> Result<(), Error> {
        let limit = self.find(name)?;
        let named = named(limit, key)?;
        let states: &LimitStates = self.states();
        let local = states.key(limit, &named.subject());
        limit
            .state
            .limiter
            .reset(local, &limit.policy, clock::now());
        limit.state.memo.forget(local);
        if limit.shared.is_none() {
            return Ok(());
        }
        let command = Command::new("DEL").word(states.store_key(limit, &named.subject()));
        let answer = match store {
            Some(store) => store.run(command).await,
            None => Err(StoreError::Down),
        };
        answer.map(|_count| ()).map_err(|error| {
            let text = "the store of the rate limits gave no answer; it is forgotten here only";
            Error::new(ErrorKind::Session, text).with_source(error)
        })
    }

    fn find(&self, name: &str) -> Result<&Limit, Error> {
        self.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.iter().map(|(name, _)| name.as_str()).collect();
            let text = format!(
                "there is no rate limit `{name}`; there are: {}",
                known.join(", ")
            );
            Error::new(ErrorKind::NotFound, text)
        })
    }
}

impl RouteLimits {
    /// What each limit would say of a request; what a shared store counts is not asked for.
    pub(crate) fn explain(&self, subject: &Subject<'_>) -> Vec<ExplainedLimit> {
        let now = clock::now();
        let explain = |limit: &std::sync::Arc<Limit>| {
            let decision = limit.shared.is_none().then(|| {
                let key = self.key(limit, subject);
                limit
                    .state
                    .limiter
                    .peek(key, &limit.policy, limit.cost, now)
            });
            let retry_after = decision
                .as_ref()
                .and_then(lb_ratelimit::Decision::retry_after);
            ExplainedLimit {
                name: limit.name.clone(),
                admits: decision.as_ref().map(lb_ratelimit::Decision::is_admitted),
                enforces: limit.enforcement == lb_ratelimit::Enforcement::Enforce,
                remaining: decision.as_ref().map(lb_ratelimit::Decision::remaining),
                retry_after_seconds: retry_after.map(|time| time.as_secs_f64()),
            }
        };
        self.limits.iter().map(explain).collect()
    }
}

/// The request that a key stands for. Several parts have commas between them, and what has commas itself writes them
/// as `%2C`; `ip:ADDRESS` stands for a client without the field that is counted by.
fn named(limit: &Limit, key: &str) -> Result<Named, Error> {
    let wrong = |text: String| Error::new(ErrorKind::Config, text);
    let parts: Vec<String> = if limit.parts.len() == 1 {
        vec![key.to_owned()]
    } else {
        key.split(',')
            .map(|part| part.replace("%2C", ",").replace("%2c", ","))
            .collect()
    };
    if parts.len() != limit.parts.len() {
        let by: Vec<String> = limit.parts.iter().map(ToString::to_string).collect();
        return Err(wrong(format!(
            "`{key}` has {} parts, and rate limit `{}` counts by {}",
            parts.len(),
            limit.name,
            by.join(",")
        )));
    }
    let address = |text: &str| {
        let parsed: Result<IpAddr, _> = text.parse();
        parsed.map_err(|_no_address| wrong(format!("`{}` is no address", text.escape_debug())))
    };
    let mut named = Named {
        client: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        headers: HeaderMap::new(),
        route: String::new(),
    };
    for (part, text) in limit.parts.iter().zip(&parts) {
        let value = |text: &str| {
            let value = HeaderValue::from_str(text);
            value.map_err(|_no_value| {
                wrong(format!("`{}` is no value of a field", text.escape_debug()))
            })
        };
        match (part, text.strip_prefix("ip:")) {
            (RateLimitKey::ClientIp, _) => named.client = address(text)?,
            (RateLimitKey::Route, _) => named.route.clone_from(text),
            (RateLimitKey::Header(_) | RateLimitKey::Cookie(_), Some(text)) => {
                named.client = address(text)?;
            }
            (RateLimitKey::Header(name), None) => {
                named.headers.insert(name.clone(), value(text)?);
            }
            (RateLimitKey::Cookie(name), None) => {
                let pair = value(&format!("{name}={text}"))?;
                named.headers.append(http::header::COOKIE, pair);
            }
        }
    }
    Ok(named)
}
