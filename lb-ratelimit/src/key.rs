//! Keys: what a limit is counted by, as a keyed hash.

use std::fmt;
use std::hash::Hasher as _;
use std::net::IpAddr;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

use self::sip::Sip;

mod sip;

/// Makes keys with a secret seed.
///
/// Clients choose most of what keys are made of. With a seed they do not know, and hashes they never see, they can neither
/// find two inputs that share a bucket nor fill one part of a table.
///
/// # Examples
/// ```
/// use lb_ratelimit::{Keyer, Prefixes};
///
/// let keyer = Keyer::new(0x5eed_0000_0000_0000_0000_0000_0000_0001); // from the system's randomness
/// let by_client = |address: &str| {
///     keyer.start().address(address.parse().unwrap(), Prefixes::default()).finish()
/// };
/// assert_eq!(by_client("2001:db8::1"), by_client("2001:db8::ffff"));
/// assert_ne!(by_client("192.0.2.1"), by_client("192.0.2.2"));
///
/// // By route and API key.
/// let compound = keyer.start().number(7).bytes(b"secret-token").finish();
/// assert_ne!(compound, keyer.start().number(7).bytes(b"other-token").finish());
/// ```
///
/// # Complexity
/// About 2 ns for an address, less than 1 ns for each further 8 bytes; no allocation. Of a shared key about 10 ns, and
/// 1 ns for each 8 bytes.
///
/// # References
/// `foldhash` within the process; `SipHash-1-3` with 128 bits of output (Aumasson, Bernstein: `SipHash`: a fast
/// short-input PRF) for keys in a store, which have to be the same everywhere and in every version.
#[derive(Clone)]
pub struct Keyer {
    /// Of the keys in a store.
    seed: (u64, u64),
    /// Of the keys in this process.
    folding: (u64, SharedSeed),
}

impl Keyer {
    /// Makes keys with `seed`, 128 random bits.
    #[expect(clippy::cast_possible_truncation, reason = "takes the two halves")]
    pub const fn new(seed: u128) -> Self {
        let (low, high) = (seed as u64, (seed >> 64) as u64);
        // A folded multiplication loses all it is given if its seed happens to equal the first word, as a small number
        // does: the seeds are spread first.
        let (start, shared) = Sip::new(low, high).finish();
        Self {
            seed: (low, high),
            folding: (start, SharedSeed::from_u64(shared)),
        }
    }

    /// Begins a key; its parts follow, in an order that counts.
    #[inline]
    pub const fn start(&self) -> KeyHasher<'_> {
        KeyHasher {
            fold: FoldHasher::with_seed(self.folding.0, &self.folding.1),
        }
    }

    /// Begins the name of a key in a store that others share, who make the same of the same seed.
    #[inline]
    pub const fn start_shared(&self) -> SharedKeyHasher {
        SharedKeyHasher {
            sip: Sip::new(self.seed.0, self.seed.1),
        }
    }
}

impl fmt::Debug for Keyer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyer(secret)")
    }
}

/// A key in the making.
///
/// Each part is hashed with its kind and length, so no two lists of parts are hashed alike: `("ab", "c")` is not
/// `("a", "bc")`, nor a number its text.
#[derive(Clone)]
#[must_use]
pub struct KeyHasher<'a> {
    fold: FoldHasher<'a>,
}

impl KeyHasher<'_> {
    /// Adds a client's address, shortened to its prefix.
    ///
    /// An IPv4 address mapped into IPv6 (`::ffff:192.0.2.1`) counts as IPv4.
    #[inline]
    pub fn address(mut self, address: IpAddr, prefixes: Prefixes) -> Self {
        prefixes.words(address, |word| self.fold.write_u64(word));
        self
    }

    /// Adds bytes: the value of a header or cookie, a path, a name.
    #[inline]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.fold.write_u64(bytes_head(bytes));
        self.fold.write(bytes);
        self
    }

    /// Adds a number: of a route, a policy, a port.
    #[inline]
    pub fn number(mut self, number: u64) -> Self {
        self.fold.write_u64(NUMBER);
        self.fold.write_u64(number);
        self
    }

    /// Ends the key.
    #[inline]
    pub fn finish(self) -> Key {
        Key(self.fold.finish())
    }
}

impl fmt::Debug for KeyHasher<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHasher(..)")
    }
}

/// The name of a key in a shared store, in the making; parts count as in [`KeyHasher`].
///
/// # Examples
/// ```
/// let keyer = lb_ratelimit::Keyer::new(42);
/// let name = keyer.start_shared().bytes(b"login").number(1).finish();
/// assert_eq!(format!("lb:rl:{name:032x}").len(), 38);
/// ```
#[derive(Clone)]
#[must_use]
pub struct SharedKeyHasher {
    sip: Sip,
}

impl SharedKeyHasher {
    /// Adds a client's address, shortened to its prefix.
    pub fn address(mut self, address: IpAddr, prefixes: Prefixes) -> Self {
        prefixes.words(address, |word| self.sip.write(word));
        self
    }

    /// Adds bytes: the value of a header or cookie, a path, a name.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.sip.write(bytes_head(bytes));
        for word in bytes.chunks(8) {
            let mut padded = [0; 8];
            padded[..word.len()].copy_from_slice(word);
            self.sip.write(u64::from_le_bytes(padded));
        }
        self
    }

    /// Adds a number: of a route, a policy, a port.
    pub const fn number(mut self, number: u64) -> Self {
        self.sip.write(NUMBER);
        self.sip.write(number);
        self
    }

    /// Ends the name: 128 bits that no two keys share.
    pub const fn finish(self) -> u128 {
        let (low, high) = self.sip.finish();
        (high as u128) << 64 | low as u128
    }
}

impl fmt::Debug for SharedKeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKeyHasher(..)")
    }
}

// What a part begins with, so that no part is mistaken for another.
const V4: u64 = 1;
const V6_SHORT: u64 = 2;
const V6_LONG: u64 = 3;
const BYTES: u64 = 4;
const NUMBER: u64 = 5;

#[inline]
const fn bytes_head(bytes: &[u8]) -> u64 {
    BYTES | (bytes.len() as u64) << 8
}

/// What a limit is counted by: 64 bits of a keyed hash.
///
/// Two clients share a bucket if their keys agree in the part of the table and in 32 more bits. Of a million keys in use, a
/// newcomer meets one with which it does with a probability of 1 in 300 million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub(crate) u64);

/// How much of a client's address tells it from others, in bits.
///
/// The defaults are 32 for IPv4 and 64 for IPv6, of which a household owns all. Larger values count as the whole address,
/// 0 puts all clients of the family into one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes {
    /// Bits of an IPv4 address; fewer put neighbours into one bucket.
    pub v4: u8,
    /// Bits of an IPv6 address; above 64 one client has as many buckets as it likes.
    pub v6: u8,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { v4: 32, v6: 64 }
    }
}

impl Prefixes {
    #[inline]
    fn words(self, address: IpAddr, mut write: impl FnMut(u64)) {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let dropped = 32 - u32::from(self.v4.min(32));
                let mask = u32::MAX.checked_shl(dropped).unwrap_or(0);
                write(V4 | u64::from(address.to_bits() & mask) << 8);
            }
            IpAddr::V6(address) => {
                let dropped = 128 - u32::from(self.v6.min(128));
                let mask = u128::MAX.checked_shl(dropped).unwrap_or(0);
                let kept = address.to_bits() & mask;
                #[expect(clippy::cast_possible_truncation, reason = "takes the two halves")]
                let (high, low) = ((kept >> 64) as u64, kept as u64);
                // The lower half is usually masked off.
                if low == 0 {
                    write(V6_SHORT);
                } else {
                    write(V6_LONG);
                    write(low);
                }
                write(high);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const KEYER: Keyer = Keyer::new(1);

    fn address(text: &str, v4: u8, v6: u8) -> Key {
        let prefixes = Prefixes { v4, v6 };
        KEYER
            .start()
            .address(text.parse().unwrap(), prefixes)
            .finish()
    }

    #[test]
    fn an_address_counts_up_to_its_prefix() {
        assert_eq!(address("192.0.2.1", 24, 64), address("192.0.2.200", 24, 64));
        assert_ne!(address("192.0.2.1", 24, 64), address("192.0.3.1", 24, 64));
        let (a, b) = ("2001:db8:0:1::1", "2001:db8:0:1:ffff::1");
        assert_eq!(address(a, 32, 64), address(b, 32, 64));
        assert_ne!(address(a, 32, 80), address(b, 32, 80));
    }

    #[test]
    fn extreme_prefixes_are_the_whole_address_or_nothing() {
        assert_eq!(address("192.0.2.1", 0, 0), address("8.8.8.8", 0, 0));
        assert_eq!(address("::1", 0, 0), address("2001:db8::", 0, 0));
        assert_ne!(address("192.0.2.1", 255, 0), address("192.0.2.2", 255, 0));
        assert_ne!(address("::1", 0, 255), address("::2", 0, 255));
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        assert_eq!(
            address("::ffff:192.0.2.1", 32, 64),
            address("192.0.2.1", 32, 64)
        );
    }

    #[test]
    fn no_two_lists_of_parts_are_hashed_alike() {
        let start = || KEYER.start();
        let keys = [
            start().finish(),
            start().bytes(b"").finish(),
            start().bytes(b"").bytes(b"").finish(),
            start().bytes(b"ab").bytes(b"c").finish(),
            start().bytes(b"a").bytes(b"bc").finish(),
            start().bytes(b"abc").finish(),
            start().bytes(b"abc\0").finish(),
            start().number(0x0063_6261).finish(),
            start().number(4).finish(),
            start().number(5).finish(),
            address("0.0.0.0", 32, 64),
            address("::", 32, 64),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{index}");
        }
    }

    #[test]
    fn another_seed_makes_other_keys() {
        let key = |seed| Keyer::new(seed).start().bytes(b"x").finish();
        assert_ne!(key(1), key(2));
        assert_ne!(key(1), key(1 << 64));
    }

    #[test]
    fn small_seeds_are_as_good_as_any() {
        for seed in 0..300 {
            let keyer = Keyer::new(seed);
            let network = |number: u128| {
                let address = Ipv6Addr::from_bits(number << 64).into();
                keyer.start().address(address, Prefixes::default()).finish()
            };
            assert_ne!(network(1), network(2));
            let number = |number| keyer.start().number(number).finish();
            assert_ne!(number(1), number(2));
            let bytes = |bytes: &[u8]| keyer.start().bytes(bytes).finish();
            assert_ne!(bytes(b"a"), bytes(b"b"));
        }
    }

    #[test]
    fn the_seed_is_not_printed() {
        assert_eq!(format!("{:?}", Keyer::new(77)), "Keyer(secret)");
    }

    #[test]
    fn shared_keys_never_change() {
        let name = KEYER.start_shared().bytes(b"login").number(7);
        let name = name.address([192, 0, 2, 1].into(), Prefixes::default());
        assert_eq!(name.finish(), 0x0a968475_0010daea_ed91fd69_04e12b47);
    }

    #[test]
    fn no_two_lists_of_parts_have_one_name() {
        let start = || KEYER.start_shared();
        let names = [
            start().bytes(b"ab").bytes(b"c").finish(),
            start().bytes(b"a").bytes(b"bc").finish(),
            start().bytes(b"abc").finish(),
            start().bytes(b"abc\0").finish(),
            start().number(0x0063_6261).finish(),
        ];
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{index}");
        }
    }
}
