"""flowspool check: what the daemon would refuse or ignore, and what it would buy."""

import json
import os
import sqlite3
import subprocess

import pytest

from command_line import command, frozen, harmless, jobs, on_terminal, status
from conftest import BIN, PATIENCE, Spool, job_text, wait_for

WRONG = "workflow: wf_a\ninputs:\n  a: 1\n  a: 2\n"


def check(*arguments, **keys):
    return command("check", *arguments, **keys)


def counts(*arguments, status=0):
    done = check("--json", *arguments)
    assert done.returncode == status and done.stderr == "" and done.stdout.count("\n") == 1, done
    return json.loads(done.stdout)


def findings(about):
    return sorted((f["kind"], os.path.basename(f["file"])) for f in about["findings"])


# --- files ---


def test_a_good_file(tmp_path):
    (tmp_path / "a.yaml").write_text(job_text())
    done = check(tmp_path / "a.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 file, 1 job; 0 faults\n", "")
    assert check("--quiet", tmp_path / "a.yaml").stdout == ""
    about = counts(tmp_path / "a.yaml")
    assert about == {**about, "findings": [], "files": 1, "jobs": 1, "faults": 0, "purchases": None}


def test_a_fault_as_compilers_say_it(tmp_path):
    (tmp_path / "wrong.yaml").write_text(WRONG)
    done = check("wrong.yaml", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.startswith("wrong.yaml:4:3: the key 'a' is already there, in line 3")
    assert done.stdout == "1 file, 0 jobs; 1 fault\n"
    (finding,) = counts(tmp_path / "wrong.yaml", status=1)["findings"]
    assert (finding["kind"], finding["line"], finding["column"]) == ("fault", 4, 3) and finding["file"] == str(tmp_path / "wrong.yaml")


@pytest.mark.parametrize("content, words", [
    (b"", ": the file holds no job"), (b"workflow: wf_a\n", "inputs"), (b"workflow: wf_a\ninputs: {}\nx: 1\n", ":3:1: "),
    (b"workflow: wf_a\ninputs: {a: \xff}\n", ":2:"), ("workflow: a\ninputs: {}\n".encode("utf-16"), "UTF-16"),
    (b"workflow: wf_a\nid: 1\ninputs: {}\n---\nworkflow: wf_a\nid: 1\ninputs: {a: 1}\n", ":6:5: "),
    (b"workflow: wf_a\ninputs: {a: '" + b"x" * (1 << 20) + b"'}\n", "larger than max_job_size (1048576 bytes)"),
], ids=["empty", "no inputs", "unknown key", "not UTF-8", "UTF-16", "same id", "too large"])
def test_other_faults(tmp_path, content, words):
    (tmp_path / "a.yaml").write_bytes(content)
    done = check(tmp_path / "a.yaml")
    assert done.returncode == 1 and done.stderr.startswith(str(tmp_path / "a.yaml")) and words in done.stderr, done


def test_several_files(tmp_path):
    (tmp_path / "a.yaml").write_text(job_text())
    (tmp_path / "b.yaml").write_text(WRONG)
    (tmp_path / "c.yaml").write_text(job_text())
    (tmp_path / "several.yaml").write_text(job_text(inputs={"x": 1}) + "---\n" + job_text(inputs={"x": 2}))
    done = check("a.yaml", "b.yaml", "c.yaml", "several.yaml", "none.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == ["b.yaml:4:3", "c.yaml", "none.yaml"]
    assert "c.yaml: warning: the same request as a.yaml; bought all the same" in done.stderr
    assert "none.yaml: cannot be read: No such file" in done.stderr
    assert done.stdout == "4 files, 4 jobs, 1 a duplicate; 2 faults\n"
    assert check("--quiet", "a.yaml", "c.yaml", cwd=tmp_path).stderr == ""


def test_names(tmp_path):
    """What is written aside may be checked before it is renamed."""
    for name in [".a.yaml", "a.yaml.tmp", "a.txt", "a.yaml.txt", "_a.yaml"]:
        (tmp_path / name).write_text(job_text())
        done = check(tmp_path / name)
        assert done.returncode == 0 and "warning: ignored by flowspoold: " in done.stderr, (name, done)
    os.symlink("a.txt", tmp_path / "link.yaml")
    assert "ignored by flowspoold: symbolic link" in check(tmp_path / "link.yaml").stderr
    (tmp_path / "x.yaml").write_text(job_text())
    (tmp_path / "x.yml").write_text(job_text(inputs={"a": 1}))
    done = check("x.yaml", "x.yml", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr == "x.yml: its outcome would have the same name as that of x.yaml; rename one of them\n"
    long = "n" * 245 + ".yaml"
    (tmp_path / long).write_text(job_text())
    assert "too long" in check(tmp_path / long).stderr and check(tmp_path / long).returncode == 1
    (tmp_path / "held.yaml.hold").write_text(job_text())
    assert check(tmp_path / "held.yaml.hold").stderr == ""


def test_standard_input(tmp_path):
    def piped(text, *arguments):
        return subprocess.run([BIN / "flowspool", "check", *arguments, "-"], input=text, capture_output=True, text=True, timeout=PATIENCE)

    assert piped(job_text()).returncode == 0 and piped(job_text()).stderr == ""
    done = piped(WRONG)
    assert done.returncode == 1 and done.stderr.startswith("<stdin>:4:3: ")
    assert piped("x" * (2 << 20)).returncode == 1
    done = subprocess.run(["bash", "-c", f"{BIN}/flowspool check <(printf 'workflow: a\\ninputs: {{}}\\n')"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_configuration(tmp_path):
    (tmp_path / "spool").mkdir()
    config = tmp_path / "config.yaml"
    config.write_text(f"spool: {tmp_path}/spool\nmax_job_size: 1KiB\ninputs_as: typed\n")
    job = tmp_path / "a.yaml"
    job.write_text("workflow: a\ninputs: {a: '" + "x" * 2000 + "'}\n")
    assert check(job).returncode == 0
    for arguments in [["-c", config, "check"], ["check", "-c", config]]:
        done = command(*arguments, job)
        assert done.returncode == 1 and "larger than max_job_size (1024 bytes)" in done.stderr
    config.write_text("spool: /nowhere/at/all\nmax_job_size: 1KiB\n")
    assert "larger than max_job_size (1024 bytes)" in check("-c", config, job).stderr, "its spool is on another machine"
    assert check("-c", config).returncode == 2
    for arguments in [["-c", tmp_path / "none", job], ["--spool", tmp_path / "none", job]]:
        assert check(*arguments).returncode == 2


def test_usage(tmp_path):
    for arguments, words in [([], "which spool?"), (["--json", "--quiet", "-"], "either"), (["--nonsense"], "")]:
        done = check(*arguments)
        assert done.returncode == 2 and words in done.stderr and done.stdout == "", (arguments, done)


def test_names_drive_no_terminal(tmp_path):
    evil = "x\x1b[2J\x07\u009b31m\u202e\ny.yaml"
    for name, content in [(evil, "\x1b[2J: {\n"), (evil.replace("y", "z") + ".txt", ""), ("bad\udc9b.yaml", WRONG), ("ok.yaml", job_text())]:
        (tmp_path / name).write_text(content)
    os.link(tmp_path / "ok.yaml", tmp_path / evil.replace("y.", "w."))
    for words in [[tmp_path], [tmp_path / evil], ["--json", tmp_path], [tmp_path / "bad\udc9b.yaml"]]:
        done = check(*words)
        assert done.returncode == 1 and harmless(done.stdout + done.stderr), (words, done)
    (tmp_path / evil).unlink()
    (tmp_path / "bad\udc9b.yaml").unlink()
    raw = on_terminal("check", tmp_path)
    assert harmless(raw) and r"\x1b[2J" in raw and "the same request as" in raw


# --- directories ---


def test_a_directory(spool):
    spool.drop("a.yaml")
    spool.drop("b.yaml", inputs={"text": "b"})
    spool.drop("copy.yaml", inputs={"text": "b"})
    spool.drop("a.yml", inputs={"text": "other"})
    spool.drop("several.yaml", job_text(inputs={"x": 1}) + "---\n" + job_text(inputs={"x": 2}))
    spool.drop("several.1.yaml", inputs={"x": 3})
    spool.drop("held.yaml.hold", inputs={"x": 4})
    spool.drop("old.yaml", inputs={"x": 5}, expires="2020-01-01T00:00:00Z")
    spool.drop("wrong.yaml", WRONG)
    spool.drop("both.yaml", inputs={"x": 6})
    spool.drop("both.yaml.hold", inputs={"x": 7})
    (spool.path / "notes.yaml.txt").write_text("")
    (spool.path / ".hidden.yaml").write_text("")
    (spool.path / "readme.md").write_text("")
    os.symlink("a.yaml", spool.path / "link.yaml")
    (spool.path / "sub").mkdir()
    (spool.path / "sub/deep.yaml").write_text(job_text(inputs={"x": 8}))
    about = counts(spool.path, status=1)
    kinds = findings(about)
    assert ("fault", "wrong.yaml") in kinds and sum(k == "fault" for k, _ in kinds) == 3, kinds
    assert len({f for k, f in kinds if k == "fault"} & {"a.yaml", "a.yml"}) == 1, "one of the two must go"
    assert len({f for k, f in kinds if k == "fault"} & {"several.yaml", "several.1.yaml"}) == 1
    assert [f for k, f in kinds if k == "warning"] == ["both.yaml.hold", "link.yaml", "notes.yaml.txt", "old.yaml", "sub"]
    assert about["files"] == 10 and about["ignored"] == 4 and about["faults"] == 3
    assert (about["held"], about["expired"], about["duplicates"], about["done"]) == (1, 1, 1, 0)
    refused = {f for k, f in kinds if k == "fault"}
    assert about["jobs"] == (7 if "several.yaml" in refused else 8) and about["purchases"] == about["jobs"] - 2
    (twice,) = [f for f in about["findings"] if f["kind"] == "duplicate"]
    assert {os.path.basename(twice["file"]), os.path.basename(twice["first"])} == {"b.yaml", "copy.yaml"}
    assert counts("-r", spool.path, status=1)["files"] == 11
    done = check("spool", cwd=spool.path.parent)
    assert done.returncode == 1 and "spool/wrong.yaml:4:3: " in done.stderr and "spool/link.yaml: warning: ignored: symbolic link" in done.stderr
    assert "1 more when it is released, 1 of these a duplicate; not bought: 1 expired" in done.stdout
    assert command("--spool", spool.path, "check").stdout == done.stdout, "without a word it is the spool"
    (spool.path.parent / "link").symlink_to(spool.path)
    for other in ["link", "./spool/", "link/."]:
        assert check(other, cwd=spool.path.parent).stdout == done.stdout


def test_a_clean_directory(spool):
    for i in range(3):
        spool.drop(f"{i}.yaml", inputs={"text": i})
    done = check(spool.path)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout == "3 files, 3 jobs; 0 faults\n3 purchases\n"
    assert sorted(p.name for p in spool.path.iterdir()) == ["0.yaml", "1.yaml", "2.yaml"], "looking makes no state"
    (spool.path / "PAUSE").touch()
    assert "sending is held by a file PAUSE" in check(spool.path).stdout
    assert check(spool.path / "nowhere").returncode == 1


def test_what_would_be_bought_is_what_is_bought(spool, sandbox, daemon):
    """Before, while and after a run, with results collected, files renamed, touched and changed."""
    workflows = spool.path.parent / "workflows.yaml"
    workflows.write_text("workflows:\n  wf_echo: {template: 'x'}\n  wf_gone: {template: x, published: false}\n")
    s = sandbox("--limiter", "none", "--latency", "0", "--workflows", workflows)
    d = daemon(s.url)
    d.logged("spool ")
    for i in range(6):
        spool.drop(f"{i}.yaml", inputs={"text": i})
    spool.drop("gone.yaml", workflow="wf_gone")
    for stem in [*"012345", "gone"]:
        spool.outcome(stem)
    wait_for(lambda: (j := status(spool)["jobs"])["done"] == 6 and j["failed"] == 1, "the jobs")
    assert counts(spool.path)["purchases"] == 0 and counts(spool.path)["done"] == 6 and counts(spool.path)["failed"] == 1
    with frozen(d):  # what it does not say is in the configuration
        assert counts("-c", d.config_file, "--spool", spool.path, spool.path)["done"] == 0, "the endpoint is not known"
    assert d.stop() == 0
    environment = {"FLOWSPOOL_ENDPOINT": s.url + "/"}

    def purchases():
        return json.loads(check("--json", spool.path, **environment).stdout)

    assert purchases()["purchases"] == 0
    with sqlite3.connect(spool.state / "state.db") as db:
        db.execute("UPDATE jobs SET blocked = 32 WHERE state = 4 OR stem = CAST('5' AS BLOB)")  # by another flowspool retry
    assert (purchases()["purchases"], purchases()["done"], purchases()["failed"]) == (2, 5, 0)
    with db:
        db.execute("UPDATE jobs SET blocked = 0")
    db.close()
    (spool.path / "0.result.json").unlink()  # collected
    (spool.path / "1.yaml").rename(spool.path / "renamed.yaml")
    spool.drop("2.yaml", inputs={"text": "changed"})
    os.utime(spool.path / "3.yaml")  # touched: it has a result
    os.utime(spool.path / "gone.yaml", (1, 1))  # touched: it has failed, and runs again
    (spool.path / "copy.yaml").write_bytes((spool.path / "4.yaml").read_bytes())
    about = purchases()
    assert (about["purchases"], about["done"], about["failed"]) == (3, 5, 0), about
    d = daemon(s.url)
    wait_for(lambda: (j := status(spool)["jobs"]) and j["done"] == 7 and j["failed"] == 1 and status(spool)["live"]["scanned"], "the next run")
    run = wait_for(lambda: (r := status(spool)["live"]["run"])["requests"] == 3 and r, "three requests")
    assert run["bought"] == 2 and purchases()["purchases"] == 0


def test_results_beside_without_a_state(spool, sandbox, once):
    s = sandbox("--limiter", "none", "--latency", "0")
    for i in range(3):
        spool.drop(f"{i}.yaml", inputs={"text": i})
    assert once(s.url)[0] == 0
    other = Spool(spool.path.parent / "other")
    for p in spool.path.glob("*.*"):
        if p.is_file():
            (other.path / p.name).write_bytes(p.read_bytes())
    (other.path / "2.result.json").unlink()
    about = json.loads(check("--json", other.path, FLOWSPOOL_ENDPOINT=s.url).stdout)
    assert (about["purchases"], about["done"]) == (1, 2)
    assert counts(other.path)["purchases"] == 3, "results of a sandbox do not stop a run against another endpoint"
    assert not (other.path / ".flowspool").exists()


def test_a_state_that_cannot_be_read(spool):
    spool.drop("a.yaml")
    spool.state.mkdir()
    (spool.state / "state.db").write_text("this is not a state\n" * 100)
    done = check(spool.path)
    assert done.returncode == 0 and "is not a state of flowspool" in done.stderr and "1 purchase\n" in done.stdout


def test_while_it_runs(spool, sandbox, daemon):
    s = sandbox("--limiter", "none", "--latency", "20s")
    d = daemon(s.url)
    spool.drop("a.yaml")
    wait_for(lambda: s.stats()["in_flight"] == 1, "the request")
    assert counts(spool.path)["on_their_way"] == 1 and "not bought: 1 in flight" in check(spool.path).stdout
    with open(spool.path / "writing.yaml", "w") as writer:
        writer.write("workflow: wf")
        writer.flush()
        done = check(spool.path)
        assert done.returncode == 0 and "still writing it: not checked" in done.stderr
    d.kill()
    (spool.path / "writing.yaml").unlink()
    assert counts(spool.path)["on_their_way"] == 1 and jobs(spool)["a.yaml"]["state"] == "in-flight"


def test_many_files_in_little_memory(spool):
    """10,000 files may take no more than 1,000 do, but for what is remembered of each."""
    def peak(n):
        for i in range(n):
            (spool.path / f"job-{i:05}.yaml").write_text(job_text(inputs={"text": i}))
        sanitizer = os.environ.get("ASAN_OPTIONS", "exitcode=99") + ":quarantine_size_mb=1"  # which keeps what was freed
        done = command("check", "--json", spool.path, ASAN_OPTIONS=sanitizer, prefix=["/usr/bin/python3", "-c", """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE)
print(done.stdout.decode(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)"""])
        assert done.returncode == 0, done
        about, kib = done.stdout.rsplit(None, 1)
        assert json.loads(about)["purchases"] == n
        return int(kib)

    few = peak(1000)
    assert peak(10000) < few + 4096
