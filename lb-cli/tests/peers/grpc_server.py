"""A gRPC server without generated code: messages are bytes. Prints `listening PORT`."""

from concurrent import futures

import grpc


def unary(request, context):
    context.set_trailing_metadata((("x-trailing", "unary"),))
    return request[::-1]


def collect(requests, _):
    return b",".join(requests)


def repeat(request, _):
    for number in range(100):
        yield request + str(number).encode()


def chat(requests, _):
    for request in requests:
        yield b"re: " + request


def fail(_, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today: 100 % sure")


handlers = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "Repeat": grpc.unary_stream_rpc_method_handler(repeat),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
}
server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Peer", handlers),))
print(f"listening {server.add_insecure_port('127.0.0.1:0')}", flush=True)
server.start()
server.wait_for_termination()
