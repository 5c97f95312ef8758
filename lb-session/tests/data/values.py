"""Prints the known answers of the unit tests, by Python's own hashlib and hmac."""

import base64
import hashlib
import hmac


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


secret = b"a" * 32
print("handle  ", text(hashlib.sha256(b"lb-session handle 1\0" + bytes(16)).digest()[:16]))
pool, backend = b"web", b"http://10.0.0.1:8080"
key = mac(secret, b"lb-session affinity 1")
print("affinity", text(mac(key, len(pool).to_bytes(8, "little") + pool + backend)[:18]))
identifier, name = bytes([7] * 16), b"s"
key = mac(secret, b"lb-session id 1")
print("cookie  ", text(identifier + mac(key, identifier + name)[:16]))
