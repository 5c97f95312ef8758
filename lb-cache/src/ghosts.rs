//! Fingerprints of what was evicted lately.

/// Remembers about as many of the fingerprints last added as it is told.
///
/// Each bucket is a ring: an addition overwrites the oldest of the bucket. How long one is remembered depends on how many fall
/// into the same bucket, by a quarter more or less, which costs no hits and saves the order of all of them. Two keys with the
/// same bucket and the same 16 bits (one in 4,000) are taken for one; that admits an entry too early and does no harm.
#[derive(Debug)]
pub(crate) struct Ghosts {
    buckets: Vec<Bucket>,
}

/// Half a cache line. A place that is empty holds 0.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
struct Bucket {
    places: [u16; PLACES],
    oldest: u16,
}

const PLACES: usize = 15;

impl Ghosts {
    pub(crate) const fn new() -> Self {
        Self {
            buckets: Vec::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Remembers a fingerprint among the last `limit`.
    #[inline]
    pub(crate) fn add(&mut self, fingerprint: u32, limit: usize) {
        let room = self.buckets.len() * PLACES;
        if room < limit || room / 8 > limit + PLACES {
            self.resize(limit);
        }
        let (at, mark) = self.place_of(fingerprint);
        let bucket = &mut self.buckets[at];
        let oldest = usize::from(bucket.oldest) % PLACES;
        bucket.places[oldest] = mark;
        bucket.oldest = if oldest + 1 == PLACES {
            0
        } else {
            bucket.oldest + 1
        };
    }

    /// Forgets a fingerprint and says whether it was remembered.
    #[inline]
    pub(crate) fn take(&mut self, fingerprint: u32) -> bool {
        if self.buckets.is_empty() {
            return false;
        }
        let (at, mark) = self.place_of(fingerprint);
        let bucket = &mut self.buckets[at];
        // All places are compared before the first branch, which the compiler turns into two vector comparisons.
        if !bucket
            .places
            .iter()
            .fold(false, |found, &place| found | (place == mark))
        {
            return false;
        }
        for place in &mut bucket.places {
            if *place == mark {
                *place = 0;
            }
        }
        true
    }

    /// The bucket comes from the upper bits and the mark from the lower, so that they are independent.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
    fn place_of(&self, fingerprint: u32) -> (usize, u16) {
        let bucket = (u64::from(fingerprint) * self.buckets.len() as u64) >> 32;
        (bucket as usize, (fingerprint as u16).max(1))
    }

    /// What is remembered is lost: a new store does it a few times while it fills, a full one hardly ever.
    #[cold]
    fn resize(&mut self, limit: usize) {
        let buckets = (limit + limit / 4) / PLACES + 1;
        self.buckets = vec![Bucket::default(); buckets];
    }
}
