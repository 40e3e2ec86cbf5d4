"""What flowspoold tells a service manager: sd_notify(3), and the sign of life that a watchdog wants."""

import os
import signal
import socket

import pytest

from conftest import PATIENCE, wait_for
from hostile_control import posts, script


class Manager:
    """The socket of a service manager, and what came."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(PATIENCE)
        self.told = []

    def next(self):
        """The next message that is no sign of life, as a mapping."""
        while True:
            message = dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())
            if message != {"WATCHDOG": "1"}:
                return message


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    address = str(tmp_path / "notify") if request.param == "path" else f"@flowspool-test-{os.getpid()}"
    m = Manager(address)
    m.environment = {"NOTIFY_SOCKET": address}
    yield m
    m.socket.close()


def test_from_ready_to_stopping(manager, spool, hostile, daemon):
    """Ready when the spool is held; stopping while the last request may still finish."""
    s = hostile()
    script(s, all="delay:1")
    d = daemon(s.url, env=manager.environment)
    assert manager.next()["READY"] == "1"
    assert (spool.state / "state.db").exists()
    d.send(signal.SIGHUP)
    reloading = manager.next()
    assert reloading["RELOADING"] == "1" and int(reloading["MONOTONIC_USEC"]) > 0
    assert manager.next()["READY"] == "1"
    spool.drop("a.yaml")
    wait_for(lambda: posts(s) == 1, "a request in flight")
    d.send(signal.SIGTERM)
    assert manager.next()["STOPPING"] == "1"
    assert d.process.poll() is None and d.wait() == 0


def test_signs_of_life(manager, daemon):
    """Only where they are asked for, and of this process."""
    d = daemon("http://127.0.0.1:9", env={**manager.environment, "WATCHDOG_USEC": "300000"})
    seen = [manager.socket.recv(4096) for _ in range(6)]
    assert seen.count(b"WATCHDOG=1") >= 5, seen
    os.kill(d.process.pid, signal.SIGSTOP)
    try:
        manager.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            for _ in range(50):
                manager.socket.recv(4096)
    finally:
        os.kill(d.process.pid, signal.SIGCONT)
    d.stop()


def test_no_sign_of_life_for_another_process(manager, daemon):
    d = daemon("http://127.0.0.1:9", env={**manager.environment, "WATCHDOG_USEC": "30000", "WATCHDOG_PID": "1"})
    assert b"READY=1" in manager.socket.recv(4096)
    manager.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        manager.socket.recv(4096)
    d.stop()


def test_nothing_is_told_when_it_cannot_start(manager, daemon):
    d = daemon("ftp://nowhere", env=manager.environment)
    assert d.wait() == 2
    manager.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        manager.socket.recv(4096)


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all", "@", "/" + 200 * "x"])
def test_a_manager_that_is_not_there(spool, sandbox, once, address):
    spool.drop("a.yaml")
    server = sandbox("--limiter", "none")
    status, _ = once(server.url, env={"NOTIFY_SOCKET": address})
    assert status == 0 and spool.result("a")
