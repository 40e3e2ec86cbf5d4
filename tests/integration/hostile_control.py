"""Talks to the control port of hostile_server.py; see there for steps and statistics."""

import json
import urllib.request


def ask(server, method, path, body=None):
    url = f"http://127.0.0.1:{server.about['control_port']}{path}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, method=method, data=data), timeout=10) as reply:
        return json.loads(reply.read())


def script(server, **steps):
    """What each workflow answers from now on; all="…" is for those that are not named."""
    if "all" in steps:
        steps["*"] = steps.pop("all")
    ask(server, "PUT", "/script", steps)


def stats(server):
    return ask(server, "GET", "/stats")


def posts(server, workflow=None):
    """Requests that arrived: all of them, or those of one workflow that arrived whole."""
    seen = stats(server)
    return seen["posts"] if workflow is None else sum(seen["whole"].get(workflow, {}).values())


def release(server):
    """Lets every waiting `hold` go on."""
    ask(server, "POST", "/release")
