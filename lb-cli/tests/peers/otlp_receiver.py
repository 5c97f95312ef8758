"""A collector of OpenTelemetry: `otlp_receiver.py [STATUS…]`. Prints `listening PORT`, then `span JSON` for each span.

It answers the first requests with the given statuses, without taking their spans, and all others with 200.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

REFUSALS = [int(status) for status in sys.argv[1:]]


def attributes(pairs):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.path == "/v1/traces", self.path
        assert self.headers["content-type"] == "application/x-protobuf"
        if REFUSALS:
            return self.answer(REFUSALS.pop(0), b"")
        request = ExportTraceServiceRequest.FromString(body)
        # Whatever was not understood would be lost here, and the sizes would differ.
        assert len(request.SerializeToString()) == len(body), "unknown or odd fields"
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    told = {
                        "service": attributes(resource.resource.attributes),
                        "scope": scope.scope.name,
                        "key": self.headers.get("x-key"),
                        "name": span.name,
                        "kind": Span.SpanKind.Name(span.kind),
                        "trace": span.trace_id.hex(),
                        "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "start": span.start_time_unix_nano,
                        "end": span.end_time_unix_nano,
                        "flags": span.flags,
                        "status": Status.StatusCode.Name(span.status.code),
                        "attributes": attributes(span.attributes),
                    }
                    print("span", json.dumps(told), flush=True)
        self.answer(200, ExportTraceServiceResponse().SerializeToString())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("listening", server.server_port, flush=True)
server.serve_forever()
