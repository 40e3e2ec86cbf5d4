"""The server's values in a result, unchanged to the byte; and its words in an error, safe to print."""

import json

import pytest
from hostile_control import script


def answer(hostile, *bodies, status=200, **more):
    """A server whose workflow wf_N answers with the N-th body."""
    server = hostile()
    script(server, **{f"wf_{n}": {"do": "status", "status": status, "body": body, **more} for n, body in enumerate(bodies)})
    return server


def run(spool, hostile, once, *bodies, expect=0, **more):
    server = answer(hostile, *bodies, **more)
    for n in range(len(bodies)):
        spool.drop(f"j{n}.yaml", workflow=f"wf_{n}")
    code, d = once(server.url)
    assert code == expect, d.log


def raw(spool, n, kind="result"):
    return (spool.path / f"j{n}.{kind}.json").read_bytes()


VALUES = [
    "null", "false", "0", "-0.0", "1E+2", "0.1000000000000000055511151231257827", "9007199254740993", "123456789" * 30, "[ ]", '{ "a" : 1 }',
    '[[[[[[[[]]]]]]]]', '{"success":false,"result":"inner","citations":[1],"extra":{"x":1}}', '{"a":1,"a":2}',
    '"\\ud83d\\ude00"', '"\\uD83D"', '"a\\u0000b"', '"\\u2028 \\/ \\b\\f\\n\\r\\t"', '"\u00e9 \u4e2d \U0001f600"', '"{\\"json\\": \\"in a string\\"}"',
    '"' + "long " * 20000 + '"', "[" + "1," * 20000 + "1]",
]


def test_the_result_is_the_servers_bytes(spool, hostile, once):
    run(spool, hostile, once, *('{"success":true,"result":' + value + "}" for value in VALUES))
    for n, value in enumerate(VALUES):
        data = raw(spool, n)
        assert b'"success":true,"result":' + value.encode() + b',"http_status":200' in data, value[:60]
        assert json.loads(data)["version"] == 1 and data.endswith(b"}\n") and data.count(b"\n") == 1


CITATIONS = ["null", '"https://example.org"', "[]", '[ "https://example.org/a" , "https://example.org/b" ]',
             '[{"title":"\\u00e9","url":"https://example.org","score":1.50},"https://example.org/c",null]', "{}", "7"]


def test_citations_are_the_servers_bytes_and_absent_when_not_sent(spool, hostile, once):
    run(spool, hostile, once, '{"success":true,"result":"x"}', *('{"citations":' + c + ',"result":"x","success":true}' for c in CITATIONS))
    assert b"citations" not in raw(spool, 0)
    for n, value in enumerate(CITATIONS):
        assert b'"citations":' + value.encode() + b"," in raw(spool, n + 1), value
        assert "extra" not in json.loads(raw(spool, n + 1))


def test_unknown_fields_go_under_extra_as_they_are(spool, hostile, once):
    """Also those whose names are ours in the outcome: they are never mixed up with it."""
    run(spool, hostile, once,
        '{"success":true,"run_id":"r-1","usage":{"tokens":12345678901234567890,"cost":0.10},"result":"x"}',
        '{"version":9,"job":"other.yaml","success":true,"attempts":99,"error":"none","extra":{"a":1},"result":"x","sandbox":true}',
        '{"success":true,"result":"x","\\u00e9\\"q":1,"twice":1,"twice":2}',
        '{"\\u0073uccess":true,"\\u0072esult":"x"}')
    assert b'"extra":{"run_id":"r-1","usage":{"tokens":12345678901234567890,"cost":0.10}}' in raw(spool, 0)
    mixed = json.loads(raw(spool, 1))
    assert mixed["extra"] == {"version": 9, "job": "other.yaml", "attempts": 99, "error": "none", "extra": {"a": 1}, "sandbox": True}
    assert (mixed["version"], mixed["job"], mixed["attempts"]) == (1, "j1.yaml", 1) and "error" not in mixed and "sandbox" not in mixed
    assert json.loads(raw(spool, 2))["extra"] == {'é"q': 1, "twice": 2}
    escaped = json.loads(raw(spool, 3))
    assert (escaped["success"], escaped["result"]) == (True, "x") and "extra" not in escaped


def test_white_space_and_a_byte_order_mark(spool, hostile, once):
    run(spool, hostile, once, ' \r\n\t{ "success" : true ,\n "result" : [ 1 , 2 ] }\n ')
    assert b'"result":[ 1 , 2 ],' in raw(spool, 0)


# --- errors ---


def test_the_servers_words_cannot_spoil_a_terminal_or_a_log(spool, hostile, once):
    """Escapes, line ends and direction marks arrive as text; what it said is kept as it was in `response`."""
    words = "no \x1b[31mred\x1b[0m\nlevel=error fake line\r\x07 end"
    server = answer(hostile, {"success": False, "error": words}, status=422)
    spool.drop("a.yaml", workflow="wf_0")
    code, d = once(server.url)
    assert code == 1
    error = spool.error("a")["error"]
    assert not any(c in error["message"] for c in "\x1b\n\r\x07") and "red" in error["message"]
    assert json.loads(error["response"])["error"] == words
    assert "\x1b" not in d.log and len(d.log.splitlines()) == 2


@pytest.mark.parametrize("body,says", [
    ({"success": False, "error": "plain words"}, "plain words"),
    ({"success": False, "error": {"message": "older words", "code": "c"}}, "older words"),
    ({"success": False}, "422"), ({"success": False, "error": 7}, "422"), ({"success": False, "error": {"message": 7}}, "422"),
    ("<html>", "422"), ("", "422"),
], ids=str)
def test_the_message_says_what_the_server_said(spool, hostile, once, body, says):
    server = answer(hostile, body, status=422)
    spool.drop("a.yaml", workflow="wf_0")
    assert once(server.url)[0] == 1
    error = spool.error("a")["error"]
    assert says in error["message"] and len(error["message"]) < 600
    assert error["response"] == (body if isinstance(body, str) else json.dumps(body))


def test_response_is_the_first_4_KiB_and_ends_between_characters(spool, hostile, once):
    bodies = ["x" * 4095, "x" * 4096, "x" * 4097, "é" * 4000, "x" + "é" * 4000, "x" + "😀" * 2000, "中" * 3000]
    run(spool, hostile, once, *bodies, expect=1, status=422)
    for n, body in enumerate(bodies):
        response = json.loads(raw(spool, n, "error"))["error"]["response"]
        assert body.startswith(response)
        assert 4093 <= len(response.encode()) <= 4096 and (len(body) > 4096 or response == body or not body.isascii())


def test_a_body_that_is_not_text(spool, hostile, once):
    """What is no UTF-8 is shown as U+FFFD, and kept as it came."""
    server = hostile()
    script(server, all="bad-utf8")
    spool.drop("a.yaml")
    assert once(server.url)[0] == 1
    kept = (spool.path / "a.error.body").read_bytes()
    assert kept == b'{"success": true, "result": "\xff\xfe \xc3( \xed\xa0\x80"}'
    assert "\ufffd" in spool.error("a")["error"]["response"]
    assert spool.error("a")["error"]["response"].startswith('{"success": true, "result": "')
