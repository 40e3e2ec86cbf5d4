"""flowspool drain: pauses, and returns when nothing is in flight."""

import os
import socket
import subprocess
import threading
import time

from command_line import command, frozen, jobs, status
from conftest import BIN, wait_for
from hostile_control import posts, release, script, stats


def drain(spool, *arguments):
    return command("--spool", spool.path, "drain", *arguments)


def start_drain(spool, *arguments):
    return subprocess.Popen([str(BIN / "flowspool"), "--spool", str(spool.path), "drain", *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def test_an_empty_one_returns_at_once(spool, sandbox, daemon):
    daemon(sandbox("--limiter", "none").url)
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon")
    done = drain(spool)
    assert (done.returncode, done.stdout, done.stderr) == (0, "paused, and nothing is in flight; to go on: flowspool resume\n", "")
    assert status(spool)["paused"] is True
    assert drain(spool, "--timeout", "0").returncode == 0, "already empty"


def test_it_waits_for_every_outcome(spool, hostile, daemon):
    server = hostile()
    script(server, all="hold")
    d = daemon(server.url)
    for i in range(5):
        spool.drop(f"{i}.yaml", inputs={"text": i})
    wait_for(lambda: stats(server)["in_flight"] == 5, "the requests")
    process = start_drain(spool)
    wait_for(lambda: status(spool)["paused"], "the pause")
    spool.drop("later.yaml", inputs={"text": "later"})
    wait_for(lambda: status(spool)["jobs"]["waiting"] == 1, "the job that waits")
    assert process.poll() is None
    release(server)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "") and "nothing is in flight" in out
    assert len(spool.outcomes()) == 5 and status(spool)["jobs"]["done"] == 5 and posts(server) == 5
    script(server, all="ok")
    d.kill()
    daemon(server.url)
    wait_for(lambda: (a := status(spool))["live"] and a["live"]["scanned"], "the next daemon")
    assert status(spool)["paused"] is True and posts(server) == 5, "it outlives restarts"
    assert command("--spool", spool.path, "resume").returncode == 0
    spool.outcome("later")


def test_a_reply_that_cannot_be_written_is_in_flight(spool, hostile, daemon):
    server = hostile()
    script(server, all="hold")
    daemon(server.url, config="recursive: true\n")
    spool.drop("sub/a.yaml")
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    in_the_way = spool.path / "sub" / "a.result.json"
    in_the_way.mkdir()
    release(server)
    wait_for(lambda: any(h["kind"] == "directory" for h in status(spool)["live"]["holds"]), "the directory to be held")
    done = drain(spool, "--timeout", "300ms")
    assert done.returncode == 124 and done.stdout == "" and "1 still in flight after 300ms" in done.stderr, done
    in_the_way.rmdir()
    assert drain(spool, "--timeout", "20s").returncode == 0
    assert spool.result("sub/a")["success"] is True


def test_time_out_and_resume(spool, hostile, daemon):
    server = hostile()
    script(server, all="hold")
    daemon(server.url)
    spool.drop("a.yaml")
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    began = time.monotonic()
    done = drain(spool, "--timeout", "500ms")
    assert done.returncode == 124 and "1 still in flight after 500ms; it stays paused" in done.stderr
    assert 0.5 <= time.monotonic() - began and status(spool)["paused"]
    assert command("--spool", spool.path, "resume").returncode == 0 and not status(spool)["paused"]
    process = start_drain(spool)
    wait_for(lambda: status(spool)["paused"], "the pause")
    assert command("--spool", spool.path, "resume").returncode == 0
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1 and "resumed meanwhile" in err and out == ""
    release(server)
    spool.outcome("a")


def test_without_a_daemon(spool, hostile, daemon):
    server = hostile()
    script(server, all="hang")
    assert daemon(server.url, "--once").wait() == 0
    done = drain(spool)
    assert (done.returncode, done.stderr) == (0, "") and "paused: the next flowspoold sends nothing" in done.stdout
    assert status(spool)["paused"] is True
    assert command("--spool", spool.path, "resume").returncode == 0
    d = daemon(server.url)
    spool.drop("a.yaml")
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    d.kill()
    done = drain(spool)
    assert done.returncode == 1 and "1 in flight when it stopped" in done.stderr and "paused" in done.stdout, done
    assert jobs(spool)["a.yaml"]["state"] == "in-flight"


def test_a_daemon_that_ends_meanwhile(spool, hostile, daemon):
    server = hostile()
    script(server, all="hang")
    d = daemon(server.url)
    spool.drop("a.yaml")
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    process = start_drain(spool)
    wait_for(lambda: status(spool)["paused"], "the pause")
    d.kill()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1 and "1 in flight when it stopped" in err


def test_a_daemon_that_hangs(spool, sandbox, daemon):
    d = daemon(sandbox("--limiter", "none").url)
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon")
    with frozen(d):
        done = drain(spool, "--timeout", "1s")
        assert done.returncode == 4 and "nothing was changed" in done.stderr and done.stdout == ""
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon to go on")
    assert status(spool)["paused"] is False


def test_an_answer_without_a_status(spool):
    """As a stranger's program on the socket gives it, or a daemon to come."""
    spool.state.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        directory = os.open(spool.state, os.O_RDONLY | os.O_DIRECTORY)
        listener.bind(f"/proc/self/fd/{directory}/control")  # a socket's path is short
        os.close(directory)
        listener.settimeout(20)
        listener.listen()

        def answer():
            for _ in range(3):  # is it there, the pause, the look
                connection, _ = listener.accept()
                with connection, connection.makefile("rw") as lines:
                    lines.readline()
                    lines.write('{"ok":true}\n')

        answering = threading.Thread(target=answer)
        answering.start()
        done = drain(spool)
        answering.join()
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "flowspool: flowspoold: its answer makes no sense\n")


def test_a_time_out_of_ages_is_none(spool, hostile, daemon):
    server = hostile()
    script(server, all="hold")
    daemon(server.url)
    spool.drop("a.yaml")
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    process = start_drain(spool, "--timeout", "9223372036854775807ms")
    wait_for(lambda: status(spool)["paused"], "the pause")
    release(server)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


def test_wrong_usage(spool):
    for words, complaint in [(["--timeout", "soon"], "not \"soon\""), (["--timeout", "-1s"], "a duration"), (["now"], 'argument "now"'),
                             (["--all"], "--all")]:
        done = drain(spool, *words)
        assert done.returncode == 2 and complaint in done.stderr and done.stdout == "", done
    done = drain(spool)
    assert done.returncode == 2 and "no flowspoold has run" in done.stderr and list(spool.path.iterdir()) == []
