"""The operator's command as somebody runs it: anywhere, with any environment, on a terminal."""

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios

from conftest import BIN, PATIENCE, wait_for

# A full table of a terminal has this width.
COLUMNS = 80


def command(*arguments, cwd=None, prefix=(), program=BIN / "flowspool", **variables):
    """Runs flowspool; no variable of ours reaches it but those that are given."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FLOWSPOOL_") and k != "NO_COLOR"}
    environment.update(variables)
    return subprocess.run([*prefix, str(program), *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE,
                          env=environment, cwd=cwd, stdin=subprocess.DEVNULL)


def on_terminal(*arguments, columns=COLUMNS, **variables):
    """What a terminal gets to see."""
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    environment.update({"TERM": "xterm", **variables})
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([str(BIN / "flowspool"), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=theirs,
                               stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # the end of a terminal is an error
        while data := os.read(ours, 65536):
            seen += data
    os.close(ours)
    assert process.wait(PATIENCE) == 0, seen
    return seen.decode(errors="replace")


def status(spool):
    done = command("--spool", spool.path, "status", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def jobs(spool, *arguments):
    """The list, by job."""
    done = command("--spool", spool.path, "list", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return {j["job"]: j for j in map(json.loads, done.stdout.splitlines())}


@contextlib.contextmanager
def frozen(daemon):
    """A daemon that hangs: its sockets accept, nobody answers."""
    daemon.send(signal.SIGSTOP)
    wait_for(lambda: open(f"/proc/{daemon.process.pid}/stat").read().rpartition(")")[2].split()[0] == "T", "the daemon to stop")
    try:
        yield
    finally:
        daemon.send(signal.SIGCONT)


def narrow(text):
    """No line is wider than a terminal."""
    return all(len(line) <= COLUMNS for line in text.splitlines())
