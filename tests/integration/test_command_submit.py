"""flowspool submit: what is written, what is sent, what is refused, and waiting for the result."""

import json
import os
import subprocess
import threading

import pytest

from command_line import command, frozen, jobs, on_terminal
from conftest import BIN, PATIENCE, wait_for
from hostile_control import script, stats


def submit(spool, *arguments, stdin=None, **keys):
    return subprocess.run([str(BIN / "flowspool"), "--spool", str(spool.path), "submit", *map(str, arguments)],
                          input=stdin, capture_output=True, timeout=PATIENCE, **keys)


def done(result, stdout=None):
    assert result.returncode == 0, result.stderr
    assert result.stderr == b""
    if stdout is not None:
        assert result.stdout == stdout
    return result.stdout.decode()


@pytest.fixture
def served(sandbox, daemon):
    s = sandbox("--limiter", "none")
    daemon(s.url)
    return s


def test_what_is_typed_is_what_is_sent(spool, hostile, daemon, tmp_path):
    server = hostile()
    daemon(server.url)
    (tmp_path / "dog.txt").write_bytes(b"Charlie: \"good\"\n  dog\n\xf0\x9f\x98\x80\n")
    done(submit(spool, "wf_a", "number=0123", "no=no", "empty=", "eq=a=b", "colon=a:=b", r"k\=ey=1", r"k\:=2", r"b\\s=3",
                "text=@dog.txt", r"at=\@home", r"two=\\@x", "back=\\x", "int:=12345678901234567890", "list:=[1.10, null, \"no\"]",
                "json:=@-", "spaced key=x", "--name", "a", stdin=b'{"deep": [true]}\n', cwd=tmp_path), b"a.yaml\n")
    assert spool.outcome("a")["success"]
    (text,) = stats(server)["whole"]["wf_a"]
    body = json.loads(text, parse_int=str, parse_float=str)
    assert body == {
        "number": "0123", "no": "no", "empty": "", "eq": "a=b", "colon": "a:=b", "k=ey": "1", "k:": "2", "b\\s": "3",
        "text": "Charlie: \"good\"\n  dog\n\U0001F600\n", "at": "@home", "two": "\\@x", "back": "\\x",
        "int": "12345678901234567890", "list": ["1.10", None, "no"], "json": {"deep": [True]}, "spaced key": "x"}


def test_the_other_keys(spool, tmp_path):
    done(submit(spool, "wf_a", "--priority", "-7", "--not-before", "2100-01-01T00:00:00+01:00", "--expires", "2100-01-02T00:00:00Z",
                "--max-attempts", 3, "--run", "weekly: 1", "--name", "a"))
    text = (spool.path / "a.yaml").read_text()
    assert text == ('workflow: "wf_a"\npriority: -7\nnot_before: "2099-12-31T23:00:00.000Z"\nexpires: "2100-01-02T00:00:00.000Z"\n'
                    'max_attempts: 3\nrun: "weekly: 1"\ninputs: {}\n')


def test_a_duration_counts_from_now(spool, served):
    done(submit(spool, "wf_a", "--not-before", "8h", "--expires", "9h", "--name", "a"))
    wait_for(lambda: jobs(spool).get("a.yaml", {}).get("state") == "later", "the job to wait for its time")
    job = jobs(spool)["a.yaml"]
    assert job["seen_at"] < job["not_before"] < job["expires"]


def test_names(spool):
    (spool.path / "sub").mkdir()
    done(submit(spool, "wf_a", "--name", "plain"), b"plain.yaml\n")
    done(submit(spool, "wf_a", "--name", "sub/b.yml"), b"sub/b.yml\n")
    new = done(submit(spool, "wf_story")).strip()
    assert new.startswith("wf_story-2") and (spool.path / new).exists()
    taken = submit(spool, "wf_a", "--name", "plain")
    assert (taken.returncode, taken.stdout) == (1, b"") and b"plain.yaml is there already" in taken.stderr
    for name in (".hidden", "../up", "none/a", "/tmp/a"):
        refused = submit(spool, "wf_a", "--name", name)
        assert (refused.returncode, refused.stdout) == (2, b""), name
    assert sorted(p.name for p in spool.path.iterdir()) == sorted(["plain.yaml", "sub", new])


def test_a_whole_job_file_from_standard_input(spool, served):
    text = b"# mine\nid: k\nworkflow: wf_a\ninputs: {n: 1}\n---\nworkflow: wf_a\ninputs: {n: 2}\n"
    done(submit(spool, "-", "--name", "a", stdin=text), b"a.yaml\n")
    assert (spool.path / "a.yaml").read_bytes() == text
    wait_for(lambda: spool.result("a.k") and spool.result("a.2"), "both")


def test_a_fault_is_told_as_compilers_do(spool):
    bad = submit(spool, "-", stdin=b"workflow: wf_a\ninputs: {}\nprioritty: 1\n")
    assert (bad.returncode, bad.stdout) == (1, b"")
    assert bad.stderr.startswith(b"-:3:1: the key 'prioritty' is not known")
    bad = submit(spool, "-", stdin=b"")
    assert bad.returncode == 1 and bad.stderr.startswith(b"-: the file holds no job")
    assert list(spool.path.iterdir()) == []


@pytest.mark.parametrize("arguments, says", [
    ([], "which workflow?"),
    (["wf bad"], "workflow must be"),
    (["wf_a", "x"], '"x" is no input'),
    (["wf_a", "=x"], "has no name"),
    (["wf_a", "a=1", "a=2"], "a is an input already"),
    (["wf_a", "a:={"], "a has a value that is not JSON"),
    (["wf_a", "a=@/no/such/file"], "/no/such/file: No such file"),
    (["wf_a", "a=@-", "b=@-"], "standard input can be read once"),
    (["wf_a", b"a=\xff"], "not UTF-8"),
    (["wf_a", "--priority", "high"], 'the priority: "high"'),
    (["wf_a", "--priority", "101"], "from -100 to 100"),
    (["wf_a", "--max-attempts", "0"], "from 1 to 1000"),
    (["wf_a", "--not-before", "2026-11-24 22:00"], "neither a time with Z"),
    (["wf_a", "--not-before", "2h", "--expires", "1h"], "expires before it may begin"),
    (["wf_a", "--timeout", "1s"], "--timeout goes with --wait"),
    (["wf_a", "--wait", "--timeout", "soon"], "no duration"),
    (["-", "a=1"], "has its own inputs"),
    (["-", "--priority", "1"], "takes --name, --wait and --timeout only"),
])
def test_wrong_use(spool, arguments, says):
    wrong = subprocess.run([str(BIN / "flowspool"), "--spool", str(spool.path), "submit", *arguments], input=b"", capture_output=True,
                           timeout=PATIENCE)
    assert (wrong.returncode, wrong.stdout) == (2, b"") and says in wrong.stderr.decode().replace("--priority", "the priority")
    assert list(spool.path.iterdir()) == []


def test_no_such_spool(tmp_path):
    wrong = command("--spool", tmp_path / "none", "submit", "wf_a")
    assert wrong.returncode == 2 and "No such file" in wrong.stderr


def test_with_wait_the_result_comes_out(spool, served):
    shown = done(submit(spool, "wf_a", "story=two\nlines", "--wait", "--name", "a"))
    assert shown.rstrip("\n") == spool.result("a")["result"].rstrip("\n") and shown.endswith("\n")
    again = done(submit(spool, "-", "--wait", "--timeout", "1m", stdin=b"workflow: wf_a\ninputs: {n: 1}\n---\nworkflow: wf_a\ninputs: {n: 2}\n"))
    assert sorted(line.split()[1] for line in again.splitlines()) == ["done", "done"]


def test_a_result_is_bytes_in_a_pipe_and_harmless_on_a_terminal(spool, hostile, daemon):
    server = hostile()
    script(server, all={"do": "ok", "result": "a\x1b[31m\tb\x00c\nd"})
    daemon(server.url)
    assert submit(spool, "wf_a", "--wait").stdout == b"a\x1b[31m\tb\x00c\nd\n"
    seen = on_terminal("--spool", spool.path, "submit", "wf_a", "--wait", "--run", "2")
    assert "\x1b" not in seen and "a\\x1b[31m\tb\\x00c" in seen


def test_a_failure_is_told_on_stderr(spool, hostile, daemon):
    server = hostile()
    script(server, all="status:404")
    daemon(server.url)
    failed = submit(spool, "wf_gone", "--wait", "--name", "a")
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert failed.stderr.startswith(b"flowspool: a.yaml failed: ")


def test_an_outcome_that_was_left_is_not_taken_for_the_new_one(spool, served):
    old = spool.drop("a.yaml", inputs={"text": "old"})
    spool.outcome("a")
    old.unlink()
    assert "new" in done(submit(spool, "wf_a", "text=new", "--name", "a", "--wait"))


def test_time_runs_out_while_the_daemon_hangs_or_there_is_none(spool, sandbox, daemon):
    late = submit(spool, "wf_a", "--wait", "--timeout", "100ms", "--name", "a")
    assert (late.returncode, late.stdout) == (124, b"") and b"flowspool wait a.yaml" in late.stderr
    d = daemon(sandbox("--limiter", "none").url)
    spool.outcome("a")
    with frozen(d):
        late = submit(spool, "wf_a", "--wait", "--timeout", "100ms", "--name", "b")
        assert late.returncode == 124 and (spool.path / "b.yaml").exists()
        assert not spool.result("b")
    assert spool.outcome("b")["success"]


def test_many_at_once_lose_none(spool, served):
    errors = []

    def some(which):
        for i in range(10):
            got = submit(spool, "wf_a", f"n={which}-{i}", "--name", f"j{i}" if i % 2 else f"t{which}-{i}")
            if got.returncode != 0 and b"is there already" not in got.stderr:
                errors.append(got.stderr)

    threads = [threading.Thread(target=some, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []
    expected = {f"j{i}.yaml" for i in range(1, 10, 2)} | {f"t{k}-{i}.yaml" for k in range(6) for i in range(0, 10, 2)}
    assert {p.name for p in spool.path.glob("*.yaml")} == expected
    wait_for(lambda: {n for n, j in jobs(spool).items() if j["state"] == "done"} == expected, "all of them")
    assert [p.name for p in spool.path.iterdir() if p.name.startswith(".flowspool-submit")] == []


def test_the_umask_decides_who_may_read(spool):
    done(submit(spool, "wf_a", "--name", "a", preexec_fn=lambda: os.umask(0o077)))
    assert (spool.path / "a.yaml").stat().st_mode & 0o7777 == 0o600
