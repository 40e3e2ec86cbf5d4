"""Signals: SIGTERM and SIGINT drain, a second one stops at once, SIGHUP reads again whole or not at all, SIGUSR1 tells."""

import json
import os
import pathlib
import re
import signal

import pytest

from conftest import FAST, KEY, flowspool, live, wait_for
from hostile_control import posts, release, script, stats

BOTH = pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])


def in_flight(server, count):
    wait_for(lambda: stats(server)["in_flight"] == count, f"{count} requests in flight")


def job_states(spool):
    return {j["job"]: j["state"] for j in map(json.loads, flowspool(spool, "list", "--json").splitlines())}


# --- drain ---


@BOTH
def test_drain(spool, hostile, daemon, sig):
    """Nothing new starts, what is in flight finishes and its outcome is written, then exit 0."""
    server = hostile("--default", "hold")
    for name in "abc":
        spool.drop(f"{name}.yaml", inputs={"text": name})
    d = daemon(server.url, "--max-concurrency", 2)
    in_flight(server, 2)
    d.send(sig)
    d.logged("draining")
    spool.drop("d.yaml")
    assert d.process.poll() is None
    assert live(spool)["draining"] is True
    release(server)
    assert d.wait() == 0
    assert len(spool.outcomes()) == 2 and all(n.endswith(".result.json") for n in spool.outcomes())
    assert posts(server) == 2
    assert sorted(state for name, state in job_states(spool).items() if name != "d.yaml") == ["done", "done", "waiting"]


@BOTH
def test_drain_of_once_with_jobs_left_exits_6(spool, hostile, daemon, sig):
    server = hostile("--default", "hold")
    for name in "abc":
        spool.drop(f"{name}.yaml", inputs={"text": name})
    d = daemon(server.url, "--once", "--max-concurrency", 2)
    in_flight(server, 2)
    d.send(sig)
    wait_for(lambda: live(spool)["draining"], "the drain")
    release(server)
    assert d.wait() == 6
    assert len(spool.outcomes()) == 2
    assert "left: 1 waiting" in d.log.splitlines()[-1]


@pytest.mark.parametrize("step,status", [("hold", 0), ({"do": "hold", "body": {"success": False}}, 1)])
def test_drain_of_once_with_nothing_left(spool, hostile, daemon, step, status):
    """The last job was in flight: the run has done all it would have done."""
    server = hostile()
    script(server, all=step)
    spool.drop("a.yaml")
    d = daemon(server.url, "--once")
    in_flight(server, 1)
    d.send(signal.SIGTERM)
    wait_for(lambda: live(spool)["draining"], "the drain")
    release(server)
    assert d.wait() == status
    assert len([n for n in spool.outcomes() if n.startswith("a.")]) == 1


@pytest.mark.parametrize("options,status", [((), 0), (("--once",), 6)])
def test_grace_is_over(spool, hostile, daemon, once, options, status):
    """What has not answered by then is ambiguous: the next start counts it so and sends it again."""
    server = hostile("--default", "hold")
    spool.drop("a.yaml")
    d = daemon(server.url, *options, config="shutdown_grace: 300ms\n")
    in_flight(server, 1)
    d.send(signal.SIGTERM)
    assert d.wait() == status
    assert "shutdown_grace is over: 1 in flight may have been charged" in d.log
    script(server, all="ok")
    assert once(server.url, config="retry: {base: 1ms}\n")[0] == 0
    assert spool.result("a")["ambiguous"] == 1
    assert posts(server) == 2


@pytest.mark.parametrize("options,status", [((), 0), (("--once",), 6)])
@pytest.mark.parametrize("first,second", [(signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGINT)])
def test_a_second_signal_stops_at_once(spool, hostile, daemon, once, options, status, first, second):
    server = hostile("--default", "hold")
    for i in range(3):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    d = daemon(server.url, *options)
    in_flight(server, 3)
    d.send(first)
    wait_for(lambda: live(spool)["draining"], "the drain")
    d.send(second)
    assert d.wait(5) == status
    assert "stopping at once: 3 in flight may have been charged and count as ambiguous" in d.log
    assert once(server.url, config="retry: {on_ambiguous: hold}\n")[0] == 1
    assert posts(server) == 3
    assert {spool.error(f"j{i}")["error"]["code"] for i in range(3)} == {"ambiguous"}


def test_drain_with_hundreds_in_flight(spool, sandbox, daemon):
    """Each of them is charged once and has its result when the daemon ends."""
    server = sandbox("--limiter", "none", "--latency", "uniform:1s,3s", "--seed", 3)
    for i in range(300):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    d = daemon(server.url, "--max-concurrency", 200)
    wait_for(lambda: server.stats()["in_flight"] >= 150, "many requests in flight")
    assert d.stop() == 0
    seen = server.stats()
    assert len(spool.outcomes()) == seen["runs"] == seen["requests_total"]
    assert 150 <= seen["runs"] < 300


def test_a_backoff_does_not_delay_a_drain(spool, hostile, daemon):
    server = hostile("--default", "status:500")
    spool.drop("a.yaml")
    d = daemon(server.url, config="retry: {base: 1h, cap: 1h}\n")
    d.logged("tried again later")
    assert d.stop() == 0
    assert spool.outcomes() == []


def test_a_hold_does_not_delay_a_drain(spool, daemon):
    spool.drop("a.yaml")
    d = daemon("http://127.0.0.1:9")
    d.logged("the endpoint is away")
    assert d.stop() == 0


def catches(d, sig):
    """Whether the process has a handler for it by now."""
    found = re.search(r"^SigCgt:\s*([0-9a-f]+)$", pathlib.Path(f"/proc/{d.process.pid}/status").read_text(), re.M)
    return found and int(found[1], 16) >> (sig - 1) & 1


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP], ids=lambda s: s.name)
def test_a_signal_during_the_start_waits_for_its_end(spool, sandbox, daemon, tmp_path, sig):
    """It does then what it does later; none of them kills. A configuration that nobody writes yet is a long start."""
    server = sandbox()
    pipe = tmp_path / "config.fifo"
    os.mkfifo(pipe)
    d = daemon(server.url, "--config", pipe)
    wait_for(lambda: catches(d, sig) or d.process.poll() is not None, "the handler")
    d.send(sig)
    pipe.write_text(FAST)
    if sig == signal.SIGHUP:  # reads it again
        d.logged("SIGHUP")
        pipe.write_text(FAST)
        wait_for(lambda: d.log.count("at most") == 2, "the configuration to be taken")
    if sig in (signal.SIGUSR1, signal.SIGHUP):
        spool.drop("a.yaml")
        assert spool.outcome("a")["success"] is True
        d.send(signal.SIGTERM)
    assert d.wait() == 0
    assert d.log.count("status: ") == (1 if sig == signal.SIGUSR1 else 0)
    assert "draining" in d.log


def test_drain_of_once_before_the_spool_was_read(spool, sandbox, daemon, tmp_path):
    """A file that nobody has looked at may be a job, so jobs may be left."""
    server = sandbox()
    pipe = tmp_path / "config.fifo"
    os.mkfifo(pipe)
    spool.drop("a.yaml")
    d = daemon(server.url, "--once", "--config", pipe)
    wait_for(lambda: catches(d, signal.SIGTERM) or d.process.poll() is not None, "the handler")
    d.send(signal.SIGTERM)
    pipe.write_text(FAST)
    assert d.wait() == 6
    assert spool.outcomes() == [] and server.stats()["requests_total"] == 0


# --- SIGHUP ---


def reconfigure(d, config):
    """Another configuration in the same place, and the signal."""
    d.config_file.write_text(FAST + config)
    d.send(signal.SIGHUP)


def test_hup_changes_what_the_file_says(spool, hostile, daemon):
    server = hostile("--default", "hold")
    for i in range(4):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    d = daemon(server.url, config="max_concurrency: 1\n")
    in_flight(server, 1)
    reconfigure(d, "max_concurrency: 3\n")
    d.logged("at most 3 in flight")
    in_flight(server, 3)
    assert live(spool)["max_concurrency"] == 3
    script(server, all="ok")
    release(server)
    assert d.stop() == 0


@pytest.mark.parametrize("bad,says", [
    ("max_concurrency: 3\nrescan: never\n", r"config-\d+\.yaml:6:9: "),
    ("max_concurrency: 3\nno_such_key: 1\n", r"config-\d+\.yaml:6:1: unknown key"),
    ("max_concurrency: [\n", r"config-\d+\.yaml:\d+:\d+: "),
    ("max_concurrency: 3\nca_file: /no/such.pem\n", "ca_file /no/such.pem: No such file"),
    ("max_concurrency: 3\nstate_dir: /elsewhere\n", "only with a restart"),
    ("max_concurrency: 3\nrecursive: true\n", "only with a restart"),
])
def test_hup_with_a_wrong_configuration_changes_nothing(spool, hostile, daemon, bad, says):
    """The old configuration stays whole: the valid line before the wrong one does not count either."""
    server = hostile("--default", "hold")
    d = daemon(server.url, config="max_concurrency: 1\n")
    d.logged("at most 1 in flight")
    reconfigure(d, bad)
    d.logged("stays as it was")
    assert re.search(says, d.log), d.log
    for i in range(3):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    in_flight(server, 1)
    assert live(spool)["max_concurrency"] == 1
    assert stats(server)["peak"] == 1
    script(server, all="ok")
    release(server)
    for i in range(3):
        assert spool.outcome(f"j{i}")["success"] is True
    assert stats(server)["peak"] == 1
    assert d.stop() == 0


def test_hup_with_the_file_gone_changes_nothing(spool, sandbox, daemon):
    server = sandbox()
    d = daemon(server.url)
    d.logged("at most")
    d.config_file.unlink()
    d.send(signal.SIGHUP)
    d.logged("stays as it was")
    assert "No such file" in d.log
    spool.drop("a.yaml")
    assert spool.outcome("a")["success"] is True
    assert d.stop() == 0


def test_hup_moves_to_another_endpoint(spool, sandbox, daemon):
    """With a key that cannot be used the endpoint stays too: whole or not at all."""
    old, new = sandbox(), sandbox()
    d = daemon(None, config=f"endpoint: {old.url}\n")
    d.logged(f"endpoint {old.url}")
    d.key_file.write_text("two words\n")
    reconfigure(d, f"endpoint: {new.url}\n")
    d.logged("configuration and key stay as they were")
    spool.drop("a.yaml", inputs={"n": "1"})
    assert spool.outcome("a")["endpoint"] == old.url
    d.key_file.write_text(KEY + "\n")
    d.send(signal.SIGHUP)
    d.logged(f"endpoint {new.url}")
    spool.drop("b.yaml", inputs={"n": "2"})
    assert spool.outcome("b")["endpoint"] == new.url
    wait_for(lambda: new.stats()["runs"] == 2, "the sandbox's result to be bought again elsewhere")
    assert old.stats()["runs"] == 1
    assert d.stop() == 0


def test_hup_probes_at_once(spool, hostile, daemon):
    """A hold that would last for an hour ends when the operator says that things have changed."""
    server = hostile("--default", "status:503")
    d = daemon(None, config=f"endpoint: {server.url}/first\n")
    d.logged("/first")
    d.config_file.write_text(f"probe: 1h\nendpoint: {server.url}\n")
    d.send(signal.SIGHUP)
    d.logged(f"endpoint {server.url},")
    spool.drop("a.yaml")
    d.logged("the endpoint is away")
    wait_for(lambda: any((h["next_probe_ms"] or 0) > 3000000 for h in live(spool)["holds"]), "a long hold")
    script(server, all="ok")
    d.send(signal.SIGHUP)
    assert spool.outcome("a")["attempts"] == 1
    d.logged("answers again")
    assert d.stop() == 0


# --- the key ---


def test_a_changed_key_file_is_noticed(spool, sandbox, daemon):
    """Without a signal: the account hold that the old key caused ends by itself, although a probe is far away."""
    server = sandbox(key="the-right-key")
    d = daemon(server.url)
    d.logged("at most")
    d.config_file.write_text("probe: 1h\n")
    d.send(signal.SIGHUP)
    wait_for(lambda: d.log.count("at most") == 2, "the new configuration")
    spool.drop("a.yaml")
    d.logged("the account refuses work")
    new = d.key_file.with_name("key.new")
    new.write_text("the-right-key\n")
    new.chmod(0o600)
    new.rename(d.key_file)
    d.logged("the key changed: now ")
    assert spool.outcome("a")["success"] is True
    assert "the-right-key" not in d.log
    assert d.stop() == 0


def test_a_changed_key_that_cannot_be_used(spool, hostile, daemon):
    server = hostile()
    d = daemon(server.url)
    spool.drop("a.yaml", inputs={"n": "1"})
    spool.outcome("a")
    d.key_file.write_text("not one word\n")
    wait_for(lambda: d.send(signal.SIGUSR1) or "the old one stays" in d.log, "the complaint about the key")
    spool.drop("b.yaml", inputs={"n": "2"})
    assert spool.outcome("b")["success"] is True
    assert stats(server)["keys"] == [f"Bearer {KEY}"]
    assert d.stop() == 0


# --- SIGUSR1 ---


@pytest.mark.parametrize("options", [(), ("--log-level", "error"), ("--once",)], ids=["default", "quiet", "once"])
def test_usr1_logs_a_status_line(spool, hostile, daemon, options):
    """Whatever the level: it was asked for."""
    server = hostile("--default", "hold")
    for i in range(3):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    d = daemon(server.url, "--max-concurrency", 2, *options)
    in_flight(server, 2)
    wait_for(lambda: flowspool(spool, "list", "--json").count("\n") == 3, "all three to be taken")
    assert "status:" not in d.log
    d.send(signal.SIGUSR1)
    d.logged("status: ")
    line = next(x for x in d.log.splitlines() if "status: " in x)
    assert d.ended == (0, 0) and "failed, 2 in flight, 1 waiting" in line
    script(server, all="ok")
    release(server)
    assert d.wait() == 0 if options == ("--once",) else d.stop() == 0


def test_usr1_names_the_hold(spool, hostile, daemon):
    server = hostile("--default", "status:402")
    spool.drop("a.yaml")
    d = daemon(server.url)
    d.logged("the account refuses work")
    d.send(signal.SIGUSR1)
    d.logged("[account refuses work]")
    assert d.stop() == 0
