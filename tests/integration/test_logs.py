"""The log: two forms, one line each, with the job's name; and the holds, told apart and leaving by themselves."""

import json
import re

import pytest

from conftest import flowspool, live, wait_for
from hostile_control import posts, release, script, stats

LINE = re.compile(r"^(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<level>error|warn|info|debug) (?P<text>\S.*)$")
TROUBLE = {"wf_ok": "ok", "wf_500": "status:500", "wf_400": "status:400", "wf_reset": "reset-after-read", "wf_html": "html"}
# A name with all that could break a line or a quotation; the escape sequence would recolour a terminal.
NAME = 'odd "name" \\ \u00e9 \x1b[31m'


def lines(d, form):
    """[(level, job or None, message)]; every line must have its form."""
    found = []
    for line in d.log_path.read_bytes().decode("utf-8").splitlines():
        if form == "json":
            o = json.loads(line)
            assert set(o) in ({"time", "level", "message"}, {"time", "level", "job", "message"}), line
            assert LINE.match(f"{o['time']} {o['level']} x"), line
            found.append((o["level"], o.get("job"), o["message"]))
        else:
            m = LINE.match(line)
            assert m and m["text"].isprintable(), line
            job, colon, message = m["text"].partition(".yaml: ")
            found.append((m["level"], job + ".yaml" if colon else None, message if colon else m["text"]))
    return found


@pytest.mark.parametrize("form", ["text", "json"])
def test_every_line_has_its_form_and_the_name_of_its_job(spool, hostile, once, form):
    server = hostile()
    script(server, **TROUBLE)
    for workflow in TROUBLE:
        spool.drop(f"{workflow}.yaml", workflow=workflow)
    spool.drop(f"{NAME}.yaml", workflow="wf_400")
    _, d = once(server.url, "--log-level", "debug", "--log-format", form, config="retry: {max_attempts: 2, base: 1ms, cap: 5ms}\n")
    told = lines(d, form)
    for workflow in TROUBLE:
        of_job = [message for _, job, message in told if job == f"{workflow}.yaml"]
        assert any("attempt 1 sent" in m for m in of_job), told
        assert any(("done in" if workflow == "wf_ok" else "failed: ") in m for m in of_job), told
    failed = {job: level for level, job, message in told if message.startswith("failed: ")}
    assert set(failed.values()) == {"warn"}
    assert set(TROUBLE) - {"wf_ok"} <= {job.removesuffix(".yaml") for job in failed}
    assert any("odd" in job and "name" in job and "\x1b" not in job for job in failed)
    assert "done, " in told[-1][2], "the last line sums up"


@pytest.mark.parametrize("level,levels", [("error", set()), ("warn", {"warn"}), ("info", {"warn", "info"}), ("debug", {"warn", "info", "debug"})])
def test_levels(spool, hostile, once, level, levels):
    """--log-level: nothing below it. The last line of --once was asked for and comes at every level."""
    server = hostile()
    script(server, wf_400="status:400")
    spool.drop("a.yaml")
    spool.drop("b.yaml", workflow="wf_400")
    status, d = once(server.url, "--log-level", level)
    assert status == 1
    told = lines(d, "text")
    assert {level for level, _, _ in told[:-1]} == levels
    assert told[-1][0] == "info" and "1 done, 1 failed" in told[-1][2]


def test_once_without_a_terminal_says_only_what_matters(spool, hostile, once):
    """So that cron mails failures and one last line."""
    server = hostile()
    script(server, wf_400="status:400")
    for i in range(5):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    status, d = once(server.url)
    assert status == 0 and len(lines(d, "text")) == 1
    spool.drop("bad.yaml", workflow="wf_400")
    status, d = once(server.url)
    assert status == 1
    assert [job for _, job, _ in lines(d, "text")] == ["bad.yaml", None]


def test_nothing_chatty_at_the_default_level(spool, hostile, daemon):
    """A hundred jobs that succeed are not a line each."""
    server = hostile()
    d = daemon(server.url)
    for i in range(100):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    wait_for(lambda: len(spool.outcomes()) == 100, "all outcomes")
    assert d.stop() == 0
    assert len(lines(d, "text")) <= 5, d.log


# --- holds ---


def holds(spool):
    return live(spool)["holds"]


HOLDS = [
    ("rate", "429", {"do": "status", "status": 429, "headers": {"Retry-After": "1"}}, "429: the rate limit", None),
    ("account", "no_credits", "status:402", "the account refuses work", "the account answers again"),
    ("account", "unauthorized", "status:401", "the account refuses work", "the account answers again"),
    ("endpoint", "unreachable", "status:503", "the endpoint is away", "the endpoint answers again"),
    ("endpoint", "unreachable", "text:407", "the endpoint is away", "the endpoint answers again"),
]


@pytest.mark.parametrize("kind,cause,step,begins,ends", HOLDS, ids=[f"{h[0]}-{h[1]}-{i}" for i, h in enumerate(HOLDS)])
def test_a_hold_is_told_apart_and_leaves_by_itself(spool, hostile, daemon, kind, cause, step, begins, ends):
    """In the status and in the log; it costs no job an attempt and ends when the far side is itself again."""
    server = hostile()
    script(server, all=step)
    for i in range(3):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    d = daemon(server.url, "--max-concurrency", 1, "--log-level", "debug", config="retry: {base: 100ms, cap: 300ms}\n")
    found = wait_for(lambda: holds(spool), "the hold")
    assert [(h["kind"], h["cause"]) for h in found] == [(kind, cause)]
    hold = found[0]
    assert hold["workflow"] is None and hold["held_for_ms"] >= 0 and hold["refusals"] >= 1
    assert hold["probing"] or hold["next_probe_ms"] is not None
    d.logged(begins)
    others = {h[3] for h in HOLDS} - {begins}
    assert not any(other in d.log for other in others), d.log
    before = posts(server)
    wait_for(lambda: posts(server) > before, "a probe")
    assert spool.outcomes() == []
    script(server, all="ok")
    for i in range(3):
        assert spool.outcome(f"j{i}")["attempts"] == 1
    assert holds(spool) == []
    if ends:
        d.logged(ends)
    assert d.stop() == 0


def test_a_hold_while_nobody_listens(spool, hostile, daemon, port):
    """Nothing was sent: the endpoint's hold, which ends when somebody listens."""
    spool.drop("a.yaml")
    d = daemon(f"http://127.0.0.1:{port}")
    found = wait_for(lambda: holds(spool), "the hold")
    assert (found[0]["kind"], found[0]["cause"]) == ("endpoint", "unreachable")
    assert "refused" in found[0]["reason"].lower() or "connect" in found[0]["reason"].lower()
    hostile("--port", str(port))
    assert spool.outcome("a")["attempts"] == 1
    assert d.stop() == 0


def test_only_one_probes(spool, hostile, daemon):
    """However many jobs wait and slots are free, a hold lets one request through at a time."""
    server = hostile("--default", "status:402")
    for i in range(20):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    d = daemon(server.url, "--max-concurrency", 8)
    d.logged("the account refuses work")
    wait_for(lambda: stats(server)["in_flight"] == 0 == live(spool)["in_flight"], "what went out before the hold")
    script(server, all="hold")
    wait_for(lambda: any(h["probing"] for h in holds(spool)) and stats(server)["in_flight"] == 1, "a probe on its way")
    before = posts(server)
    spool.drop("new.yaml", inputs={"n": "new"})
    wait_for(lambda: "new.yaml" in flowspool(spool, "list"), "the new job to be taken")
    assert (stats(server)["in_flight"], posts(server)) == (1, before)
    script(server, all="ok")
    release(server)
    for i in range(20):
        assert spool.outcome(f"j{i}")["success"] is True
    assert d.stop() == 0


def test_two_holds_at_once(spool, hostile, daemon):
    """An account that refuses work and a workflow that is gone are two things, each with its own name."""
    server = hostile()
    spool.drop("known.yaml", workflow="wf_known")
    d = daemon(server.url, config="retry: {base: 50ms, cap: 100ms}\n")
    spool.outcome("known")
    script(server, wf_known="status:404")
    spool.drop("gone.yaml", workflow="wf_known", inputs={"n": "1"})
    wait_for(lambda: any(h["kind"] == "workflow" and h["workflow"] == "wf_known" for h in holds(spool)), "the workflow's hold")
    spool.drop("other.yaml", workflow="wf_other")
    assert spool.outcome("other")["success"] is True, "other workflows go on"
    script(server, all="status:402", wf_known="status:404")
    spool.drop("paid.yaml", workflow="wf_other", inputs={"n": "2"})
    wait_for(lambda: {h["kind"] for h in holds(spool)} == {"workflow", "account"}, "both holds")
    script(server, all="ok")
    assert spool.outcome("gone")["success"] is True
    assert spool.outcome("paid")["success"] is True
    wait_for(lambda: holds(spool) == [], "the end of both")
    assert d.stop() == 0
