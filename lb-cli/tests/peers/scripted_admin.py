"""An admin API that plays what a real server reaches only in bad times, or refuses to be configured as.

It shows the document of a real server, with the fields it came with. Every state of a backend is there, one that nobody
knows yet, names that would be markup if they were read as such, and errors of all kinds.
"""

import json
import math
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

MARKUP = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
TOKEN = "right"


def backend(name, state="ready", **others):
    now = time.time()
    told = {
        "id": name, "url": name if ":" in name else "http://10.0.2.1:8080", "state": state, "since": now - 4000, "why": None,
        "last_check": "200 in 1.2 ms", "last_check_at": now - 4, "weight": 1, "percent": 100, "backup": False, "in_flight": 3,
        "max_connections": None, "requests": 120_000, "errors": 12, "rate": 60.0, "error_rate": 0, "retries": 4,
        "p50_ms": 3.1, "p99_ms": 41.5, "ejections": 0, "breaker": None,
    }  # fmt: skip
    return told | others


def pool(name, algorithm, backends, **others):
    told = {
        "name": name, "algorithm": algorithm, "in_flight": 14, "max_connections": None, "queue": 0, "queue_max": 1024,
        "eligible": sum(one["state"] in ("ready", "slow_start", "full") for one in backends), "panic_since": None,
        "breaker": {"is_on": False, "open": 0, "half_open": 0}, "retries": 210,
        "retry_budget": {"is_on": True, "after_answer": 31, "after_failure": 40}, "backends": backends,
    }  # fmt: skip
    return told | others


def pools():
    now = time.time()
    idle = {"rate": 0, "in_flight": 0}
    api = [
        backend("api-1", weight=3, max_connections=100, in_flight=9, breaker="closed"),
        backend("api-2", "slow_start", percent=35, max_connections=100, since=now - 12, breaker="closed"),
        backend("api-3", "unhealthy", why="3 probes in a row failed", last_check="connection refused", errors=423,
                error_rate=2.5, since=now - 130, breaker="closed", **idle),
        backend("api-4", "full", in_flight=100, max_connections=100, breaker="closed"),
        backend("api-5", "circuit_open", why="60 % of 50 requests failed", breaker="open", **idle),
        backend("h2c://10.0.2.9:8080", backup=True, requests=0, p50_ms=0, p99_ms=0, errors=0, breaker="closed", **idle),
    ]  # fmt: skip
    web = [
        backend("http://10.0.1.1:3000", "draining", why="by 127.0.0.1:40312", **idle),
        backend("http://10.0.1.2:3000", "maintenance", last_check=None, last_check_at=None, **idle),
        backend("http://10.0.1.3:3000", "ejected", ejections=3, why="5 errors in a row"),
        backend("http://a-name-that-does-not-end-soon.internal.example.com:3000", "quarantined"),
    ]
    strange = [backend(MARKUP, "unhealthy", why=MARKUP, last_check=MARKUP, breaker="half_open")]
    return [
        pool("api", "least-connections", api, max_connections=400, breaker={"is_on": True, "open": 1, "half_open": 1}),
        pool("web", "round-robin", web, queue=3, panic_since=now - 50,
             retry_budget={"is_on": True, "after_answer": 0, "after_failure": 0}),
        pool(MARKUP, "ip-hash", strange, queue_max=0, retry_budget={"is_on": False, "after_answer": 0, "after_failure": 0}),
        pool("empty", "round-robin", []),
    ]  # fmt: skip


def route(name, target, **others):
    told = {"name": name, "hosts": [], "path": None, "methods": [], "headers": {}, "rate_limits": [], "cache": None}
    return told | {"target": target} | others


ROUTES = [
    route("users", {"kind": "pool", "pool": "api"}, hosts=["example.com", "*.example.com"], path="/api/*", methods=["GET", "HEAD"],
          rate_limits=["per-client"], cache="default"),
    route("debug", {"kind": "pool", "pool": "web"}, path="/api/*", headers={"x-debug": None, "x-team": "blue"}),
    route("old", {"kind": "redirect", "to": "https://example.com/new", "status": 308}, path="/old"),
    route("teapot", {"kind": "respond", "status": 418}, path="/teapot"),
    route("program", {"kind": "handler", "pool": MARKUP}),
    route(MARKUP, {"kind": "later", "what": MARKUP}),
]  # fmt: skip

DRIFT = [
    {"pool": "web", "backend": "http://10.0.1.1:3000", "what": "state", "configured": "ready", "in_force": "drain", "since": 0},
    {"pool": "api", "backend": MARKUP, "what": "added", "configured": None, "in_force": MARKUP, "since": None},
]

EXPLAINED = {
    "method": "GET", "host": "example.com", "path": "/api/users", "client": "192.0.2.1", "refused": None, "route": "debug",
    "considered": [{"name": "users", "matches": False, "why": ["the host is none of its hosts"]},
                   {"name": MARKUP, "matches": True, "why": []}],
    "target": {"kind": "pool", "pool": "api"},
    "rate_limits": [{"name": "per-client", "admits": True, "enforces": True, "remaining": 42, "retry_after_seconds": None},
                    {"name": "global", "admits": False, "enforces": False, "remaining": 0, "retry_after_seconds": 2.4}],
    "cache": {"name": "default", "result": "bypass", "key": None, "why": "the request has Authorization"},
    "affinity": {"cookie": "lb_route", "backend": None, "strict": False},
    "pool": {"name": "api", "algorithm": "least-connections", "verdict": "picked", "backend": "api-1",
             "rule": "fewest in flight for its weight", "draw": "", "key": None,
             "candidates": [{"id": "api-1", "weight": 3, "percent": 100, "backup": False, "in_flight": 9, "score": 3.0,
                             "excluded": None, "since": None, "why": None},
                            {"id": "api-3", "weight": 1, "percent": 100, "backup": False, "in_flight": 0, "score": None,
                             "excluded": "unhealthy", "since": 0, "why": MARKUP}]},
}  # fmt: skip


class Scripted:
    """What is played, and what was asked for. `every` is the time between two statuses."""

    def __init__(self, document, fields, every=1.0):
        self.document, self.fields, self.every = document, fields, every
        self.token, self.refuses, self.is_down = None, False, False
        self.asked, self.tokens = [], []
        # The ages of statuses that a page is told first, so that there is something to draw, with a hole in it.
        self.past = []
        self.pools = pools()
        self.started = time.time() - 93_000
        self.ticks, self.requests, self.classes = 0, 1_200_000, {"1xx": 0, "2xx": 1_100_000, "3xx": 40_000, "4xx": 59_500, "5xx": 500}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            script = self

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                self.script.get(self)

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                if self.script.may(self):
                    self.script.answer(self, 200, json.dumps(EXPLAINED).encode())

            def do_PATCH(self):
                self.script.patch(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def status(self, now, seconds):
        """Everything at one moment, when so much time has passed since the one before."""
        self.ticks += 1
        rate = 180 + 60 * math.sin(self.ticks / 15)
        for kind, share in {"2xx": 0.9, "3xx": 0.04, "4xx": 0.05, "5xx": 0.05 if self.ticks % 40 > 34 else 0}.items():
            self.classes[kind] += int(rate * share * seconds)
        self.requests += int(rate * seconds)
        for one in (one for each in self.pools for one in each["backends"]):
            one["requests"] += int(one["rate"] * seconds * (1 + 0.3 * math.sin(self.ticks)))
        slow = 60 if self.ticks % 53 == 7 else 0
        latency = {"count": 200, "mean_ms": 4, "p50_ms": 3.1 + math.sin(self.ticks) / 5, "p90_ms": 9.2 + math.sin(self.ticks / 3),
                   "p99_ms": 44 + 8 * math.sin(self.ticks / 2) + slow, "p999_ms": 90, "max_ms": 140}  # fmt: skip
        return {
            "version": "0.1.0", "now": now, "started": self.started, "uptime_seconds": now - self.started, "state": "serving",
            "config": {"path": "/etc/lb/lb.toml", "etag": '"8c1f"', "revision": 3, "drift": 2,
                       "last_reload": {"at": now - 3600, "ok": False, "details": "the file has an unknown key"}},
            "totals": {"requests": self.requests, "errors": self.classes["5xx"], "in_flight": 19, "rate_1s": rate, "rate_10s": rate,
                       "error_rate_10s": rate / 100, "classes": dict(self.classes),
                       "latency": {"last_1s": latency, "last_10s": latency, "since_start": latency},
                       "reasons": {"no_route": 120, "retries_exhausted": 3, "rate_limited": 4421}},
            "connections": {"active": 412, "max": 20_000}, "memory": {"held_bytes": 8_300_000, "limit_bytes": 1 << 30},
            "pools": self.pools,
            "caches": [{"name": "default", "hits": 812_345, "stale": 12, "validated": 302, "collapsed": 88, "misses": 60_233,
                        "bypassed": 2_211, "hit_ratio": 0.931, "stored": 60_100, "purged": 3, "evicted": 40_221,
                        "entries": 19_877, "bytes": 240_000_000, "max_bytes": 268_435_456}],
            "rate_limits": [{"name": "per-client", "admitted": 1_190_000, "refused": 4_421, "observed": 0, "store_errors": 31,
                             "keys": 8_210, "max_keys": 1_000_000}],
            "sessions": {"store": "memory", "active": 1_204, "logged_in": 811, "stored": 22_001, "expired": 18_000, "ended": 2_797,
                         "evicted": 0, "refused": 0},
            "store": {"is_up": False, "answered": 99_221, "errors": {"timeout": 31}},
            "certificates": [{"name": "public", "names": ["example.com", "*.example.com"], "not_after": now + 9 * 86_400,
                              "days_left": 9, "is_self_signed": False},
                             {"name": "old", "names": [MARKUP], "not_after": now - 86_400, "days_left": -1, "is_self_signed": False}],
            "listeners": [{"name": "public", "address": "0.0.0.0:8443", "is_tls": True, "protocols": ["h2", "http/1.1"]}],
        }  # fmt: skip

    def event(self, now, seconds):
        return b"event: status\ndata: " + json.dumps(self.status(now, seconds)).encode() + b"\n\n"

    def answer(self, handler, status, body, fields=()):
        handler.send_response(status)
        for name, value in fields:
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def problem(self, handler, status, title, detail, way_out):
        body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "help": way_out}
        self.answer(handler, status, json.dumps(body).encode(), [("content-type", "application/problem+json")])

    def may(self, handler):
        self.tokens.append(handler.headers.get("authorization"))
        if self.token is None or self.tokens[-1] == f"Bearer {self.token}":
            return True
        self.problem(handler, 401, "Unauthorized", "a token is needed", "send it")
        return False

    def get(self, handler):
        if self.is_down:
            handler.close_connection = True
        elif handler.path == "/":
            self.answer(handler, 200, self.document, self.fields)
        elif handler.path == "/api/v1/events" and self.may(handler):
            self.events(handler)
        elif handler.path == "/api/v1/routes" and self.may(handler):
            self.answer(handler, 200, json.dumps(ROUTES).encode(), [("content-type", "application/json")])
        elif handler.path == "/api/v1/config/drift" and self.may(handler):
            self.answer(handler, 200, json.dumps(DRIFT).encode(), [("content-type", "application/json")])
        elif not handler.path.startswith("/api/"):
            self.answer(handler, 404, b"")

    def events(self, handler):
        handler.close_connection = True
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        change = {"at": time.time(), "kind": "health", "pool": "api", "backend": MARKUP, "event": "unhealthy", "details": MARKUP, "caller": None}
        wait = threading.Event()
        try:
            handler.wfile.write(b": hello\n\nevent: change\ndata: " + json.dumps(change).encode() + b"\n\n")
            ages, self.past = self.past, []
            for age in ages:
                handler.wfile.write(self.event(time.time() - age, 1.0))
            while not self.is_down:
                handler.wfile.write(self.event(time.time(), self.every))
                handler.wfile.flush()
                wait.wait(self.every)
        except OSError:
            pass

    def patch(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        if not self.may(handler):
            return
        pool, name = map(unquote, re.fullmatch(r"/api/v1/pools/([^/]+)/backends/([^/]+)", handler.path).groups())
        self.asked.append([pool, name, body])
        if self.refuses:
            self.problem(handler, 409, "Conflict", f"`{name}` is being removed", "wait until it is gone")
            return
        for each in self.pools:
            for one in each["backends"]:
                if (each["name"], one["id"]) == (pool, name):
                    words = {"ready": "ready", "drain": "draining", "maintain": "maintenance"}
                    one |= {"state": words[body["state"]], "since": time.time()} if "state" in body else body
        self.answer(handler, 204, b"")
