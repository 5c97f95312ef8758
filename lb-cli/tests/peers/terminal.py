"""Runs a program in a pseudo-terminal of 80 by 24, types, and tells what was on the screen.

Lines of standard input are commands: `wait TEXT`, `type TEXT` (with Python's escapes), `kill SIGNAL`, `end`.
After `end` the exit code, whether the terminal is as it was, and the last bytes are printed as JSON.
"""

import fcntl, json, os, pty, re, select, signal, struct, sys, termios, time

PATIENCE = 60

pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
os.kill(pid, signal.SIGWINCH)
before = termios.tcgetattr(terminal)
seen = b""


def read(seconds):
    global seen
    if select.select([terminal], [], [], seconds)[0]:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:
            return False
        seen += chunk
        return bool(chunk)
    return True


def screen():
    """The last picture, without what places and colours it."""
    picture = seen.decode("utf-8", "replace").split("\x1b[H")[-1]
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", picture)


for line in sys.stdin:
    command, _, text = line.rstrip("\n").partition(" ")
    if command == "wait":
        deadline = time.monotonic() + PATIENCE
        while text not in screen():
            if time.monotonic() > deadline or not read(0.1):
                sys.exit(f"never saw {text!r}:\n{screen()}")
        lines = screen().split("\r\n")
        print(json.dumps({"lines": lines}), flush=True)
    elif command == "type":
        os.write(terminal, text.encode().decode("unicode_escape").encode())
    elif command == "kill":
        os.kill(pid, getattr(signal, text))
    elif command == "end":
        deadline = time.monotonic() + PATIENCE
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                break
            if time.monotonic() > deadline:
                sys.exit("it does not end")
            read(0.05)
        while select.select([terminal], [], [], 0)[0] and read(0):
            pass
        try:
            is_restored = termios.tcgetattr(terminal)[:4] == before[:4]
        except termios.error:
            is_restored = None
        tail = seen.decode("utf-8", "replace")
        print(
            json.dumps(
                {
                    "code": os.waitstatus_to_exitcode(status),
                    "is_restored": is_restored,
                    "entered": tail.count("\x1b[?1049h"),
                    "left": tail.count("\x1b[?1049l"),
                    "cursor_is_shown": tail.rfind("\x1b[?25h") > tail.rfind("\x1b[?25l"),
                }
            ),
            flush=True,
        )
        break
