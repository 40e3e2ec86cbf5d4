"""The operator's command as somebody runs it: anywhere, with any environment, on a terminal."""

import contextlib
import fcntl
import json
import os
import pty
import re
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


class Terminal:
    """flowspool on a terminal that stays: what it shows so far, signals, another size."""

    def __init__(self, *arguments, columns=COLUMNS, rows=24, **variables):
        environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        environment.update({"TERM": "xterm", **variables})
        self.ours, theirs = pty.openpty()
        self.theirs = theirs
        self.resize(columns, rows)
        self.process = subprocess.Popen([str(BIN / "flowspool"), *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs,
                                        env=environment, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.set_blocking(self.ours, False)
        self.seen = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)

    def resize(self, columns, rows):
        """The foreground process group gets SIGWINCH."""
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.ours, 65536):
                self.seen += data.decode(errors="replace")
        return self.seen

    def frames(self):
        """What was drawn, each time from the top, in lines without what steers the terminal."""
        drawn = self.read().split("\x1b[?1049l")[0].split("\x1b[H")[1:]
        return [plain(frame).splitlines() for frame in drawn]

    def echoes(self):
        return bool(termios.tcgetattr(self.theirs)[3] & termios.ECHO)

    def end(self, sig):
        """The exit status, and what is left on the screen where it was started."""
        self.process.send_signal(sig)
        status = self.process.wait(PATIENCE)
        return status, plain(self.read().rpartition("\x1b[?1049l")[2])


def plain(text):
    """Without the sequences that colour, place and erase."""
    return re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", text).replace("\r", "")


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


def order(spool, *arguments):
    return command("--spool", spool.path, *arguments)


def states(spool):
    return {name: job["state"] for name, job in jobs(spool).items()}


def wait_states(spool, **expected):
    """By stem."""
    expected = {f"{stem}.yaml": state for stem, state in expected.items()}
    wait_for(lambda: {k: v for k, v in states(spool).items() if k in expected} == expected, f"{expected}")


def paused(spool, daemon, server, *stems, config="", **keys):
    """A daemon that is paused, and these jobs before it."""
    d = daemon(server.url, config=config)
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon")
    assert order(spool, "pause").returncode == 0
    for stem in stems:
        spool.drop(f"{stem}.yaml", inputs={"text": stem}, **keys)
    wait_for(lambda: set(states(spool)) >= {f"{s}.yaml" for s in stems}, "the jobs")
    return d


@contextlib.contextmanager
def frozen(daemon):
    """A daemon that hangs: its sockets accept, nobody answers."""
    daemon.send(signal.SIGSTOP)
    wait_for(lambda: open(f"/proc/{daemon.process.pid}/stat").read().rpartition(")")[2].split()[0] == "T", "the daemon to stop")
    try:
        yield
    finally:
        daemon.send(signal.SIGCONT)


def narrow(text, columns=COLUMNS):
    """No line is wider than a terminal."""
    return all(len(line) <= columns for line in text.splitlines())


# What must never reach a terminal as it is: it would obey.
OBEYED = "\x1b\x07\u009b\u202e\x9b"


def harmless(text):
    return not any(c in text for c in OBEYED)
