"""flowspool wait: the state tells what has ended, the job file what is meant, with a daemon, a hung one, and none."""

import contextlib
import os
import pathlib
import shutil
import subprocess

import pytest

from command_line import command, frozen, jobs
from conftest import BIN, PATIENCE, Spool, wait_for
from hostile_control import posts, release, script

HOLD = "retry:\n  max_attempts: 1\n  base: 10ms\n  on_ambiguous: hold\n"


def wait(spool, *arguments, **keys):
    return command("--spool", spool.path, "wait", *arguments, **keys)


def ended(result, status, *lines):
    """Jobs end in any order."""
    assert result.returncode == status, (result.stdout, result.stderr)
    assert sorted(result.stdout.splitlines()) == sorted(lines)
    return result.stderr


@contextlib.contextmanager
def waiting(spool, *arguments):
    """One that waits in the background; it has looked at the spool before the body runs, and sleeps until the next look."""
    process = subprocess.Popen([str(BIN / "flowspool"), "--spool", str(spool.path), "wait", *arguments], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: process.poll() is not None or sleeps(process.pid), "it to wait")
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def sleeps(pid):
    """For an event: it has its watch. A look itself does not sleep."""
    if not any("inotify" in link for link in links(pid)):
        return False
    with contextlib.suppress(FileNotFoundError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def links(pid):
    found = []
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found


def finish(process, status, *lines):
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == status, (out, err)
    assert sorted(out.splitlines()) == sorted(lines)


def state_of(spool, name):
    return jobs(spool).get(name, {}).get("state")


@pytest.fixture
def server(hostile):
    return hostile()


# --- what has ended, and what ends ---


def test_done_and_failed(spool, server, daemon):
    script(server, wf_gone="status:404", all="ok")
    daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    spool.drop("b.yaml", inputs={"text": "b"})
    spool.drop("gone.yaml", workflow="wf_gone")
    assert ended(wait(spool, "a.yaml", "b"), 0, "a.yaml done", "b.yaml done") == ""
    done = wait(spool, "gone.yaml", "a.yaml")
    assert done.returncode == 1 and done.stderr == ""
    lines = sorted(done.stdout.splitlines())
    assert lines[0] == "a.yaml done"
    assert lines[1].startswith("gone.yaml failed workflow_not_found: the service knows no published workflow")


def test_a_name_that_is_not_seen_yet(spool, server, daemon):
    daemon(server.url, config=HOLD)
    with waiting(spool, "a.yaml", "later") as process:
        spool.drop("a.yaml")
        spool.drop("later.yml", inputs={"text": "b"})
        finish(process, 0, "a.yaml done", "later.yml done")


def test_lines_come_as_jobs_end(spool, server, daemon):
    script(server, wf_slow="hold", all="ok")
    daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    spool.drop("slow.yaml", workflow="wf_slow")
    with waiting(spool, "*.yaml") as process:
        assert process.stdout.readline() == "a.yaml done\n"
        wait_for(lambda: posts(server) == 2, "the slow request")
        release(server)
        finish(process, 0, "slow.yaml done")


def test_documents(spool, server, daemon):
    daemon(server.url, config=HOLD)
    text = "id: k.x\nworkflow: wf_a\ninputs: {n: 1}\n---\nworkflow: wf_a\ninputs: {n: 2}\n"
    with waiting(spool, "m.yaml") as whole, waiting(spool, "m.k.x") as one:
        spool.drop("m.yaml", text=text)
        finish(whole, 0, "m.k.x done", "m.2 done")
        finish(one, 0, "m.k.x done")
    for name in ("m", "m.yaml", "*.yaml", str(spool.path / "m.yaml")):
        ended(wait(spool, name), 0, "m.k.x done", "m.2 done")
    ended(wait(spool, "m.2.result.json"), 0, "m.2 done")
    ended(wait(spool, "m.2", "m.yaml", "m.2"), 0, "m.k.x done", "m.2 done")


def test_globs_digests_and_paths(spool, server, daemon):
    daemon(server.url, config=HOLD)
    for name in "abc":
        spool.drop(f"{name}.yaml", inputs={"text": name})
    ended(wait(spool, "[ab].yaml"), 0, "a.yaml done", "b.yaml done")
    digest = jobs(spool)["c.yaml"]["request_sha256"]
    ended(wait(spool, digest[:10]), 0, "c.yaml done")
    ended(wait(spool, "spool/a.yaml", cwd=spool.path.parent), 0, "a.yaml done")
    ended(wait(spool, "./b.result.json", cwd=spool.path), 0, "b.yaml done")
    assert "no job matches" in ended(wait(spool, "x*"), 2)
    assert "no job matches" in ended(wait(spool, "a.yaml", "x*"), 2)


def test_time_runs_out(spool, server, daemon):
    script(server, all="hang")
    daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    said = ended(wait(spool, "--timeout", "300ms", "a.yaml", "none"), 124)
    assert "a.yaml has not ended" in said and "none has not ended" in said
    ended(wait(spool, "--timeout", "0", "a.yaml"), 124)


@pytest.mark.parametrize("arguments, says", [([], "which jobs?"), (["--timeout", "x", "a"], "no duration"), (["--nonsense", "a"], "")])
def test_wrong_use(spool, arguments, says):
    wrong = wait(spool, *arguments)
    assert wrong.returncode == 2 and says in wrong.stderr and wrong.stdout == ""


def test_no_such_spool(tmp_path):
    wrong = command("--spool", tmp_path / "none", "wait", "a")
    assert wrong.returncode == 2 and "No such file" in wrong.stderr


# --- what is meant ---


def test_an_outcome_that_was_collected(spool, server, daemon):
    daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    spool.outcome("a")
    wait_for(lambda: state_of(spool, "a.yaml") == "done", "the state")
    shutil.move(spool.path / "a.result.json", spool.path.parent)
    ended(wait(spool, "a.yaml"), 0, "a.yaml done")
    assert posts(server) == 1


def test_a_newer_request_in_the_file_is_waited_for(spool, server, daemon):
    script(server, wf_slow="hold", all="ok")
    d = daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    ended(wait(spool, "a.yaml"), 0, "a.yaml done")
    with frozen(d):  # the state knows the old request only
        spool.drop("a.yaml", workflow="wf_slow")
        ended(wait(spool, "--timeout", "200ms", "a.yaml"), 124)
    with waiting(spool, "a.yaml") as process:
        wait_for(lambda: posts(server) == 2, "the new request")
        release(server)
        finish(process, 0, "a.yaml done")


def test_a_comment_is_no_newer_request(spool, server, daemon):
    d = daemon(server.url, config=HOLD)
    job = spool.drop("a.yaml")
    ended(wait(spool, "a.yaml"), 0, "a.yaml done")
    with frozen(d):
        spool.drop("a.yaml", text="# touched\n" + job.read_text())
        ended(wait(spool, "a.yaml"), 0, "a.yaml done")


def test_what_retry_sent_back_has_not_ended(spool, server, daemon):
    script(server, all="status:500")
    daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    assert wait(spool, "a.yaml").returncode == 1
    script(server, all="hold")
    assert command("--spool", spool.path, "retry", "a.yaml").returncode == 0
    wait_for(lambda: posts(server) == 2, "the second request")
    assert spool.error("a"), "the old error stays until the new outcome is there"
    ended(wait(spool, "--timeout", "200ms", "a.yaml"), 124)
    with waiting(spool, "a.yaml") as process:
        release(server)
        finish(process, 0, "a.yaml done")


def test_what_retry_left_for_the_next_start_has_not_ended(spool, server, daemon):
    script(server, all="status:500")
    d = daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    assert wait(spool, "a.yaml").returncode == 1
    assert d.stop() == 0
    assert wait(spool, "a.yaml").returncode == 1
    assert command("--spool", spool.path, "retry", "a.yaml").returncode == 0
    script(server, all="ok")
    ended(wait(spool, "--timeout", "200ms", "a.yaml"), 124)
    with waiting(spool, "a.yaml") as process:
        daemon(server.url, config=HOLD)
        finish(process, 0, "a.yaml done")


def test_a_failed_job_that_was_touched_has_not_ended(spool, server, daemon):
    script(server, all="status:500")
    d = daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    assert wait(spool, "a.yaml").returncode == 1
    script(server, all="ok")
    with frozen(d):
        os.utime(spool.path / "a.yaml", (5, 5))
        ended(wait(spool, "--timeout", "200ms", "a.yaml"), 124)
    ended(wait(spool, "a.yaml"), 0, "a.yaml done")


def test_a_file_that_is_refused_and_then_corrected(spool, server, daemon):
    """It is refused when it is ten seconds old."""
    d = daemon(server.url, config=HOLD)
    spool.drop("a.yaml", text="workflow: wf_a\n")
    done = wait(spool, "a.yaml")
    assert done.returncode == 1 and done.stdout.startswith("a.yaml failed invalid_job: line 1, column 1: "), done
    with frozen(d):
        spool.drop("a.yaml")
        ended(wait(spool, "--timeout", "200ms", "a.yaml"), 124)
    ended(wait(spool, "a.yaml"), 0, "a.yaml done")


def test_a_file_whose_outcome_has_no_name_of_its_own(spool, server, daemon):
    daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    ended(wait(spool, "a.yaml"), 0, "a.yaml done")
    spool.drop("a.yml", inputs={"text": "b"})
    done = wait(spool, "a.yml")
    assert done.returncode == 1 and done.stdout.startswith("a.yml failed refused: its outcome would have the same name as that of a.yaml")


def test_a_renamed_job_is_followed(spool, server, daemon):
    script(server, all="hold")
    daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    wait_for(lambda: posts(server) == 1, "the request")
    with waiting(spool, "a.yaml") as process:
        (spool.path / "a.yaml").rename(spool.path / "b.yaml")
        wait_for(lambda: "b.yaml" in jobs(spool), "the new name")
        release(server)
        finish(process, 0, "b.yaml done")


# --- held, hung, gone ---


def test_held_and_paused_jobs_are_waited_for(spool, server, daemon):
    daemon(server.url, config=HOLD)
    (spool.path / "PAUSE").touch()
    spool.drop("a.yaml")
    spool.drop("b.yaml.hold", inputs={"text": "b"})
    ended(wait(spool, "--timeout", "200ms", "a.yaml", "b.yaml"), 124)
    with waiting(spool, "a.yaml", "b.yaml") as process:
        (spool.path / "PAUSE").unlink()
        (spool.path / "b.yaml.hold").rename(spool.path / "b.yaml")
        finish(process, 0, "a.yaml done", "b.yaml done")


def test_a_daemon_that_hangs(spool, server, daemon):
    d = daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    ended(wait(spool, "a.yaml"), 0, "a.yaml done")
    with frozen(d):
        ended(wait(spool, "a.yaml"), 0, "a.yaml done")
        spool.drop("b.yaml", inputs={"text": "b"})
        ended(wait(spool, "*.yaml", "--timeout", "200ms"), 124, "a.yaml done")
    ended(wait(spool, "b.yaml"), 0, "b.yaml done")


def test_no_daemon_and_one_that_comes(spool, server, daemon):
    spool.drop("a.yaml")
    ended(wait(spool, "--timeout", "200ms", "a.yaml", "*.yaml"), 124)  # nobody has run here ever
    with waiting(spool, "*.yaml") as process:
        d = daemon(server.url, config=HOLD)
        finish(process, 0, "a.yaml done")
    assert d.stop() == 0
    ended(wait(spool, "a.yaml"), 0, "a.yaml done")
    spool.drop("b.yaml", inputs={"text": "b"})
    ended(wait(spool, "--timeout", "200ms", "a.yaml", "b.yaml"), 124, "a.yaml done")


def test_without_a_state_the_outcome_files_answer(spool, server, daemon):
    script(server, wf_gone="status:404", all="ok")
    d = daemon(server.url, config=HOLD)
    spool.drop("a.yaml")
    spool.drop("gone.yaml", workflow="wf_gone")
    assert wait(spool, "a.yaml", "gone.yaml").returncode == 1
    assert d.stop() == 0
    shutil.rmtree(spool.state)
    done = wait(spool, "*.yaml", "a.result.json")
    assert done.returncode == 1 and "a.yaml done" in done.stdout.splitlines()
    assert any(line.startswith("gone.yaml failed workflow_not_found") for line in done.stdout.splitlines())
    spool.drop("a.yaml", inputs={"text": "another"})
    ended(wait(spool, "--timeout", "200ms", "a.yaml"), 124)
    (spool.path / "a.yaml").unlink()
    ended(wait(spool, "a.result.json"), 0, "a done")
    ended(wait(spool, "--timeout", "200ms", "a.yaml"), 124)  # a name that may come again


def test_a_spool_that_is_removed(tmp_path):
    other = Spool(tmp_path / "other")
    with waiting(other, "a.yaml") as process:
        other.path.rmdir()
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 2 and out == ""


# --- many ---


def test_many_are_told_once_each(spool, sandbox, daemon):
    s = sandbox("--limiter", "none")
    names = [f"j{i:03}.yaml" for i in range(300)]
    for i, name in enumerate(names[:150]):
        spool.drop(name, inputs={"n": i})
    daemon(s.url)
    with waiting(spool, *names) as process:
        for i, name in enumerate(names[150:]):
            spool.drop(name, inputs={"n": 1000 + i})
        finish(process, 0, *(f"{name} done" for name in names))
