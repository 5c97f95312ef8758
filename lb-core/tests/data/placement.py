"""Writes hash.tsv, addresses.tsv and placement.tsv; see README.md. Needs the package `xxhash`."""

import ipaddress
import pathlib

import xxhash

HERE = pathlib.Path(__file__).parent
MASK = 2**64 - 1
SIZES = [(160, 65_537), (2_621, 262_139), (10_485, 1_048_573), (41_943, 4_194_301), (65_535, 16_777_213)]


def fold(value):
    product = (value ^ 0xA0761D6478BD642F) * 0xE7037ED1A0B428DB
    return product >> 64 ^ product & MASK


def quotas(weights, size):
    total = sum(weights)
    given = [max(1, weight * size // total) for weight in weights]
    remainders = [weight * size % total if weight * size >= total else 0 for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: -remainders[place])
    while sum(given) < size:
        for place in by_remainder[: size - sum(given)]:
            given[place] += 1
    by_quota = sorted(range(len(weights)), key=lambda place: -given[place])
    while sum(given) > size:
        for place in by_quota:
            if given[place] > 1 and sum(given) > size:
                given[place] -= 1
    return given


def table(backends):
    """The owner of each cell, by name."""
    backends = sorted(backends, key=lambda backend: backend[0].encode())
    size = next(size for most, size in SIZES if len(backends) <= most)
    given = quotas([weight for _, weight in backends], size)
    rounds = max(given)
    turns = sorted(
        ((2 * turn + 1) * rounds // (2 * quota), place) for place, quota in enumerate(given) for turn in range(quota)
    )
    at = [xxhash.xxh3_64_intdigest(name.encode(), 0) % size for name, _ in backends]
    step = [xxhash.xxh3_64_intdigest(name.encode(), 1) % (size - 1) + 1 for name, _ in backends]
    cells = [None] * size
    for _, place in turns:
        while cells[at[place]] is not None:
            at[place] = (at[place] + step[place]) % size
        cells[at[place]] = backends[place][0]
    return cells


def owner(cells, key, seed):
    return cells[fold(key ^ seed) * len(cells) >> 64]


def write(name, rows):
    HERE.joinpath(name).write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))


def address_rows():
    prefixes = [(32, 64), (24, 56), (0, 0), (17, 127)]
    for text in ["192.0.2.1", "198.51.100.255", "::ffff:192.0.2.1", "2001:db8:1:2:3:4:5:6", "::1"]:
        for v4, v6 in prefixes:
            address = ipaddress.ip_address(text)
            address = getattr(address, "ipv4_mapped", None) or address
            prefix = v4 if address.version == 4 else v6
            network = ipaddress.ip_network((address, prefix), strict=False).network_address
            yield text, v4, v6, f"{xxhash.xxh3_64_intdigest(network.packed):016x}"


def placement_rows():
    pools = {
        "even": [(f"http://192.168.1.{host}:80/", 1) for host in range(11, 16)],
        "weighted": [("a", 5), ("b", 1), ("c", 1), ("d", 65_535)],
        "hundred": [(f"10.0.0.{host}:8080", host % 7 + 1) for host in range(100)],
        "large": [(f"backend-{host}", 1) for host in range(700)],
    }
    for pool, backends in pools.items():
        cells = table(backends)
        for seed in [0, 0xDEADBEEF]:
            for number in range(40):
                key = xxhash.xxh3_64_intdigest(f"/item/{number}".encode())
                yield pool, seed, f"{key:016x}", owner(cells, key, seed)


if __name__ == "__main__":
    inputs = ["", "a", "/", "/index.html", "user=42", "http://192.168.1.11:80/", "x" * 129, "é" * 130, "0123456789" * 100]
    write("hash.tsv", ((text, f"{xxhash.xxh3_64_intdigest(text.encode()):016x}") for text in inputs))
    write("addresses.tsv", address_rows())
    write("placement.tsv", placement_rows())
