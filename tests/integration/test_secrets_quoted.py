"""A service, a proxy or a mistake that says the key, or a password: it is in no log, outcome, status or state."""

import base64
import json

import pytest
from conftest import KEY, flowspool
from hostile_control import posts, script

PASSWORD = "proxy-password-5521"


def everywhere(spool, d, *also):
    """All bytes that somebody may read afterwards."""
    files = [p.read_bytes() for p in spool.path.rglob("*") if p.is_file()]
    return b"\n".join([d.log.encode(), *(a.encode() for a in also), *files])


QUOTES = {"success": False, "error": f"the key {KEY} is not known"}
ESCAPED = '{"success": false, "error": "key ' + KEY.replace("-", "\\u002d") + ' no"}'


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500, 502])
@pytest.mark.parametrize("body", [QUOTES, ESCAPED], ids=["plain", "escaped"])
def test_a_service_that_quotes_the_key(spool, hostile, daemon, status, body):
    server = hostile()
    script(server, all={"do": "status", "status": status, "body": body, "headers": {"x-request-id": f"of-{KEY}"}})
    spool.drop("a.yaml", max_attempts=1)
    d = daemon(server.url, "--log-level", "debug", config="retry: {on_ambiguous: hold}\n")
    if status == 401:
        d.logged("the account refuses work")
    else:
        spool.outcome("a")
    text = flowspool(spool, "status") + flowspool(spool, "list") + flowspool(spool, "list", "--json")
    assert d.stop() == 0 and posts(server) >= 1
    assert KEY.encode() not in everywhere(spool, d, text)
    if status not in (401, 502):
        assert "***" in spool.error("a")["error"]["message"], "what the server said is told all the same"


def test_an_unusable_reply_that_quotes_the_key_is_kept_without_it(spool, hostile, once):
    server = hostile()
    script(server, all={"do": "status", "status": 200, "body": f"<html>{KEY}</html>"})
    spool.drop("a.yaml")
    code, d = once(server.url)
    assert code == 1, d.log
    assert (spool.path / "a.error.body").read_bytes() == b"<html>" + b"*" * len(KEY) + b"</html>"
    assert KEY.encode() not in everywhere(spool, d)


def test_a_result_keeps_every_byte(spool, hostile, once):
    """What was paid for is not changed, whatever it says."""
    server = hostile()
    script(server, all={"do": "status", "status": 200, "body": json.dumps({"success": True, "result": f"say {KEY}"})})
    spool.drop("a.yaml")
    assert once(server.url)[0] == 0
    assert spool.result("a")["result"] == f"say {KEY}"


@pytest.mark.parametrize("proxy,code", [
    (f"foo://user:{PASSWORD}@127.0.0.1:1", 2),
    (f"http://user:{PASSWORD}@[bad", 2),
    (f"http://user:{PASSWORD}@127.0.0.1:1", 6),
    (f"socks5h://user:{PASSWORD}@127.0.0.1:1", 6),
])
def test_a_proxys_password(spool, hostile, once, proxy, code):
    server = hostile()
    spool.drop("a.yaml")
    got, d = once(server.url, "--log-level", "debug", config=f'proxy: "{proxy}"\nonce_patience: 500ms\n')
    assert got == code, d.log
    assert "proxy" in d.log
    whole = everywhere(spool, d)
    assert PASSWORD.encode() not in whole and base64.b64encode(f"user:{PASSWORD}".encode()) not in whole
    assert posts(server) == 0


def test_an_endpoint_with_a_password(spool, once):
    code, d = once(f"https://user:{PASSWORD}@host.example")
    assert code == 2
    assert "must not contain a user name or password" in d.log and PASSWORD not in d.log
