"""Traps of the libraries and systems below us: each was met once, and must not be met again.

What needs a fault below the program (a failed sync, the order of system calls) is played by strace(1) where it is there.
"""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

from conftest import BIN, PATIENCE, ROOT_ONLY, flowspool, wait_for
from hostile_control import posts, script, stats
from killed import NEEDS_STRACE, traced

HOLD = "retry: {on_ambiguous: hold}\n"
SANITIZED = b"__asan_init" in (BIN / "flowspoold").read_bytes()


# --- libcurl sends a POST again by itself when a connection that it used before dies ---


@pytest.mark.parametrize("step", ["keepalive-then-die", "keepalive-then-reset"])
def test_a_dead_connection_causes_one_post_an_attempt(spool, hostile, once, step):
    """The server keeps the connection, reads the next request whole, and goes: that request may have been charged."""
    server = hostile("--default", step)
    for name in "ab":
        spool.drop(f"{name}.yaml", inputs={"text": name})
    status, _ = once(server.url, "--max-concurrency", 1, config=HOLD)
    assert status == 1
    seen = stats(server)
    assert seen["whole"] == {"wf_echo": {'{"text":"a"}': 1, '{"text":"b"}': 1}}
    assert seen["connections"] == 1, "the second request went over the kept connection"
    first, second = ("a", "b") if spool.result("a") else ("b", "a")  # whichever was complete first
    assert spool.result(first)["success"] is True
    assert spool.error(second)["error"]["code"] == "ambiguous"


def test_after_a_dead_connection_the_repeat_is_ours(spool, hostile, once):
    """With on_ambiguous: retry it is sent once more, byte for byte, and counted."""
    server = hostile()
    script(server, wf_echo=["keepalive-then-die", "keepalive-then-die", "ok"])
    for name in "ab":
        spool.drop(f"{name}.yaml", inputs={"text": name})
    assert once(server.url, "--max-concurrency", 1, config="retry: {base: 1ms}\n")[0] == 0
    sent = stats(server)["whole"]["wf_echo"]
    second = max("ab", key=lambda name: sent[f'{{"text":"{name}"}}'])
    assert sorted(sent.values()) == [1, 2] and len(sent) == 2
    assert (spool.result(second)["ambiguous"], spool.result(second)["attempts"]) == (1, 1)


def test_connections_are_kept(spool, hostile, once):
    """What stops the second sending must not cost a connection a request."""
    server = hostile()
    for i in range(20):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    assert once(server.url, "--max-concurrency", 2)[0] == 0
    assert stats(server)["connections"] <= 2


# --- the size limit of libcurl does not stop a reply in chunks ---


@pytest.mark.parametrize("step", ["huge-chunked:200", "huge-length:200", "big:3", "flood-headers:200", "long-header:200"])
def test_a_reply_without_end_is_cut(spool, hostile, daemon, step):
    """At the configured size, in little memory, and the next job goes on."""
    server = hostile()
    script(server, wf_huge=step)
    spool.drop("a.yaml", workflow="wf_huge")
    d = daemon(server.url, config="max_response_size: 1MiB\nretry: {on_ambiguous: hold}\n")
    error = spool.outcome("a")
    expected = "response_too_large" if step.startswith(("huge", "big")) else ("response_too_large", "ambiguous")
    assert error["error"]["code"] in expected
    assert len(error["error"].get("response") or "") <= 4096
    assert posts(server) == 1
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{d.process.pid}/status").read_text())[1])
    assert SANITIZED or peak < 60000, "most of 200 MB was never kept"
    spool.drop("b.yaml")
    assert spool.outcome("b")["success"] is True
    assert d.stop() == 0


def test_nothing_is_unpacked(spool, hostile, once):
    """A compressed reply that nobody asked for is no JSON, whatever it unpacks to."""
    server = hostile()
    script(server, wf_gzip="gzip", wf_bomb="gzip-bomb:50")
    spool.drop("a.yaml", workflow="wf_gzip")
    spool.drop("b.yaml", workflow="wf_bomb")
    assert once(server.url)[0] == 1
    assert spool.error("a")["error"]["code"] == "invalid_response"
    assert (spool.path / "a.error.body").read_bytes()[:2] == b"\x1f\x8b"
    assert spool.error("b")["error"]["code"] in ("invalid_response", "response_too_large")
    assert "accept-encoding" not in stats(server)["last_headers"].lower()


# --- the last transfer that ends by a timer is lost when only sockets are looked at ---


@pytest.mark.parametrize("step,config", [("hang", "request_timeout: 600ms\n"), ("drip:2", "request_timeout: 600ms\n")])
def test_the_last_request_that_times_out_is_noticed(spool, hostile, once, step, config):
    """Nothing else happens that could wake the daemon; the job ends at its time all the same."""
    server = hostile("--default", step)
    spool.drop("a.yaml")
    begun = time.monotonic()
    status, _ = once(server.url, config=config + HOLD)
    assert status == 1
    assert time.monotonic() - begun < 10
    error = spool.error("a")
    assert (error["error"]["code"], error["ambiguous"]) == ("ambiguous", 1)
    assert 550 <= error["duration_ms"] < 5000


def test_a_connect_that_times_out_is_noticed(spool, hostile, daemon):
    """The listener's queue is full: nothing was sent, so the endpoint is held and no attempt counts."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        fillers = []
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(deaf.getsockname())
            fillers.append(s)
        spool.drop("a.yaml")
        d = daemon(url)
        d.logged("the endpoint is away")
        assert "nothing could be sent" in d.log
        assert spool.outcomes() == []
        assert d.stop() == 0
        for s in fillers:
            s.close()


# --- file events are lost when their queue overflows ---


def test_lost_events_are_made_up_for(spool, hostile, daemon):
    """The daemon is stopped while more happens than the kernel remembers; the job that came last is seen at once, long
    before the next rescan."""
    limit = int(pathlib.Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 20000:
        pytest.skip(f"the kernel remembers {limit} events")
    server = hostile()
    d = daemon(server.url, config="rescan: 1h\n")
    spool.drop("first.yaml", inputs={"n": "1"})
    spool.outcome("first")
    d.send(signal.SIGSTOP)
    names = [spool.path / f".noise{i}" for i in range(2)]
    for i in range(limit // 2 + 100):  # created, opened, written, closed, removed: the same event twice would be one
        path = names[i % 2]
        path.write_bytes(b"x")
        path.unlink()
    spool.drop("last.yaml", inputs={"n": "2"})
    d.send(signal.SIGCONT)
    assert spool.outcome("last")["success"] is True
    d.logged("file events were lost")
    assert d.stop() == 0


# --- the YAML loader takes quadratic time on nesting and anchors ---


BOMBS = {
    "brackets": "[" * 500_000,
    "maps": "{a: " * 100_000,
    "indent": "".join(" " * i + "a:\n" for i in range(1200)),
    "aliases": "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{i}: &a{i} [{','.join(['*a%d' % (i - 1)] * 9)}]\n" for i in range(1, 20)),
    "anchors": "".join(f"k{i}: &a{i} v\n" for i in range(20_000)),
    "dashes": "- " * 200_000,
    "questions": "? " * 100_000,
}


def test_job_files_that_are_bombs(spool, hostile, daemon):
    """Each is refused with its place, all together cost next to nothing, and the next job runs meanwhile."""
    server = hostile()
    for name, text in BOMBS.items():
        spool.drop(f"{name}.yaml", "workflow: wf_a\ninputs:\n  x: 1\n" + text)
    d = daemon(server.url)
    spool.drop("good.yaml")
    assert spool.outcome("good")["success"] is True
    for name in BOMBS:  # a young file that does not parse gets its ten seconds
        error = spool.outcome(name)["error"]
        assert error["code"] == "invalid_job" and re.search(r"line \d+", error["message"]), error
    ticks = sum(map(int, pathlib.Path(f"/proc/{d.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    assert ticks / os.sysconf("SC_CLK_TCK") < (20 if SANITIZED else 2)
    assert posts(server) == 1
    assert d.stop() == 0


# --- the JSON library loses digits, cuts at NUL, and takes garbage behind the end ---


def test_what_was_paid_for_is_not_printed_anew(spool, hostile, once):
    """Digits beyond 2^53, an escaped NUL, and the spelling of numbers are kept as the server wrote them."""
    body = ('{"success": true, "result": "a\\u0000b \\ud83d\\ude00", "citations": [{"n": 9007199254740993, "x": 1.10}], '
            '"run_id": 12345678901234567890123, "cost": 0.1000000000000000055511151231257827, "e": 1E400, "s": "\\u00e9/\\/"}')
    server = hostile()
    script(server, wf_echo={"do": "ok", "body": body})
    spool.drop("a.yaml")
    assert once(server.url)[0] == 0
    text = (spool.path / "a.result.json").read_text()
    for piece in ('"a\\u0000b \\ud83d\\ude00"', '"n": 9007199254740993', '1.10', "12345678901234567890123",
                  "0.1000000000000000055511151231257827", "1E400", '"\\u00e9/\\/"'):
        assert piece in text, piece
    result = spool.result("a")
    assert result["result"] == "a\0b \U0001f600"
    assert result["extra"]["run_id"] == 12345678901234567890123


@pytest.mark.parametrize("body", [
    '{"success": true, "result": "x"} trailing', '{"success": true, "result": "x"}{"success": true}',
    '{"success": true, "result": "x"', '{"success": true, "result": "x",}', '\ufeff{"success": true, "result": }',
    '{"success": true, "success": false, "result": "x"}', "{'success': true}"])
def test_a_reply_that_is_nearly_json(spool, hostile, once, body):
    """It was received whole and paid for: kept, failed, and not bought again."""
    server = hostile()
    script(server, wf_echo={"do": "ok", "body": body})
    spool.drop("a.yaml")
    assert once(server.url)[0] == 1
    assert spool.error("a")["error"]["code"] == "invalid_response"
    assert (spool.path / "a.error.body").read_text() == body
    assert once(server.url)[0] == 0
    assert posts(server) == 1


# --- a sync that failed succeeds when it is tried again, without anything on the disk ---


@NEEDS_STRACE
@pytest.mark.parametrize("call", ["fsync", "fdatasync"])
def test_a_failed_sync_is_the_end(spool, sandbox, daemon, once, call):
    """Exit 5, nothing more is bought; the next start goes on without hand repair, and what was paid for is not bought
    again under `hold`."""
    server = sandbox("--limiter", "none", "--latency", "30ms")
    for i in range(12):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    nth = 3 if call == "fsync" else 6
    d = daemon(server.url, "--max-concurrency", 2, config=HOLD,
               prefix=traced("/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when={nth}+"))
    assert d.wait() == 5, d.log
    assert re.search("sync|I/O error|EIO|disk", d.log), d.log
    bought = server.stats()["runs"]
    assert bought < 12
    status, again = once(server.url, config=HOLD)
    assert status in (0, 1), again.log
    assert max(r["charged"] for r in server.stats()["requests"]) == 1
    assert len([n for n in spool.outcomes() if n.startswith("j")]) == 12
    codes = {spool.error(f"j{i}")["error"]["code"] for i in range(12) if spool.error(f"j{i}")}
    assert codes <= {"ambiguous"}


def calls(trace):
    """The system calls that strace saw, as (whether it ends, text): each begins and ends, others in between perhaps. The text at
    the end is the whole; at the beginning it has what was known then."""
    unfinished = {}
    for line in trace.read_text(errors="replace").splitlines():
        thread, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith("<unfinished ...>"):
            unfinished[thread] = text.removesuffix("<unfinished ...>")
            yield False, unfinished[thread]
        elif resumed := re.match(r"<\.\.\. \w+ resumed>", text):
            yield True, unfinished.pop(thread, "") + text[resumed.end():]
        else:
            yield False, text
            yield True, text


@ROOT_ONLY
@NEEDS_STRACE
def test_the_order_of_writes_is_the_promise(spool, hostile, daemon, tmp_path):
    """Intent synced before the request, reply synced before it is looked at, outcome synced before it gets its name, the
    directory synced after."""
    server = hostile()
    spool.drop("a.yaml", inputs={"text": "promise"})
    trace = tmp_path / "trace"
    d = daemon(server.url, "--once", prefix=traced(
        trace, "-y", "-s", "64", "-e", "trace=fsync,fdatasync,openat,rename,renameat,renameat2,sendto,write,writev,recvfrom,read"))
    assert d.wait() == 0, d.log
    # What others may see counts from its beginning, what is promised only when it was done.
    kinds = [("request", False, r"(sendto|writev?)\(.*POST /api/v1/run"), ("reply", True, r"(recvfrom|read)\(.*HTTP/1.1 200"),
             ("state", True, r"f(data)?sync\(.*state\.db-wal.*= 0$"),
             ("outcome", False, r"openat\(.*\.flowspool\.[A-Za-z0-9]{6}.*O_CREAT"),
             ("outcome-synced", True, r"f(data)?sync\(\d+<.*/\.flowspool\.[A-Za-z0-9]{6}>.*= 0$"),
             ("named", False, r"rename\w*\(.*a\.result\.json"), ("directory-synced", True, r"fsync\(\d+<[^>]*/spool>.*= 0$")]
    steps = [kind for ends, text in calls(trace) for kind, at_end, looks in kinds if ends is at_end and re.search(looks, text)]
    order = " ".join(steps)
    assert re.search(r"state (?:\S+ )*?request (?:state )*reply (?:reply )*state (?:state )*outcome (?:\S+ )*?outcome-synced named "
                     r"(?:\S+ )*?directory-synced(?: |$)", order), order
    assert steps[steps.index("request") - 1] == "state", order
    assert steps.count("request") == 1


# --- what `remaining` says is old when the reply comes ---


def test_a_remaining_of_zero_is_about_the_past(spool, hostile, once):
    """Slow runs, each of which used up a window of long ago: it is no reason to stand still now."""
    server = hostile()
    script(server, all={"do": "delay", "seconds": 0.5, "headers": {"x-ratelimit-limit": "50", "x-ratelimit-remaining": "0"}})
    for i in range(10):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    begun = time.monotonic()
    assert once(server.url, "--max-concurrency", 8)[0] == 0
    assert time.monotonic() - begun < 20
    assert len(spool.outcomes()) == 10


@pytest.mark.parametrize("limit,remaining", [("0", "0"), ("ten", "few"), ("-5", "3"), ("10", "99999999999999999999"), ("", "")])
def test_headers_that_say_nothing(spool, hostile, once, limit, remaining):
    """A limit of 0 means that the server's limiter is broken; nonsense is no reading."""
    server = hostile()
    script(server, all={"do": "ok", "headers": {"x-ratelimit-limit": limit, "x-ratelimit-remaining": remaining}})
    for i in range(30):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    begun = time.monotonic()
    assert once(server.url)[0] == 0
    assert time.monotonic() - begun < 10


# --- libcurl waits for its resolver, and queues what it may not send ---


@pytest.fixture
def silent_resolver(tmp_path):
    """(a nameserver that hears and never answers, a prefix that makes a program ask it and nobody else, with a patience of
    minutes)"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        try:
            server.bind(("127.53.53.53", 53))
        except OSError as e:
            pytest.skip(f"no nameserver can be played here: {e}")
        server.settimeout(PATIENCE)
        resolv = tmp_path / "resolv.conf"
        resolv.write_text("nameserver 127.53.53.53\noptions timeout:30 attempts:5\n")
        prefix = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(resolv)]
        if subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
            pytest.skip("mounts are not allowed here")
        yield server, prefix


@ROOT_ONLY
def test_a_name_lookup_does_not_delay_the_end(spool, daemon, silent_resolver):
    """One that is under way is abandoned at once."""
    server, prefix = silent_resolver
    spool.drop("a.yaml")
    d = daemon("http://no-such-host.invalid", prefix=prefix)
    assert b"no-such-host" in server.recv(4096), "the lookup is under way"
    begun = time.monotonic()
    d.send(signal.SIGTERM)
    d.logged("draining")
    d.send(signal.SIGINT)
    assert d.wait() == 0
    assert time.monotonic() - begun < 10
    assert spool.outcomes() == []


def test_what_is_in_flight_is_on_the_wire(spool, hostile, daemon):
    """No request waits inside the library after its intent was stored: as many connections as requests."""
    server = hostile("--default", "hold")
    for i in range(40):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    d = daemon(server.url, "--max-concurrency", 40)
    wait_for(lambda: stats(server)["in_flight"] == 40, "all of them to arrive")
    d.kill()


@NEEDS_STRACE
def test_a_state_that_cannot_be_written_is_the_end(spool, sandbox, daemon, once):
    """SQLite would try the failed write again on the same descriptor: any I/O error ends in exit 5 instead."""
    server = sandbox("--limiter", "none")
    for i in range(6):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    d = daemon(server.url, "--max-concurrency", 1, config=HOLD,
               prefix=traced("/dev/null", "-e", "trace=pwrite64", "-e", "inject=pwrite64:error=EIO:when=60+"))
    assert d.wait() == 5, d.log
    assert once(server.url, config=HOLD)[0] in (0, 1)
    assert max(r["charged"] for r in server.stats()["requests"]) == 1


# --- clocks ---


@ROOT_ONLY
def test_timers_count_suspend(spool, hostile, daemon):
    """The alarm is on the clock that goes on while the machine sleeps (7: CLOCK_BOOTTIME), none on the wall clock (0) or
    on one that stands still (1)."""
    d = daemon(hostile().url)
    spool.drop("a.yaml", not_before="2999-01-01T00:00:00Z")
    wait_for(lambda: "a.yaml" in flowspool(spool, "list", check=False).stdout, "the job to wait")
    clocks = []
    for info in pathlib.Path(f"/proc/{d.process.pid}/fdinfo").iterdir():
        found = re.search(r"^clockid: (\d+)$", info.read_text(), re.M)
        if found:
            clocks.append(found[1])
    assert clocks and set(clocks) == {"7"}
    assert d.stop() == 0
