"""flowspool ledger: what was paid for is what the server charged, and the outcomes add up, whatever happened between."""

import json
import os

import pytest

from command_line import command, status
from conftest import flowspool, wait_for
from hostile_control import script

HOLD = "retry: {on_ambiguous: hold}\n"
KINDS = ("bought", "possibly_bought", "refused", "saved")


def ledger(spool, *options, code=0):
    """As JSON; it always adds up."""
    done = command("--spool", spool.path, "ledger", "--json", *options)
    assert (done.returncode, done.stderr) == (code, ""), done
    found = json.loads(done.stdout)
    assert found["balanced"] is True
    assert sum(found["outcomes"][k] for k in KINDS) == found["outcomes"]["all"]
    sums = {k: 0 for k in ("bought", "possibly_bought", "refused")}
    for verdict, n in found["verdicts"].items():
        kind = ("bought" if verdict in ("success", "invalid_response", "too_large")
                else "possibly_bought" if verdict in ("ambiguous", "crashed", "other") else "refused")
        sums[kind] += n
    assert sums == {k: found["runs"][k] for k in sums}
    assert sum(found["savings"].values()) == found["runs"]["saved"]
    return found


def adds_up(spool, found):
    """The outcomes of the ledger are those of status and those that lie there."""
    jobs = status(spool)["jobs"]
    assert found["outcomes"]["all"] == jobs["done"] + jobs["failed"] == len([o for o in spool.outcomes() if o.endswith(".json")])


def jobs(spool, **wanted):
    """Whether the state (it may not be there yet) counts so many."""
    found = status(spool)["jobs"] or {}
    return all(found.get(state) == n for state, n in wanted.items())


def counts(found, what):
    return {k: n for k, n in found[what].items() if n}


def test_with_a_daemon_and_without(spool, hostile, daemon):
    s = hostile()
    script(s, wf_gone="status:404", wf_html="html:200", all="ok")
    for name in ("a", "b", "c"):
        spool.drop(f"{name}.yaml", inputs={"n": name})
    spool.drop("bad.yaml", "workflow: [")
    os.utime(spool.path / "bad.yaml", (1, 1))
    spool.drop("gone.yaml", workflow="wf_gone")
    spool.drop("html.yaml", workflow="wf_html")
    d = daemon(s.url)
    wait_for(lambda: len(spool.outcomes()) == 6 and jobs(spool, failed=3, done=3), "six ends")
    found = ledger(spool)
    assert counts(found, "runs") == {"bought": 4, "refused": 1}
    assert counts(found, "outcomes") == {"bought": 4, "refused": 2, "all": 6}
    adds_up(spool, found)
    d.stop()
    assert ledger(spool) == found
    text = command("--spool", spool.path, "ledger").stdout
    assert [line.split() for line in text.splitlines() if line.startswith("bought")] == [["bought", "4", "4"]]
    assert max(map(len, text.splitlines())) <= 80


def test_documents_written_again_and_changed(spool, sandbox, daemon):
    s = sandbox("--limiter", "none")
    two = "id: x\nworkflow: wf_echo\ninputs: {n: one}\n---\nid: y\nworkflow: wf_echo\ninputs: {n: two}\n"
    spool.drop("d.yaml", two)
    daemon(s.url)
    wait_for(lambda: jobs(spool, done=2), "both documents")
    spool.drop("d.yaml", two)
    wait_for(lambda: ledger(spool)["savings"]["same"] == 2, "both saved")
    spool.drop("d.yaml", two.replace("two", "three"))
    wait_for(lambda: s.stats()["runs"] == 3 and jobs(spool, done=2), "the one that changed")
    found = ledger(spool)
    assert counts(found, "runs") == {"bought": 3, "saved": 3}
    assert counts(found, "outcomes") == {"bought": 2, "all": 2}
    adds_up(spool, found)
    assert "1 of the runs bought have no outcome here any more" in command("--spool", spool.path, "ledger").stdout
    flowspool(spool, "prune")
    assert ledger(spool) == found


def test_forgotten_jobs_are_counted(spool, sandbox, daemon):
    s = sandbox("--limiter", "none")
    spool.drop("a.yaml")
    daemon(s.url, config="rescan: 100ms\nforget_after: 200ms\n")
    wait_for(lambda: jobs(spool, done=1), "the result")
    (spool.path / "a.yaml").unlink()
    wait_for(lambda: ledger(spool)["runs"].get("forgotten") == 1, "forgotten")
    found = ledger(spool)
    assert found["runs"]["bought"] == 1 and found["outcomes"]["all"] == 0
    spool.drop("a.yaml")
    wait_for(lambda: ledger(spool)["savings"]["adopted"] == 1, "adopted")
    found = ledger(spool)
    assert counts(found, "outcomes") == {"saved": 1, "all": 1}
    assert s.stats()["runs"] == 1
    adds_up(spool, found)


def test_retries_and_ambiguity_are_counted_over_all_rounds(spool, hostile, daemon):
    """An operator's retry counts from nothing again, but the outcome still says how often it may have been charged."""
    s = hostile()
    script(s, all=["status:429", "cut"])
    spool.drop("a.yaml")
    daemon(s.url, config="retry: {on_ambiguous: hold, base: 10ms, cap: 20ms}\n")
    wait_for(lambda: jobs(spool, failed=1), "an ambiguous failure")
    assert spool.error("a")["ambiguous"] == 1
    found = ledger(spool)
    assert counts(found, "runs") == {"possibly_bought": 1, "refused": 1}
    assert counts(found, "outcomes") == {"possibly_bought": 1, "all": 1}
    script(s, all="ok")
    flowspool(spool, "retry", "a.yaml")
    wait_for(lambda: jobs(spool, done=1), "a result")
    assert spool.result("a")["ambiguous"] == 1
    found = ledger(spool)
    assert counts(found, "runs") == {"bought": 1, "possibly_bought": 1, "refused": 1}
    assert counts(found, "outcomes") == {"bought": 1, "all": 1}
    adds_up(spool, found)


def test_a_cancelled_job_costs_nothing(spool, sandbox, daemon):
    s = sandbox("--limiter", "none")
    spool.drop("a.yaml", not_before="2099-01-01T00:00:00Z")
    daemon(s.url)
    wait_for(lambda: jobs(spool, later=1), "the job")
    flowspool(spool, "cancel", "a.yaml")
    wait_for(lambda: jobs(spool, failed=1), "cancelled")
    assert counts(ledger(spool), "runs") == {} and counts(ledger(spool), "outcomes") == {"refused": 1, "all": 1}


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_in_between(spool, sandbox, daemon, once, seed):
    """What is bought for sure was charged; with what is possibly bought it is at least all that was."""
    s = sandbox("--limiter", "none", "--latency", "uniform:20ms,150ms", "--seed", seed)
    for i in range(40):
        spool.drop(f"j{i:02}.yaml", inputs={"n": str(i)})
    for target in (4, 12, 21):
        d = daemon(s.url, "--max-concurrency", 8, config=HOLD)
        wait_for(lambda: s.stats()["runs"] >= target, f"{target} runs")
        d.kill()
        ledger(spool)
    assert once(s.url, config=HOLD)[0] in (0, 1)
    found = ledger(spool)
    adds_up(spool, found)
    charged = sum(r["charged"] for r in s.stats()["requests"])
    assert found["runs"]["bought"] <= charged <= found["runs"]["bought"] + found["runs"]["possibly_bought"]
    outcomes = [spool.outcome(f"j{i:02}") for i in range(40)]
    assert found["runs"]["bought"] == sum(o["success"] for o in outcomes) == found["outcomes"]["bought"]
    assert found["runs"]["possibly_bought"] == sum(o["ambiguous"] for o in outcomes) == found["outcomes"]["possibly_bought"]
    assert found["runs"]["in_flight"] == 0


def test_since(spool, sandbox, once):
    s = sandbox("--limiter", "none")
    spool.drop("a.yaml")
    assert once(s.url)[0] == 0
    for since in ("1h", "2020-01-01", "2020-01-01T00:00:00+01:00"):
        assert ledger(spool, "--since", since)["runs"]["bought"] == 1, since
    found = ledger(spool, "--since", "2099-01-01")
    assert found["runs"]["bought"] == found["outcomes"]["all"] == 0
    assert found["since"] == "2099-01-01T00:00:00.000Z"
    for since in ("yesterday", "2020-13-01", "-1h", ""):
        done = command("--spool", spool.path, "ledger", "--since", since)
        assert done.returncode == 2 and "--since takes" in done.stderr, since


def test_where_no_daemon_has_run(spool):
    done = command("--spool", spool.path, "ledger")
    assert done.returncode == 2 and "no flowspoold has run" in done.stderr
