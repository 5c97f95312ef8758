//! The `RateLimit-Policy` and `RateLimit` response fields, as text.
//!
//! # References
//! draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4: both are lists of strings with parameters, in the syntax of
//! RFC 9651.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::decision::Decision;
use crate::policy::Policy;

/// One policy as clients are told of it.
#[derive(Clone, Copy, Debug)]
pub struct Advertised<'a> {
    /// Its name, the same in both fields.
    pub name: &'a PolicyName,
    /// Its numbers.
    pub policy: &'a Policy,
    /// What is counted.
    pub unit: Unit,
    /// What it is counted by, if the client may know (`pk`): any bytes.
    pub partition: Option<&'a [u8]>,
}

/// What a quota is counted in (`qu`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Requests, which goes without saying.
    #[default]
    Requests,
    /// Bytes of content.
    ContentBytes,
    /// Requests at a time.
    ConcurrentRequests,
}

impl<'a> Advertised<'a> {
    /// A policy that counts requests and does not say by what.
    pub const fn new(name: &'a PolicyName, policy: &'a Policy) -> Self {
        Self {
            name,
            policy,
            unit: Unit::Requests,
            partition: None,
        }
    }
}

/// A name that a structured field can hold: printable ASCII, not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyName {
    /// With its quotes and escapes.
    quoted: Box<str>,
}

impl PolicyName {
    /// Checks and quotes a name.
    ///
    /// # Errors
    /// If it is empty or has a character that is not printable ASCII (RFC 9651, section 3.3.3).
    pub fn try_new(name: &str) -> Result<Self, PolicyNameError> {
        if name.is_empty() || !name.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(PolicyNameError(name.to_owned()));
        }
        let mut quoted = String::with_capacity(name.len() + 2);
        quoted.push('"');
        for letter in name.chars() {
            if matches!(letter, '"' | '\\') {
                quoted.push('\\');
            }
            quoted.push(letter);
        }
        quoted.push('"');
        Ok(Self {
            quoted: quoted.into_boxed_str(),
        })
    }
}

/// A name that no structured field can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyNameError(String);

impl fmt::Display for PolicyNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "name of a rate limit must be printable ASCII and not empty, got {:?}",
            self.0
        )
    }
}

impl Error for PolicyNameError {}

/// Writes the value of `RateLimit-Policy`; empty for no policies, in which case there is no field.
///
/// `q` is the limit and `w` the window in whole seconds, rounded up; a window below a second is left out.
///
/// # Examples
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use lb_ratelimit::{Policy, Quota, fields};
///
/// let quota = Quota::try_new(NonZeroU32::new(100).unwrap(), Duration::from_secs(60))?;
/// let (name, policy) = (fields::PolicyName::try_new("per-client")?, Policy::from(quota));
/// let advertised = fields::Advertised::new(&name, &policy);
/// assert_eq!(fields::rate_limit_policy([advertised]), r#""per-client";q=100;w=60"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn rate_limit_policy<'a>(policies: impl IntoIterator<Item = Advertised<'a>>) -> String {
    let mut value = String::new();
    for Advertised {
        name,
        policy,
        unit,
        partition,
    } in policies
    {
        separate(&mut value);
        value.push_str(&name.quoted);
        number(&mut value, "q", u64::from(policy.limit()));
        match unit {
            Unit::Requests => {}
            Unit::ContentBytes => value.push_str(";qu=\"content-bytes\""),
            Unit::ConcurrentRequests => value.push_str(";qu=\"concurrent-requests\""),
        }
        if policy.window() >= Duration::from_secs(1) {
            number(&mut value, "w", whole_seconds(policy.window()));
        }
        key(&mut value, partition);
    }
    value
}

/// Writes the value of `RateLimit`; empty for no decisions, in which case there is no field.
///
/// `r` is what remains and `t` the time until more is available, in whole seconds, rounded up. Of a refused request that
/// is [`retry_after_secs`], so that the two fields agree.
pub fn rate_limit<'a>(
    decisions: impl IntoIterator<Item = (Advertised<'a>, &'a Decision)>,
) -> String {
    let mut value = String::new();
    for (advertised, decision) in decisions {
        separate(&mut value);
        value.push_str(&advertised.name.quoted);
        number(&mut value, "r", u64::from(decision.remaining()));
        let seconds = retry_after_secs(decision);
        if let Some(seconds) = seconds.or_else(|| decision.more_in().map(whole_seconds)) {
            number(&mut value, "t", seconds);
        }
        key(&mut value, advertised.partition);
    }
    value
}

/// Returns the value of `Retry-After` for a refused request: whole seconds, rounded up, at least 1.
///
/// `None` if it was admitted or never will be. After that many seconds the request is admitted if no other came before.
///
/// # References
/// RFC 9110, section 10.2.3.
pub fn retry_after_secs(decision: &Decision) -> Option<u64> {
    decision.retry_after().map(whole_seconds)
}

/// Returns the three fields of drafts 00 to 06, which many clients still read: limit, remaining, seconds until reset.
pub fn legacy(decision: &Decision) -> [(&'static str, u64); 3] {
    [
        ("ratelimit-limit", u64::from(decision.limit())),
        ("ratelimit-remaining", u64::from(decision.remaining())),
        ("ratelimit-reset", ceiled_seconds(decision.reset())),
    ]
}

fn separate(value: &mut String) {
    if !value.is_empty() {
        value.push_str(", ");
    }
}

/// Integers of structured fields have at most 15 digits; a century of seconds has 10.
fn number(value: &mut String, name: &str, number: u64) {
    // Writing to a string does not fail.
    let _ = write!(value, ";{name}={number}");
}

fn whole_seconds(duration: Duration) -> u64 {
    ceiled_seconds(duration).max(1)
}

fn ceiled_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// Writes a byte sequence: base64 between colons (RFC 9651, section 4.1.8).
fn key(value: &mut String, partition: Option<&[u8]>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let Some(partition) = partition else {
        return;
    };
    value.push_str(";pk=:");
    for three in partition.chunks(3) {
        let byte = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            if digit <= three.len() {
                let sextet = bits >> (18 - 6 * digit) & 63;
                value.push(char::from(ALPHABET[sextet as usize]));
            } else {
                value.push('=');
            }
        }
    }
    value.push(':');
}

#[cfg(test)]
mod tests;
