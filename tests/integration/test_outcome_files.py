"""Outcome files as files: names, fields about the job, one kind at a time, whose they are, how big replies get there."""

import hashlib
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile

import pytest
from conftest import BIN, KEY, Spool, flowspool, unix, wait_for
from hostile_control import posts, release, script, stats
from killed import NEEDS_STRACE, traced

QUICK = "retry: {base: 10ms, cap: 50ms}\n"
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away and change users")


def files(spool):
    return sorted(p.name for p in spool.path.iterdir() if p.name != ".flowspool")


def digest(workflow, inputs, run=""):
    return hashlib.sha256(b"\0".join(part.encode() for part in (workflow, run, inputs))).hexdigest()


# --- fields ---


def test_times_and_last_reply_of_several_attempts(spool, hostile, once):
    """started_at is the first attempt's, duration_ms, http_status and request_id the last one's."""
    first = {"do": "status", "status": 500, "wait": 3, "headers": {"x-vercel-id": "first"}}
    last = {"do": "ok", "wait": 0.3, "headers": {"x-vercel-id": "last"}}
    server = hostile()
    script(server, wf_a=[first, last], wf_b=[first, {"do": "text", "status": 422, "wait": 0.3}])
    spool.drop("a.yaml", workflow="wf_a")
    spool.drop("b.yaml", workflow="wf_b")
    assert once(server.url, config=QUICK)[0] == 1
    for outcome, status, request_id in ((spool.result("a"), 200, "last"), (spool.error("b"), 422, "fra1::hostile")):
        assert outcome["attempts"] == 2 and outcome["request_id"] == request_id
        assert outcome.get("http_status", outcome.get("error", {}).get("http_status")) == status
        assert 290 <= outcome["duration_ms"] < 2900
        queued, started, finished = (unix(outcome[k]) for k in ("queued_at", "started_at", "finished_at"))
        assert queued <= started and finished - started >= 3.29


def test_request_sha256_of_every_form(spool, hostile, once):
    """The contract's recipe; comments, quotes of keys, order of top-level keys and inputs_as change nothing."""
    forms = {
        "nested": ("workflow: wf_a\ninputs: {a: x, l: [1, 'two', {m: }], e: ''}\n",
                   '{"a":["x","plain"],"l":[["1","plain"],["two","quoted"],{"m":["","plain"]}],"e":["","quoted"]}'),
        "typed": ("inputs_as: typed\nworkflow: wf_a\ninputs: {n: 1.50, t: true}\n", '{"n":["1.50","plain"],"t":["true","plain"]}'),
        "json": ('{"inputs": {"s": "1", "n": 1}, "workflow": "wf_a"}', '{"s":["1","quoted"],"n":["1","plain"]}'),
        "none": ("# nothing\npriority: 4\nmax_attempts: 3\ninputs: {}\nworkflow: wf_a\n", "{}"),
        "block": ("workflow: wf_a\ninputs:\n  b: |\n    one\n    two\n", '{"b":["one\\ntwo\\n","quoted"]}'),
    }
    for name, (text, _) in forms.items():
        spool.drop(f"{name}.yaml", text)
    assert once(hostile().url)[0] == 0
    for name, (text, inputs) in forms.items():
        assert spool.result(name)["request_sha256"] == digest("wf_a", inputs), name
        assert spool.result(name)["job_sha256"] == hashlib.sha256(text.encode()).hexdigest(), name


def test_job_and_endpoint_are_named_plainly(spool, hostile, once):
    """The job relative to the spool, as its name is; the endpoint without the slash that somebody typed."""
    server = hostile()
    name = "sub/deep/ein \u00e9 'Job'"
    spool.drop(f"{name}.YML", inputs={"n": 1})
    code, d = once(server.url + "/", config="recursive: true\n")
    assert code == 0, d.log
    assert (spool.result(name)["job"], spool.result(name)["endpoint"]) == (f"{name}.YML", server.url)


def test_documents_share_the_files_digest_and_have_requests_of_their_own(spool, hostile, once):
    text = "workflow: wf_a\ninputs: {n: 1}\n---\nworkflow: wf_bad\nid: second.one_-\ninputs: {n: 2}\n"
    server = hostile()
    script(server, wf_bad="status:422", all="ok")
    spool.drop("many.yaml", text)
    assert once(server.url)[0] == 1
    one, two = spool.result("many.1"), spool.error("many.second.one_-")
    assert (one["document"], two["document"], one["job"], two["job"]) == (1, 2, "many.yaml", "many.yaml")
    assert one["job_sha256"] == two["job_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert one["request_sha256"] == digest("wf_a", '{"n":["1","plain"]}')
    assert two["request_sha256"] == digest("wf_bad", '{"n":["2","plain"]}')


def test_ids_that_name_one_outcome_twice(spool, hostile, once):
    server = hostile()
    spool.drop("many.yaml", "workflow: wf_a\ninputs: {n: 1}\n---\nworkflow: wf_a\nid: '1'\ninputs: {n: 2}\n")
    code, d = once(server.url)
    assert code == 1, d.log
    assert posts(server) == 0


# --- one kind at a time ---


def test_a_result_takes_the_place_of_an_error_and_an_error_of_a_result(spool, hostile, daemon):
    server = hostile()
    script(server, all=["status:422", "ok", "status:422"])
    spool.drop("a.yaml", inputs={"n": 1})
    daemon(server.url, config=QUICK)
    assert spool.outcome("a")["error"]["code"] == "rejected"
    spool.drop("a.yaml", inputs={"n": 2})
    result = wait_for(lambda: spool.result("a"), "the result")
    wait_for(lambda: files(spool) == ["a.result.json", "a.yaml"], "the error to go")
    bought = (spool.path / "a.result.json").read_bytes()
    spool.drop("a.yaml", inputs={"n": 3})
    wait_for(lambda: spool.error("a"), "the second error")
    wait_for(lambda: files(spool) == ["a.error.json", "a.yaml"], "the result to go")
    kept = [p.read_bytes() for p in (spool.state / "superseded").iterdir()]
    assert bought in kept and result["success"] is True, "what was bought is never destroyed"


@NEEDS_STRACE
def test_killed_after_the_outcome_appeared_writes_the_same_outcome(spool, hostile, daemon, once):
    """The end was not stored yet: the next start publishes again, and there is nothing to keep of the first."""
    server = hostile()
    spool.drop("a.yaml")
    trace = spool.path.parent / "trace"
    calls = "renameat,renameat2,rename"
    d = daemon(server.url, prefix=traced(trace, "-e", f"trace={calls}", "-e", f"inject={calls}:delay_exit=20000000"))
    first = wait_for(lambda: spool.result("a") and (spool.path / "a.result.json").read_bytes(), "the result")
    pid = wait_for(lambda: trace.read_text().split(), "the trace to be written")[0]
    os.kill(int(pid), 9)
    d.kill()
    assert once(server.url)[0] == 0
    assert (spool.path / "a.result.json").read_bytes() == first
    superseded = spool.state / "superseded"
    assert not superseded.exists() or list(superseded.iterdir()) == []
    assert posts(server) == 1 and files(spool) == ["a.result.json", "a.yaml"]


# --- whose they are ---


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_errors_and_kept_bodies_are_never_wider_than_the_job(spool, hostile, once, mode):
    server = hostile()
    script(server, all="html")
    spool.drop("a.yaml").chmod(mode)
    old = os.umask(0)
    try:
        assert once(server.url)[0] == 1
    finally:
        os.umask(old)
    for name in ("a.error.json", "a.error.body"):
        assert stat.S_IMODE((spool.path / name).stat().st_mode) == mode, name


@ROOT
def test_errors_and_kept_bodies_belong_to_the_jobs_owner(spool, hostile, once):
    server = hostile()
    script(server, all="html")
    os.chown(spool.drop("a.yaml"), 1234, 2345)
    assert once(server.url)[0] == 1
    for name in ("a.error.json", "a.error.body"):
        found = (spool.path / name).stat()
        assert (found.st_uid, found.st_gid) == (1234, 2345), name


@pytest.fixture
def shared():
    """A spool that a daemon of another user may use; the fixtures' directories are root's alone."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="flowspool-shared-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@ROOT
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv changes the user")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o600])
def test_where_the_daemon_may_not_give_away_the_directorys_group_counts(shared, hostile, mode):
    """The daemon is nobody, the job another's or of a group that the daemon is not in."""
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--groups=2345"]
    if subprocess.run([*as_nobody, BIN / "flowspoold", "--version"], capture_output=True, timeout=20).returncode != 0:
        pytest.skip("the programs lie where another user cannot reach them")
    spool = Spool(shared / "spool")
    os.chown(spool.path, 65534, 2345)
    key = shared / "key"
    key.write_text(KEY)
    os.chown(key, 65534, 65534)
    key.chmod(0o400)
    job = spool.drop("a.yaml")
    # Where the group may not read, nobody has to own the job to read it.
    os.chown(job, 1234 if mode & 0o004 else 65534, 2345 if mode & 0o004 else 777)
    job.chmod(mode)
    done = subprocess.run([*as_nobody, BIN / "flowspoold", "--once", "--spool", spool.path, "--endpoint", hostile().url,
                           "--api-key-file", key], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = (spool.path / "a.result.json").stat()
    assert found.st_uid == 65534 and found.st_gid == 2345
    assert stat.S_IMODE(found.st_mode) & ~mode == 0


# --- big replies ---


def test_replies_beyond_max_response_memory_are_in_files(spool, hostile, daemon):
    """Ten of 4 MB at once with room for one: on the disk while they come, whole in the end, nothing left behind."""
    server = hostile()
    size = 4 << 20
    script(server, all={"do": "hold-body", "result": "r" * size})
    for n in range(10):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    replies = spool.state / "replies"
    d = daemon(server.url, "--once", config="max_response_memory: 4MiB\n")
    wait_for(lambda: posts(server) == 10, "all ten")
    wait_for(lambda: sum(p.stat().st_size for p in replies.iterdir()) > 9 * size, "them to be spilled")
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in replies.iterdir())
    release(server)
    assert d.wait() == 0, d.log
    assert [len(spool.result(f"j{n}")["result"]) for n in range(10)] == [size] * 10
    assert list(replies.iterdir()) == [] and posts(server) == 10


def test_a_spilled_reply_that_is_unusable_is_kept_whole(spool, hostile, once):
    body = '{"success": false, "filler": "' + "f" * 300000 + '"}'
    server = hostile()
    script(server, all={"do": "status", "status": 200, "body": body})
    spool.drop("a.yaml")
    assert once(server.url, config="max_response_memory: 64KiB\n")[0] == 1
    assert (spool.path / "a.error.body").read_bytes() == body.encode()
    assert spool.error("a")["error"]["response"] == body[:4096]
    assert list((spool.state / "replies").iterdir()) == []


# --- the sandbox ---


def test_sandbox_marks_errors_too(spool, sandbox, once):
    server = sandbox("--limiter", "none", "--fault", "500")
    spool.drop("a.yaml")
    code, d = once(server.url, config="retry: {base: 10ms, cap: 20ms, max_attempts: 2}\n")
    assert code == 1, d.log
    assert spool.error("a")["sandbox"] is True


def test_what_arrives_is_what_is_answered(spool, hostile, once):
    """Nothing that is not in the outcome was sent: the statistics of the server and of the run agree."""
    server = hostile()
    for n in range(5):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    code, d = once(server.url)
    assert code == 0 and "5 bought, 0 possibly; 5 requests" in d.log
    assert len(stats(server)["whole"]["wf_echo"]) == 5 == posts(server)
    assert flowspool(spool, "list", "--json").count('"done"') >= 5
