"""The daemon dies while a result makes room, for a refusal or for another result, and while it comes back."""

import itertools

import pytest

from hostile_control import posts, stats
from killed import NEEDS_STRACE, killed_at

pytestmark = NEEDS_STRACE

QUICK = "rescan: 200ms\nmax_job_size: 1KiB\nonce_patience: 10s\n"


@pytest.mark.parametrize("calls", ["renameat", "linkat", "unlinkat", "fdatasync"])
def test_killed_around_a_broken_edit(spool, hostile, once, calls):
    """The file becomes one that is refused, and what it was: its result makes room and comes back."""
    server = hostile()
    spool.drop("r.yaml", inputs={"n": "1"})
    assert once(server.url, config=QUICK)[0] == 0
    said = spool.result("r")
    for nth in itertools.count(1):
        spool.drop("r.yaml", text="# " + "x" * 1024)
        ended, _ = once(server.url, config=QUICK, prefix=killed_at(calls, nth))
        assert once(server.url, config=QUICK)[0] in (0, 1), "refused in this run, or in the one before"
        assert spool.outcomes() == ["r.error.json"], f"killed at {calls} number {nth}"
        assert spool.error("r")["error"]["code"] == "invalid_job"
        spool.drop("r.yaml", inputs={"n": "1"})
        back, _ = once(server.url, config=QUICK, prefix=killed_at(calls, nth))
        assert once(server.url, config=QUICK)[0] == 0
        assert spool.outcomes() == ["r.result.json"] and spool.result("r") == said, f"killed at {calls} number {nth}"
        assert posts(server) == 1
        if ended == 1 and back == 0:
            break


@pytest.mark.parametrize("calls", ["renameat", "linkat", "unlinkat", "fdatasync"])
def test_killed_while_another_result_takes_the_place(spool, hostile, once, calls):
    """An edit: the old result makes room for the new one, and is there when the edit is undone."""
    server = hostile()
    for nth in itertools.count(1):
        name = f"e{nth}"
        spool.drop(f"{name}.yaml", inputs={"n": f"{nth} first"})
        assert once(server.url, config=QUICK)[0] == 0
        first = spool.result(name)
        spool.drop(f"{name}.yaml", inputs={"n": f"{nth} second"})
        hold = QUICK + "retry: {on_ambiguous: hold}\n"
        ended, _ = once(server.url, config=hold, prefix=killed_at(calls, nth))
        assert once(server.url, config=hold)[0] in (0, 1), "its reply came, or it may have been charged"
        assert spool.result(name) != first, f"killed at {calls} number {nth}"
        spool.drop(f"{name}.yaml", inputs={"n": f"{nth} first"})
        assert once(server.url, config=hold)[0] == 0
        assert spool.result(name) == first, f"killed at {calls} number {nth}"
        if ended == 0:
            break
    assert set(itertools.chain(*(v.values() for v in stats(server)["whole"].values()))) == {1}, "nothing is bought twice"
