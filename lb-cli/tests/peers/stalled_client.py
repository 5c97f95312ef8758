"""Streams that are opened and never read: `stalled_client.py HOST PORT COUNT PATH`.

Speaks cleartext HTTP/2. Never grants a stream more than its initial window. Prints `stalled BYTES`
when COUNT windows are full or nothing more comes, then holds the connection until its input ends.
"""

import socket
import sys

import h2.config
import h2.connection
import h2.events
import h2.settings

host, port, count, path = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
connection.initiate_connection()
# The window of the connection is wide: only the streams stand still.
connection.increment_flow_control_window(64 * 1024 * 1024)
peer = socket.create_connection((host, port), timeout=2)
peer.sendall(connection.data_to_send())
waiting, opened, received = count, 0, 0


def open_streams():
    """Opens what the peer allows; without the SETTINGS of the peer that is not known yet."""
    global opened
    while opened < count and opened < connection.remote_settings.max_concurrent_streams:
        stream = connection.get_next_available_stream_id()
        head = [(":method", "GET"), (":scheme", "http"), (":authority", f"{host}:{port}"), (":path", path)]
        connection.send_headers(stream, head, end_stream=True)
        opened += 1


while received < count * 65535:
    try:
        data = peer.recv(65536)
    except TimeoutError:
        break
    if not data:
        sys.exit("the peer closed the connection")
    for event in connection.receive_data(data):
        if isinstance(event, h2.events.RemoteSettingsChanged):
            open_streams()
        if isinstance(event, h2.events.DataReceived):
            received += event.flow_controlled_length
        if isinstance(event, h2.events.StreamReset):
            sys.exit(f"stream {event.stream_id} was reset: {event.error_code}")
    peer.sendall(connection.data_to_send())
print(f"stalled {opened} {received}", flush=True)
sys.stdin.read()
