"""flowspool show and log: all about a job and its attempts, whether or not a daemon runs."""

import json
import re
import sqlite3

import pytest

from command_line import OBEYED, command, frozen, harmless, jobs, narrow, on_terminal, plain, status
from conftest import wait_for
from hostile_control import script


def show(spool, *words):
    done = command("--spool", spool.path, "show", "--json", *words)
    assert done.returncode == 0 and done.stderr == "", done
    return [json.loads(line) for line in done.stdout.splitlines()]


def log(spool, *words):
    done = command("--spool", spool.path, "log", "--json", *words)
    assert done.returncode == 0 and done.stderr == "", done
    return [json.loads(line) for line in done.stdout.splitlines()]


def text(spool, *words):
    done = command("--spool", spool.path, *words)
    assert done.returncode == 0 and done.stderr == "", done
    return done.stdout


@pytest.fixture
def night(spool, sandbox, daemon):
    """Jobs that ended and jobs that wait; the daemon that has them."""
    workflows = spool.path.parent / "workflows.yaml"
    workflows.write_text("workflows:\n  wf_a: {template: 'x'}\n  wf_gone: {template: x, published: false}\n")
    s = sandbox("--limiter", "none", "--latency", "0", "--workflows", workflows)
    spool.drop("several.yaml", "workflow: wf_a\nid: one\ninputs: {x: 1}\n---\nworkflow: wf_a\ninputs: {x: 2}\n")
    spool.drop("done.yaml", workflow="wf_a", priority=7)
    spool.drop("gone.yaml", workflow="wf_gone")
    spool.drop("later.yaml", not_before="2099-01-01T00:00:00Z", expires="2099-01-02T00:00:00Z", max_attempts=3)
    spool.drop("held.yaml.hold")
    d = daemon(s.url)
    for stem in ["several.one", "several.2", "done", "gone"]:
        spool.outcome(stem)
    spool.drop("done.yml", inputs={"text": "other"})
    wait_for(lambda: (j := status(spool)["jobs"])["done"] == 3 and j["failed"] == 1 and j["refused_files"] == 1 and j["held"] == 1,
             "all of it")
    return d


# --- show ---


def test_a_done_job(spool, night):
    (about,) = show(spool, "done.yaml")
    listed = jobs(spool, "done.yaml")["done.yaml"]
    assert {k: about[k] for k in listed} == listed, "the members of the list"
    (attempt,) = about["history"]
    assert (attempt["attempt"], attempt["http_status"], attempt["verdict"]) == (1, 200, "success")
    assert attempt["sent_at"] == about["started_at"] and attempt["ended_at"] == about["finished_at"]
    assert attempt["duration_ms"] == about["duration_ms"]
    shown = text(spool, "show", "done.yaml")
    rows = {line[:11].strip(): line[12:] for line in shown.splitlines()}
    assert rows["job"] == "done.yaml" and rows["state"] == "done: from a sandbox" and rows["workflow"] == "wf_a"
    assert rows["outcome"] == "done.result.json" and rows["priority"] == "7" and rows["attempts"] == "1"
    assert rows["request"] == about["request_sha256"] and rows["finished"].startswith(about["finished_at"] + ", ")
    table = shown.rpartition("\n\n")[2].splitlines()
    assert table[0].split() == ["#", "SENT", "TOOK", "STATUS", "VERDICT"]
    assert table[1].split()[:2] == ["1", about["started_at"]] and table[1].split()[-2:] == ["200", "success"]


def test_other_states(spool, night):
    assert "failed: workflow_not_found" in text(spool, "show", "gone") and narrow(text(spool, "show", "gone"))
    shown = text(spool, "show", "later")
    assert re.search(r"state +later: starts in \d+d", shown) and re.search(r"not before +2099-01-01T00:00:00.000Z, in ", shown)
    assert re.search(r"expires +2099-01-02T", shown) and "0 of at most 3" in shown and "VERDICT" not in shown
    assert "held: its file ends in .hold" in text(spool, "show", "held")
    assert "job         several.yaml, document 1, id one" in text(spool, "show", "several.one")
    assert re.search(r"state +refused\n +its outcome would have the same name", text(spool, "show", "done.yml"))
    assert show(spool, "done.yml")[0]["state"] == "refused" and show(spool, "later")[0]["history"] == []


def test_several(spool, night):
    assert [a["job"] for a in show(spool, "d*", "gone")] == ["done.yaml", "gone.yaml", "done.yml"]
    assert [a["document"] for a in show(spool, "several.yaml")] == [1, 2]
    assert [a["job"] for a in show(spool, "gone", "done.yml", "done.yaml", "gone.error.json")] == ["done.yaml", "gone.yaml", "done.yml"]
    blocks = text(spool, "show", "several*", "later").split("job         ")
    assert len(blocks) == 4 and blocks[0] == ""
    digest = show(spool, "gone")[0]["request_sha256"]
    assert [a["job"] for a in show(spool, digest[:8])] == ["gone.yaml"]


def test_names_that_are_wrong(spool, night):
    for verb in ["show", "log"]:
        for words, complaint in [(["nope"], 'no job is "nope"'), (["done.yaml", "nope*"], 'no job matches "nope*"'), ([], "which job?")]:
            done = command("--spool", spool.path, verb, *words)
            assert done.returncode == 2 and complaint in done.stderr and done.stdout == "", (verb, words, done)


@pytest.mark.parametrize("columns", [80, 132])
def test_fits_the_terminal(spool, night, columns):
    spool.drop("x" * 120 + ".yaml", workflow="wf_gone")
    spool.outcome("x" * 120)
    wait_for(lambda: status(spool)["jobs"]["failed"] == 2, "the failure")
    shown = on_terminal("--spool", spool.path, "show", "gone", columns=columns)
    assert "\x1b[31mfailed\x1b[0m" in shown and narrow(plain(shown), columns)
    lines = [line for line in plain(shown).splitlines() if line.startswith("            ")]
    assert max(map(len, lines)) > columns - 20, "a message takes the room there is"
    assert "\x1b" not in on_terminal("--spool", spool.path, "show", "gone", columns=columns, NO_COLOR="1")
    long = [line for line in plain(on_terminal("--spool", spool.path, "show", "x*", columns=columns)).splitlines() if len(line) > columns]
    assert all("x" * 120 in line for line in long), "only a name that cannot be broken is longer"


def test_whatever_the_daemon_does(spool, night):
    whole, history = show(spool, "*"), log(spool, "*")
    with frozen(night):
        assert show(spool, "*") == whole and log(spool, "*") == history
    night.kill()
    assert show(spool, "*") == whole and log(spool, "*") == history


def test_no_state(spool):
    for verb in ["show", "log"]:
        done = command("--spool", spool.path, verb, "a.yaml")
        assert done.returncode == 2 and "no flowspoold has run" in done.stderr and done.stdout == ""
    assert list(spool.path.iterdir()) == []


def test_attempts_that_fail(spool, hostile, daemon):
    """Each attempt has its row, in flight too."""
    server = hostile()
    script(server, all=[{"do": "status", "status": 500, "body": {"success": False, "error": "no"}},
                        {"do": "status", "status": 429, "body": {"success": False}},
                        {"do": "hang"}])
    d = daemon(server.url, config="retry: {base: 50ms, cap: 50ms}\n")
    spool.drop("a.yaml")
    wait_for(lambda: (j := jobs(spool)) and j["a.yaml"]["state"] == "in-flight" and len(show(spool, "a")[0]["history"]) == 3, "the third")
    (about,) = show(spool, "a")
    assert [(a["attempt"], a["http_status"], a["verdict"]) for a in about["history"]] == [
        (1, 500, "server_error"), (2, 429, "rate_limited"), (3, None, None)]
    assert about["history"][2]["ended_at"] is None and (about["attempts"], about["rate_limited"]) == (1, 1)
    shown = text(spool, "show", "a")
    assert "in-flight: sent " in shown and "1; 1 refused by the rate limit" in shown and "on its way" in shown
    events = [(e["event"], e.get("attempt"), e.get("verdict")) for e in log(spool, "a")]
    assert events == [("seen", None, None), ("sent", 1, None), ("ended", 1, "server_error"), ("sent", 2, None),
                      ("ended", 2, "rate_limited"), ("sent", 3, None)]
    d.kill()
    assert "in-flight" in text(spool, "show", "a")


# --- log ---


def test_log_of_one(spool, night):
    (about,) = show(spool, "gone")
    events = log(spool, "gone.yaml")
    assert [e["event"] for e in events] == ["seen", "sent", "ended", "failed"]
    assert [e["time"] for e in events] == [about["seen_at"], about["started_at"], about["finished_at"], about["finished_at"]]
    assert events[-1]["code"] == "workflow_not_found" and events[-1]["message"] == about["message"]
    assert events[2]["http_status"] == 404 and events[2]["duration_ms"] >= 0
    lines = text(spool, "log", "gone.yaml").splitlines()
    assert lines[0] == f"{about['seen_at']} gone.yaml: seen" and lines[1] == f"{about['started_at']} gone.yaml: attempt 1 sent"
    assert lines[2].startswith(f"{about['finished_at']} gone.yaml: attempt 1: workflow not found, status 404, after ")
    assert lines[3] == f"{about['finished_at']} gone.yaml: failed: workflow_not_found: {about['message']}"
    assert text(spool, "log", "later").splitlines()[-1].endswith("later.yaml: waits for its not_before, 2099-01-01T00:00:00.000Z")
    assert text(spool, "log", "several.2").splitlines()[-1].endswith("several.yaml #2: done by a sandbox: several.2.result.json")
    assert ": failed: refused: its outcome would" in text(spool, "log", "done.yml")


def test_log_of_several_is_merged(spool, night):
    times = [e["time"] for e in log(spool, "*")]
    assert times == sorted(times) and len({e["job"] for e in log(spool, "*")}) == 6
    lines = text(spool, "log", "*").splitlines()
    assert len(lines) == len(times) and [line.split()[0] for line in lines] == times


def test_log_of_what_a_file_held_before(spool, sandbox, daemon):
    daemon(sandbox("--limiter", "none", "--latency", "0").url)
    spool.drop("a.yaml", inputs={"text": "first"})
    first = spool.outcome("a")["request_sha256"]
    spool.drop("a.yaml", inputs={"text": "second"})
    wait_for(lambda: spool.result("a")["request_sha256"] != first, "the second result")
    wait_for(lambda: jobs(spool)["a.yaml"]["state"] == "done", "its end")
    events = log(spool, "a.yaml")
    assert [e["event"] for e in events if e["request_sha256"] == first] == ["seen", "sent", "ended", "done", "superseded"]
    assert [e["event"] for e in events if e["request_sha256"] != first] == ["seen", "sent", "ended", "done"]
    assert "superseded: its file holds another request now" in text(spool, "log", "a.yaml")
    assert [a["request_sha256"] for a in show(spool, "a.yaml")] == [spool.result("a")["request_sha256"]]


# --- names ---


def test_names_drive_no_terminal(spool, sandbox, daemon):
    evil = "x\x1b[2J\x07\u009b31m\u202e\ny.yaml"
    d = daemon(sandbox("--limiter", "none", "--latency", "0").url)
    spool.drop(evil, inputs={"text": "a"})
    spool.outcome(evil.removesuffix(".yaml"))
    bad = spool.path / ".new"
    bad.write_text("workflow: wf_a\ninputs: {}\n")
    bad.rename(bytes(spool.path) .decode() + "/bad\udc9b2J.yaml")
    wait_for(lambda: status(spool)["jobs"]["done"] == 1 and status(spool)["jobs"]["refused_files"] == 1, "both")
    d.kill()
    for verb in ["show", "explain", "log"]:
        for words in [["*"], ["--json", "*"], [evil], ["bad*"]]:
            done = command("--spool", spool.path, verb, *words)
            assert done.returncode == 0 and done.stdout and harmless(done.stdout + done.stderr), (verb, words, done)
        raw = on_terminal("--spool", spool.path, verb, "*", NO_COLOR="1")
        assert not any(c in raw for c in OBEYED), (verb, raw)
        done = command("--spool", spool.path, verb, evil + "?")
        assert done.returncode == 2 and harmless(done.stderr), done
    assert show(spool, evil)[0]["job"] == evil, "a program gets the name as it is"


def test_names_for_programs(spool, night):
    """list --names: as they are; but not on a terminal."""
    assert text(spool, "list", "--names").splitlines() == ["done.yaml", "gone.yaml", "held.yaml", "later.yaml", "several.yaml",
                                                          "done.yml"]
    assert text(spool, "list", "--null", "--state", "done") == "done.yaml\0several.yaml\0"
    assert text(spool, "list", "-0", "l*") == "later.yaml\0"
    spool.drop("new\nline.yaml", workflow="wf_a", inputs={"text": "line"})
    spool.outcome("new\nline")
    wait_for(lambda: "new\nline.yaml" in jobs(spool), "the job")
    assert "new\nline.yaml\n" in text(spool, "list", "--names")
    assert r"new\x0aline.yaml" in on_terminal("--spool", spool.path, "list", "--names")
    assert command("--spool", spool.path, "list", "--names", "--json").returncode == 2


def test_states_of_orders_to_come(spool, sandbox, daemon):
    """What another version of the command has marked is told as such."""
    (spool.path / "PAUSE").touch()
    d = daemon(sandbox("--limiter", "none").url)
    spool.drop("a.yaml")
    spool.drop("b.yaml", inputs={"text": "b"})
    wait_for(lambda: (j := status(spool)["jobs"]) and j["waiting"] == 2, "the jobs")
    assert d.stop() == 0
    with sqlite3.connect(spool.state / "state.db") as db:
        db.execute("UPDATE jobs SET blocked = 4 WHERE stem = CAST('a' AS BLOB)")
        db.execute("UPDATE jobs SET blocked = 16 WHERE stem = CAST('b' AS BLOB)")
    db.close()
    assert "held: to let it go: flowspool release" in text(spool, "show", "a") and "held: being cancelled" in text(spool, "show", "b")
    explained = text(spool, "explain", "a", "b")
    assert "a.yaml: it is held, by flowspool hold." in explained and "flowspool release a.yaml" in explained
    assert "b.yaml: it is being cancelled, by flowspool cancel." in explained
