//! A stored response as bytes, for a store outside of this process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::{StoredBody, StoredResponse};
use crate::rules::ResponsePolicy;
use crate::wire::{Reader, write_count, write_text};

/// The first byte; another layout gets another one.
const VERSION: u8 = 1;
/// Fields of a record, and tags of one, that are read.
const MAX_FIELDS: usize = 1024;
const MAX_TAGS: usize = 128;

impl StoredResponse {
    /// Appends the response as a store outside of this process keeps it: rules, fields, tags and body, and its age as of
    /// `now` in place of the moment it came.
    ///
    /// `false` leaves `out` as it was: there are more fields or bytes than a record can tell.
    ///
    /// # Examples
    /// ```
    /// # use std::time::{Duration, Instant, SystemTime};
    /// # use http::{HeaderMap, HeaderValue, StatusCode};
    /// # use lb_cache::{Entry as _, Received, ResponsePolicy, StoredBody, StoredResponse};
    /// let now = Instant::now();
    /// let times = Received { requested: now, received: now, wall: SystemTime::now() };
    /// let policy = ResponsePolicy::lasting(StatusCode::OK, Duration::from_secs(60), &times);
    /// let body = StoredBody::new(vec!["hello".into()]);
    /// let stored = StoredResponse::new(policy, HeaderMap::new(), body, ["greeting"]);
    /// let mut record = Vec::new();
    /// assert!(stored.encode(&mut record, now));
    ///
    /// // Elsewhere, ten seconds later:
    /// let read = StoredResponse::decode(&record, Duration::from_secs(10), now).expect("it is whole");
    /// assert_eq!(read.policy().freshness().age(now), Duration::from_secs(10));
    /// assert!(read.has_tag("greeting"));
    /// ```
    ///
    /// # Complexity
    /// O(length); the body is copied.
    #[must_use]
    pub fn encode(&self, out: &mut Vec<u8>, now: Instant) -> bool {
        let before = out.len();
        let is_written = self.write(out, now).is_some();
        if !is_written {
            out.truncate(before);
        }
        is_written
    }

    fn write(&self, out: &mut Vec<u8>, now: Instant) -> Option<()> {
        out.push(VERSION);
        self.policy.write(out, now)?;
        if self.headers.len() > MAX_FIELDS || self.tags.len() > MAX_TAGS {
            return None;
        }
        write_count(out, self.headers.len())?;
        for (name, value) in &self.headers {
            write_text(out, name.as_str().as_bytes())?;
            write_text(out, value.as_bytes())?;
        }
        write_count(out, self.tags.len())?;
        for tag in &*self.tags {
            write_text(out, tag.as_bytes())?;
        }
        for chunk in self.body.chunks() {
            out.extend_from_slice(chunk);
        }
        Some(())
    }

    /// Reads what [`encode`](Self::encode) wrote; `resident` is how long ago that was.
    ///
    /// `None` unless this version could have written it. A body that was cut off cannot be told from a shorter one: whoever
    /// keeps records adds a checksum.
    ///
    /// # Complexity
    /// O(length), and no more memory than that; the body is copied.
    pub fn decode(record: &[u8], resident: Duration, now: Instant) -> Option<Self> {
        let mut reader = Reader::new(record);
        reader.u8().filter(|version| *version == VERSION)?;
        let policy = ResponsePolicy::read(&mut reader, resident, now)?;
        let mut headers = HeaderMap::new();
        let count = reader.u16().map(usize::from)?;
        for _field in 0..Some(count).filter(|count| *count <= MAX_FIELDS)? {
            let name = HeaderName::from_bytes(reader.text()?).ok()?;
            let value = HeaderValue::from_bytes(reader.text()?).ok()?;
            headers.try_append(name, value).ok()?;
        }
        let count = reader.u16().map(usize::from)?;
        let mut tags = Vec::new();
        for _tag in 0..Some(count).filter(|count| *count <= MAX_TAGS)? {
            tags.push(str::from_utf8(reader.text()?).ok()?.into());
        }
        let body = match reader.rest() {
            [] => StoredBody::default(),
            body => StoredBody::new([Bytes::copy_from_slice(body)]),
        };
        Some(Self {
            policy,
            headers,
            body,
            tags: Arc::from(tags),
        })
    }
}
