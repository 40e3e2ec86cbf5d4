"""Fixtures for the tests of the whole: a sandbox, a misbehaving server, a spool, a daemon.

Every server listens on a port of its own on the loopback address; every process is ended by its own handle. Waiting is
always for a condition, with a bound.
"""

import datetime
import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("FLOWSPOOL_BIN_DIR", ROOT / "build" / "release" / "bin"))
KEY = "canary-key-3f9a61c7d2"
# Sanitized and valgrind builds are slower; waiting is for conditions, so a long bound costs nothing.
PATIENCE = float(os.environ.get("FLOWSPOOL_TEST_PATIENCE", "30"))

# The daemon lets nobody but root look into it, its own user included.
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into the daemon or change what it sees")


def wait_for(condition, what, patience=PATIENCE):
    """Polls until condition() is true; its value. Fails with what was waited for."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {patience} s for {what}")


def job_text(workflow="wf_echo", inputs=None, **keys):
    """A job file; keys are top-level ones such as run or priority."""
    lines = [f"workflow: {workflow}"]
    lines += [f"{k}: {v}" for k, v in keys.items()]
    inputs = {"text": "hello"} if inputs is None else inputs
    lines.append("inputs: " + json.dumps(inputs))
    return "\n".join(lines) + "\n"


class Spool:
    """A spool directory, with what a user does in it."""

    def __init__(self, path):
        self.path = path
        path.mkdir(exist_ok=True)

    def drop(self, name, text=None, **job):
        """Puts a job in the recommended way: written aside, then renamed."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.parent / f".{target.name}.new"
        aside.write_text(job_text(**job) if text is None else text)
        aside.rename(target)
        return target

    def result(self, stem):
        return self._read(f"{stem}.result.json")

    def error(self, stem):
        return self._read(f"{stem}.error.json")

    def _read(self, name):
        try:
            return json.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            return None

    def outcome(self, stem):
        """Waits for either outcome."""
        return wait_for(lambda: self.result(stem) or self.error(stem), f"an outcome of {stem}")

    def outcomes(self):
        return sorted(p.name for p in self.path.rglob("*.json") if ".flowspool" not in p.parts)

    @property
    def state(self):
        return self.path / ".flowspool"


class Server:
    """A server process: the sandbox, or the misbehaving one."""

    def __init__(self, process, url):
        self.process = process
        self.url = url

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as reply:
            return json.loads(reply.read())

    def stats(self):
        return self.get("/sandbox/stats")

    def posts(self):
        """How often each request body was posted, as [(workflow, posts, charged)]."""
        return [(r["workflow"], r["posts"], r["charged"]) for r in self.stats()["requests"]]

    def stop(self):
        stop(self.process)


def stop(process, sig=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(sig)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def start_sandbox(tmp_path, *options, key=KEY, port=0):
    port_file = tmp_path / f"port-{time.monotonic_ns()}"
    command = [BIN / "flowspool-sandbox", "--port", str(port), "--port-file", port_file, "--any-workflow", *options]
    if key is not None:
        command += ["--key", key]
    log = open(tmp_path / "sandbox.log", "ab")
    process = subprocess.Popen([str(c) for c in command], stdout=log, stderr=log)
    wait_for(lambda: port_file.exists() or process.poll() is not None, "the sandbox to listen")
    assert process.poll() is None, (tmp_path / "sandbox.log").read_text()
    scheme = "https" if "--tls-cert" in options else "http"
    return Server(process, f"{scheme}://127.0.0.1:{port_file.read_text().strip()}")


class Daemon:
    """flowspoold in the foreground, its log in a file."""

    def __init__(self, tmp_path, spool, url, options=(), config="", key=KEY, env=None, prefix=()):
        self.log_path = tmp_path / f"flowspoold-{time.monotonic_ns()}.log"
        self.spool = spool
        self.key_file = tmp_path / "key"
        if not self.key_file.exists():
            self.key_file.write_text(key + "\n")
            self.key_file.chmod(0o600)
        self.config_file = tmp_path / f"config-{time.monotonic_ns()}.yaml"
        self.config_file.write_text(fast_unless_given(config))
        self.command = [*prefix, str(BIN / "flowspoold"), "-c", str(self.config_file), "--spool", str(spool.path), "--api-key-file",
                        str(self.key_file), *([] if url is None else ["--endpoint", url]), *map(str, options)]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FLOWSPOOL_")}
        environment.update(env or {})
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment)

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    @property
    def ended(self):
        """How many jobs (ended well, ended in failure), as the last line that counts them says."""
        return [tuple(map(int, found)) for found in re.findall(r"(?<!\d)(\d+) done, (\d+) failed", self.log)][-1]

    def wait(self, patience=PATIENCE * 2):
        """The exit status; stdout must be empty."""
        try:
            out, _ = self.process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("flowspoold did not end; its log:\n" + self.log)
        assert out == b"", "nothing belongs on stdout"
        return self.process.returncode

    def send(self, sig):
        self.process.send_signal(sig)

    def stop(self):
        """SIGTERM, and the exit status."""
        self.send(signal.SIGTERM)
        return self.wait()

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def logged(self, text):
        try:
            return wait_for(lambda: text in self.log, f"the log to say {text!r}")
        except AssertionError as e:
            raise AssertionError(f"{e}; it says:\n{self.log}") from None


# Short times, so that tests wait for conditions and not for defaults.
FAST = """
settle: 200ms
probe: 300ms
connect_timeout: 2s
"""


def fast_unless_given(config):
    given = {line.partition(":")[0] for line in config.splitlines()}
    return "".join(line for line in FAST.splitlines(True) if line.partition(":")[0] not in given or line == "\n") + config


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


@pytest.fixture
def port():
    """A port on which nobody listens until the test starts a server there, and which nobody else is given, before, between
    and after. What is bound and does not listen refuses connections and bars no server that sets SO_REUSEADDR too."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@pytest.fixture
def often(tmp_path):
    """A configuration whose probes follow each other as closely as may be; a later -c wins."""
    path = tmp_path / "often.yaml"
    path.write_text("settle: 200ms\nprobe: 100ms\nretry: {base: 10ms, cap: 50ms}\n")
    return path


@pytest.fixture
def sandbox(tmp_path):
    """sandbox(*options) starts one; all end with the test."""
    started = []

    def start(*options, **keys):
        started.append(start_sandbox(tmp_path, *options, **keys))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def daemon(tmp_path, spool):
    """daemon(url, *options, config=…) starts one on the test's spool; all end with the test."""
    started = []

    def start(url, *options, **keys):
        started.append(Daemon(tmp_path, keys.pop("spool", spool), url, options, **keys))
        return started[-1]

    yield start
    for d in started:
        if d.process.poll() is None:
            d.kill()
        for sanitizer in ("AddressSanitizer", "runtime error:", "ThreadSanitizer"):
            assert sanitizer not in d.log, d.log


@pytest.fixture
def once(daemon):
    """Runs flowspoold --once to its end: (exit status, daemon)."""

    def run(url, *options, **keys):
        d = daemon(url, "--once", *options, **keys)
        return d.wait(), d

    return run


@pytest.fixture
def hostile(tmp_path):
    """hostile(*options) starts tests/integration/hostile_server.py."""
    started = []

    def start(*options):
        log = open(tmp_path / "hostile.log", "ab")
        process = subprocess.Popen(["/usr/bin/python3", str(ROOT / "tests/integration/hostile_server.py"), *options],
                                   stdout=subprocess.PIPE, stderr=log)
        about = json.loads(process.stdout.readline())
        server = Server(process, about.get("url") or f"http://127.0.0.1:{about['port']}")
        server.about = about
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()
        server.process.stdout.close()


def flowspool(spool, *arguments, check=True):
    """The operator's command; its stdout."""
    done = subprocess.run([str(BIN / "flowspool"), "--spool", str(spool.path), *arguments], capture_output=True, text=True,
                          timeout=PATIENCE)
    if check:
        assert done.returncode == 0, done.stderr
    return done.stdout if check else done


def live(spool):
    """What the daemon says of itself in its status. Waits for it: while it starts, or cannot answer in the second that the
    command gives it, the status comes from the state alone."""

    def ask():
        done = flowspool(spool, "status", "--json", check=False)
        return json.loads(done.stdout)["live"] if done.returncode == 0 else None

    return wait_for(ask, "the daemon to answer")


def holds(spool):
    """What holds sending, by kind; of several of a kind the last."""
    return {h["kind"]: h for h in live(spool)["holds"]}


def gates(spool):
    """The causes for which somebody has to open sending again."""
    return [h["cause"] for h in live(spool)["holds"] if h["kind"] == "gate"]


def instant(seconds):
    """An instant so many seconds from now, as job files write it."""
    t = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return t.strftime("%Y-%m-%dT%H:%M:%S.") + f"{t.microsecond // 1000:03}Z"


def unix(text):
    """Seconds of an instant as outcomes write it."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def short(key):
    """A key as logs and status name it."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def kept(spool):
    """What lies in superseded/: a result that has its place in the spool has none there."""
    superseded = spool.state / "superseded"
    return sorted(p.name for p in superseded.iterdir()) if superseded.exists() else []


def stays(condition, seconds):
    """Nothing announces what does not happen: it is looked at for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition()
        time.sleep(0.02)
