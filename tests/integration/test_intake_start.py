"""What changed while no daemon ran, or was asked for before it started, holds from the first request on."""

import pytest
from conftest import flowspool, job_text, wait_for
from hostile_control import posts, script, stats
from intake_steps import closed, counts, started, write_many

QUICK = "rescan: 100ms\nretry: {base: 10ms, cap: 50ms}\n"


# --- PAUSE ---


def test_a_pause_from_before_the_start_lets_nothing_through(spool, hostile, daemon):
    """The scan of so many takes longer than the start waits for it."""
    server = hostile()
    write_many(spool, 5000, lambda n: job_text(inputs={"n": n}))
    (spool.path / "PAUSE").touch()
    daemon(server.url, "--max-concurrency", "64")
    started(spool)
    wait_for(lambda: counts(spool)["waiting"] == 5000, "all to be known")
    assert posts(server) == 0


@pytest.mark.parametrize("paused", [True, False])
def test_a_scan_does_not_undo_what_became_of_a_pause_during_it(spool, hostile, daemon, paused):
    """The spool itself is listed first, what is below it takes a while; what lies there when it ends counts."""
    server = hostile()
    script(server, all="hold")
    pause = spool.path / "PAUSE"
    if not paused:
        pause.touch()
    (spool.path / "sub").mkdir()
    write_many(spool, 5000, lambda n: job_text(inputs={"n": n}), "sub/")
    daemon(server.url, "--max-concurrency", "2", config="rescan: 1h\nrecursive: true\n")
    started(spool)
    wait_for(lambda: 0 < counts(spool)["files"], "the scan to be under way")
    if paused:
        pause.touch()
    else:
        pause.unlink()
    wait_for(lambda: ("pause-file" in closed(spool)) is paused, "the event")
    assert counts(spool)["files"] < 5000, "too late: the scan is over"
    wait_for(lambda: counts(spool)["files"] == 5000, "the scan's end")
    spool.drop("marker.yaml.hold")
    wait_for(lambda: counts(spool)["held"] == 1, "a look after it")
    assert ("pause-file" in closed(spool)) is paused
    if not paused:
        wait_for(lambda: posts(server) == 2, "two requests")


# --- files that were edited, removed or held meanwhile ---


@pytest.fixture
def waiting(spool, hostile, daemon):
    """So many jobs that a daemon knew and had not sent when it stopped; the server."""

    def prepare(count):
        server = hostile()
        write_many(spool, count, lambda n: job_text("wf_old", inputs={"n": n}))
        (spool.path / "PAUSE").touch()
        d = daemon(server.url)
        started(spool)
        wait_for(lambda: counts(spool)["waiting"] == count, "all to be known")
        assert d.stop() == 0
        (spool.path / "PAUSE").unlink()
        return server

    return prepare


def test_requests_of_files_that_changed_while_no_daemon_ran_are_not_bought(spool, waiting, daemon):
    """Every second file is gone, the others ask for something else: no old request may be sent, however long the first
    scan takes."""
    count = 5000
    server = waiting(count)
    for n in range(count):
        path = spool.path / f"j{n:05}.yaml"
        if n % 2:
            path.unlink()
        else:
            path.write_text(job_text("wf_new", inputs={"n": n}))
    # Not enough for the hold of vanished files.
    for n in range(200):
        spool.drop(f"more{n}.yaml", workflow="wf_more", inputs={"n": n})
    d = daemon(server.url, "--max-concurrency", "64", config="settle: 10ms\nmax_jobs: 300\n")
    d.logged("as many runs as max_jobs allows were bought")
    seen = stats(server)["whole"]
    assert "wf_old" not in seen, f"{len(seen['wf_old'])} old requests were bought"
    assert sum(len(bodies) for bodies in seen.values()) >= 300


def test_jobs_that_were_held_while_no_daemon_ran_are_not_bought(spool, waiting, daemon):
    count = 5000
    server = waiting(count)
    for n in range(count):
        (spool.path / f"j{n:05}.yaml").rename(spool.path / f"j{n:05}.yaml.hold")
    daemon(server.url, "--max-concurrency", "64")
    started(spool)
    wait_for(lambda: counts(spool)["held"] == count, "all to be held")
    assert posts(server) == 0
    (spool.path / "j00000.yaml.hold").rename(spool.path / "j00000.yaml")
    assert spool.outcome("j00000")["success"]
    assert posts(server) == 1


# --- many files that vanished ---


@pytest.mark.parametrize("how", ["resume", "back", "back while stopped"])
def test_the_hold_for_vanished_files_outlives_a_restart(spool, hostile, daemon, how):
    server = hostile()
    (spool.path / "PAUSE").touch()
    write_many(spool, 40, lambda n: job_text(inputs={"n": n}))
    d = daemon(server.url, config=QUICK)
    started(spool)
    wait_for(lambda: counts(spool)["waiting"] == 40, "the jobs")
    aside = spool.path / ".aside"
    aside.mkdir()
    for n in range(30):
        (spool.path / f"j{n:05}.yaml").rename(aside / f"j{n:05}.yaml")
    wait_for(lambda: "vanished" in closed(spool), "the hold")
    assert d.stop() == 0
    (spool.path / "PAUSE").unlink()

    def put_back():
        for n in range(30):
            (aside / f"j{n:05}.yaml").rename(spool.path / f"j{n:05}.yaml")

    if how == "back while stopped":
        put_back()
    d = daemon(server.url, config=QUICK)
    started(spool)
    if how != "back while stopped":
        wait_for(lambda: "vanished" in closed(spool), "the hold after the restart")
        spool.drop("marker.yaml.hold")
        wait_for(lambda: counts(spool)["held"] == 1, "what came later to be known")
        assert posts(server) == 0
    if how == "resume":
        flowspool(spool, "resume")
        wait_for(lambda: len(spool.outcomes()) == 10, "what is left")
    elif how == "back":
        put_back()
    if how != "resume":
        wait_for(lambda: len(spool.outcomes()) == 40, "all of them")
    assert "vanished" not in closed(spool)
    assert d.stop() == 0
    d = daemon(server.url, config=QUICK)
    started(spool)
    assert "vanished" not in closed(spool), "it is over for good"
    assert posts(server) == (10 if how == "resume" else 40)
