"""flowspool hold and release: what is not sent, for how long, and what a hold outlives."""

import signal

from command_line import jobs, order, paused, states, status, wait_states
from conftest import wait_for
from hostile_control import posts, release, script, stats

FAST = "retry:\n  max_attempts: 3\n  base: 10ms\n  cap: 20ms\n"


def test_held_until_released(spool, hostile, daemon):
    server = hostile()
    paused(spool, daemon, server, "a", "b", "c", config=FAST)
    done = order(spool, "hold", "a.yaml", "b.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 jobs are held\n", "")
    assert order(spool, "hold", "a.yaml").returncode == 0, "asked for twice"
    assert order(spool, "resume").returncode == 0
    assert spool.outcome("c")["success"] is True
    wait_states(spool, a="held", b="held", c="done")
    assert "flowspool release" in order(spool, "list").stdout and status(spool)["jobs"]["held"] == 2
    assert status(spool)["live"]["counts"]["held"] == 2
    done = order(spool, "release", "a.yaml", "c.yaml")
    assert done.returncode == 1 and done.stdout == "1 job is released\n" and "c.yaml: it has ended" in done.stderr
    wait_states(spool, a="done", b="held")
    assert posts(server) == 2
    done = order(spool, "release", "--all")
    assert (done.returncode, done.stdout) == (0, "1 job is released; 2 left alone (not held, or by the name of the file)\n")
    wait_states(spool, b="done")
    assert "b.yaml: it has ended" in order(spool, "release", "b").stderr
    assert posts(server) == 3


def test_retry_of_a_held_job(spool, hostile, daemon):
    server = hostile()
    script(server, all="status:400")
    daemon(server.url, config=FAST)
    spool.drop("a.yaml")
    wait_states(spool, a="failed")
    assert "a.yaml: it has ended" in order(spool, "hold", "a").stderr
    script(server, all="ok")
    assert order(spool, "retry", "a").returncode == 0
    wait_states(spool, a="done")
    assert order(spool, "pause").returncode == 0
    spool.drop("b.yaml", inputs={"text": "b"})
    wait_states(spool, b="waiting")
    assert order(spool, "hold", "b").returncode == 0
    done = order(spool, "retry", "b")
    assert done.returncode == 1 and "it is held; to let it go: flowspool release" in done.stderr


def test_the_attempt_on_its_way_is_finished_first(spool, hostile, daemon):
    server = hostile()
    script(server, all=["hold"], wf_again=["hold:500", "ok"])
    daemon(server.url, config=FAST)
    spool.drop("a.yaml")
    spool.drop("b.yaml", workflow="wf_again")
    wait_for(lambda: stats(server)["in_flight"] == 2, "the requests")
    done = order(spool, "hold", "a", "b")
    assert (done.returncode, done.stdout) == (0, "0 jobs are held; 2 on the way: the attempt is finished first\n")
    release(server)
    wait_states(spool, a="done", b="held")
    assert spool.result("a") and posts(server) == 2
    assert order(spool, "release", "b").returncode == 0
    wait_states(spool, b="done")
    assert spool.result("b")["attempts"] == 2 and posts(server) == 3, "it goes on with its history"


def test_released_before_it_comes_back(spool, hostile, daemon):
    server = hostile()
    script(server, all=["hold:500", "ok"])
    daemon(server.url, config=FAST)
    spool.drop("a.yaml")
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    assert order(spool, "hold", "a").returncode == 0 and order(spool, "release", "a").stdout == "1 job is released\n"
    release(server)
    assert spool.outcome("a")["success"] is True


def test_by_its_name_and_by_order(spool, hostile, daemon):
    server = hostile()
    d = paused(spool, daemon, server, config=FAST)
    job = spool.drop("a.yaml.hold")
    wait_states(spool, a="held")
    done = order(spool, "release", "a")
    assert done.returncode == 1 and "rename it back" in done.stderr
    assert order(spool, "hold", "a").returncode == 0
    assert order(spool, "resume").returncode == 0
    job.rename(spool.path / "a.yaml")
    d.logged("no longer held")
    wait_for(lambda: "flowspool release" in order(spool, "list").stdout, "only the order to hold it")
    assert states(spool)["a.yaml"] == "held" and posts(server) == 0
    assert order(spool, "release", "a").returncode == 0
    wait_states(spool, a="done")
    (spool.path / "b.yaml.hold").write_text((spool.path / "a.yaml").read_text().replace("hello", "b"))
    wait_states(spool, b="held")
    (spool.path / "b.yaml.hold").rename(spool.path / "b.yaml")
    wait_states(spool, b="done")


def test_it_outlives_renaming_editing_and_mistakes(spool, hostile, daemon):
    """Who holds a job to change its file does not want the change to be sent at once."""
    server = hostile()
    d = paused(spool, daemon, server, "a", "m", config=FAST)
    assert order(spool, "hold", "a", "m").returncode == 0 and order(spool, "resume").returncode == 0
    (spool.path / "m.yaml").rename(spool.path / "n.yaml")
    wait_states(spool, n="held")
    spool.drop("a.yaml", inputs={"text": "edited"})
    wait_for(lambda: len(jobs(spool)) == 2 and states(spool)["a.yaml"] == "held", "the edited job to be held")
    before = jobs(spool)["a.yaml"]["request_sha256"]
    spool.drop("a.yaml", "workflow: [\n")
    wait_for(lambda: states(spool)["a.yaml"] == "failed", "the refusal", patience=40)
    spool.drop("a.yaml", inputs={"text": "right again"})
    wait_states(spool, a="held")
    assert jobs(spool)["a.yaml"]["request_sha256"] != before and posts(server) == 0
    assert order(spool, "release", "--all").returncode == 0
    wait_states(spool, a="done", n="done")
    assert posts(server) == 2
    assert d.stop() == 0


def test_it_goes_with_its_file_and_comes_back_with_it(spool, hostile, daemon):
    server = hostile()
    paused(spool, daemon, server, "a", "b", config=FAST + "forget_after: 1s\nrescan: 300ms\n")
    text = (spool.path / "a.yaml").read_text()
    assert order(spool, "hold", "a", "b").returncode == 0
    assert order(spool, "resume").returncode == 0
    (spool.path / "b.yaml").rename(spool.path.parent / "aside.yaml")
    wait_states(spool, b="missing")
    (spool.path.parent / "aside.yaml").rename(spool.path / "b.yaml")
    wait_states(spool, b="held")
    (spool.path / "a.yaml").unlink()
    wait_for(lambda: "a.yaml" not in states(spool), "the job to be forgotten")
    spool.drop("a.yaml", text)
    wait_states(spool, a="done", b="held")


def test_a_held_job_expires(spool, hostile, daemon):
    server = hostile()
    paused(spool, daemon, server, config=FAST)
    spool.drop("a.yaml", not_before="2020-01-01T00:00:00Z", expires="2020-01-02T00:00:00Z")
    assert spool.outcome("a")["error"]["code"] == "expired"
    for stem in ("b", "c"):
        spool.drop(f"{stem}.yaml.hold", expires="2099-01-01T00:00:00Z", inputs={"text": stem})
    wait_states(spool, b="held", c="held")
    assert order(spool, "hold", "b").returncode == 0 and order(spool, "cancel", "c").returncode == 0
    (spool.path / "b.yaml.hold").write_text((spool.path / "b.yaml.hold").read_text().replace("2099", "2020"))
    assert spool.outcome("b")["error"]["code"] == "expired" and spool.outcome("c")["error"]["code"] == "cancelled"
    wait_states(spool, b="failed", c="failed")
    assert posts(server) == 0


def test_it_survives_a_crash_right_after_the_answer(spool, hostile, daemon):
    server = hostile()
    d = paused(spool, daemon, server, "a", "b", config=FAST)
    done = order(spool, "hold", "a")
    d.send(signal.SIGKILL)
    d.wait()
    assert done.returncode == 0 and done.stdout == "1 job is held\n" and states(spool)["a.yaml"] == "held"
    assert order(spool, "resume").returncode == 0
    d = daemon(server.url, config=FAST)
    wait_states(spool, a="held", b="done")
    done = order(spool, "release", "a")
    d.send(signal.SIGKILL)
    d.wait()
    assert done.returncode == 0 and done.stdout == "1 job is released\n"
    d = daemon(server.url, "--once", config=FAST)
    assert d.wait() == 0
    assert states(spool) == {"a.yaml": "done", "b.yaml": "done"} and spool.result("a") and spool.result("b")


def test_without_a_daemon(spool, hostile, daemon):
    server = hostile()
    d = paused(spool, daemon, server, "a", "b", "c", config=FAST)
    d.kill()
    assert order(spool, "resume").returncode == 0
    assert order(spool, "hold", "a", "b").stdout == "2 jobs are held\n"
    assert order(spool, "release", "b").stdout == "1 job is released\n"
    done = order(spool, "release", "c")
    assert done.returncode == 1 and "c.yaml: it is not held" in done.stderr and done.stdout == "0 jobs are released\n"
    d = daemon(server.url, "--once", config=FAST)
    assert d.wait() == 0
    assert states(spool) == {"a.yaml": "held", "b.yaml": "done", "c.yaml": "done"} and posts(server) == 2
    assert order(spool, "hold", "b").returncode == 1
    assert order(spool, "retry", "--force", "b").stdout == "1 job runs again when flowspoold starts\n"
    assert "runs again" in order(spool, "list").stdout
    done = order(spool, "hold", "b")
    assert done.returncode == 1 and "tell that one" in done.stderr
    assert order(spool, "cancel", "b").stdout.startswith("1 job is cancelled"), "which takes the retry back"
    d = daemon(server.url, "--once", config=FAST)
    assert d.wait() == 0 and posts(server) == 2


def test_no_state(spool):
    for word in ("hold", "release", "cancel"):
        done = order(spool, word, "--all")
        assert done.returncode == 2 and "no flowspoold has run" in done.stderr and list(spool.path.iterdir()) == []


def test_thousands(spool, hostile, daemon):
    """More than one order holds, and a window in memory that has to let go of them."""
    server = hostile()
    script(server, all="hang")
    daemon(server.url, config=FAST + "max_concurrency: 1\n")
    spool.drop("first.yaml", priority=9)
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    for i in range(2200):
        (spool.path / f".{i}").write_text(f"workflow: wf\ninputs:\n  n: {i}\n")
        (spool.path / f".{i}").rename(spool.path / f"job-{i:04}.yaml")
    wait_for(lambda: status(spool)["jobs"]["waiting"] == 2200, "the jobs")
    done = order(spool, "hold", "job-*.yaml")
    assert (done.returncode, done.stdout) == (0, "2200 jobs are held\n"), done
    assert status(spool)["jobs"]["held"] == 2200
    done = order(spool, "release", "job-1*.yaml")
    assert (done.returncode, done.stdout) == (0, "1000 jobs are released\n"), done
    about = status(spool)["jobs"]
    assert (about["waiting"], about["held"]) == (1000, 1200) and posts(server) == 1
