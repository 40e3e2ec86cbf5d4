"""Settings that decide what a job file means, changed while its job waits or after it was refused."""

import signal

import pytest
from conftest import wait_for
from hostile_control import stats
from intake_steps import counts, started


@pytest.mark.parametrize("how", ["restart", "SIGHUP"])
@pytest.mark.parametrize("name", ["a.yaml", "a.yaml.hold"])
def test_another_inputs_as_reaches_what_waits(spool, hostile, daemon, how, name):
    server = hostile()
    (spool.path / "PAUSE").touch()
    spool.drop(name, text="workflow: wf_a\ninputs: {n: 19.90, yes: true}\n")
    d = daemon(server.url, config="rescan: 1h\ninputs_as: text\n")
    started(spool)
    wait_for(lambda: counts(spool)["files"] == 1, "the job")
    if how == "restart":
        assert d.stop() == 0
        d = daemon(server.url, config="rescan: 1h\ninputs_as: typed\n")
        started(spool)
    else:
        d.config_file.write_text(d.config_file.read_text().replace("inputs_as: text", "inputs_as: typed"))
        d.send(signal.SIGHUP)
    d.logged("read again")
    if name != "a.yaml":
        wait_for(lambda: counts(spool)["held"] == 1, "the start")
        (spool.path / name).rename(spool.path / "a.yaml")
    (spool.path / "PAUSE").unlink()
    spool.outcome("a")
    assert list(stats(server)["whole"]["wf_a"]) == ['{"n":19.90,"yes":true}']


def test_another_inputs_as_reaches_a_file_that_was_away(spool, hostile, daemon):
    server = hostile()
    (spool.path / "PAUSE").touch()
    path = spool.drop("a.yaml", text="workflow: wf_a\ninputs: {n: 19.90}\n")
    d = daemon(server.url, config="rescan: 1h\ninputs_as: text\n")
    started(spool)
    wait_for(lambda: counts(spool)["waiting"] == 1, "the job")
    path.rename(spool.path / ".a.yaml")
    wait_for(lambda: counts(spool)["waiting"] == 0, "its loss to be noticed")
    d.config_file.write_text(d.config_file.read_text().replace("inputs_as: text", "inputs_as: typed"))
    d.send(signal.SIGHUP)
    d.logged("read again")
    spool.drop("b.yaml", text="workflow: wf_b\ninputs: {n: 19.90}\n")
    wait_for(lambda: counts(spool)["waiting"] == 1, "the look at the others")
    (spool.path / ".a.yaml").rename(path)
    d.logged("its file is back")
    (spool.path / "PAUSE").unlink()
    spool.outcome("a")
    assert list(stats(server)["whole"]["wf_a"]) == ['{"n":19.90}']


@pytest.mark.parametrize("how", ["restart", "SIGHUP"])
def test_a_larger_max_job_size_reaches_what_was_too_large(spool, sandbox, daemon, how):
    server = sandbox("--limiter", "none")
    spool.drop("large.yaml", inputs={"text": "x" * 5000})
    spool.drop("larger.yaml", inputs={"text": "x" * 50000})
    if how == "restart":
        spool.drop("bad.yaml", text="workflow: wf_bad\ninputs: [\n")
    d = daemon(server.url, config="rescan: 1h\nmax_job_size: 4KiB\n")
    started(spool)
    wait_for(lambda: spool.error("large") and spool.error("larger"), "the refusals")
    assert "raise max_job_size" in spool.error("large")["error"]["message"]
    if how == "restart":
        wait_for(lambda: spool.error("bad"), "the refusal of what does not parse")
        before = (spool.path / "bad.error.json").stat().st_mtime_ns
        assert d.stop() == 0
        d = daemon(server.url, "--once", config="rescan: 1h\nmax_job_size: 8KiB\n")
        assert d.wait() == 1, "the larger one was refused anew: " + d.log
        assert d.log.count("bad.yaml") == 0, d.log
        d = daemon(server.url, "--once", config="rescan: 1h\nmax_job_size: 8KiB\n")
        assert d.wait() == 0, "nothing has changed since: " + d.log
        assert (spool.path / "bad.error.json").stat().st_mtime_ns == before, "what says the same again is left alone"
    else:
        d.config_file.write_text(d.config_file.read_text().replace("4KiB", "8KiB"))
        d.send(signal.SIGHUP)
        wait_for(lambda: spool.result("large"), "the result")
        wait_for(lambda: "8192" in spool.error("larger")["error"]["message"], "the message with the bound of today")
    assert spool.result("large")["success"]
    wait_for(lambda: spool.error("large") is None, "the old error to go")
    assert server.stats()["requests_total"] == 1


def test_a_smaller_max_job_size_refuses_no_job_that_was_accepted(spool, sandbox, daemon):
    server = sandbox("--limiter", "none")
    (spool.path / "PAUSE").touch()
    spool.drop("a.yaml", inputs={"text": "x" * 5000})
    d = daemon(server.url)
    started(spool)
    wait_for(lambda: counts(spool)["waiting"] == 1, "the job")
    assert d.stop() == 0
    d = daemon(server.url, config="max_job_size: 4KiB\n")
    d.logged("read again")
    (spool.path / "PAUSE").unlink()
    assert spool.outcome("a")["success"]
