"""Holds the admin API to its own description: the description to OpenAPI, each answer to its schema."""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request

from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

BASE, PARAMETERS = sys.argv[1], json.loads(sys.argv[2])
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(method, path, body=None, fields=None):
    request = urllib.request.Request(BASE + path, method=method, headers=fields or {})
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("content-type", "application/json")
    try:
        reply = OPENER.open(request, timeout=50)
    except urllib.error.HTTPError as error:
        reply = error
    return reply


def check(description, schema, value, what):
    whole = {**schema, "components": description["components"]}
    errors = list(Draft202012Validator(whole).iter_errors(value))
    if errors:
        sys.exit(f"{what}: {errors[0].message} at {list(errors[0].absolute_path)}")


def check_reply(description, operation, reply, what):
    status = str(reply.status if hasattr(reply, "status") else reply.code)
    said = operation["responses"].get(status)
    if said is None:
        sys.exit(f"{what}: {status} is not described: {reply.read()[:500]}")
    kind = (reply.headers.get("content-type") or "").split(";")[0]
    content = said.get("content", {})
    if kind not in content and content and operation["operationId"] != "Page":
        sys.exit(f"{what}: {kind} is not described for {status}")
    if kind.endswith("json"):
        check(description, content[kind]["schema"], json.load(reply), what)
    return int(status)


def stands_for(template, path):
    pairs = list(zip(template.split("/"), path.split("/"), strict=False))
    same = template.count("/") == path.count("/")
    return same and all(one == other or one.startswith("{") for one, other in pairs)


description = json.load(ask("GET", "/api/v1/openapi.json"))
validate(description)

seen = {}
for path, operations in description["paths"].items():
    real = path
    for name, value in PARAMETERS["path"].items():
        real = real.replace("{" + name + "}", urllib.parse.quote(value, safe=""))
    for method, operation in operations.items():
        what = f"{method.upper()} {path}"
        if path == "/api/v1/events":
            reply = ask("GET", real)
            event = {}
            for line in reply:
                text = line.decode().rstrip("\n")
                if text.startswith("data: "):
                    event["data"] = json.loads(text[6:])
                    break
            schema = {"$ref": "#/components/schemas/Status"}
            check(description, schema, event["data"], what)
            seen[what] = 200
            continue
        if path == "/api/v1/drain":
            continue
        wanted = PARAMETERS["body"].get(what)
        fields = {}
        if "If-Match" in [parameter["name"] for parameter in operation.get("parameters", [])]:
            fields["If-Match"] = ask("GET", "/api/v1/config").headers["etag"]
        if method != "get" and wanted is not None:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            check(description, schema, wanted, what + ", the request")
        reply = ask(method.upper(), real, wanted, fields)
        seen[what] = check_reply(description, operation, reply, what)

# What is refused is described as well.
for method, path, body in PARAMETERS["wrong"]:
    template = next(it for it in description["paths"] if stands_for(it, path))
    operation = description["paths"][template][method.lower()]
    status = check_reply(description, operation, ask(method, path, body), f"{method} {path}")
    if status < 400:
        sys.exit(f"{method} {path} was not refused")

seen["POST /api/v1/drain"] = check_reply(
    description,
    description["paths"]["/api/v1/drain"]["post"],
    ask("POST", "/api/v1/drain"),
    "POST /api/v1/drain",
)
print(json.dumps(seen))
