//! The one stable hash of keys, addresses and backend identities.
//!
//! Placement must be the same in every instance, on every platform and in every version, so the hash has a fixed key
//! and published test vectors: it is XXH3 with 64 bits. Every input bit reaches every output bit, which FNV-1a for
//! instance does not do: with it five servers whose names differ in one digit get shares from 0.6 to 1.25 of fair.

use std::net::IpAddr;

use twox_hash::XxHash3_64;

/// Hashes the bytes of a key (a path, a header's value, a cookie) for [`PickHint::key`](crate::PickHint::key).
///
/// # Examples
/// ```
/// assert_eq!(lb_core::hash::key(b""), 0x2d06_8005_38d3_94c2);
/// assert_ne!(lb_core::hash::key(b"/a"), lb_core::hash::key(b"/b"));
/// ```
///
/// # Complexity
/// About 2 ns for 16 bytes; no allocation.
///
/// # References
/// XXH3 (64 bits, seed 0) of the xxHash specification; the vectors in `tests/data` come from its reference library.
#[inline]
pub fn key(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

/// Hashes a client's address, shortened to a prefix, for [`PickHint::key`](crate::PickHint::key).
///
/// Clients that share the prefix share the key. 32 bits of an IPv4 address and 64 bits of an IPv6 address tell one
/// customer from another: a household owns a whole /64, while a /24 of IPv4 mixes 256 of them. A prefix that is longer
/// than the address counts as the whole address; 0 gives every client the same key. An IPv4 address mapped into IPv6
/// (`::ffff:192.0.2.1`) counts as IPv4.
///
/// # Examples
/// ```
/// use lb_core::hash::client_address;
///
/// let (a, b) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
/// assert_eq!(client_address(a, 32, 64), client_address(b, 32, 64));
/// assert_ne!(client_address(a, 32, 128), client_address(b, 32, 128));
/// ```
pub fn client_address(address: IpAddr, v4_prefix: u8, v6_prefix: u8) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let dropped = 32 - u32::from(v4_prefix.min(32));
            let mask = u32::MAX.checked_shl(dropped).unwrap_or(0);
            key(&(address.to_bits() & mask).to_be_bytes())
        }
        IpAddr::V6(address) => {
            let dropped = 128 - u32::from(v6_prefix.min(128));
            let mask = u128::MAX.checked_shl(dropped).unwrap_or(0);
            key(&(address.to_bits() & mask).to_be_bytes())
        }
    }
}

/// Hashes a backend's identity; `seed` tells independent uses apart.
pub(crate) fn identity(id: &str, seed: u64) -> u64 {
    XxHash3_64::oneshot_with_seed(seed, id.as_bytes())
}

/// The step of [`mix`]'s sequence: 2^64 divided by the golden ratio, odd.
pub(crate) const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads each bit of `value` over all 64 (the finaliser of `SplitMix64`).
#[inline]
pub(crate) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Spreads each bit of `value` over the high bits with one multiplication, which is all that a hashed key needs and
/// enough for numbers that count up in any step: both halves of the product are folded into one.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "takes the two halves of the product"
)]
pub(crate) const fn fold(value: u64) -> u64 {
    let product = (value ^ 0xa076_1d64_78bd_642f) as u128 * 0xe703_7ed1_a0b4_28db;
    (product >> 64) as u64 ^ product as u64
}

/// Maps a well-mixed value to `0..bound` without a division: the high half of the product.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the high half of the product is below `bound`, which is a usize"
)]
pub(crate) const fn reduce(value: u64, bound: usize) -> usize {
    ((value as u128 * bound as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_counts_up_to_its_prefix() {
        let hash = |text, v4, v6| client_address(address(text), v4, v6);
        assert_eq!(hash("192.0.2.1", 24, 64), hash("192.0.2.200", 24, 64));
        assert_ne!(hash("192.0.2.1", 24, 64), hash("192.0.3.1", 24, 64));
        assert_eq!(
            hash("2001:db8:0:1::1", 32, 56),
            hash("2001:db8:0:ff::1", 32, 56)
        );
        assert_ne!(
            hash("2001:db8:0:1::1", 32, 64),
            hash("2001:db8:0:2::1", 32, 64)
        );
    }

    #[test]
    fn extreme_prefixes_are_the_whole_address_or_nothing() {
        let hash = |text, v4, v6| client_address(address(text), v4, v6);
        assert_eq!(hash("192.0.2.1", 0, 0), hash("8.8.8.8", 0, 0));
        assert_eq!(hash("::1", 0, 0), hash("2001:db8::", 0, 0));
        assert_eq!(hash("192.0.2.1", 255, 255), hash("192.0.2.1", 32, 128));
        assert_ne!(hash("::1", 255, 255), hash("::2", 255, 255));
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        assert_eq!(
            client_address(address("::ffff:192.0.2.1"), 32, 64),
            client_address(address("192.0.2.1"), 32, 64)
        );
    }

    /// Flipping any one input bit flips about half of the output bits, each of them sometimes.
    #[test]
    fn every_input_bit_reaches_every_output_bit() {
        for length in [1_usize, 4, 8, 16, 21, 40] {
            let mut flipped_or = 0_u64;
            let (mut flips, mut trials) = (0_u32, 0_u32);
            for base in 0..64_u8 {
                let mut bytes: Vec<u8> = (base..).take(length).collect();
                let before = key(&bytes);
                for bit in 0..length * 8 {
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    let difference = before ^ key(&bytes);
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    flipped_or |= difference;
                    flips += difference.count_ones();
                    trials += 1;
                }
            }
            let mean = f64::from(flips) / f64::from(trials);
            assert_eq!(flipped_or, u64::MAX);
            assert!(
                (31.0..33.0).contains(&mean),
                "{length} bytes flip {mean} of 64 bits on average"
            );
        }
    }
}
