"""What flowspool-sandbox answers: results, refusals, pages, bodies, keys."""

import json
import re
import time

import pytest
from conftest import wait_for
from sandbox_program import AUTH, NOTICE, start  # noqa: F401


def test_a_success(start):
    s = start("--limit", "50")
    status, headers, body = s.run(inputs={"story": 'a "dog"\nnamed Zoë \U0001f600', "unused": 1})
    assert status == 200
    assert json.loads(body) == {"success": True, "result": NOTICE + 'Write a short story about a "dog"\nnamed Zoë \U0001f600'}
    assert headers["x-flowspool-sandbox"] == "1"
    assert headers["content-type"] == "application/json"
    assert headers["x-ratelimit-limit"] == "50"
    assert headers["x-ratelimit-remaining"] == "49"
    assert re.fullmatch(r"sandbox1::[0-9a-f]{5}-\d{13}-[0-9a-f]{12}", headers["x-vercel-id"])
    assert s.run()[1]["x-vercel-id"] != headers["x-vercel-id"]


def test_rendering(start):
    s = start("--limiter", "none")
    assert json.loads(s.run(inputs={})[2])["result"] == NOTICE + "Write a short story about undefined"
    reply = json.loads(s.run("wf_cited", {"a": [1, "x"], "b": 1.50})[2])
    assert reply["result"] == NOTICE + '[1, "x"] and 1.5'
    assert reply["citations"] == ["https://example.org/a", {"title": "B", "url": "https://example.org/b"}]


def test_any_workflow_echoes_its_inputs(start):
    s = start("--any-workflow", "--run-id")
    status, headers, body = s.run("wf_other", {"a": 'b"'})
    reply = json.loads(body)
    assert reply["result"] == NOTICE + 'Workflow wf_other was called with {"a": "b\\""}'
    assert reply["run_id"] == headers["x-vercel-id"]
    assert s.run("wf_draft")[0] == 404


ERRORS = [
    # name, options, workflow, headers, status, body
    ("no key", [], "wf_story", {}, 401, {"error": "Unauthorized: bad or missing API key", "success": False}),
    ("empty key", [], "wf_story", {"Authorization": "Bearer "}, 401, None),
    ("wrong key", ["--key", "right"], "wf_story", AUTH, 401, None),
    ("no credits", ["--credits", "0"], "wf_story", AUTH, 402,
     {"error": "Invalid billing: no credits are left on the account", "success": False, "code": "invalid_billing"}),
    ("unknown workflow", [], "wf_none", AUTH, 404, {"error": "Workflow not found", "success": False}),
    ("not published", [], "wf_draft", AUTH, 404, {"error": "Workflow not found", "success": False}),
    ("id of a wrong form", ["--any-workflow"], "wf.none", AUTH, 404, {"error": "Workflow not found", "success": False}),
    ("refused", ["--fault", "429"], "wf_story", AUTH, 429, {"error": "Rate limit exceeded", "success": False}),
    ("failed", ["--fault", "500"], "wf_story", AUTH, 500,
     {"error": "Failed to run workflow", "success": False, "code": "internal_server_error"}),
    ("strict", ["--missing-input", "strict"], "wf_cited", AUTH, 400,
     {"error": "Missing required input: a", "success": False, "code": "missing_input"}),
]


@pytest.mark.parametrize("options,workflow,headers,status,body", [e[1:] for e in ERRORS], ids=[e[0] for e in ERRORS])
def test_errors(start, options, workflow, headers, status, body):
    s = start(*options)
    got = s.run(workflow, headers=headers)
    assert got[0] == status
    assert json.loads(got[2])["success"] is False
    if body is not None:
        assert json.loads(got[2]) == body
    assert got[1]["content-type"] == "application/json"
    assert got[1]["x-flowspool-sandbox"] == "1" and "x-vercel-id" in got[1]
    assert "x-ratelimit-limit" not in got[1] and "x-ratelimit-remaining" not in got[1] and "retry-after" not in got[1]
    assert s.stats()["runs"] == 0


def test_pages_that_are_not_the_service(start):
    s = start()
    for method, path, status in [("GET", "/", 404), ("POST", "/api/v1/run/", 404), ("POST", "/api/v1/run/wf_story/stream", 404),
                                 ("GET", "/api/v1/run/wf_story", 405), ("POST", "/sandbox/stats", 405), ("GET", "/sandbox/reset", 405)]:
        got = s.request(method, path, "{}" if method == "POST" else None)
        assert (got[0], got[1].get_content_type()) == (status, "text/plain"), path
        assert got[1]["x-flowspool-sandbox"] == "1"


def test_bodies_that_are_no_object(start):
    s = start("--limiter", "none")
    for body in ["", "[]", "{", '{"a":1}x', '{"a":"\xff"}'.encode("latin-1")]:
        status, _, reply = s.request("POST", "/api/v1/run/wf_story", body)
        assert (status, json.loads(reply)["code"]) == (400, "invalid_body"), body


def test_large_bodies(start):
    s = start("--limiter", "none")
    fits = json.dumps({"story": "x" * (4718592 - 13)})
    assert len(fits) == 4718592
    status, _, body = s.request("POST", "/api/v1/run/wf_story", fits)
    assert status == 200 and len(json.loads(body)["result"]) > 4718000
    connection = s.connect()
    connection.request("POST", "/api/v1/run/wf_story", fits + " ", AUTH)
    reply = connection.getresponse()
    assert (reply.status, reply.headers.get_content_type()) == (413, "text/plain")
    assert b"FUNCTION_PAYLOAD_TOO_LARGE" in reply.read()
    connection.request("GET", "/sandbox/stats?requests=0")  # the connection is still good
    stats = json.loads(connection.getresponse().read())
    assert stats["by_status"] == {"200": 1, "413": 1} and "requests" not in stats
    connection.close()


@pytest.mark.parametrize("options,slow", [([], True), (["--latency", "0"], False)], ids=["file", "option wins"])
def test_latency_of_a_workflow(start, options, slow):
    s = start("--limiter", "none", *options)
    begin = time.monotonic()
    assert s.run("wf_slow", {"a": 1})[0] == 200
    assert (time.monotonic() - begin >= 2.999) == slow
    assert s.run("wf_story")[0] == 200


def test_keys(start, tmp_path):
    key_file = tmp_path / "keys"
    key_file.write_text("from-file-1\r\nfrom-file-2\n")
    s = start("--key", "from-option", "--key-file", str(key_file), "--verbose", env={"FLOWSPOOL_SANDBOX_KEY": "from-environment"})
    for key in ["from-option", "from-file-1", "from-file-2", "from-environment"]:
        assert s.run(headers={"Authorization": f"Bearer {key}"})[0] == 200
    for key in ["from", "from-option2", ""]:
        assert s.run(headers={"Authorization": f"Bearer {key}"})[0] == 401
    wait_for(lambda: s.err.count("status=") == 7, "a line per request")
    assert "from-" not in s.err and "workflow=wf_story bytes=18 status=200" in s.err
