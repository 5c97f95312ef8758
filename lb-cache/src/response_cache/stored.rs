//! A stored response: head, body, rules and tags.

mod wire;

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use crate::rules::{Entry, ResponsePolicy};

/// What one field costs beside its text: its place in the map's two tables.
const FIELD_BYTES: usize = 120;
/// What one chunk costs beside its bytes.
const CHUNK_BYTES: u64 = 64;
/// The store's own share of an entry: indices, counters, the list of variants.
const ENTRY_BYTES: usize = 128;

/// A body in chunks. A clone is a count.
#[derive(Debug, Clone, Default)]
pub struct StoredBody {
    chunks: Arc<[Bytes]>,
    length: u64,
}

impl StoredBody {
    /// Takes chunks as they are. Each should own its memory alone: a slice keeps alive all that it was cut from.
    pub fn new(chunks: impl Into<Arc<[Bytes]>>) -> Self {
        let chunks = chunks.into();
        let length = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Self { chunks, length }
    }

    /// The chunks in order.
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// Bytes in all.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// What it weighs: its bytes and what its chunks cost.
    pub fn weight(&self) -> u64 {
        Self::weight_of(self.length, self.chunks.len())
    }

    /// What `length` bytes in this many chunks weigh.
    pub const fn weight_of(length: u64, chunks: usize) -> u64 {
        length.saturating_add((chunks as u64).saturating_mul(CHUNK_BYTES))
    }
}

/// A response as it is stored.
#[derive(Debug)]
pub struct StoredResponse {
    policy: ResponsePolicy,
    headers: HeaderMap,
    body: StoredBody,
    tags: Arc<[Box<str>]>,
}

impl StoredResponse {
    /// Joins the parts; `headers` are what [`stored_fields`](crate::stored_fields) made.
    pub fn new<'t>(
        policy: ResponsePolicy,
        headers: HeaderMap,
        body: StoredBody,
        tags: impl IntoIterator<Item = &'t str>,
    ) -> Self {
        Self {
            policy,
            headers,
            body,
            tags: tags.into_iter().map(Box::from).collect(),
        }
    }

    /// The same body with newer fields and rules; the tags stay unless there are others.
    #[must_use]
    pub fn refreshed<'t>(
        &self,
        policy: ResponsePolicy,
        headers: HeaderMap,
        tags: impl IntoIterator<Item = &'t str>,
    ) -> Self {
        let newer: Arc<[Box<str>]> = tags.into_iter().map(Box::from).collect();
        let tags = if newer.is_empty() {
            Arc::clone(&self.tags)
        } else {
            newer
        };
        Self {
            policy,
            headers,
            body: self.body.clone(),
            tags,
        }
    }

    /// The stored fields.
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body.
    pub const fn body(&self) -> &StoredBody {
        &self.body
    }

    /// Its tags.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(|tag| &**tag)
    }

    /// Whether it has a tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|one| **one == *tag)
    }

    /// Bytes it occupies: body, fields, rules, tags, and what keeping them costs.
    pub fn weight(&self) -> u64 {
        let fields: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES)
            .sum();
        let tags: usize = self
            .tags
            .iter()
            .map(|tag| tag.len() + size_of::<Box<str>>())
            .sum();
        let head = size_of::<Self>() + ENTRY_BYTES + self.policy.heap_bytes() + fields + tags;
        self.body.weight().saturating_add(head as u64)
    }
}

impl Entry for StoredResponse {
    fn policy(&self) -> &ResponsePolicy {
        &self.policy
    }
}
