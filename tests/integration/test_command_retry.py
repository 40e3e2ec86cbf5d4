"""flowspool retry: what runs again, what never does, and where the order goes when no daemon takes it."""

import os
import pathlib
import tempfile

import pytest

from command_line import command, frozen, states, status, wait_states
from conftest import Spool, wait_for
from hostile_control import posts, script, stats

HOLD = "retry:\n  max_attempts: 2\n  base: 10ms\n  on_ambiguous: hold\n"


def retry(spool, *arguments):
    return command("--spool", spool.path, "retry", *arguments)


def same_outcome(spool, stem):
    return (spool.path / f"{stem}.error.json").stat().st_mtime_ns if spool.error(stem) else None


def test_a_failed_job_runs_again_with_all_its_attempts(spool, hostile, daemon):
    server = hostile()
    script(server, all="status:500")
    daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    assert spool.outcome("a")["attempts"] == 2
    wait_states(spool, a="failed")
    before = same_outcome(spool, "a")
    done = retry(spool, "a.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 job runs again\n", "")
    wait_for(lambda: same_outcome(spool, "a") != before, "the second failure")
    assert posts(server) == 4 and spool.error("a")["attempts"] == 2, "counted from zero"
    script(server, all="ok")
    wait_states(spool, a="failed")
    assert retry(spool, "a.error.json").returncode == 0
    wait_states(spool, a="done")
    assert spool.error("a") is None and spool.result("a")["attempts"] == 1 and posts(server) == 5


def test_a_result_is_bought_again_by_force_only(spool, sandbox, daemon):
    s = sandbox("--limiter", "none")
    daemon(s.url, config=HOLD)
    spool.drop("a.yaml")
    spool.drop("b.yaml", inputs={"text": "b"})
    wait_states(spool, a="done", b="done")
    done = retry(spool, "a.yaml")
    assert done.returncode == 1 and done.stdout == "0 jobs run again\n" and "a.yaml: it has a result; --force buys it again" in done.stderr
    done = retry(spool, "*.yaml")
    assert done.returncode == 0 and done.stdout == "0 jobs run again; 2 left alone (done already, or on the way)\n"
    done = retry(spool, "--failed")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 jobs run again\n", "")
    assert s.stats()["runs"] == 2
    done = retry(spool, "--force", "a.yaml")
    assert done.returncode == 0 and done.stdout == "1 job runs again\n"
    wait_for(lambda: s.stats()["runs"] == 3 and states(spool)["a.yaml"] == "done", "the second purchase")
    assert len(list((spool.state / "superseded").iterdir())) == 1, "the first result is kept"
    (spool.path / "a.result.json").unlink()
    done = retry(spool, "--force", "a.yaml", "b")
    assert done.returncode == 0 and done.stdout == "2 jobs run again\n"
    wait_for(lambda: s.stats()["runs"] == 5 and spool.result("a") and spool.result("b"), "both")


def test_ambiguous_only_by_retry(spool, hostile, daemon):
    server = hostile()
    script(server, all="reset-after-read")
    d = daemon(server.url, config=HOLD)
    job = spool.drop("a.yaml")
    assert spool.outcome("a")["error"]["code"] == "ambiguous"
    wait_states(spool, a="failed")
    job.write_text(job.read_text() + "# touched\n")
    d.logged("only flowspool retry sends it again")
    assert posts(server) == 1
    script(server, all="ok")
    assert retry(spool, "--failed", "--code", "server_error").stdout == "0 jobs run again\n"
    done = retry(spool, "--failed", "--code", "ambiguous")
    assert done.returncode == 0 and done.stdout == "1 job runs again\n"
    wait_for(lambda: spool.result("a"), "the result")
    assert stats(server)["posts"] == 2


def test_failed_of_one_workflow(spool, hostile, daemon):
    server = hostile()
    script(server, all="status:400")
    daemon(server.url, config=HOLD)
    for stem, workflow in [("a", "wf_a"), ("b", "wf_b"), ("c", "wf_b")]:
        spool.drop(f"{stem}.yaml", workflow=workflow, inputs={"text": stem})
    wait_states(spool, a="failed", b="failed", c="failed")
    script(server, all="ok")
    assert retry(spool, "--failed", "--workflow", "wf_b").stdout == "2 jobs run again\n"
    wait_states(spool, a="failed", b="done", c="done")
    assert retry(spool, "--failed").stdout == "1 job runs again\n"
    wait_states(spool, a="done")


def test_what_is_not_found_is_asked_for_again_at_once(spool, hostile, daemon):
    """For 60 s jobs with an unknown workflow fail without a request; the operator knows better."""
    server = hostile()
    script(server, all="status:404")
    daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    wait_states(spool, a="failed")
    script(server, all="ok")
    assert retry(spool, "a").returncode == 0
    wait_states(spool, a="done")


def test_nothing_matches(spool, sandbox, daemon):
    daemon(sandbox("--limiter", "none").url)
    spool.drop("a.yaml")
    wait_states(spool, a="done")
    for words, complaint in [(["nope.yaml"], 'no job is "nope.yaml"'), (["nope*"], 'no job matches "nope*"'),
                             (["a", "nope"], 'no job is "nope"'), (["--failed", "--code", "typo"], 'the code "typo"'),
                             ([], "give either jobs or --failed"), (["--failed", "a"], "give either jobs or --failed"),
                             (["--code", "rejected", "a"], "go with --failed"), (["--", "--force"], 'no job is "--force"')]:
        done = retry(spool, *words)
        assert done.returncode == 2 and complaint in done.stderr and done.stdout == "", (words, done)


def test_jobs_that_cannot(spool, hostile, daemon):
    server = hostile()
    script(server, all="status:400", wf_slow="hang")
    daemon(server.url, config=HOLD)
    spool.drop("slow.yaml", workflow="wf_slow")
    spool.drop("later.yaml", not_before="2099-01-01T00:00:00Z")
    spool.drop("held.yaml.hold")
    failed = spool.drop("failed.yaml")
    gone = spool.drop("gone.yaml", inputs={"text": "gone"})
    wait_states(spool, failed="failed", gone="failed", slow="in-flight", later="later", held="held")
    gone.unlink()
    failed.rename(spool.path / "failed.yaml.hold")
    wait_for(lambda: "its file is gone" in retry(spool, "gone").stderr, "the loss to be noticed")
    wait_for(lambda: "rename its file back" in retry(spool, "failed").stderr, "the hold to be noticed")
    for stem, why in [("slow", "it is on its way"), ("later", "it is waiting already"), ("held", "rename its file back"),
                      ("gone", "its file is gone"), ("failed", "rename its file back")]:
        done = retry(spool, stem)
        assert done.returncode == 1 and f"{stem}.yaml: it" in done.stderr and why in done.stderr, (stem, done)
        assert done.stdout == "0 jobs run again\n"
    done = retry(spool, "--failed")
    assert done.returncode == 1 and done.stdout == "0 jobs run again\n" and done.stderr.count("\n") == 2


def test_without_a_daemon_the_next_one_does_it(spool, hostile, daemon):
    server = hostile()
    script(server, all="status:400")
    d = daemon(server.url, config=HOLD)
    for stem in "abc":
        spool.drop(f"{stem}.yaml", inputs={"text": stem})
    wait_states(spool, a="failed", b="failed", c="failed")
    d.kill()
    done = retry(spool, "a.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 job runs again when flowspoold starts\n", "")
    assert retry(spool, "a.yaml", "b.yaml").stdout == "2 jobs run again when flowspoold starts\n"
    assert states(spool)["a.yaml"] == "failed"
    script(server, all="ok")
    before = posts(server)
    d = daemon(server.url, config=HOLD)
    wait_states(spool, a="done", b="done", c="failed")
    assert posts(server) - before == 2, "asked for twice, bought once"
    assert d.stop() == 0
    d = daemon(server.url, "--once", config=HOLD)
    assert d.wait() == 0 and posts(server) - before == 2, "an order is carried out once"


def test_the_log_counts_late_orders_properly(spool, hostile, daemon):
    server = hostile()
    script(server, all="status:400")
    d = daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    wait_states(spool, a="failed")
    d.stop()
    retry(spool, "a")
    d = daemon(server.url, config=HOLD)
    d.logged("1 job runs again as flowspool retry asked before the start; 0 cannot")


def test_a_daemon_that_hangs_gets_no_order(spool, hostile, daemon):
    """Whoever gave up must not find out an hour later that it was done all the same."""
    server = hostile()
    script(server, all="status:400")
    d = daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    wait_states(spool, a="failed")
    with frozen(d):
        done = retry(spool, "a.yaml")
        assert done.returncode == 4 and done.stdout == "", done
        assert "does not answer" in done.stderr and "nothing was changed" in done.stderr
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon to go on")
    assert states(spool)["a.yaml"] == "failed" and posts(server) == 1


def test_a_locked_state_without_a_socket(spool, hostile, daemon):
    """A daemon that starts, or ends, or lost its socket."""
    server = hostile()
    script(server, all="status:400")
    d = daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    wait_states(spool, a="failed")
    (spool.state / "control").unlink()
    for words in (["retry", "a"], ["pause"], ["resume"]):
        done = command("--spool", spool.path, *words)
        assert done.returncode == 4 and "holds the state" in done.stderr and "does not answer" in done.stderr, (words, done)
    assert states(spool)["a.yaml"] == "failed" and not status(spool)["paused"]
    assert d.stop() == 0


def test_no_state(spool):
    done = retry(spool, "a.yaml")
    assert done.returncode == 2 and "no flowspoold has run" in done.stderr and list(spool.path.iterdir()) == []


@pytest.fixture
def quick_spool():
    """In memory, where thousands of outcomes are synced in no time."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as place:
        yield Spool(pathlib.Path(place) / "spool")


@pytest.mark.parametrize("how", ["live", "late"])
def test_more_than_one_order_holds(quick_spool, hostile, daemon, how):
    """2,000 jobs fit one order."""
    spool = quick_spool
    server = hostile()
    script(server, all="status:404")
    d = daemon(server.url, spool=spool)
    for i in range(2010):
        spool.drop(f"job-{i:04}.yaml", inputs={"text": i})
    wait_for(lambda: (a := status(spool))["jobs"] and a["jobs"]["failed"] == 2010, "all to fail")
    if how == "late":
        d.kill()
    done = retry(spool, "job-*.yaml")
    assert done.returncode == 0 and done.stdout.startswith("2010 jobs run again") and done.stderr == "", done
    if how == "late":
        d = daemon(server.url, spool=spool)
        d.logged("2010 jobs run again as flowspool retry asked before the start; 0 cannot")
    failures = 2010 if how == "late" else 4020
    wait_for(lambda: (a := status(spool))["live"] and a["live"]["run"]["failed"] == failures, "all to fail again")
    assert d.stop() == 0
