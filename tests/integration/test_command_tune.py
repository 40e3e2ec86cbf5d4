"""flowspool tune: how the limit is seen, by a daemon that runs, hangs or died."""

import contextlib
import hashlib
import json
import os
import re
import socket
import sqlite3
import threading

import pytest

from command_line import command, frozen, harmless, narrow, on_terminal, plain
from conftest import KEY, wait_for
from hostile_control import script

SHORT = hashlib.sha256(KEY.encode()).hexdigest()[:12]
EMPTY = {"at": None, "endpoint": None, "key": None, "in_flight": None, "cap": None, "cap_reason": None, "learned": None,
         "hypotheses": [], "readings": []}


def tune(spool, **variables):
    done = command("--spool", spool.path, "tune", "--json", **variables)
    assert done.returncode == 0 and done.stderr == "" and done.stdout.count("\n") == 1, done
    return json.loads(done.stdout)


def running(spool):
    """What the daemon says: a busy machine may keep it from answering in time."""
    return wait_for(lambda: (t := tune(spool))["daemon"] == "running" and t, "the daemon to answer")


def text(spool):
    done = command("--spool", spool.path, "tune")
    assert done.returncode == 0 and done.stderr == "", done
    assert narrow(done.stdout), done.stdout
    return done.stdout


def running_text(spool):
    return wait_for(lambda: (shown := text(spool)).startswith("daemon    running\n") and shown, "the daemon to answer")


def run_jobs(spool, count, prefix="a"):
    for i in range(count):
        spool.drop(f"{prefix}{i}.yaml", inputs={"text": f"{prefix}{i}"})
    for i in range(count):
        spool.outcome(f"{prefix}{i}")


def view(spool):
    """As it is kept; None: it is not."""
    with sqlite3.connect(f"file:{spool.state}/state.db?mode=ro", uri=True, timeout=10) as db:
        row = db.execute("SELECT value FROM meta WHERE key = 'rate.view'").fetchone()
    return row and json.loads(row[0])


def plant(spool, value):
    """In place of the view that was kept."""
    with sqlite3.connect(f"{spool.state}/state.db") as db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'rate.view'", (value,))
    db.close()


# --- with a daemon ---


def test_at_the_limit(spool, sandbox, daemon):
    s = sandbox("--limit", "20", "--window", "1s", "--latency", "20ms")
    daemon(s.url)
    run_jobs(spool, 60)
    t = running(spool)
    assert t["reason"] is None and t["endpoint"] == s.url and t["key"] == SHORT
    assert t["in_flight"] >= 0 and t["cap"] > 0 and t["cap_reason"] and t["at"]
    assert t["learned"]["limit"] == 20 and t["learned"]["window_ms"] > 0
    best, *others = t["hypotheses"]
    assert best["best"] and best["kind"] == t["learned"]["window_kind"] and best["window_ms"] == t["learned"]["window_ms"]
    assert others and not any(h["best"] for h in others)
    assert len(t["readings"]) == 40
    ages = [r["ago_ms"] for r in t["readings"]]
    assert ages == sorted(ages, reverse=True)
    for r in t["readings"]:
        assert r["refused"] == (r["used"] is None) and (r["used"] is None or (r["limit"] == 20 and 1 <= r["used"] <= 20))
    shown = running_text(spool)
    for words in ["daemon    running\n", f"endpoint  {s.url}, key {SHORT}\n", "limit 20 per ", f"\n{best['kind']}, ", " best\n",
                  "the last 40 requests", "\n    20 |", "\n    10 |", "\n     0 +"]:
        assert words in shown, (words, shown)
    assert KEY not in shown + json.dumps(t)


def test_refusals_are_marked(spool, hostile, daemon):
    server = hostile()
    script(server, wf_ok={"do": "status", "status": 200, "body": {"success": True, "result": "x"},
                          "headers": {"x-ratelimit-limit": "4", "x-ratelimit-remaining": "2"}},
           wf_over={"do": "status", "status": 429, "headers": {"Retry-After": "600"}})
    spool.drop("a.yaml", workflow="wf_ok")
    daemon(server.url)
    spool.outcome("a")
    spool.drop("b.yaml", workflow="wf_over")
    wait_for(lambda: len(running(spool)["readings"]) == 2, "the refusal")
    t = running(spool)
    told, refused = ({k: r[k] for k in ("limit", "used", "refused")} for r in t["readings"])
    assert told == {"limit": 4, "used": 2, "refused": False} and refused == {"limit": None, "used": None, "refused": True}
    assert t["learned"]["limit"] == 4 and t["learned"]["last_429_ago_ms"] >= 0
    shown = running_text(spool)
    assert re.search(r"^ +!$", shown, re.M) and re.search(r"^     2 \|[#@]", shown, re.M) and ", ! refused" in shown
    assert "last 429 " in " ".join(shown.split())


def test_replies_without_a_limit(spool, sandbox, daemon):
    daemon(sandbox("--limiter", "none", "--headers", "none", "--latency", "0").url)
    run_jobs(spool, 3)
    shown = running_text(spool)
    assert "mode      headerless: faster and faster until a 429" in shown and "no limit known" in shown
    assert "window    not known: replies do not name the limit" in shown and "+-" not in shown


def test_a_configured_limit(spool, sandbox, daemon):
    daemon(sandbox("--limiter", "none", "--latency", "0").url, config="rate: {limit: 30, window: 1m}\n")
    running(spool)
    shown = running_text(spool)
    assert "mode      told: evenly, by the limit and the window" in shown and "limit 30 per 1m, as configured" in shown


def test_nothing_learned_yet(spool, sandbox, daemon):
    daemon(sandbox().url)
    t = running(spool)
    assert t["learned"]["mode"] == "opening" and t["learned"]["limit"] is None and t["hypotheses"] == t["readings"] == []
    shown = running_text(spool)
    assert "no limit known" in shown and "window    not known: the first replies teach it: by the headers x-ratelimit-limit" in \
        re.sub(r"\n {10}", " ", shown)


# --- without one ---


def test_no_daemon_ever(spool):
    t = tune(spool)
    assert t.pop("daemon") == "not_running" and t.pop("reason") == "not running" and t.items() >= EMPTY.items()
    assert "no flowspoold has run here yet" in " ".join(text(spool).split())
    assert list(spool.path.iterdir()) == [], "looking makes no state"


@pytest.fixture
def ended(spool, sandbox, daemon):
    """A state whose daemon has learned a limit of 20, and is gone."""
    d = daemon(sandbox("--limit", "20", "--window", "1s", "--latency", "20ms").url)
    run_jobs(spool, 30)
    assert d.stop() == 0
    return spool


def test_what_the_last_one_kept(ended):
    t = tune(ended)
    kept = view(ended)
    assert t["daemon"] == "not_running" and t["learned"] == kept["learned"] and t["readings"] == kept["readings"]
    assert t["key"] == SHORT and t["learned"]["limit"] == 20 and len(t["readings"]) >= 30
    shown = text(ended)
    assert re.search(r"^daemon    not running; this is as of [\d.]+\w+ ago$", shown, re.M) and "limit 20 per " in shown
    assert "in flight 0 then, at most " in shown and f"the last {len(t['readings'])} requests" in shown


def test_what_a_killed_one_kept(spool, sandbox, daemon):
    d = daemon(sandbox("--limit", "20", "--window", "1s", "--latency", "20ms").url)
    run_jobs(spool, 30)
    wait_for(lambda: view(spool), "the view to be kept")
    d.kill()
    assert tune(spool)["learned"]["limit"] == 20


def test_a_daemon_that_hangs(spool, sandbox, daemon):
    d = daemon(sandbox("--limit", "20", "--window", "1s", "--latency", "20ms").url)
    run_jobs(spool, 30)
    wait_for(lambda: view(spool), "the view to be kept")
    with frozen(d):
        t = tune(spool)
        assert t["daemon"] == "no_answer" and t["learned"]["limit"] == 20
        assert "daemon    does not answer; this is as of " in text(spool)


NONSENSE = ["", "7", "{", "[]", "{}", '{"at_ms":1}', '{"at_ms":-1,"learned":{"mode":"open"}}', '{"learned":{"mode":"open"}}',
            '{"at_ms":9007199254740991,"learned":{"mode":"open"}}', '{"at_ms":1e999,"learned":{"mode":"open"}}', "x" * 100000,
            "{\"a\":" * 5000]


def test_a_view_that_makes_no_sense_is_none(ended):
    for value in NONSENSE:
        plant(ended, value)
        assert tune(ended).items() >= EMPTY.items(), value[:80]
        assert "nothing is known" in text(ended)
        status = command("--spool", ended.path, "status")
        assert status.returncode == 0 and "rate      unknown\n" in status.stdout, value[:80]


EVIL = "\x1b[2J\u009b\u202e\x07"
TUNING = {"at_ms": 1, "endpoint": EVIL, "key": EVIL, "cap": -9, "in_flight": 1e15, "cap_reason": EVIL * 99,
          "learned": {"mode": EVIL, "limit": 9007199254740991, "window_ms": 1, "window_kind": EVIL, "source": EVIL,
                      "per_second": 1e300},
          "hypotheses": [{"kind": EVIL * 50, "window_ms": -1, "error": 1e300, "others": -1e300, "best": 1}] * 500,
          "readings": [{"ago_ms": -5, "limit": 1, "used": 9007199254740991, "predicted": 3, "refused": True}] * 500}


def test_a_view_that_is_hostile_is_harmless(ended):
    plant(ended, json.dumps(TUNING))
    check_harmless(ended, "not_running")


def check_harmless(spool, daemon):
    t = tune(spool)
    assert t["daemon"] == daemon and len(t["hypotheses"]) <= 8 and len(t["readings"]) <= 40 and t["endpoint"] == EVIL
    raw = command("--spool", spool.path, "tune", "--json").stdout
    shown = command("--spool", spool.path, "tune")
    assert shown.returncode == 0 and harmless(raw) and harmless(shown.stdout) and len(shown.stdout) < 30000
    assert harmless(plain(on_terminal("--spool", spool.path, "tune")))


# --- somebody else behind the socket ---


@contextlib.contextmanager
def impostor(spool, answer):
    """Somebody listens where the daemon does and answers each line with these bytes; yields what was asked."""
    spool.state.mkdir(exist_ok=True)
    (spool.state / "control").unlink(missing_ok=True)
    asked, server = [], socket.socket(socket.AF_UNIX)
    here = os.open(spool.state, os.O_RDONLY)
    server.bind(f"/proc/self/fd/{here}/control")
    os.close(here)
    server.listen()

    def serve():
        with contextlib.suppress(OSError):
            while True:
                peer, _ = server.accept()
                with peer, contextlib.suppress(OSError):
                    asked.append(json.loads(peer.makefile("rb").readline()))
                    peer.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        server.close()


def answer(**members):
    return json.dumps(members).encode() + b"\n"


# None of them is an answer; the last one is an older daemon's.
ANSWERS = [b"", b"\n", b"{}\n", b"\xff\xfe\x00\n", b"7\n", b'{"ok":true}\n', b'{"ok":true,"tuning":7}\n', b'{"ok":true,"tuning":{}}\n',
           answer(ok=True, tuning=[]), answer(ok=True, tuning={"learned": {"mode": ""}}), b'{"ok":true,"tuning":{\n', b"x" * (9 << 20),
           b'{"ok":true,"tuning":' + b'{"a":' * 100000 + b"\n", answer(ok=False, error=EVIL), answer(ok=False, error="unknown command")]


def test_what_is_no_answer_leaves_what_was_kept(ended):
    for given in ANSWERS:
        with impostor(ended, given):
            t = tune(ended)
            assert t["daemon"] in ("unknown", "refused") and t["reason"] and t["learned"]["limit"] == 20, given[:80]
            shown = text(ended)
            assert harmless(shown) and "this is as of " in " ".join(shown.split()), given[:80]


def test_an_answer_that_is_hostile_is_harmless(spool):
    with impostor(spool, answer(ok=True, tuning=TUNING)) as asked:
        check_harmless(spool, "running")
    assert asked and all(a == {"command": "tune"} for a in asked)


# --- usage ---


def test_wrong_usage(spool):
    for words in (["x"], ["--no-such"], ["--json=7"]):
        done = command("--spool", spool.path, "tune", *words)
        assert done.returncode == 2 and done.stdout == "" and "Try: flowspool" in done.stderr, done
    assert command("tune").returncode == 2
    assert command("--spool", spool.path / "nowhere", "tune").returncode == 2
    (spool.state).mkdir()
    (spool.state / "state.db").write_text("no database, and never was one\n" * 100)
    done = command("--spool", spool.path, "tune")
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("flowspool: "), done
