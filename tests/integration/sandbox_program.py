"""A running flowspool-sandbox, seen from outside, and the fixture that starts it."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest
from conftest import BIN

PROGRAM = str(BIN / "flowspool-sandbox")
WORKFLOWS = """
workflows:
  wf_story: {template: "Write a short story about {{story}}"}
  wf_cited:
    template: "{{a}} and {{b}}"
    citations: [https://example.org/a, {title: B, url: https://example.org/b}]
  wf_slow: {template: "slow {{a}}", latency: 3s}
  wf_draft: {template: x, published: false}
"""
NOTICE = "[flowspool-sandbox: this is the rendered template; no language model was asked]\n\n"
AUTH = {"Authorization": "Bearer some-key", "Content-Type": "application/json"}


class Sandbox:
    def __init__(self, tmp_path, *options, env=None):
        self.err_path = tmp_path / f"stderr-{time.monotonic_ns()}"
        workflows = tmp_path / "workflows.yaml"
        workflows.write_text(WORKFLOWS)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FLOWSPOOL_SANDBOX")}
        environment.update(env or {})
        with open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(
                [PROGRAM, "--port", "0", "--workflows", str(workflows), *options],
                stdout=subprocess.PIPE, stderr=err, env=environment, text=True)
        self.line = self.process.stdout.readline()
        found = re.fullmatch(r"flowspool-sandbox: listening on (https?)://(\S+):(\d+)\n", self.line)
        assert found, self.line + self.err
        self.host, self.port = found[2].strip("[]"), int(found[3])

    @property
    def err(self):
        return self.err_path.read_text(errors="replace")

    def connect(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=30)

    def request(self, method, path, body=None, headers=AUTH):
        """(status, headers, body)"""
        connection = self.connect()
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read()
        finally:
            connection.close()

    def run(self, workflow="wf_story", inputs=None, headers=AUTH):
        inputs = {"story": "a dog"} if inputs is None else inputs
        return self.request("POST", f"/api/v1/run/{workflow}", json.dumps(inputs), headers)

    def stats(self):
        status, _, body = self.request("GET", "/sandbox/stats")
        assert status == 200
        return json.loads(body)

    def send_raw(self, inputs='{"story":"a dog"}', workflow="wf_story"):
        """Sends one request and returns the socket, unread."""
        s = socket.create_connection((self.host, self.port), timeout=30)
        s.sendall(raw_request(inputs, workflow))
        return s

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            out, _ = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        assert "Sanitizer" not in self.err and "runtime error:" not in self.err, self.err
        assert out == "", "one line on stdout, not more"
        return self.process.returncode


def raw_request(body, workflow="wf_story"):
    return (f"POST /api/v1/run/{workflow} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


@pytest.fixture
def start(tmp_path):
    started = []

    def go(*options, **keys):
        started.append(Sandbox(tmp_path, *options, **keys))
        return started[-1]

    yield go
    for s in started:
        if s.process.returncode is None:
            assert s.stop() == 0
