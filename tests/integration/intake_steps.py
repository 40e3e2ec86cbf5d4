"""What the tests of intake share: what the daemon says about itself, and many files at once."""

import json

from conftest import flowspool, wait_for


def status(spool):
    return json.loads(flowspool(spool, "status", "--json"))


def live(spool):
    return status(spool)["live"]


def counts(spool):
    return status(spool)["jobs"]


def started(spool):
    wait_for((spool.state / "control").exists, "the start")
    wait_for(lambda: live(spool), "an answer")


def wait_jobs(spool, **expected):
    wait_for(lambda: {k: v for k, v in counts(spool).items() if k in expected} == expected, f"{expected}")


def closed(spool):
    """Why sending is held."""
    return {h["cause"] for h in (live(spool) or {"holds": []})["holds"]}


def looked(spool, name="marker"):
    """What came before it was looked at."""
    spool.drop(f"{name}.yaml", workflow="wf_marker", priority=50, inputs={"n": name})
    spool.outcome(name)


def write_many(spool, count, text, directory=""):
    """In place and without a daemon, which is what thousands of files are fastest by."""
    for n in range(count):
        (spool.path / f"{directory}j{n:05}.yaml").write_text(text(n))
