"""flowspool status --watch: redraws a terminal in place, and leaves it as it was."""

import os
import signal

import pytest

from command_line import Terminal, command, frozen, status
from conftest import wait_for

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def watch(spool):
    started = []

    def start(*options, **keys):
        t = Terminal("--spool", spool.path, "status", "--watch", "--interval", "100ms", *options, **keys)
        started.append(t)
        t.__enter__()
        return t

    yield start
    for t in started:
        t.__exit__()


def shown(terminal, *words):
    """Waits for the newest frame to hold these words."""
    return wait_for(lambda: (f := terminal.frames()) and all(w in "\n".join(f[-1]) for w in words) and f[-1], f"{words} on the screen")


def test_redraws_in_place(spool, sandbox, daemon, watch):
    daemon(sandbox("--limiter", "none", "--latency", "0").url)
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon")
    t = watch()
    shown(t, "0 done", "running (pid")
    spool.drop("a.yaml")
    shown(t, "1 done", "sending   open", "1 bought")
    assert len(t.frames()) >= 2
    assert "\x1b[2J" not in t.read(), "nothing is cleared, so nothing flickers"
    assert all(len(frame) == len({line for line in frame if line}) for frame in t.frames()), "no line is there twice"
    assert t.read().startswith("\x1b[?1049h" + HIDE) and SHOW not in t.read()
    code, left = t.end(signal.SIGINT)
    assert code == 0 and "1 done" in left and "as of" in left


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_the_terminal_is_given_back(spool, watch, sig):
    t = watch()
    shown(t, "not running")
    wait_for(lambda: not t.echoes(), "typing to be hidden")
    code, left = t.end(sig)
    assert code == 0 and "not running" in left
    assert t.read().count(SHOW) == 1 and t.read().rindex(SHOW) > t.read().rindex(HIDE)
    assert t.echoes()


def test_stopped_and_continued(spool, watch):
    t = watch()
    shown(t, "not running")
    os.kill(t.process.pid, signal.SIGTSTP)
    wait_for(lambda: open(f"/proc/{t.process.pid}/stat").read().rpartition(")")[2].split()[0] == "T", "it to stop")
    assert t.read().rindex(SHOW) > t.read().rindex(HIDE), "who has the terminal now has its cursor"
    t.process.send_signal(signal.SIGCONT)
    wait_for(lambda: t.read().rindex(HIDE) > t.read().rindex(SHOW), "it to go on")
    before = t.read().rindex(HIDE)
    wait_for(lambda: "not running" in t.read()[before:], "the status to be drawn again")
    assert t.end(signal.SIGINT)[0] == 0


def test_follows_the_terminal(spool, sandbox, daemon, watch):
    daemon(sandbox("--limiter", "none", "--latency", "0").url)
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon")
    t = watch(columns=132)
    wide = shown(t, "as of")
    assert max(map(len, wide)) <= 132
    t.resize(50, 24)
    narrow = wait_for(lambda: (f := t.frames()[-1]) and len(f) > len(wide) and f, "more lines, and shorter ones")
    assert sum(len(line) >= 50 for line in narrow) <= 1, "but for a path that is longer than a line"
    t.resize(50, 4)
    wait_for(lambda: len(t.frames()[-1]) == 4, "no more lines than there is room for")
    code, left = t.end(signal.SIGINT)
    assert code == 0 and len(left.splitlines()) > 4, "in the end all of it"


def test_a_daemon_that_hangs_and_comes_back(spool, sandbox, daemon, watch):
    d = daemon(sandbox("--limiter", "none", "--latency", "0").url)
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon")
    t = watch()
    shown(t, "running (pid")
    with frozen(d):
        shown(t, "does not answer")
    shown(t, "running (pid")
    d.kill()
    shown(t, "not running")
    assert t.end(signal.SIGINT)[0] == 0


def test_colours(spool, watch):
    t = watch()
    shown(t, "not running")
    assert "\x1b[31mnot running\x1b[0m" in t.read()
    plain = watch(NO_COLOR="1")
    shown(plain, "not running")
    assert "\x1b[31m" not in plain.read()


def test_a_state_that_cannot_be_read(spool, watch):
    """The reason stands where it can be read, not on the screen that is gone."""
    spool.state.mkdir()
    (spool.state / "state.db").write_text("this is not a state\n" * 100)
    t = watch()
    assert t.process.wait(30) == 2
    said = t.read()
    assert "is not a state of flowspool" in said.rpartition("\x1b[?1049l")[2]
    assert said.rindex(SHOW) > said.rindex(HIDE)


def test_usage(spool):
    for arguments, words in [(["--watch"], "stdout is none that can be redrawn"), (["--watch", "--json"], "either --json or --watch"),
                             (["--interval", "1s"], "goes with --watch"), (["--watch", "--interval", "1"], "--interval takes"),
                             (["--watch", "--interval", "1ms"], "100ms to 24h"), (["--watch", "--interval", "soon"], "such as 2s")]:
        done = command("--spool", spool.path, "status", *arguments)
        assert done.returncode == 2 and words in done.stderr and done.stdout == "", (arguments, done)
    with Terminal("--spool", spool.path, "status", "--watch", TERM="dumb") as t:
        assert t.process.wait(30) == 2 and "\x1b" not in t.read()
