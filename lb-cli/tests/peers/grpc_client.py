"""A gRPC client: `grpc_client.py HOST:PORT CA` (`-` for cleartext). Prints what it saw as JSON."""

import json
import queue
import sys

import grpc

target, ca = sys.argv[1:3]
if ca == "-":
    channel = grpc.insecure_channel(target)
else:
    with open(ca, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    channel = grpc.secure_channel(target, credentials)

seen = {}
reply, call = channel.unary_unary("/test.Peer/Unary").with_call(b"abc", timeout=20)
seen["unary"] = reply.decode()
seen["trailing"] = dict(call.trailing_metadata()).get("x-trailing")
parts = (str(number).encode() for number in range(50))
seen["collect"] = channel.stream_unary("/test.Peer/Collect")(parts, timeout=20).decode()
seen["repeat"] = sum(1 for _ in channel.unary_stream("/test.Peer/Repeat")(b"n", timeout=20))

# Ping-pong: the next message goes out only when the answer to the last one has come, so that
# anything that waits for the end of either side stands still.
outgoing = queue.Queue()
answers = channel.stream_stream("/test.Peer/Chat")(iter(outgoing.get, None), timeout=20)
seen["chat"] = []
for number in range(20):
    outgoing.put(str(number).encode())
    seen["chat"].append(next(answers).decode())
outgoing.put(None)
seen["chat_ended"] = next(answers, None) is None

try:
    channel.unary_unary("/test.Peer/Fail")(b"", timeout=20)
except grpc.RpcError as error:
    seen["fail"] = [error.code().name, error.details()]
print(json.dumps(seen))
