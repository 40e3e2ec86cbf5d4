"""flowspool list: how jobs are named, what is shown of them, and that a name drives no terminal."""

import json

import pytest

from command_line import command, frozen, jobs, narrow, on_terminal, plain, status
from conftest import flowspool, wait_for


@pytest.fixture
def night(spool, sandbox, daemon):
    """Jobs in every state, and the daemon that has them."""
    s = sandbox("--limiter", "none", "--workflows", write_workflows(spool.path.parent))
    spool.drop("several.yaml", "workflow: wf_a\nid: one\ninputs: {x: 1}\n---\nworkflow: wf_a\ninputs: {x: 2}\n")
    spool.drop("done.yaml", workflow="wf_a")
    spool.drop("-dash.yaml", workflow="wf_a", inputs={"text": "dash"})
    spool.drop("a[1].yaml", workflow="wf_a", inputs={"text": "brackets"})
    spool.drop("a1.yaml", workflow="wf_a", inputs={"text": "none"})
    spool.drop("gone.yaml", workflow="wf_gone")
    spool.drop("later.yaml", not_before="2099-01-01T00:00:00Z")
    spool.drop("held.yaml.hold")
    d = daemon(s.url)
    for stem in ["several.one", "several.2", "done", "-dash", "a[1]", "a1", "gone"]:
        spool.outcome(stem)
    spool.drop("done.yml", inputs={"text": "other"})
    wait_for(lambda: status(spool)["jobs"] == {**status(spool)["jobs"], "done": 6, "failed": 1, "refused_files": 1}, "all of it")
    return d


def write_workflows(directory):
    path = directory / "workflows.yaml"
    path.write_text("workflows:\n  wf_a: {template: 'x'}\n  wf_gone: {template: x, published: false}\n")
    return path


def listed(spool, *arguments):
    """Which jobs; of a file of several documents the number too."""
    done = command("--spool", spool.path, "list", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [f"{j['job']}#{j['document']}" if j.get("document") else j["job"] for j in found]


def test_all(spool, night):
    assert listed(spool) == ["-dash.yaml", "a1.yaml", "a[1].yaml", "done.yaml", "gone.yaml", "held.yaml", "later.yaml",
                             "several.yaml#1", "several.yaml#2", "done.yml"]
    text = flowspool(spool, "list")
    assert narrow(text)
    lines = text.splitlines()
    assert lines[0].split() == ["JOB", "STATE", "WORKFLOW", "TRIES", "WHY"]
    rows = {line.split()[0]: line for line in lines[1:]}
    assert "done" in rows["done.yaml"].split() and "from a sandbox" in rows["done.yaml"]
    assert "failed" in rows["gone.yaml"].split() and "workflow_not_found: " in rows["gone.yaml"]
    assert "later" in rows["later.yaml"].split() and "starts in " in rows["later.yaml"]
    assert "held" in rows["held.yaml"].split() and ".hold" in rows["held.yaml"]
    assert "refused" in rows["done.yml"].split()
    assert any(line.startswith("several.yaml #2 ") for line in lines)


@pytest.mark.parametrize("columns", [80, 132])
def test_tables_grow_with_the_terminal(spool, night, columns):
    for verb in ["list", "status"]:
        lines = plain(on_terminal("--spool", spool.path, verb, columns=columns)).splitlines()
        assert max(map(len, lines)) <= columns or verb == "status" and str(spool.path.parent) in "".join(lines), (verb, lines)
    (gone,) = [line for line in plain(on_terminal("--spool", spool.path, "list", columns=columns)).splitlines() if "gone.yaml" in line]
    assert len(gone) == columns and gone.endswith("..."), "the reason takes the room there is"


NAMES = [
    (["done.yaml"], ["done.yaml"]),
    (["./done.yaml"], ["done.yaml"]),
    (["done.result.json"], ["done.yaml"]),
    (["gone.error.json"], ["gone.yaml"]),
    (["held.yaml.hold"], ["held.yaml"]),
    (["held"], ["held.yaml"]),
    (["done.yaml", "gone"], ["done.yaml", "gone.yaml"]),
    (["several.yaml"], ["several.yaml#1", "several.yaml#2"]),
    (["several.one"], ["several.yaml#1"]),
    (["several.2"], ["several.yaml#2"]),
    (["several.2.result.json"], ["several.yaml#2"]),
    (["*one*", "g*"], ["done.yaml", "gone.yaml", "several.yaml#1", "done.yml"]),
    (["*.error.json"], ["gone.yaml"]),
    (["a[1].yaml"], ["a[1].yaml"]),
    (["a[0-9].yaml"], ["a1.yaml"]),
    (["done.yml"], ["done.yml"]),
    (["--", "-dash.yaml"], ["-dash.yaml"]),
    (["--state", "failed"], ["gone.yaml"]),
    (["--state", "done", "g*", "a1*"], ["a1.yaml"]),
    (["--state", "failed", "done.yaml"], []),
    (["--state", "refused"], ["done.yml"]),
    (["--state", "in-flight"], []),
    (["--workflow", "wf_gone"], ["gone.yaml"]),
    (["--workflow", "wf_a", "--state", "done", "a*"], ["a1.yaml", "a[1].yaml"]),
]


def test_names(spool, night):
    for words, expected in NAMES:
        assert listed(spool, *words) == expected, words


def test_documents_are_told_apart(spool, night):
    done = command("--spool", spool.path, "explain", "several.2")
    assert done.returncode == 0 and done.stdout.startswith("several.yaml, document 2: it is done"), done


def test_names_that_are_wrong(spool, night):
    for words, complaint in [(["nope.yaml"], 'no job is "nope.yaml"'), (["nope*"], 'no job matches "nope*"'),
                             (["--state", "done", "nope*"], 'no job matches "nope*"'), (["done.yaml", "nope"], 'no job is "nope"'),
                             (["--", "--json"], 'no job is "--json"')]:
        done = command("--spool", spool.path, "list", *words)
        assert done.returncode == 2 and complaint in done.stderr and done.stdout == "", (words, done)
    assert command("--spool", spool.path, "list", "--state", "asleep").returncode == 2


def test_names_from_where_somebody_stands(spool, night):
    for cwd, word in [(spool.path.parent, "spool/done.yaml"), (spool.path, "done.yaml"), ("/", spool.path / "done.yaml"),
                      (spool.path / ".flowspool", "../done.yaml")]:
        done = command("--spool", spool.path, "list", "--json", word, cwd=cwd)
        assert done.returncode == 0 and json.loads(done.stdout)["job"] == "done.yaml", (cwd, word, done)
    link = spool.path.parent / "link"
    link.symlink_to(spool.path)
    assert listed(spool, str(link / "done.result.json")) == ["done.yaml"]
    assert command("--spool", spool.path, "list", "/etc/done.yaml").returncode == 2


def test_digests(spool, night):
    digest = jobs(spool, "gone.yaml")["gone.yaml"]["request_sha256"]
    for word in [digest, digest[:6], digest[:9].upper()]:
        assert listed(spool, word) == ["gone.yaml"]
    for word in [digest[:5], digest + "0", ""]:
        assert command("--spool", spool.path, "list", word).returncode == 2
    # the name of a job goes before the digest of another
    spool.drop(f"{digest[:8]}.yaml", workflow="wf_a", inputs={"text": "named like a digest"})
    spool.outcome(digest[:8])
    wait_for(lambda: listed(spool, digest[:8]) == [f"{digest[:8]}.yaml"], "the name to count")


def test_members(spool, night):
    job = jobs(spool, "gone.yaml")["gone.yaml"]
    error = spool.error("gone")
    for member in ["job", "request_sha256", "job_sha256", "workflow", "attempts", "rate_limited", "ambiguous", "endpoint"]:
        assert job[member] == error[member], member
    assert (job["state"], job["code"], job["http_status"], job["outcome"]) == ("failed", "workflow_not_found", 404, "gone.error.json")
    assert job["message"] == error["error"]["message"] and job["document"] is None and job["id"] is None
    job = jobs(spool, "several.one")["several.yaml"]
    assert (job["document"], job["id"], job["outcome"], job["sandbox"]) == (1, "one", "several.one.result.json", True)
    job = jobs(spool, "later.yaml")["later.yaml"]
    assert (job["state"], job["not_before"], job["due_at"], job["outcome"]) == ("later", "2099-01-01T00:00:00.000Z",
                                                                               "2099-01-01T00:00:00.000Z", None)


def test_without_an_answering_daemon(spool, night):
    whole = listed(spool)
    with frozen(night):
        assert listed(spool) == whole
    night.kill()
    assert listed(spool) == whole
    assert sorted(p.name for p in spool.path.iterdir() if p.name.startswith(".flow")) == [".flowspool"]


def test_no_state(spool):
    assert command("--spool", spool.path, "list").returncode == 0
    done = command("--spool", spool.path, "list", "a*")
    assert done.returncode == 2 and "no flowspoold has run" in done.stderr
    assert list(spool.path.iterdir()) == []


def test_names_drive_no_terminal(spool, sandbox, daemon):
    evil = "x\x1b[2J\x07\u009b31m\u202e\ny.yaml"
    wide = "日本語" * 20 + ".yaml"
    s = sandbox("--limiter", "none")
    daemon(s.url)
    for name in [evil, wide, "x" * 180 + ".yaml"]:
        spool.drop(name, inputs={"text": name})
        spool.outcome(name.removesuffix(".yaml"))
    wait_for(lambda: status(spool)["jobs"]["done"] == 3, "the jobs")
    text = on_terminal("--spool", spool.path, "list", LC_ALL="C.UTF-8")
    for shown in [text.replace("\x1b[32m", "").replace("\x1b[0m", ""), flowspool(spool, "list"), flowspool(spool, "list", "--json"),
                  command("--spool", spool.path, "list", evil + "?").stderr,
                  command("--spool", spool.path, "retry", evil).stderr]:
        assert shown and not any(c in shown for c in "\x1b\x07\u009b\u202e"), repr(shown)
    assert all(columns(line) <= 80 for line in text.replace("\x1b[32m", "").replace("\x1b[0m", "").splitlines())
    assert evil in jobs(spool), "a program gets the name as it is"
    assert listed(spool, evil) == [evil]


def columns(line):
    return sum(2 if ord(c) > 0x2E80 else 1 for c in line)


def test_many_jobs(spool, sandbox, daemon):
    """More than the rows by which the columns are laid out, and more than one page."""
    (spool.path / "PAUSE").touch()
    daemon(sandbox("--limiter", "none").url)
    for i in range(1200):
        spool.drop(f"job-{i:04}.yaml", inputs={"text": i})
    wait_for(lambda: (a := status(spool))["jobs"] and a["jobs"]["waiting"] == 1200, "the jobs")
    text = flowspool(spool, "list")
    assert len(text.splitlines()) == 1201 and narrow(text)
    assert listed(spool) == [f"job-{i:04}.yaml" for i in range(1200)]


def test_a_misspelt_command_is_told_which_is_meant():
    done = command("lsit")
    assert done.returncode == 2 and 'no command "lsit", perhaps "list"' in done.stderr
    done = command("frobnicate")
    assert done.returncode == 2 and "perhaps" not in done.stderr
