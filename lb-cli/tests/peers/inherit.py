"""Opens sockets as a service manager does, and becomes the program that inherits them.

Arguments: a template of a configuration, where its copy goes, a path for a unix socket, then the program. `{tcp}`,
`{unused}` and `{unix}` in the template are the addresses of the sockets.
"""

import os, socket, sys

template, config, path = sys.argv[1:4]
tcp, unused = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
unix = socket.socket(socket.AF_UNIX)
unix.bind(path)
os.chmod(path, 0o600)
unix.listen()
pipe = os.pipe()[0]

address = lambda s: "127.0.0.1:%d" % s.getsockname()[1]
with open(template) as text, open(config, "w") as copy:
    words = {"tcp": address(tcp), "unused": address(unused), "unix": "unix:" + path}
    text = text.read()
    for name, word in words.items():
        text = text.replace("{%s}" % name, word)
    copy.write(text)
print("unused", address(unused), flush=True)

# Away from where the others are to be, and not closed by exec.
kept = [os.dup(fd) for fd in (tcp.fileno(), unix.fileno(), unused.fileno(), pipe)]
kept = [os.dup2(fd, 40 + index) for index, fd in enumerate(kept)]
for index, fd in enumerate(kept):
    os.dup2(fd, 3 + index, inheritable=True)
os.environ["LISTEN_FDS"] = str(len(kept))
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[4], sys.argv[4:])
