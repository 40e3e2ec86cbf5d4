"""Where settings come from: file, environment, command line; and what the command line says by itself."""

import grp
import os
import re
import stat
import subprocess

import pytest

from conftest import BIN, KEY, PATIENCE, ROOT_ONLY, wait_for
from killed import NEEDS_STRACE

OPTIONS = ["--config", "--spool", "--endpoint", "--api-key-file", "--max-concurrency", "--max-jobs", "--once", "--log-level",
           "--log-format", "--check-config", "--help", "--version"]


def flowspoold(*arguments, env=None, cwd=None):
    """A start that ends by itself, in an empty environment."""
    return subprocess.run([str(BIN / "flowspoold"), *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE,
                          env=env or {}, cwd=cwd)


def start_line(d):
    d.logged("at most")
    return next(line for line in d.log.splitlines() if "at most" in line)


# --- the command line by itself ---


def test_help():
    done = flowspoold("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for option in OPTIONS:
        assert option in done.stdout
    assert "-c, --config" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_version():
    done = flowspoold("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"flowspoold \d+\.\d+\.\d+\S*\n", done.stdout)


@pytest.mark.parametrize("arguments,words", [
    (["--no-such-option"], "--no-such-option"),
    (["extra"], "extra"),
    (["--spool"], "--spool"),
    (["--max-concurrency", "0"], "1 to 100000"),
    (["--max-concurrency", "x"], "1 to 100000"),
    (["--max-jobs", "-1"], "--max-jobs"),
    (["--log-level", "loud"], "error, warn, info or debug"),
    (["--log-format", "xml"], "text or json"),
    (["--once=yes"], "--once"),
])
def test_wrong_usage(arguments, words):
    done = flowspoold(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "--help" in done.stderr


def test_what_is_missing(tmp_path, spool):
    """Each of the three things that must be said has its own sentence, with the ways to say it."""
    url, key = ("--endpoint", "https://host"), {"FLOWSPOOL_API_KEY": KEY}
    for arguments, env, words in (
            (url, key, ["no spool is set", "--spool DIR", "`spool:`"]),
            (("--spool", spool.path), key, ["no endpoint is set", "--endpoint URL", "$FLOWSPOOL_ENDPOINT", "`endpoint:`"]),
            (("--spool", spool.path, *url), {},
             ["no key", "--api-key-file FILE", "credential api_key", "$FLOWSPOOL_API_KEY", "`api_key_file:`"])):
        done = flowspoold(*arguments, env=env)
        assert (done.returncode, done.stdout) == (2, "")
        assert all(w in done.stderr for w in words), done.stderr
        assert done.stderr.count("\n") == 1
    assert not spool.state.exists()


def test_no_file_is_needed(spool, sandbox, tmp_path):
    server = sandbox()
    spool.drop("a.yaml")
    done = flowspoold("--once", "--spool", "spool", env={"FLOWSPOOL_ENDPOINT": server.url, "FLOWSPOOL_API_KEY": KEY}, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert spool.result("a")["endpoint"] == server.url


# --- who wins ---


@pytest.mark.parametrize("in_file,in_environment,on_command_line,used", [
    ("https://file", None, None, "https://file"),
    ("https://file", "https://environment", None, "https://environment"),
    ("https://file", "", None, "https://file"),
    ("https://file", "https://environment", "https://option", "https://option"),
    (None, "https://environment/", None, "https://environment"),
])
def test_endpoint(spool, daemon, in_file, in_environment, on_command_line, used):
    config = f"endpoint: {in_file}\n" if in_file else ""
    env = {} if in_environment is None else {"FLOWSPOOL_ENDPOINT": in_environment}
    d = daemon(on_command_line, config=config, env=env)
    assert f"endpoint {used}," in start_line(d)
    assert d.stop() == 0


@pytest.mark.parametrize("where", ["environment", "option"])
def test_a_wrong_endpoint_that_is_not_in_the_file(spool, where):
    """No place in the file is blamed for what was said elsewhere."""
    bad = "https://host/api/v1"
    config = spool.path.parent / "c.yaml"
    config.write_text(f"spool: {spool.path}\nendpoint: https://fine\n")
    env = {"FLOWSPOOL_API_KEY": KEY, **({"FLOWSPOOL_ENDPOINT": bad} if where == "environment" else {})}
    done = flowspoold("-c", config, "--check-config", *(["--endpoint", bad] if where == "option" else []), env=env)
    assert done.returncode == 2
    assert bad in done.stderr and "must not contain /api/v1" in done.stderr
    assert "c.yaml" not in done.stderr


def test_a_wrong_endpoint_in_the_file_that_is_overridden(spool):
    config = spool.path.parent / "c.yaml"
    config.write_text(f"spool: {spool.path}\nendpoint: https://host/api/v1\n")
    env = {"FLOWSPOOL_API_KEY": KEY}
    assert flowspoold("-c", config, "--check-config", env=env).returncode == 2
    assert flowspoold("-c", config, "--check-config", "--endpoint", "https://host", env=env).returncode == 0


def test_an_endpoint_with_a_path_is_appended_to(spool, hostile, once):
    server = hostile()
    spool.drop("a.yaml")
    status, d = once(server.url + "/", "--once")
    assert status == 0
    assert spool.result("a")["endpoint"] == server.url


def test_the_spool_of_the_command_line(spool, sandbox, tmp_path):
    server = sandbox()
    spool.drop("a.yaml")
    config = tmp_path / "c.yaml"
    config.write_text(f"spool: {tmp_path / 'nowhere'}\nendpoint: {server.url}\n")
    env = {"FLOWSPOOL_API_KEY": KEY}
    done = flowspoold("--config", config, "--once", env=env)
    assert done.returncode == 2 and "c.yaml:1:8" in done.stderr
    assert flowspoold("--config", config, "--once", "--spool", spool.path, env=env).returncode == 0
    assert spool.result("a")["success"] is True


def test_max_concurrency_of_the_command_line(spool, sandbox, once):
    server = sandbox("--limiter", "none", "--latency", "100ms")
    for i in range(12):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    status, d = once(server.url, "--max-concurrency", 2, "--log-level", "info", config="max_concurrency: 9\n")
    assert status == 0
    assert "at most 2 in flight" in start_line(d)
    assert server.stats()["peak_in_flight"] == 2


@pytest.mark.parametrize("in_file,option,bought", [(2, None, 2), (5, 3, 3), (3, 0, 6), (0, None, 6)])
def test_max_jobs(spool, sandbox, once, in_file, option, bought):
    """Not one more is bought than was allowed; what is left stays queued, and the exit status says so."""
    server = sandbox("--limiter", "none")
    for i in range(6):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    options = [] if option is None else ["--max-jobs", option]
    status, d = once(server.url, *options, config=f"max_jobs: {in_file}\n")
    assert status == (0 if bought == 6 else 6)
    assert server.stats()["runs"] == bought
    assert len(spool.outcomes()) == bought
    if bought < 6:
        assert f"left: {6 - bought} waiting" in d.log and "max_jobs" in d.log


# --- the state directory ---


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def control_socket(spool):
    return wait_for(lambda: next((p for p in spool.state.glob("*") if p.is_socket()), None), "the control socket")


def test_state_dir_in_the_spool(spool, sandbox, daemon):
    server = sandbox()
    d = daemon(server.url)
    socket = control_socket(spool)
    wait_for(lambda: mode(socket) == 0o600, "the socket's mode")
    assert mode(spool.state) == 0o700
    assert (spool.state / ".gitignore").read_text() == "*\n"
    assert d.stop() == 0


def test_state_dir_elsewhere(spool, sandbox, once, tmp_path):
    server = sandbox()
    spool.drop("a.yaml")
    state = tmp_path / "elsewhere"
    assert once(server.url, config=f"state_dir: {state}\n")[0] == 0
    assert (state / "state.db").exists() and not (state / ".gitignore").exists()
    assert sorted(p.name for p in spool.path.iterdir()) == ["a.result.json", "a.yaml"]


def test_state_group(spool, sandbox, daemon):
    server = sandbox()
    group = grp.getgrgid(os.getgid()).gr_name
    d = daemon(server.url, config=f"state_group: {group}\n")
    socket = control_socket(spool)
    assert mode(spool.state) == 0o750
    wait_for(lambda: mode(socket) == 0o660, "the socket's mode")
    assert socket.stat().st_gid == os.getgid()
    assert d.stop() == 0


@pytest.mark.parametrize("where", ["file", "missing parent"])
def test_a_state_dir_that_cannot_be(spool, tmp_path, where):
    (tmp_path / "f").write_text("")
    state = tmp_path / "f" if where == "file" else tmp_path / "none" / "state"
    config = tmp_path / "c.yaml"
    config.write_text(f"spool: {spool.path}\nendpoint: https://host\nstate_dir: {state}\n")
    done = flowspoold("-c", config, "--once", env={"FLOWSPOOL_API_KEY": KEY})
    assert done.returncode == 2
    assert "state_dir" in done.stderr and str(state) in done.stderr


@ROOT_ONLY
@NEEDS_STRACE
@pytest.mark.parametrize("magic,name", [("6969000000000000", "NFS"), ("4655736500000000", "FUSE"), ("9719020100000000", "9P")])
def test_a_state_dir_on_a_network_file_system(spool, tmp_path, magic, name):
    """Locks and syncs need a local disk. The first member of what fstatfs(2) says is the kind of file system."""
    config = tmp_path / "c.yaml"
    config.write_text(f"spool: {spool.path}\nendpoint: https://host\nstate_dir: {tmp_path / 'state'}\n")
    done = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", "trace=fstatfs", "-e", f"inject=fstatfs:poke_exit=@arg2={magic}",
                           str(BIN / "flowspoold"), "-c", str(config), "--once"],
                          capture_output=True, text=True, timeout=PATIENCE,
                          env={"FLOWSPOOL_API_KEY": KEY, "ASAN_OPTIONS": "detect_leaks=0"})
    assert done.returncode == 2, done.stderr
    assert "state_dir" in done.stderr and f"is on {name}" in done.stderr
