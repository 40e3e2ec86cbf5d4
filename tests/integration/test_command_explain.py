"""flowspool explain: why a job is not running now, with a daemon that runs, hangs, died or never was."""

import json
import os

import pytest

from command_line import command, frozen, jobs, narrow, on_terminal, plain, states, status
from conftest import job_text, wait_for
from hostile_control import script, stats


def explain(spool, *words, options=()):
    done = command(*options, "--spool", spool.path, "explain", "--json", *words)
    assert done.returncode == 0 and done.stderr == "", done
    return [json.loads(line) for line in done.stdout.splitlines()]


def reasons(spool, word, **keys):
    """All reasons, the first one first."""
    (e,) = explain(spool, word, **keys)
    return [e["reason"], *[a["reason"] for a in e["also"]]]


def text(spool, *words):
    done = command("--spool", spool.path, "explain", *words)
    assert done.returncode == 0 and done.stderr == "", done
    return " ".join(done.stdout.split())


def holds(spool):
    live = status(spool)["live"]
    return [h["kind"] for h in live["holds"]] if live else []


def test_what_is_over(spool, sandbox, daemon):
    workflows = spool.path.parent / "workflows.yaml"
    workflows.write_text("workflows:\n  wf_a: {template: 'x'}\n  wf_gone: {template: x, published: false}\n")
    daemon(sandbox("--limiter", "none", "--latency", "0", "--workflows", workflows).url)
    spool.drop("done.yaml", workflow="wf_a")
    spool.drop("gone.yaml", workflow="wf_gone")
    spool.drop("old.yaml", workflow="wf_a", expires="2020-01-01T00:00:00Z")
    for stem in ["done", "gone", "old"]:
        spool.outcome(stem)
    spool.drop("done.yml", workflow="wf_a", inputs={"text": "other"})
    wait_for(lambda: states(spool) == {"done.yaml": "done", "gone.yaml": "failed", "old.yaml": "failed", "done.yml": "refused"}, "all")
    assert text(spool, "done.yaml") == "done.yaml: it is done (by a sandbox): its result is in done.result.json."
    (e,) = explain(spool, "gone")
    assert (e["reason"], e["state"], e["todo"], e["before"], e["also"]) == ("failed", "failed", "flowspool retry gone.yaml", None, [])
    assert "it has failed (workflow_not_found): the service knows" in text(spool, "gone")
    assert text(spool, "gone").count("flowspool retry gone.yaml") == 1
    (e,) = explain(spool, "old")
    assert e["reason"] == "failed" and "later 'expires'" in e["todo"]
    assert reasons(spool, "done.yml") == ["refused"] and "What to do: rename the file" in text(spool, "done.yml")


def test_its_turn(spool, hostile, daemon):
    d = daemon(hostile("--default", "hang").url, "--max-concurrency", "1")
    for i in range(5):
        spool.drop(f"{i}.yaml", inputs={"text": i}, priority=-i)
    wait_for(lambda: (s := states(spool)) and len(s) == 5 and list(s.values()).count("in-flight") == 1, "a request")
    order = sorted((name for name, state in states(spool).items() if state == "waiting"), key=lambda n: int(n[0]))
    running = next(name for name, state in states(spool).items() if state == "in-flight")
    assert "its request was sent " in text(spool, running) and reasons(spool, running) == ["in_flight"]
    assert [reasons(spool, name) for name in order] == [["next"], ["turn"], ["turn"], ["turn"]]
    assert [explain(spool, name)[0]["before"] for name in order] == [0, 1, 2, 3]
    assert "it is next, when one of the 1 requests in flight ends (max_concurrency)" in text(spool, order[0])
    assert ": 1 job goes first;" in text(spool, order[1]) and ": 3 jobs go first;" in text(spool, order[3])
    with frozen(d):
        assert reasons(spool, order[0]) == ["no_answer"] and reasons(spool, running) == ["in_flight", "no_answer"]
    d.kill()
    assert reasons(spool, order[0]) == ["no_daemon"] and "What to do: start flowspoold" in text(spool, order[0])
    assert reasons(spool, running) == ["cut_off"] and "may have been charged" in text(spool, running)


def test_how_long_it_takes(spool, sandbox, daemon):
    daemon(sandbox("--limiter", "none", "--latency", "1s").url, "--max-concurrency", "2")
    for i in range(60):
        spool.drop(f"job-{i:02}.yaml", inputs={"text": i})
    e = wait_for(lambda: "job-59.yaml" in jobs(spool) and (e := explain(spool, "job-59")[0])["left_ms"] and e, "a rate")
    assert e["reason"] == "turn" and 0 < e["before"] < 60 and "/s its turn comes in about " in e["why"]


def test_what_holds_one_job(spool, sandbox, daemon):
    d = daemon(sandbox("--limiter", "none", "--latency", "0").url)
    spool.drop("held.yaml.hold")
    spool.drop("later.yaml", inputs={"text": 1}, not_before="2099-01-01T00:00:00Z")
    spool.drop("gone.yaml", inputs={"text": 2}, not_before="2099-01-01T00:00:00Z")
    spool.drop("it's.yaml.hold", inputs={"text": 3})
    spool.drop("short.yaml", inputs={"text": 4}, not_before="2099-01-01T00:00:00Z", expires="2099-01-02T00:00:00Z")
    wait_for(lambda: len(states(spool)) == 5, "the jobs")
    (spool.path / "gone.yaml").unlink()
    wait_for(lambda: states(spool)["gone.yaml"] == "missing", "the loss")
    assert reasons(spool, "held") == ["held_file"] and "What to do: in the spool: mv held.yaml.hold held.yaml" in text(spool, "held")
    assert r"mv 'it'\''s.yaml.hold' 'it'\''s.yaml'" in text(spool, "it's")
    assert reasons(spool, "later") == ["not_before"] and "not to run before 2099-01-01T00:00:00.000Z, in " in text(spool, "later")
    assert reasons(spool, "short") == ["not_before", "expires"] and "fails, unsent" in text(spool, "short")
    assert reasons(spool, "gone")[0] == "missing"
    assert "the job is forgotten in 9m" in text(spool, "gone") or "the job is forgotten in 10m" in text(spool, "gone")
    assert d.stop() == 0
    assert reasons(spool, "held") == ["held_file", "no_daemon"], "both stand in its way"
    assert "flowspoold forgets the job soon" in text(spool, "gone")


def test_after_an_attempt(spool, hostile, daemon):
    server = hostile()
    script(server, all={"do": "status", "status": 500, "body": {"success": False, "error": "no"}})
    daemon(server.url, config="retry: {base: 1h, cap: 1h}\n")
    spool.drop("a.yaml")
    wait_for(lambda: states(spool).get("a.yaml") == "later", "the backoff")
    assert reasons(spool, "a") == ["backoff"]
    assert "its last attempt ended so: the service failed; it is tried again at 2" in text(spool, "a")


def test_its_predecessor(spool, hostile, daemon):
    server = hostile("--default", "hang")
    daemon(server.url)
    spool.drop("a.yaml", inputs={"text": "first"})
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    spool.drop("a.yaml", inputs={"text": "second"})
    wait_for(lambda: states(spool) == {"a.yaml": "waiting"}, "the second")
    assert reasons(spool, "a.yaml") == ["predecessor"] and "that one ends first" in text(spool, "a.yaml")


@pytest.mark.parametrize("options, reason, words", [
    (["--fault", "401"], "account", "the account refuses the key"),
    (["--credits", "0"], "account", "the account refuses work"),
    (["--fault", "503"], "endpoint", "the endpoint is out of reach"),
    (["--fault", "429", "--retry-after", "50s"], "rate", "rate limit was met (429)"),
])
def test_what_holds_all(spool, sandbox, daemon, options, reason, words):
    daemon(sandbox("--limiter", "none", "--latency", "0", *options).url)
    spool.drop("a.yaml")
    wait_for(lambda: holds(spool) == [reason], "the hold")
    wait_for(lambda: states(spool).get("a.yaml") in ("waiting", "later"), "the job to be back")
    spool.drop("b.yaml", inputs={"text": "b"})
    wait_for(lambda: states(spool).get("b.yaml") == "waiting", "the other")
    why = wait_for(lambda: reasons(spool, "b")[0] == reason and text(spool, "b"), "the reason")
    assert "sending is held: " in why and words in why and ("asked again in " in why or "one request asks now" in why)


def test_gates(spool, sandbox, daemon):
    (spool.path / "PAUSE").touch()
    d = daemon(sandbox("--limiter", "none").url)
    spool.drop("a.yaml")
    wait_for(lambda: states(spool) == {"a.yaml": "waiting"}, "the job")
    assert reasons(spool, "a") == ["pause-file"] and "the file PAUSE in the spool; to go on: remove it" in text(spool, "a")
    assert command("--spool", spool.path, "pause").returncode == 0
    assert reasons(spool, "a") == ["paused", "pause-file"]
    assert d.stop() == 0
    assert reasons(spool, "a") == ["no_daemon", "paused"]


def test_its_workflow(spool, sandbox, daemon, port):
    first = sandbox("--limiter", "none", "--latency", "0", port=port)
    daemon(first.url)
    spool.drop("first.yaml", workflow="wf_flaky", inputs={"text": "works"})
    spool.outcome("first")
    first.stop()
    sandbox("--limiter", "none", "--fault", "404", port=port)
    spool.drop("second.yaml", workflow="wf_flaky", inputs={"text": "gone"})
    wait_for(lambda: holds(spool) == ["workflow"], "the hold")
    wait_for(lambda: states(spool)["second.yaml"] == "waiting" and reasons(spool, "second") == ["workflow"], "its reason")
    assert "sending is held for its workflow: workflow wf_flaky is not found" in text(spool, "second")


def test_files_that_were_not_taken(spool, sandbox, daemon):
    d = daemon(sandbox("--limiter", "none", "--latency", "0").url)
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon")
    (spool.path / "sub").mkdir()
    (spool.path / "sub/deep.yaml").write_text(job_text())
    assert reasons(spool, "sub/deep.yaml") == ["unseen", "subdirectory"]
    assert "has not taken it yet" in text(spool, "sub/deep.yaml") and "with `recursive` only" in text(spool, "sub/deep.yaml")
    with frozen(d):
        explain_untaken(spool)
    for word in ["nope.yaml", "sub/nope.yaml", "../key", "nope*"]:
        done = command("--spool", spool.path, "explain", "sub/deep.yaml", word)
        assert done.returncode == 2 and done.stdout == "" and "no job " in done.stderr, (word, done)


def explain_untaken(spool):
    (spool.path / "broken.yaml").write_text("workflow: wf_a\ninputs:\n  a: 1\n  a: 2\n")
    (spool.path / "sound.yaml").write_text(job_text())
    (spool.path / "large.yaml").write_text(job_text(inputs={"a": "x" * (1 << 20)}))
    (spool.path / "notes.yaml.txt").write_text(job_text())
    (spool.path / ".new.yaml").write_text(job_text())
    (spool.path / "half.yaml.part").write_text(job_text())
    (spool.path / "_old").mkdir()
    (spool.path / "_old/a.yaml").write_text(job_text())
    os.symlink("sound.yaml", spool.path / "link.yaml")
    os.mkfifo(spool.path / "fifo.yaml")
    for name, expected, words in [
            ("broken.yaml", ["fault", "no_answer"], "does not parse (line 4, column 3: the key 'a' is already there"),
            ("sound.yaml", ["unseen", "no_answer"], "has not seen it yet"),
            ("large.yaml", ["too_large", "no_answer"], "larger than max_job_size (1048576 bytes)"),
            ("notes.yaml.txt", ["ignored"], "does not end in .yaml or .yml"),
            (".new.yaml", ["ignored"], "begins with '.' or '_'"),
            ("half.yaml.part", ["ignored"], "unfinished file or of a copy"),
            ("_old/a.yaml", ["ignored"], "in a directory whose name begins with"),
            ("link.yaml", ["ignored"], "a symbolic link"),
            ("fifo.yaml", ["ignored"], "not a regular file")]:
        (e,) = explain(spool, name)
        assert (e["job"], e["state"], e["reason"]) == (name, None, expected[0]), name
        assert [e["reason"], *[a["reason"] for a in e["also"]]] == expected and words in e["why"], e
    with open(spool.path / "open.yaml", "w") as writer:
        writer.write(job_text())
        writer.flush()
        assert reasons(spool, "open.yaml") == ["incomplete", "no_answer"]
    done = command("--spool", "spool", "explain", "spool/sound.yaml", cwd=spool.path.parent)
    assert done.returncode == 0 and done.stdout.startswith("sound.yaml: flowspoold has not seen it yet"), done


def test_no_state(spool):
    spool.drop("a.yaml")
    assert reasons(spool, "a.yaml") == ["unseen", "no_daemon"]
    done = command("--spool", spool.path, "explain", "b.yaml")
    assert done.returncode == 2 and "no flowspoold has run" in done.stderr and done.stdout == ""
    assert [p.name for p in spool.path.iterdir()] == ["a.yaml"], "looking makes no state"
    assert command("--spool", spool.path, "explain").returncode == 2


@pytest.mark.parametrize("columns", [80, 132])
def test_fits_the_terminal(spool, sandbox, daemon, columns):
    daemon(sandbox("--limiter", "none", "--latency", "0", "--fault", "404").url)
    spool.drop("a.yaml")
    spool.outcome("a")
    wait_for(lambda: states(spool) == {"a.yaml": "failed"}, "the failure")
    shown = plain(on_terminal("--spool", spool.path, "explain", "a", columns=columns))
    assert narrow(shown, columns) and max(map(len, shown.splitlines())) > columns - 20
