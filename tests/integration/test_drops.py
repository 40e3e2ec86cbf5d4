"""Ways in which job files arrive. Each gets exactly one purchase and one outcome, however it was written."""

import hashlib
import json
import os
import shutil
import subprocess
import time

import pytest
from conftest import flowspool, job_text, live, stays, wait_for
from hostile_control import posts

# Every part of it from the third line on is a job too: whoever takes it too early buys something else.
INPUTS = {f"input{n}": f"{n} " + "x" * 60 for n in range(5)}
TEXT = "workflow: wf_echo\ninputs:\n" + "".join(f"  {name}: {value}\n" for name, value in INPUTS.items())


def one_purchase(spool, server, stem="a"):
    assert spool.outcome(stem)["success"] is True
    whole = hashlib.sha256(json.dumps(INPUTS, separators=(",", ":")).encode()).hexdigest()
    assert [(r["posts"], r["charged"], r["body_sha256"]) for r in server.stats()["requests"]] == [(1, 1, whole)]


def by_cp(spool, aside):
    subprocess.run(["cp", aside / "a.yaml", spool.path / "a.yaml"], check=True)


def by_mv(spool, aside):
    subprocess.run(["mv", aside / "a.yaml", spool.path / "a.yaml"], check=True)


def by_ln(spool, aside):
    os.link(aside / "a.yaml", spool.path / "a.yaml")


def by_a_slow_writer(spool, aside):
    with open(spool.path / "a.yaml", "w") as f:
        for piece in TEXT.splitlines(keepends=True):
            f.write(piece)
            f.flush()
            time.sleep(0.3)


def by_lines(spool, aside):
    """Opened, appended to and closed for each line: each close looks like the end. The pauses are short for settle."""
    for piece in TEXT.splitlines(keepends=True):
        with open(spool.path / "a.yaml", "a") as f:
            f.write(piece)
        time.sleep(0.1)


by_lines.settle = "3s"


def by_an_editor(spool, aside):
    """Writes aside in the same directory, renames the old one away and the new one in."""
    with open(spool.path / ".a.yaml.swp", "w") as swap:
        swap.write("b0VIM")
    with open(spool.path / "4913", "w"):
        pass
    (spool.path / "4913").unlink()
    with open(spool.path / "a.yaml~", "w") as f:
        f.write(TEXT)
    (spool.path / "a.yaml~").rename(spool.path / "a.yaml")
    (spool.path / ".a.yaml.swp").unlink()


def by_rsync(spool, aside):
    subprocess.run(["rsync", "-a", f"{aside}/", f"{spool.path}/"], check=True)


def by_rsync_in_place(spool, aside):
    subprocess.run(["rsync", "-a", "--inplace", f"{aside}/", f"{spool.path}/"], check=True)


WAYS = [by_cp, by_mv, by_ln, by_a_slow_writer, by_lines, by_an_editor, by_rsync, by_rsync_in_place]


@pytest.mark.parametrize("way", WAYS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("rescan", ["60s", "100ms"])
def test_one_purchase_and_one_outcome(spool, sandbox, daemon, tmp_path, way, rescan):
    if way in (by_rsync, by_rsync_in_place) and not shutil.which("rsync"):
        pytest.skip("no rsync")
    aside = tmp_path / "aside"
    aside.mkdir()
    (aside / "a.yaml").write_text(TEXT)
    server = sandbox("--limiter", "none")
    config = tmp_path / "config.yaml"
    config.write_text(f"rescan: {rescan}\nsettle: {getattr(way, 'settle', '200ms')}\n")
    d = daemon(server.url, "-c", config)
    wait_for(lambda: live(spool)["scanned"], "the first scan")
    way(spool, aside)
    one_purchase(spool, server)
    spool.drop("b.yaml", inputs={"n": 2})
    spool.outcome("b")
    assert server.stats()["requests_total"] == 2
    assert spool.outcomes() == ["a.result.json", "b.result.json"], d.log


def test_a_file_that_is_still_open_is_not_taken(spool, sandbox, daemon):
    server = sandbox("--limiter", "none")
    daemon(server.url, config="rescan: 100ms\n")
    with open(spool.path / "a.yaml", "w") as f:
        f.write(TEXT)
        f.flush()
        spool.drop("b.yaml", inputs={"n": 2})
        spool.outcome("b")
        time.sleep(1)  # several times settle
        assert server.stats()["requests_total"] == 1
    assert spool.outcome("a")["success"]


def test_a_young_file_that_does_not_parse_is_looked_at_again(spool, sandbox, daemon):
    server = sandbox("--limiter", "none")
    d = daemon(server.url, config="rescan: 100ms\n")
    (spool.path / "a.yaml").write_text("workflow: wf_a\ninputs: {text: [\n")
    spool.drop("b.yaml", inputs={"n": 2})
    spool.outcome("b")
    time.sleep(1)
    assert spool.error("a") is None
    (spool.path / "a.yaml").write_text(TEXT)
    assert spool.outcome("a")["success"], d.log


IGNORED = [".hidden.yaml", "_draft.yaml", "a.yaml~", "a.yaml.tmp", "a.yaml.part", ".a.yaml.swp", "a.yaml.swp",
           "a.sync-conflict-20261123-220000-ABCDEFG.yaml", "a.json", "yaml", "a.yaml.txt", "a.yaml.bak"]


def test_ignored_names(spool, sandbox, once, tmp_path):
    for name in IGNORED:
        (spool.path / name).write_text(TEXT)
    (tmp_path / "elsewhere.yaml").write_text(TEXT)
    (spool.path / "link.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    os.mkfifo(spool.path / "pipe.yaml")
    (spool.path / "dir.yaml").mkdir()
    (spool.path / "sub").mkdir()
    (spool.path / "sub" / "below.yaml").write_text(TEXT)
    server = sandbox()
    status, d = once(server.url, "--log-level", "info")
    assert status == 0, d.log
    assert server.stats()["requests_total"] == 0
    assert not [name for name in spool.outcomes() if "result" in name or "error" in name]


@pytest.mark.parametrize("name,stem", [("a.yml", "a"), ("A.YAML", "A"), ("b.YmL", "b"), ("two.parts.yaml", "two.parts"),
                                       ("Grüße 你好.yaml", "Grüße 你好"), ("-rf.yaml", "-rf"), ("a b'c\".yaml", "a b'c\"")])
def test_names_that_are_taken(spool, sandbox, once, name, stem):
    spool.drop(name)
    assert once(sandbox().url)[0] == 0
    assert spool.outcomes() == [f"{stem}.result.json"]


def test_job_like_names_are_told_once_a_directory(spool, sandbox, once, tmp_path):
    (tmp_path / "elsewhere.yaml").write_text(TEXT)
    for n in range(3):
        (spool.path / f"l{n}.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    (spool.path / "a.yaml.txt").write_text(TEXT)
    status, d = once(sandbox().url)
    assert d.log.count("ignored:") == 1, d.log


def test_recursive(spool, sandbox, daemon):
    server = sandbox("--limiter", "none")
    for name in ("a/b", ".hidden", "_draft", "@eaDir", "#recycle", "~trash", "other/.flowspool"):
        (spool.path / name).mkdir(parents=True)
    (spool.path / "other/.flowspool/state.db").write_text("")
    for name in (".hidden", "_draft", "@eaDir", "#recycle", "~trash", "other"):
        (spool.path / name / "no.yaml").write_text(TEXT)
    (spool.path / "a/b/deep.yaml").write_text(job_text(inputs={"n": 1}))
    daemon(server.url, config="recursive: true\n")
    assert spool.outcome("a/b/deep")["job"] == "a/b/deep.yaml"
    # A tree that is made while it runs, its files faster than any watch.
    (spool.path / "new/er").mkdir(parents=True)
    (spool.path / "new/er/one.yaml").write_text(job_text(inputs={"n": 2}))
    assert spool.outcome("new/er/one")["success"]
    assert server.stats()["requests_total"] == 2


def test_two_jobs_that_share_an_outcome(spool, sandbox, daemon):
    server = sandbox("--limiter", "none")
    d = daemon(server.url, config="rescan: 200ms\n")
    spool.drop("a.yaml", inputs={"n": 1})
    spool.outcome("a")
    spool.drop("a.yml", inputs={"n": 2})
    wait_for(lambda: "a.yml" in d.log, "the refusal")
    assert spool.result("a")["job"] == "a.yaml"
    (spool.path / "a.yaml").unlink()
    (spool.path / "a.result.json").unlink()
    wait_for(lambda: spool.result("a"), "the second one's outcome")
    assert spool.result("a")["job"] == "a.yml"


def test_names_that_cannot_have_an_outcome(spool, sandbox, daemon):
    server = sandbox("--limiter", "none")
    d = daemon(server.url)
    with open(os.path.join(os.fsencode(spool.path), b"\xff\xfe.yaml"), "w") as f:
        f.write(TEXT)
    long = "x" * 248 + ".yaml"
    (spool.path / long).write_text(TEXT)
    wait_for(lambda: d.log.count("UTF-8") >= 1 and "xxxx" in d.log, "both refusals")
    spool.drop("b.yaml")
    spool.outcome("b")
    assert server.stats()["requests_total"] == 1


def test_a_job_file_that_is_too_large(spool, hostile, once):
    """Refused by its size alone, to the byte, and what it holds is not looked at; its neighbours go."""
    server = hostile()
    text = job_text(inputs={"text": "t"})
    fits, over = text + "#" * (2048 - len(text)), text + "#" * (2049 - len(text))
    spool.drop("fits.yaml", fits)
    spool.drop("over.yaml", over)
    spool.drop("huge.yaml", "no job: [" + "\0" * 3_000_000)
    status, d = once(server.url, config="max_job_size: 2KiB\n")
    assert status == 1, d.log
    assert spool.result("fits")["success"] is True and posts(server) == 1
    for stem in ("over", "huge"):
        error = spool.error(stem)
        assert error["error"]["code"] == "invalid_job" and error["attempts"] == 0
        assert "larger than max_job_size (2048 bytes)" in error["error"]["message"]
        assert f"{stem}.yaml" in d.log
    (spool.path / "over.yaml").write_text(text.replace("wf_echo", "wf_other"))
    assert once(server.url, config="max_job_size: 2KiB\n")[0] == 0
    assert spool.result("over")["success"] is True, "made smaller it runs"


# Root reads what it may not: here it is a user like any other.
WITHOUT_PRIVILEGE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@pytest.mark.skipif(bool(WITHOUT_PRIVILEGE) and shutil.which("setpriv") is None, reason="root can list every directory")
def test_what_cannot_be_listed_is_not_gone(spool, hostile, daemon):
    """A job is missed and forgotten only when its directory was listed without it."""
    server = hostile()
    (spool.path / "PAUSE").touch()
    d = daemon(server.url, config="recursive: true\nrescan: 100ms\nforget_after: 200ms\n", prefix=WITHOUT_PRIVILEGE)
    spool.drop("sub/a.yaml")
    spool.drop("other.yaml", inputs={"n": "other"})
    listed = lambda: {j["job"]: j for j in map(json.loads, flowspool(spool, "list", "--json", check=False).stdout.splitlines())}
    before = wait_for(lambda: len(listed()) == 2 and listed()["sub/a.yaml"], "the jobs")
    (spool.path / "sub").chmod(0)
    try:
        d.logged("sub: cannot be listed")
        (spool.path / "other.yaml").unlink()
        wait_for(lambda: "other.yaml" not in listed(), "scans, and the other to be forgotten")
        stays(lambda: listed()["sub/a.yaml"]["state"] == "waiting", 0.5)
    finally:
        (spool.path / "sub").chmod(0o755)
    (spool.path / "PAUSE").unlink()
    assert spool.outcome("sub/a")["queued_at"] == before["queued_at"]
    assert posts(server) == 1
