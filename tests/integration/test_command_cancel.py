"""flowspool cancel: what is not sent any more, what is finished first, and what is left of it."""

import json
import signal

from command_line import command, frozen, jobs, order, paused, states, status, wait_states
from conftest import wait_for
from hostile_control import posts, release, script, stats

FAST = "retry:\n  max_attempts: 3\n  base: 10ms\n  cap: 20ms\n"


def cancel(spool, *arguments):
    return order(spool, "cancel", *arguments)


def code(spool, stem):
    outcome = spool.error(stem)
    return outcome and outcome["error"]["code"]


def test_a_waiting_job_fails_and_is_not_sent(spool, hostile, daemon):
    server = hostile()
    paused(spool, daemon, server, "a", "b", config=FAST)
    done = cancel(spool, "a.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 job is cancelled\n", "")
    error = spool.outcome("a")
    assert error["error"]["code"] == "cancelled" and error["error"]["retryable"] is True and error["attempts"] == 0
    assert "nothing was charged" in error["error"]["message"] and "flowspool retry a.yaml" in error["error"]["message"]
    wait_states(spool, a="failed", b="waiting")
    done = cancel(spool, "a.yaml")
    assert done.returncode == 1 and done.stdout == "0 jobs are cancelled\n" and "a.yaml: it has ended" in done.stderr
    assert order(spool, "resume").returncode == 0
    assert spool.outcome("b")["success"] is True
    wait_states(spool, b="done")
    assert posts(server) == 1
    done = cancel(spool, "*.yaml")
    assert (done.returncode, done.stdout) == (0, "0 jobs are cancelled; 2 left alone (ended, or the file is gone)\n")
    assert order(spool, "retry", "a.yaml").returncode == 0
    wait_states(spool, a="done")
    assert spool.error("a") is None and spool.result("a")["success"] is True


def test_held_ones_and_those_for_later_too(spool, hostile, daemon):
    server = hostile()
    script(server, all="ok", wf_retry="status:500")
    daemon(server.url, config="retry:\n  max_attempts: 9\n  base: 30s\n  cap: 60s\n")
    spool.drop("later.yaml", not_before="2099-01-01T00:00:00Z")
    spool.drop("named.yaml.hold", inputs={"text": "named"})
    spool.drop("again.yaml", workflow="wf_retry")
    spool.drop("expires.yaml", not_before="2099-01-01T00:00:00Z", expires="2099-01-02T00:00:00Z", inputs={"text": "e"})
    wait_states(spool, later="later", named="held", again="later", expires="later")
    assert order(spool, "hold", "later").stdout == "1 job is held\n"
    wait_states(spool, later="held")
    done = cancel(spool, "--all")
    assert (done.returncode, done.stdout, done.stderr) == (0, "4 jobs are cancelled\n", "")
    for stem in ("later", "named", "again", "expires"):
        assert spool.outcome(stem)["error"]["code"] == "cancelled", stem
    wait_states(spool, later="failed", named="failed", again="failed", expires="failed")
    assert spool.error("again")["attempts"] == 1 and posts(server) == 1
    assert all(job["code"] == "cancelled" for job in jobs(spool).values())
    assert cancel(spool, "--all").stdout == "0 jobs are cancelled; 4 left alone (ended, or the file is gone)\n"


def test_what_is_on_its_way_keeps_its_result(spool, hostile, daemon):
    server = hostile()
    script(server, all="hold")
    daemon(server.url, config=FAST)
    spool.drop("a.yaml")
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    done = cancel(spool, "a")
    assert (done.returncode, done.stdout) == (0, "0 jobs are cancelled; 1 on the way: the attempt is finished first\n")
    assert cancel(spool, "a").returncode == 0, "asked for twice"
    assert "cancelled, unless it has a result" in order(spool, "list").stdout.replace("\n", " ")
    release(server)
    assert spool.outcome("a")["success"] is True
    wait_states(spool, a="done")
    spool.drop("a.yaml", inputs={"text": "another"})
    wait_for(lambda: posts(server) == 2, "an edited file to be another job")
    release(server)


def test_what_would_be_tried_again_is_cancelled(spool, hostile, daemon):
    server = hostile()
    script(server, all=["hold", "ok"], wf_fails=["hold:500", "ok"], wf_busy=["hold:429", "ok"])
    daemon(server.url, config=FAST)
    spool.drop("a.yaml", workflow="wf_fails", inputs={"text": "a"})
    spool.drop("b.yaml", workflow="wf_busy", inputs={"text": "b"})
    wait_for(lambda: stats(server)["in_flight"] == 2, "the requests")
    done = cancel(spool, "a", "b")
    assert done.returncode == 0 and "2 on the way" in done.stdout, done
    release(server)
    for stem in "ab":
        assert spool.outcome(stem)["error"]["code"] == "cancelled"
        assert "nothing was charged" in spool.error(stem)["error"]["message"]
    wait_states(spool, a="failed", b="failed")
    assert posts(server) == 2 and spool.error("a")["attempts"] == 1 and spool.error("b")["rate_limited"] == 1


def test_ambiguous_is_said_at_once(spool, hostile, daemon):
    server = hostile()
    script(server, all={"do": "reset-after-read", "held": True})
    daemon(server.url, config="retry:\n  base: 10ms\n  max_ambiguous: 5\n")
    spool.drop("a.yaml")
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    assert "1 on the way" in cancel(spool, "a").stdout
    release(server)
    assert spool.outcome("a")["error"]["code"] == "ambiguous"
    wait_states(spool, a="failed")
    assert posts(server) == 1


def test_what_may_have_been_charged_is_counted(spool, hostile, daemon):
    """And touching the file must not buy it again, as nothing does for `ambiguous`."""
    server = hostile()
    script(server, all="reset-after-read")
    d = daemon(server.url, config="retry:\n  base: 60s\n  cap: 60s\n  max_ambiguous: 5\n")
    job = spool.drop("a.yaml")
    wait_states(spool, a="later")
    assert cancel(spool, "a").stdout == "1 job is cancelled\n"
    error = spool.outcome("a")
    assert error["error"]["code"] == "cancelled" and "1 of its attempts may have been charged" in error["error"]["message"]
    assert error["ambiguous"] == 1
    wait_states(spool, a="failed")
    job.write_text(job.read_text() + "# touched\n")
    d.logged("only flowspool retry sends it again")
    script(server, all="ok")
    assert states(spool)["a.yaml"] == "failed" and posts(server) == 1
    assert order(spool, "retry", "a").returncode == 0
    wait_states(spool, a="done")


def test_what_may_have_been_charged_is_told_so_without_the_state(spool, hostile, daemon):
    """By the error file beside the job alone; and check foretells what the daemon does."""
    server = hostile()
    script(server, all="reset-after-read")
    d = daemon(server.url, config="retry:\n  base: 60s\n  cap: 60s\n  max_ambiguous: 5\n")
    job = spool.drop("charged.yaml")
    wait_states(spool, charged="later")
    assert order(spool, "pause").returncode == 0
    spool.drop("free.yaml", inputs={"text": "free"})
    wait_states(spool, free="waiting")
    assert cancel(spool, "--all").stdout == "2 jobs are cancelled\n"
    wait_states(spool, charged="failed", free="failed")

    def foretold():
        about = json.loads(command("check", "--json", spool.path, FLOWSPOOL_ENDPOINT=server.url).stdout)
        return about["purchases"], about["failed"]

    assert foretold() == (0, 2)
    job.write_text(job.read_text() + "# touched\n")
    with frozen(d):
        assert foretold() == (0, 2), "only flowspool retry sends it again"
    d.logged("only flowspool retry sends it again")
    assert d.stop() == 0
    for file in spool.state.iterdir():
        if file.is_file():
            file.unlink()
    assert foretold() == (1, 1), "the one of which nothing was charged runs again"
    script(server, all="ok")
    before = posts(server)
    daemon(server.url)
    wait_states(spool, charged="failed", free="done")
    assert spool.outcome("free")["success"] is True
    assert posts(server) == before + 1 and code(spool, "charged") == "cancelled"


def test_retry_takes_it_back(spool, hostile, daemon):
    """The last order counts, for one that is on its way."""
    server = hostile()
    script(server, all=["hold:500", "ok"])
    daemon(server.url, config=FAST)
    spool.drop("a.yaml")
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    assert "1 on the way" in cancel(spool, "a").stdout
    assert "a.yaml: it is being cancelled" in order(spool, "hold", "a").stderr
    assert order(spool, "retry", "a").stdout == "1 job runs again\n"
    release(server)
    assert spool.outcome("a")["success"] is True and posts(server) == 2


def test_a_file_that_is_gone(spool, hostile, daemon):
    server = hostile()
    paused(spool, daemon, server, "a", "b", config=FAST)
    (spool.path / "a.yaml").unlink()
    wait_states(spool, a="missing")
    done = cancel(spool, "a")
    assert done.returncode == 1 and "a.yaml: its file is gone" in done.stderr
    assert cancel(spool, "--all").stdout == "1 job is cancelled; 1 left alone (ended, or the file is gone)\n"
    assert code(spool, "a") is None
    spool.outcome("b")


def test_an_edited_or_touched_file_is_another_instruction(spool, hostile, daemon):
    server = hostile()
    paused(spool, daemon, server, "a", "b", config=FAST)
    assert cancel(spool, "a", "b").returncode == 0
    wait_states(spool, a="failed", b="failed")
    assert order(spool, "resume").returncode == 0
    spool.drop("a.yaml", inputs={"text": "edited"})
    spool.drop("b.yaml", inputs={"text": "b"})
    wait_states(spool, a="done", b="done")
    assert posts(server) == 2


def test_it_survives_a_crash_right_after_the_answer(spool, hostile, daemon):
    server = hostile()
    script(server, all="hang")
    d = daemon(server.url, config=FAST + "max_concurrency: 1\n")
    stems = [f"job-{i}" for i in range(20)]
    spool.drop("first.yaml", priority=9)
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    for stem in stems:
        spool.drop(f"{stem}.yaml", inputs={"text": stem})
    wait_for(lambda: len(states(spool)) == 21, "the jobs")
    done = cancel(spool, "--all")
    d.send(signal.SIGKILL)
    d.wait()
    assert done.stdout == "20 jobs are cancelled; 1 on the way: the attempt is finished first\n", done
    script(server, all="ok")
    d = daemon(server.url, config=FAST + "max_concurrency: 1\n")
    for stem in stems:
        assert spool.outcome(stem)["error"]["code"] == "cancelled"
    assert spool.outcome("first")["error"]["code"] == "ambiguous", "it may have been charged"
    wait_for(lambda: set(states(spool).values()) == {"failed"}, "the ends to be stored")
    assert posts(server) == 1, "nothing was sent again"
    assert d.stop() == 0


def test_without_a_daemon(spool, hostile, daemon):
    server = hostile()
    d = paused(spool, daemon, server, "a", "b", "c", config=FAST)
    d.kill()
    done = cancel(spool, "a.yaml", "b.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (
        0, "2 jobs are cancelled; what says so is written when flowspoold starts\n", "")
    assert spool.outcomes() == []
    assert [j["state"] for j in jobs(spool).values()] == ["held", "held", "waiting"]
    assert order(spool, "list").stdout.count("being cancelled") == 2
    assert order(spool, "retry", "b").stdout == "1 job runs again when flowspoold starts\n"
    assert order(spool, "resume").returncode == 0
    daemon(server.url, config=FAST)
    assert spool.outcome("a")["error"]["code"] == "cancelled"
    wait_states(spool, a="failed", b="done", c="done")
    assert posts(server) == 2


def test_a_daemon_that_hangs_gets_no_order(spool, hostile, daemon):
    server = hostile()
    d = paused(spool, daemon, server, "a", "b", config=FAST)
    assert order(spool, "hold", "b").returncode == 0
    with frozen(d):
        for word in ("cancel", "hold", "release"):
            done = order(spool, word, "--all")
            assert done.returncode == 4 and done.stdout == "" and "nothing was changed" in done.stderr, (word, done)
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon to go on")
    assert states(spool) == {"a.yaml": "waiting", "b.yaml": "held"}


def test_a_locked_state_without_a_socket(spool, hostile, daemon):
    server = hostile()
    paused(spool, daemon, server, "a", config=FAST)
    (spool.state / "control").unlink()
    for word in ("cancel", "hold"):
        done = order(spool, word, "a")
        assert done.returncode == 4 and "holds the state" in done.stderr, done
    assert states(spool)["a.yaml"] == "waiting"


def test_wrong_usage(spool, sandbox, daemon):
    daemon(sandbox("--limiter", "none").url)
    spool.drop("a.yaml")
    wait_states(spool, a="done")
    for word in ("cancel", "hold", "release"):
        for words, complaint in [([], "which jobs?"), (["--all", "a"], "either jobs or --all"), (["nope*"], 'no job matches "nope*"'),
                                 (["nope"], 'no job is "nope"'), (["a", "nope"], 'no job is "nope"'), (["--force"], "--force")]:
            done = order(spool, word, *words)
            assert done.returncode == 2 and complaint in done.stderr and done.stdout == "", (word, words, done)
    assert states(spool) == {"a.yaml": "done"}


def test_of_one_workflow(spool, hostile, daemon):
    server = hostile()
    paused(spool, daemon, server, "a", workflow="wf_a", config=FAST)
    spool.drop("b.yaml", workflow="wf_b")
    wait_states(spool, a="waiting", b="waiting")
    assert cancel(spool, "--workflow", "wf_b").stdout == "1 job is cancelled\n"
    assert cancel(spool, "--workflow", "wf_none").stdout == "0 jobs are cancelled\n"
    wait_states(spool, a="waiting", b="failed")


def test_one_document_of_several(spool, hostile, daemon):
    server = hostile()
    paused(spool, daemon, server, config=FAST)
    text = "".join(f"---\nworkflow: wf\nid: {name}\ninputs:\n  text: {name}\n" for name in ("x", "y", "z"))
    spool.drop("m.yaml", text)
    wait_for(lambda: status(spool)["jobs"]["waiting"] == 3, "the jobs")
    assert cancel(spool, "m.y").stdout == "1 job is cancelled\n"
    assert "flowspool retry m.y" in spool.outcome("m.y")["error"]["message"]
    wait_for(lambda: status(spool)["jobs"]["failed"] == 1, "its end")
    assert cancel(spool, "m.yaml").stdout == "2 jobs are cancelled; 1 left alone (ended, or the file is gone)\n"
    wait_for(lambda: status(spool)["jobs"]["failed"] == 3, "their ends")
    assert order(spool, "resume").returncode == 0
    assert order(spool, "retry", "m.x").stdout == "1 job runs again\n"
    wait_for(lambda: spool.result("m.x"), "the result")
    wait_for(lambda: status(spool)["jobs"]["done"] == 1, "its end")
    assert status(spool)["jobs"]["failed"] == 2 and posts(server) == 1, "only that document runs again"


def test_once_counts_it_as_a_failure(spool, hostile, daemon):
    server = hostile()
    d = paused(spool, daemon, server, "a", "b", config=FAST)
    d.kill()
    assert cancel(spool, "a").returncode == 0 and order(spool, "resume").returncode == 0
    d = daemon(server.url, "--once", config=FAST)
    assert d.wait() == 1, d.log
    assert code(spool, "a") == "cancelled" and spool.result("b") and posts(server) == 1
    assert json.loads((spool.path / "a.error.json").read_text())["error"]["http_status"] is None
