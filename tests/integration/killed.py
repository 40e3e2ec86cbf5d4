"""A daemon that dies at a chosen system call: it runs under strace, which ends it there or stretches the moment."""

import os
import pathlib
import shutil
import signal

import pytest

NEEDS_STRACE = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def traced(trace, *options):
    """A prefix that runs the daemon under strace. Leak checking cannot be traced itself."""
    return ["env", f"ASAN_OPTIONS={os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0", "strace", "-f", "-o", str(trace), *options]


def killed_at(calls, nth):
    """Killed with SIGKILL when a thread of it enters its nth call of that kind."""
    return traced("/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:signal=SIGKILL:when={nth}")


def delayed_at(call, trace, when="enter", seconds=60):
    """Every such call takes a minute, before or after ("exit") it is done; trace has a line of it when the first begins."""
    return traced(trace, "-e", f"trace={call}", "-e", f"inject={call}:delay_{when}={seconds * 1000000}")


def signal_traced(daemon, number):
    pid = daemon.process.pid
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), number)


def kill_traced(daemon):
    """The daemon first: of a strace that is killed it would become free."""
    signal_traced(daemon, signal.SIGKILL)
    daemon.kill()
