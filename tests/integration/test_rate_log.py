"""With debug, the log has a line for each decision of the rate control, and none otherwise."""

import re
import time

from conftest import wait_for
from hostile_control import script


def run_jobs(spool, count):
    for i in range(count):
        spool.drop(f"a{i}.yaml", inputs={"text": f"a{i}"})
    for i in range(count):
        spool.outcome(f"a{i}")


def decisions(d, level="debug"):
    """[(job or None, what)]; every line of the governor's."""
    found = re.findall(r"^\S+ (\w+) (?:(\S+\.yaml): )?rate: (.*)$", d.log, re.M)
    assert {one[0] for one in found} <= {level}, d.log
    return [(job or None, what) for _, job, what in found]


def test_the_log_has_a_line_for_each_decision(spool, sandbox, daemon):
    d = daemon(sandbox("--limit", "20", "--window", "1s", "--latency", "20ms").url, "--log-level", "debug")
    run_jobs(spool, 60)
    assert d.stop() == 0
    told = decisions(d)
    for i in range(60):
        of_job = [what for job, what in told if job == f"a{i}.yaml"]
        went = [what for what in of_job if what.startswith("goes ")]
        replied = [what for what in of_job if what.startswith("reply: ")]
        assert len(went) == len(replied) >= 1, of_job
        assert all("; mode " in what and " in flight before it, at most " in what for what in went), of_job
        assert re.match(r"reply: \d+ of 20 used", replied[-1]), replied
    whats = [what for _, what in told]
    assert any("limit 20" in what for what in whats) and any("mode opening -> counting" in what for what in whats)
    assert any(re.search("window unknown -> [a-z ]+, [0-9]+[smhd]", what) for what in whats)
    waits = [what for what in whats if what.startswith("waits ")]
    assert waits
    for one, other in zip(told, told[1:]):
        assert not (one[1].startswith("waits ") and one[1].partition(":")[0] == other[1].partition(":")[0]), (one, other)


def test_a_wait_is_told_once(spool, hostile, daemon):
    """The loop turns many times meanwhile."""
    server = hostile()
    script(server, all={"do": "status", "status": 429, "headers": {"Retry-After": "2"}})
    for i in range(3):
        spool.drop(f"a{i}.yaml", inputs={"text": i})
    d = daemon(server.url, "--log-level", "debug", "--max-concurrency", "1")
    d.logged(": held after a 429, then one request asks")
    script(server, all="ok")
    for i in range(20):
        spool.drop(f"b{i}.yaml", inputs={"text": i})
    spool.outcome("b19")
    wait_for(lambda: any("the hold is over" in what for _, what in decisions(d)), "the end of the hold to be told")
    whats = [what for _, what in decisions(d)]
    refused = [what for what in whats if what.startswith("reply: refused (429), Retry-After 2s; held for ")]
    waits = [what for what in whats if re.match(r"waits \S+: held after a 429", what)]
    probes = [what for what in whats if what.startswith("goes as a probe, after the hold")]
    assert 1 <= len(waits) <= len(refused) and len(probes) == len(refused), whats


def test_nothing_of_it_is_told_otherwise(spool, sandbox, daemon):
    d = daemon(sandbox("--limit", "20", "--latency", "0").url, "--log-level", "info")
    run_jobs(spool, 20)
    assert d.stop() == 0
    assert decisions(d) == []


def test_an_idle_daemon_decides_nothing(spool, sandbox, daemon):
    d = daemon(sandbox("--limit", "20", "--latency", "0").url, "--log-level", "debug")
    run_jobs(spool, 20)

    def quiet():
        told = decisions(d)
        time.sleep(1)
        return decisions(d) == told

    wait_for(quiet, "nothing to be told any more")
