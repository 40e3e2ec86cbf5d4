"""Configuration errors: each says file, line, column, and what is allowed; nothing starts."""

import re
import subprocess

import pytest

from conftest import BIN, KEY, PATIENCE

DURATION, SIZE, COUNT, WORD = "a duration such as", "a size such as", "a number", "one of these words"

# key, what it takes, values that are out of range or no such thing
KEYS = [
    ("confine", WORD, ["on", "Auto", "false", ""]),
    ("connect_timeout", DURATION, ["99ms", "61m", "10", "fast", "-1s"]),
    ("forget_after", DURATION, ["8761h", "1.5s", "600"]),
    ("inputs_as", WORD, ["string", "Text", ""]),
    ("max_concurrency", COUNT, ["0", "100001", "many", "1.5", "-3", "0x10"]),
    ("max_job_size", SIZE, ["1023", "65MiB", "1MB", "big"]),
    ("max_jobs", COUNT, ["-1", "all", "1e3"]),
    ("max_response_memory", SIZE, ["63KiB", "65GiB", "256"]),
    ("max_response_size", SIZE, ["1023", "513MiB", "64 MiB"]),
    ("once_patience", DURATION, ["8761h", "soon"]),
    ("probe", DURATION, ["99ms", "2h", "60"]),
    ("rate.leave", "a percentage", ["96%", "20", "-1%", "half"]),
    ("rate.limit", COUNT, ["-1", "1000000001", "10/s"]),
    ("rate.max_per_second", COUNT, ["-1", "1000001", "inf", "nan", "1/2"]),
    ("rate.window", DURATION, ["745h", "1"]),
    ("recursive", WORD, ["yes", "True", "1", ""]),
    ("request_timeout", DURATION, ["99ms", "25h", "330"]),
    ("rescan", DURATION, ["99ms", "25h", "60"]),
    ("retry.base", DURATION, ["0s", "61m", "1"]),
    ("retry.cap", DURATION, ["0s", "25h", "60"]),
    ("retry.give_up_after", DURATION, ["8761h", "never"]),
    ("retry.max_ambiguous", COUNT, ["-1", "101", "once"]),
    ("retry.max_attempts", COUNT, ["0", "1001", "five"]),
    ("retry.on_ambiguous", WORD, ["fail", "Hold", ""]),
    ("settle", DURATION, ["61m", "1", "-1s"]),
    ("shutdown_grace", DURATION, ["25h", "330"]),
    ("status_file", WORD, ["yes", "True", "1", ""]),
]
TEXT_KEYS = ["api_key_file", "ca_file", "endpoint", "log_file", "proxy", "spool", "state_dir", "state_group"]


def described():
    """{key: range} as flowspoold itself says."""
    done = subprocess.run([BIN / "flowspoold", "--describe-config"], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0 and done.stderr == ""
    return {line.split()[0]: line for line in done.stdout.splitlines()}


@pytest.fixture
def check(tmp_path, spool):
    """check(text): (exit status, log) of --check-config with that configuration and nothing else."""
    path = tmp_path / "flowspool.yaml"
    key = tmp_path / "key"
    key.write_text(KEY + "\n")
    key.chmod(0o600)

    def run(text, *options, base=f"spool: {spool.path}\nendpoint: https://host\napi_key_file: {key}\n"):
        path.write_bytes((base + text).encode() if isinstance(text, str) else text)
        done = subprocess.run([BIN / "flowspoold", "-c", path, "--check-config", *options], capture_output=True, text=True,
                              timeout=PATIENCE, env={})
        assert done.stdout == ""
        return done.returncode, done.stderr

    run.path = path
    return run


def nested(key, value):
    """The key as YAML, and (line, column) of its value, after the three lines of the base."""
    group, dot, name = key.partition(".")
    if not dot:
        return f"{key}: {value}\n", 4, len(key) + 3
    return f"{group}:\n  {name}: {value}\n", 5, len(name) + 5


def place(log):
    found = re.search(r"flowspool\.yaml:(\d+):(\d+): ", log)
    assert found, f"no file:line:column in {log!r}"
    return int(found[1]), int(found[2])


def test_every_key_has_its_errors():
    """A key that is added comes into the tables of this file."""
    assert {key for key, _, _ in KEYS} | set(TEXT_KEYS) == set(described())


def test_a_right_configuration(check):
    status, log = check("")
    assert (status, log.count("\n")) == (0, 1), log
    assert "the configuration is right" in log


@pytest.mark.parametrize("key,takes,values", KEYS, ids=[k for k, _, _ in KEYS])
def test_out_of_range(check, key, takes, values):
    allowed = re.split(r"  +", described()[key])
    for value in values:
        text, line, column = nested(key, value or '""')
        status, log = check(text)
        assert status == 2, f"{key}: {value} was taken"
        assert place(log) == (line, column), log
        assert f'"{key}' in log and takes in log, log
        assert any(log.rstrip().endswith(": " + part) for part in allowed), f"{log} does not say what is allowed: {allowed}"


@pytest.mark.parametrize("key", [k for k, _, _ in KEYS] + TEXT_KEYS)
def test_wrong_type(check, key):
    base = f"spool: {check.path.parent / 'spool'}\nendpoint: https://host\napi_key_file: {check.path.parent / 'key'}\n"
    base = "".join(line for line in base.splitlines(True) if not line.startswith(key + ":"))
    shift = 3 - base.count("\n")
    for value, word in (("[1, 2]", "list"), ("{a: b}", "mapping")):
        text, line, column = nested(key, value)
        status, log = check(text, base=base)
        assert status == 2
        assert place(log) == (line - shift, column), log
        assert f'"{key}" takes' in log and f"not a {word}" in log


@pytest.mark.parametrize("text,near", [
    ("max_concurency: 3", "max_concurrency"), ("end_point: https://x", "endpoint"), ("api_keyfile: x", "api_key_file"),
    ("request_time_out: 3s", "request_timeout"), ("shutdown-grace: 3s", "shutdown_grace")])
def test_unknown_key_with_a_suggestion(check, text, near):
    status, log = check(text + "\n")
    assert status == 2
    assert place(log) == (4, 1)
    assert f'unknown key "{text.split(":")[0]}", perhaps "{near}"' in log
    assert "--describe-config" in log


@pytest.mark.parametrize("text,near", [("retry:\n  max_atempts: 3", "retry.max_attempts"), ("rate:\n  limits: 3", "rate.limit")])
def test_unknown_key_of_a_group(check, text, near):
    status, log = check(text + "\n")
    assert (status, place(log)) == (2, (5, 3))
    assert f'perhaps "{near}"' in log


def test_unknown_key_like_no_other(check):
    status, log = check("qqqqqqq: 1\n")
    assert (status, place(log)) == (2, (4, 1))
    assert "perhaps" not in log


@pytest.mark.parametrize("text,at", [("probe: 1s\nprobe: 2s\n", (5, 1)), ("retry:\n  base: 1s\n  base: 2s\n", (6, 3)),
                                     ("rate: {limit: 3, window: 1s}\nrate: {limit: 4, window: 1s}\n", (5, 1))])
def test_duplicate_key(check, text, at):
    status, log = check(text)
    assert (status, place(log)) == (2, at), log
    assert "twice" in log or "duplicate" in log, log


@pytest.mark.parametrize("text,at,words", [
    ("rate: 5\n", (4, 7), "mapping"),
    ("retry.base: 5s\n", (4, 1), "write it as a mapping"),
    ("retry: {base: 2m}\n", (4, 15), "retry.cap must not be smaller than retry.base"),
    ("retry: {cap: 500ms}\n", (4, 14), "retry.cap must not be smaller than retry.base"),
    ("rate: {limit: 10}\n", (4, 15), "a hint needs both"),
    ("rate: {window: 10s}\n", (4, 16), "a hint needs both"),
    ("probe:\n", (4, 7), "has no value"),
    ("---\nprobe: 1s\n", (5, 1), "one mapping"),
    ("probe: [1s\n", None, ""),
    ("\tprobe: 1s\n", (4, 1), ""),
    ("probe: !duration 1s\n", None, "tag"),
    ("probe: &a 1s\nsettle: *b\n", None, ""),
])
def test_what_is_no_configuration(check, text, at, words):
    status, log = check(text)
    assert status == 2
    line, column = place(log)
    assert at is None or (line, column) == at, log
    assert line >= 4 and words in log, log


def test_bytes_that_are_no_text(check):
    for text, words in ((b"spool: /tmp\nprobe: \xff\xfe1s\n", "UTF-8"), ("spool: /tmp\n".encode("utf-16"), "UTF-16"),
                        (b"- a\n- b\n", "one mapping"), (b"spool: /tmp\nproxy: \"a\\0b\"\n", "NUL")):
        status, log = check(text)
        assert status == 2
        assert words in log, log
        place(log)


def test_a_file_that_cannot_be_read(check, tmp_path):
    missing = tmp_path / "missing.yaml"
    for path, words in ((missing, "No such file"), (tmp_path, "directory")):
        done = subprocess.run([BIN / "flowspoold", "-c", path, "--check-config"], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 2 and str(path) in done.stderr and words in done.stderr
    status, log = check("#" * (1 << 20))
    assert status == 2 and "larger than 1 MiB" in log


@pytest.mark.parametrize("endpoint,words", [
    ("https://host/api/v1", "must not contain /api/v1"), ("https://host/api/v1/run/wf_a", "must not contain /api/v1"),
    ("https://host/x/API/V1/", "must not contain /api/v1"), ("host", "https://"), ("ftp://host", "https://"),
    ("https://user:secret@host", "user name"), ("https://host/?a=b", "query"), ("https://host/#a", "fragment"),
    ('"https://ho st"', "space"), ("https://", "URL"), ("https://host:99999", "URL")])
def test_an_endpoint_that_is_none(check, endpoint, words):
    """The endpoint is checked where it is written, so that the complaint can name the line."""
    base = f"spool: {check.path.parent / 'spool'}\napi_key_file: {check.path.parent / 'key'}\n"
    status, log = check(f"endpoint: {endpoint}\n", base=base)
    assert status == 2
    assert place(log) == (3, 11), log
    assert words in log, log


def test_a_spool_that_is_none(check, tmp_path):
    (tmp_path / "file").write_text("")
    for path, words in ((tmp_path / "none", "No such file"), (tmp_path / "file", "not a directory")):
        status, log = check(f"spool: {path}\n", base="endpoint: https://host\n")
        assert (status, place(log)) == (2, (2, 8))
        assert words in log


def test_a_ca_file_that_is_none(check, tmp_path):
    """--check-config finds what would stop a start."""
    (tmp_path / "ca.pem").write_text("nothing of the kind\n")
    for path, words in ((tmp_path / "none.pem", "No such file"), (tmp_path / "ca.pem", "PEM")):
        status, log = check(f"ca_file: {path}\n")
        assert status == 2, log
        assert "ca_file" in log and words in log


def test_a_group_that_is_none(check):
    status, log = check("state_group: no-such-group-here\n")
    assert status == 2
    assert "state_group" in log and "no-such-group-here" in log


def test_nothing_starts_with_a_wrong_configuration(spool, daemon):
    spool.drop("a.yaml")
    d = daemon("http://127.0.0.1:9", config="max_concurrency: lots\n")
    assert d.wait() == 2
    assert re.search(r"config-\d+\.yaml:5:18: ", d.log)
    assert not spool.state.exists() and spool.outcomes() == []
