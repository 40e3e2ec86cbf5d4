"""The key: where it comes from, what is refused, and that it is nowhere but in its source and in the request."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from conftest import BIN, KEY, PATIENCE, Spool, flowspool, short, wait_for
from hostile_control import posts, script, stats


class Sources:
    """The four places a key can come from, each with a key of its own."""

    def __init__(self, tmp_path):
        self.option = self.file(tmp_path / "option-key", "key-of-the-option")
        self.credentials = tmp_path / "credentials"
        self.credentials.mkdir()
        self.credential = self.file(self.credentials / "api_key", "key-of-the-credential")
        self.variable = "key-of-the-environment"
        self.configured = self.file(tmp_path / "configured-key", "key-of-the-configuration")

    @staticmethod
    def file(path, key):
        path.write_text(key + "\n")
        path.chmod(0o600)
        return path

    def start(self, spool, url, which, *options):
        config = spool.path.parent / "sources.yaml"
        config.write_text(f"spool: {spool.path}\nendpoint: {url}\n" + (f"api_key_file: {self.configured}\n" if "file" in which else ""))
        env = {}
        if "credential" in which:
            env["CREDENTIALS_DIRECTORY"] = str(self.credentials)
        if "environment" in which:
            env["FLOWSPOOL_API_KEY"] = self.variable
        command = [str(BIN / "flowspoold"), "-c", str(config), "--once", "--log-level", "info", *map(str, options)]
        if "option" in which:
            command += ["--api-key-file", str(self.option)]
        return subprocess.run(command, capture_output=True, text=True, env=env, timeout=PATIENCE)

    KEYS = {"option": "key-of-the-option", "credential": "key-of-the-credential", "environment": "key-of-the-environment",
            "file": "key-of-the-configuration"}


@pytest.fixture
def sources(tmp_path):
    return Sources(tmp_path)


# --- which one is used ---


@pytest.mark.parametrize("which,used", [
    (["option", "credential", "environment", "file"], "option"),
    (["credential", "environment", "file"], "credential"),
    (["environment", "file"], "environment"),
    (["file"], "file"),
    (["option", "file"], "option"),
], ids=lambda x: "+".join(x) if isinstance(x, list) else None)
def test_precedence(spool, hostile, sources, which, used):
    """The first of the four is sent; the start line names source and hash; each of the others is named in a warning."""
    server = hostile()
    spool.drop("a.yaml")
    done = sources.start(spool, server.url, which)
    assert done.returncode == 0, done.stderr
    assert stats(server)["keys"] == ["Bearer " + Sources.KEYS[used]]
    names = {"option": f"file {sources.option}", "credential": f"credential {sources.credential}",
             "environment": "$FLOWSPOOL_API_KEY", "file": f"file {sources.configured}"}
    assert f"endpoint {server.url}, key {short(Sources.KEYS[used])} from {names[used]}" in done.stderr
    warnings = [line for line in done.stderr.splitlines() if "is not used" in line]
    assert len(warnings) == len(which) - 1, done.stderr
    for loser in set(which) - {used}:
        line = next(w for w in warnings if names[loser] in w)
        assert " warn " in line and short(Sources.KEYS[loser]) in line and f"{names[used]} comes first" in line
    assert not any(key in done.stderr for key in Sources.KEYS.values())


def test_no_warning_for_the_same_key_twice(spool, hostile, sources):
    sources.configured.write_text("key-of-the-option")  # the trailing newline is no difference
    spool.drop("a.yaml")
    done = sources.start(spool, hostile().url, ["option", "file"])
    assert done.returncode == 0
    assert " warn " not in done.stderr, done.stderr


def test_an_overridden_source_that_is_broken_does_not_matter(spool, hostile, sources):
    sources.configured.unlink()
    spool.drop("a.yaml")
    assert sources.start(spool, hostile().url, ["option", "file"]).returncode == 0


def test_the_first_source_decides_even_when_it_is_broken(spool, hostile, sources):
    """No silent fall-back to a key that the operator did not mean."""
    server = hostile()
    sources.option.unlink()
    spool.drop("a.yaml")
    done = sources.start(spool, server.url, ["option", "environment"])
    assert done.returncode == 2
    assert str(sources.option) in done.stderr and "No such file" in done.stderr
    assert posts(server) == 0


# --- what is refused ---


@pytest.mark.parametrize("content,words", [
    (b"", "is empty"), (b"\n", "is empty"), (b"two words\n", "a space"), (b"line\nline\n", "line break"), (b"twice\n\n", "line break"),
    (b"windows\r\n", "line break"), (b"a\0b", "NUL"), (b"tab\tkey", "control byte"), ("schl\u00fcssel".encode(), "not ASCII"),
    (b"x" * 4097, "longer than 4096"), (b"x" * 100000, "longer than 4096")])
def test_a_key_that_cannot_be_sent(spool, daemon, content, words, tmp_path):
    """It never gets into a header, so neither does anything behind its line break."""
    (tmp_path / "key").write_bytes(content)
    d = daemon("http://127.0.0.1:9")
    assert d.wait() == 2
    assert words in d.log and str(tmp_path / "key") in d.log
    assert d.log.count("\n") == 1
    assert not spool.state.exists()


def test_an_empty_variable_is_no_key(spool):
    done = subprocess.run([BIN / "flowspoold", "--spool", spool.path, "--endpoint", "https://host", "--check-config"],
                          capture_output=True, text=True, env={"FLOWSPOOL_API_KEY": ""}, timeout=PATIENCE)
    assert done.returncode == 2
    assert "FLOWSPOOL_API_KEY" in done.stderr


@pytest.mark.parametrize("mode,warned", [(0o600, False), (0o400, False), (0o640, True), (0o644, True), (0o604, True)])
def test_a_key_file_that_others_can_read(spool, hostile, once, tmp_path, mode, warned):
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(mode)
    spool.drop("a.yaml")
    status, d = once(hostile().url)
    assert status == 0
    assert ("can be read by others" in d.log) == warned
    assert not warned or f"mode {mode:03o}" in d.log and "chmod 600" in d.log


# --- where it must not be ---


def holders(canary, *roots):
    """Files below the roots that hold the canary, byte for byte, base64 or hexadecimal."""
    import base64

    needles = [canary.encode(), canary.encode().hex().encode(), base64.b64encode(canary.encode()).rstrip(b"=")[:-1]]
    found = []
    for root in roots:
        for path in [root] if root.is_file() else root.rglob("*"):
            if path.is_file() and any(n in path.read_bytes() for n in needles):
                found.append(path)
    return found


TROUBLE = {"wf_500": "status:500", "wf_400": "status:400", "wf_404": "status:404", "wf_cut": "cut", "wf_reset": "reset-after-read",
           "wf_html": "html", "wf_big": "big:0.1", "wf_success_false": "success-false", "wf_429": ["status:429", "ok"], "wf_ok": "ok"}


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_key_is_in_no_file(spool, hostile, daemon, tmp_path, form):
    """Neither in a log at any level, nor in outcomes, kept bodies, the state and what SQLite keeps beside it while it
    runs, nor in what the operator's command says."""
    server = hostile()
    script(server, **TROUBLE)
    for workflow in TROUBLE:
        spool.drop(f"{workflow}.yaml", workflow=workflow)
    d = daemon(server.url, "--log-level", "debug", "--log-format", form,
               config="retry: {max_attempts: 2, base: 1ms, cap: 5ms}\nmax_response_size: 64KiB\n")
    for workflow in TROUBLE:
        spool.outcome(workflow)
    assert stats(server)["keys"] == [f"Bearer {KEY}"]
    said = [flowspool(spool, "status"), flowspool(spool, "status", "--json"), flowspool(spool, "list", "--json")]
    assert holders(KEY, d.key_file) == [d.key_file], "the search itself works"
    places = [spool.path, d.log_path, d.config_file]
    assert any(p.name.endswith("-wal") for p in spool.state.iterdir()), "the state is looked at while it is in use"
    assert holders(KEY, *places) == []
    assert d.stop() == 0
    assert holders(KEY, *places) == []
    assert not any(KEY in s for s in said)
    assert short(KEY) in said[0] and short(KEY) in d.log


def test_the_key_is_not_in_the_process_list(spool, hostile, daemon):
    """Neither in the command line nor, when it came from a file, in the environment."""
    d = daemon(hostile().url)
    spool.drop("a.yaml")
    spool.outcome("a")
    proc = pathlib.Path(f"/proc/{d.process.pid}")
    assert b"--api-key-file" in (proc / "cmdline").read_bytes()
    for name in ("cmdline", "environ") if os.geteuid() == 0 else ("cmdline",):  # only root may read the other
        assert KEY.encode() not in (proc / name).read_bytes()
    assert d.stop() == 0


def test_there_is_no_option_for_the_key_itself():
    said = subprocess.run([BIN / "flowspoold", "--help"], capture_output=True, text=True, timeout=PATIENCE).stdout
    assert not re.search(r"--(api-)?key[ =](?!FILE)", said)


def test_no_core_dump(spool, hostile, daemon):
    d = daemon(hostile().url)
    d.logged("at most")
    limits = pathlib.Path(f"/proc/{d.process.pid}/limits").read_text()
    assert re.search(r"Max core file size\s+0\s+0\s", limits)
    assert d.stop() == 0


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="needs setpriv to be another user")
def test_other_processes_of_the_user_cannot_look_into_it(hostile, tmp_path):
    """PR_SET_DUMPABLE: what is in /proc/PID then belongs to root, and neither core nor debugger gets the memory."""
    server = hostile()
    other = 65534
    if os.geteuid() != 0:
        place, prefix, owner = tmp_path, [], os.geteuid()
    else:
        place = pathlib.Path(tempfile.mkdtemp(prefix="flowspool-test-"))
        prefix, owner = ["setpriv", f"--reuid={other}", f"--regid={other}", "--clear-groups"], other
    try:
        spool = Spool(place / "spool")
        Sources.file(place / "key", KEY)
        for path in (place, spool.path, place / "key"):
            os.chown(path, owner, -1)
        if subprocess.run([*prefix, BIN / "flowspoold", "--version"], capture_output=True).returncode != 0:
            pytest.skip("the programs are where another user cannot run them")
        process = subprocess.Popen([*prefix, BIN / "flowspoold", "--spool", spool.path, "--endpoint", server.url, "--api-key-file",
                                    place / "key"], stderr=subprocess.PIPE, env={"LSAN_OPTIONS": "detect_leaks=0"})
        try:
            assert b"at most" in process.stderr.readline()
            proc = pathlib.Path(f"/proc/{process.pid}")
            assert re.search(rf"^Uid:\s+{owner}\s", (proc / "status").read_text(), re.M)
            assert (proc / "environ").stat().st_uid == 0
            assert (proc / "mem").stat().st_uid == 0
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)
    finally:
        if place != tmp_path:
            shutil.rmtree(place)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(spool, hostile, daemon, status):
    """Neither key nor job reaches another host; the endpoint counts as away and the job waits, unfailed."""
    server = hostile("--default", f"redirect:{status}")
    spool.drop("a.yaml")
    d = daemon(server.url)
    d.logged("the endpoint is away")
    assert str(status) in d.log
    wait_for(lambda: posts(server) >= 2, "a probe")
    assert spool.outcomes() == []
    script(server, all="ok")
    assert spool.outcome("a")["attempts"] == 1
    assert stats(server)["redirected"] == 0
    assert d.stop() == 0


def test_the_request_itself(spool, hostile, once):
    """The key goes as a Bearer token, the inputs as they are, and nothing invites compression or a redirect."""
    server = hostile()
    spool.drop("a.yaml", inputs={"story": "a dog"})
    assert once(server.url)[0] == 0
    seen = stats(server)
    head = dict(line.split(": ", 1) for line in seen["last_headers"].split("\r\n")[1:])
    lower = {k.lower(): v for k, v in head.items()}
    assert seen["last_headers"].startswith("POST /api/v1/run/wf_echo HTTP/1.1")
    assert lower["authorization"] == f"Bearer {KEY}"
    assert lower["content-type"] == "application/json"
    assert not {"accept-encoding", "expect", "transfer-encoding", "cookie"} & set(lower)
    assert json.loads(next(iter(seen["whole"]["wf_echo"]))) == {"story": "a dog"}
