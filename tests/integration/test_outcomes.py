"""Outcome files: every field of both forms, the server's values unchanged, names, modes, and what --once says."""

import hashlib
import json
import os
import pty
import re
import sqlite3
import stat
import subprocess

import pytest
from conftest import BIN, KEY
from hostile_control import posts, script

INSTANT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


def request_digest(workflow, inputs, run=""):
    """The contract's request_sha256; inputs are the compact text, each scalar as [text, how it was written]."""
    return hashlib.sha256(b"\0".join([workflow.encode(), run.encode(), inputs.encode()])).hexdigest()


def replying(hostile, body, **more):
    server = hostile()
    script(server, all={"do": "status", "status": 200, "body": body, **more})
    return server


# --- fields ---


def test_fields_of_a_result(spool, hostile, once):
    server = replying(hostile, {"success": True, "result": "Once upon a time", "citations": ["https://example.org/a"]})
    text = "workflow: wf_abc123\nrun: 2026-11-23\ninputs:\n  story: a dog\n  n: '3'\n"
    spool.drop("story.yaml", text)
    assert once(server.url)[0] == 0
    r = spool.result("story")
    assert r.pop("version") == 1 and r.pop("job") == "story.yaml"
    assert r.pop("job_sha256") == hashlib.sha256(text.encode()).hexdigest()
    assert r.pop("request_sha256") == request_digest("wf_abc123", '{"story":["a dog","plain"],"n":["3","quoted"]}', "2026-11-23")
    assert r.pop("endpoint") == server.url and r.pop("workflow") == "wf_abc123"
    assert r.pop("success") is True and r.pop("result") == "Once upon a time"
    assert r.pop("citations") == ["https://example.org/a"]
    assert (r.pop("http_status"), r.pop("attempts"), r.pop("rate_limited"), r.pop("ambiguous")) == (200, 1, 0, 0)
    times = [r.pop(k) for k in ("queued_at", "started_at", "finished_at")]
    assert all(INSTANT.match(t) for t in times) and times == sorted(times)
    assert 0 <= r.pop("duration_ms") < 10000
    assert r.pop("request_id") is None
    assert r == {}, "a new field needs a test"


def test_fields_of_an_error(spool, hostile, once):
    server = hostile()
    script(server, all={"do": "status", "status": 422, "body": {"success": False, "error": "Too\nlong"}})
    spool.drop("story.yaml", workflow="wf_a")
    assert once(server.url)[0] == 1
    r = spool.error("story")
    error = r.pop("error")
    assert error.pop("code") == "rejected" and error.pop("http_status") == 422 and error.pop("retryable") is False
    assert "Too" in error["message"] and "\n" not in error.pop("message")
    assert json.loads(error.pop("response")) == {"success": False, "error": "Too\nlong"}
    assert error == {}
    assert r["success"] is False and "result" not in r and r["attempts"] == 1
    assert set(r) == {"version", "job", "job_sha256", "request_sha256", "endpoint", "workflow", "success", "attempts",
                      "rate_limited", "ambiguous", "queued_at", "started_at", "finished_at", "duration_ms", "request_id"}


def test_fields_of_a_file_that_is_refused(spool, sandbox, once):
    path = spool.drop("bad.yaml", "workflow: wf_a\ninputs:\n  a: 1\n  a: 2\n")
    os.utime(path, (1, 1))
    status, d = once(sandbox().url)
    assert status == 1, d.log
    r = spool.error("bad")
    assert r["error"]["code"] == "invalid_job" and r["error"]["retryable"] is False
    assert "line 4, column 3" in r["error"]["message"] or "4:3" in r["error"]["message"]
    assert r["job_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert r["request_sha256"] is None and r["started_at"] is None and r["duration_ms"] is None
    assert r["attempts"] == 0 and r["error"]["http_status"] is None
    assert "bad.yaml:4:3" in d.log


VALUES = [
    '"text"', '""', "null", "true", "12345678901234567890.12345678901234567890", "1e400", "-0", "[]", "{}",
    '{"a":[1,{"b":null}],"c":"\\u00e9\\ud83d\\ude00 \\\\ \\" \\/"}', '"line\\nbreak\\ttab \u2028 \U0001f600"',
    '[0.1,100000000000000000000000000001]',
]


@pytest.mark.parametrize("value", VALUES)
def test_the_result_is_the_servers_value_unchanged(spool, hostile, once, value):
    server = replying(hostile, f'{{"success":true,"result":{value}}}')
    spool.drop("a.yaml")
    assert once(server.url)[0] == 0
    raw = (spool.path / "a.result.json").read_text()
    assert f'"result":{value},' in raw
    json.loads(raw)
    assert "citations" not in json.loads(raw)


@pytest.mark.parametrize("value", ['[]', '["https://example.org/a"]', '[{"title":"B","url":"https://example.org/b","n":1.50}]'])
def test_citations_are_unchanged(spool, hostile, once, value):
    server = replying(hostile, f'{{"success":true,"citations":{value},"result":"x"}}')
    spool.drop("a.yaml")
    assert once(server.url)[0] == 0
    assert f'"citations":{value},' in (spool.path / "a.result.json").read_text()


def test_unknown_fields_are_kept_under_extra(spool, hostile, once):
    server = replying(hostile, '{"success":true,"result":"x","usage":{"tokens":12345678901234567890},"model":"m"}')
    spool.drop("a.yaml")
    assert once(server.url)[0] == 0
    assert '"extra":{"usage":{"tokens":12345678901234567890},"model":"m"}' in (spool.path / "a.result.json").read_text()


def test_the_request_id_is_the_servers(spool, hostile, once):
    server = replying(hostile, {"success": True, "result": "x"}, headers={"x-vercel-id": "fra1::abc-123"})
    spool.drop("a.yaml")
    assert once(server.url)[0] == 0
    assert spool.result("a")["request_id"] == "fra1::abc-123"


def test_the_sandbox_is_named(spool, sandbox, hostile, once):
    spool.drop("a.yaml")
    assert once(sandbox().url)[0] == 0
    assert spool.result("a")["sandbox"] is True
    other = hostile()
    assert once(other.url)[0] == 0
    assert posts(other) == 1, "a result of the sandbox stops no run elsewhere"
    assert "sandbox" not in spool.result("a")


# --- several documents, names ---


def test_names_of_several_documents(spool, sandbox, once):
    spool.drop("many.yaml", "---\nworkflow: wf_a\ninputs: {n: 1}\n---\n---\nworkflow: wf_a\nid: two\ninputs: {n: 2}\n---\nworkflow: wf_a\ninputs: {n: 3}\n")
    assert once(sandbox().url)[0] == 0
    assert spool.outcomes() == ["many.1.result.json", "many.3.result.json", "many.two.result.json"]
    assert [spool.result(f"many.{n}")["document"] for n in ("1", "two", "3")] == [1, 2, 3]
    assert {spool.result(f"many.{n}")["job"] for n in ("1", "two", "3")} == {"many.yaml"}


def test_one_document_with_an_id_keeps_the_files_name(spool, sandbox, once):
    spool.drop("one.yaml", "workflow: wf_a\nid: x\ninputs: {n: 1}\n")
    assert once(sandbox().url)[0] == 0
    assert spool.outcomes() == ["one.result.json"]
    assert "document" not in spool.result("one")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666, 0o400])
def test_an_outcome_is_never_wider_than_its_job(spool, sandbox, once, mode):
    path = spool.drop("a.yaml")
    path.chmod(mode)
    assert once(sandbox().url)[0] == 0
    found = (spool.path / "a.result.json").stat()
    assert stat.S_IMODE(found.st_mode) == (mode | 0o600) & 0o666
    if os.geteuid() == 0:
        assert found.st_uid == path.stat().st_uid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_an_outcome_belongs_to_the_jobs_owner(spool, sandbox, once):
    path = spool.drop("a.yaml")
    os.chown(path, 1234, 2345)
    assert once(sandbox().url)[0] == 0
    found = (spool.path / "a.result.json").stat()
    assert (found.st_uid, found.st_gid) == (1234, 2345)


def test_the_job_file_is_never_touched(spool, sandbox, once):
    path = spool.drop("a.yaml")
    before = path.stat()
    assert once(sandbox().url)[0] == 0
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns, before.st_ctime_ns) == (after.st_ino, after.st_mtime_ns, after.st_ctime_ns)


def test_nothing_else_is_written_into_the_spool(spool, sandbox, once):
    spool.drop("a.yaml")
    assert once(sandbox().url)[0] == 0
    assert sorted(p.name for p in spool.path.iterdir()) == [".flowspool", "a.result.json", "a.yaml"]
    assert (spool.state / ".gitignore").read_text().strip() == "*"
    assert stat.S_IMODE(spool.state.stat().st_mode) == 0o700


def test_big_replies_go_through_the_disk(spool, hostile, once):
    """More replies than max_response_memory holds arrive whole all the same."""
    server = hostile()
    script(server, all={"do": "big", "mb": 1})
    for n in range(6):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    status, d = once(server.url, config="max_response_memory: 64KiB\nmax_response_size: 4MiB\n")
    assert status == 0, d.log
    sizes = {len(spool.result(f"j{n}")["result"]) for n in range(6)}
    assert len(sizes) == 1 and sizes.pop() >= 1000000
    assert list((spool.state / "replies").iterdir()) == []


# --- what --once says ---


def test_once_without_a_terminal_says_what_matters(spool, hostile, once):
    server = hostile()
    script(server, wf_bad="status:422", all="ok")
    for n in range(3):
        spool.drop(f"ok{n}.yaml", inputs={"n": n})
    spool.drop("bad.yaml", workflow="wf_bad")
    spool.drop("later.yaml", inputs={"n": "later"}, not_before="2099-01-01T00:00:00Z")
    status, d = once(server.url)
    assert status == 1
    lines = d.log.splitlines()
    assert len(lines) == 2, d.log
    assert "bad.yaml: failed: rejected: " in lines[0]
    assert "3 done, 1 failed" in lines[1] and "1 for later" in lines[1]


PROGRESS = re.compile(r"(\d+) done, 0 failed, (\d+) in flight, (\d+) waiting, (\d+\.\d)/s, (\?|[\dhms ]+) left")
UNITS = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}


def test_once_on_a_terminal_shows_progress(spool, sandbox, tmp_path):
    """How many, how fast, how long: one line that is written over, and the numbers fit each other."""
    server = sandbox("--limiter", "none", "--latency", "100ms")
    key = tmp_path / "key"
    key.write_text(KEY)
    key.chmod(0o600)
    for n in range(20):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    master, slave = pty.openpty()
    process = subprocess.Popen([BIN / "flowspoold", "--spool", spool.path, "--endpoint", server.url, "--api-key-file", key,
                                "--max-concurrency", "1", "--once"], stdin=slave, stdout=subprocess.DEVNULL, stderr=slave,
                               env={**os.environ, "TERM": "xterm"})
    os.close(slave)
    seen = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
    os.close(master)
    assert process.wait() == 0
    text = seen.decode()
    assert text.count("\r") > 3, text
    shown = [m.groups() for m in PROGRESS.finditer(text)]
    assert len(shown) > 3 and text.count("in flight") == len(shown), text
    for done, in_flight, waiting, rate, left in shown:
        assert int(done) <= 20 and int(in_flight) <= 1 and int(waiting) <= 20
        if int(waiting) == 0:
            assert left == "0s"
        elif float(rate) == 0:
            assert left == "?", "nobody knows yet"
        else:
            seconds = sum(int(n) * UNITS[unit] for n, unit in re.findall(r"(\d+)([a-z]+)", left))
            # The rate is rounded, what is less than a second is cut off.
            assert int(waiting) / (float(rate) + 0.06) - 1 <= seconds <= int(waiting) / (float(rate) - 0.05), text
    assert any(0 < float(rate) <= 10 and int(waiting) > 0 for _, _, waiting, rate, _ in shown), "ten a second at most"
    assert re.search(r"20 done, 0 failed", text)


# --- exit 5 ---


@pytest.mark.parametrize("damage", ["newer", "garbage"])
def test_a_state_that_cannot_be_used_is_left_alone(spool, sandbox, once, damage):
    server = sandbox()
    spool.drop("a.yaml")
    assert once(server.url)[0] == 0
    state = spool.state / "state.db"
    if damage == "newer":
        with sqlite3.connect(state) as db:
            db.execute("PRAGMA user_version = 9999")
        db.close()
    else:
        for ending in ("-wal", "-shm"):
            (spool.state / f"state.db{ending}").unlink(missing_ok=True)
        state.write_bytes(b"this is no database " * 500)
    before = state.read_bytes()
    spool.drop("b.yaml", inputs={"n": 2})
    status, d = once(server.url)
    assert status == 5, d.log
    assert "state.db" in d.log
    assert state.read_bytes() == before
    assert server.stats()["requests_total"] == 1


def test_exit_1_for_a_refused_file_only(spool, sandbox, once):
    path = spool.drop("bad.yaml", "nonsense: [\n")
    os.utime(path, (1, 1))
    spool.drop("good.yaml")
    status, d = once(sandbox().url)
    assert status == 1, d.log
    assert spool.result("good") and spool.error("bad")
    assert once(sandbox().url)[0] == 0, "what was refused before ended in that run"


def test_idle_once_is_quick_and_0(spool, sandbox, once):
    status, d = once(sandbox().url)
    assert status == 0
    assert d.ended == (0, 0), d.log
