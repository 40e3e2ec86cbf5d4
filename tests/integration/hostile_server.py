#!/usr/bin/env python3
"""hostile_server - an HTTP endpoint that misbehaves on request. Python's standard library only.

    hostile_server.py [--port N] [--tls] [--default STEP] [--until-eof]

Listens on 127.0.0.1 and prints one line of JSON when it is ready:

    {"port": 40001, "control_port": 40002, "redirect_port": 40003, "ca_file": null, "pid": 4711}

`port` is the endpoint (TLS with --tls; `ca_file` is then the certificate, made by openssl(1) for
localhost and 127.0.0.1 and deleted at the end). `control_port` is always plain HTTP. It ends on SIGTERM or
SIGINT; with --until-eof also when its standard input ends, so that it cannot outlive who started it.

Control (on control_port)
    PUT  /script   the script, see below; replaces the one before and restarts its counters
    GET  /stats    what has been seen, see below
    POST /reset    forgets what has been seen
    POST /release  lets every `hold` go on that /stats has counted

Script
    A JSON object: workflow id -> step, or list of steps. The n-th POST to a workflow takes the n-th step,
    the last one repeats. "*" is for workflows that are not named (default: --default, else "ok");
    "@accept" is for new connections, before anything is read (with --tls before the handshake): "reset",
    "close", "hang", "garbage", "ok".
    A step is an object {"do": NAME, ...} or, short, "NAME" or "NAME:VALUE". For example

        {"wf_a": ["status:500", {"do": "status", "status": 429, "headers": {"Retry-After": "2"}}, "ok"],
         "wf_b": {"do": "drip", "rate": 10}, "*": "ok"}

    NAME              (value: what NAME:VALUE sets)    what happens
    ok                (result)    200, {"success": true, "result": ...}; default: the digest of the body
    status            (status)    that status; "body" (text or JSON), default: the service's form of it
    delay             (seconds)   waits, then ok
    hold              (status)    waits for POST /release, then ok, or that status
    hold-body                     waits, then ok, but all of the reply except its last byte comes before
    hang                          never answers
    reset-before-read             resets after the headers, with the body unread
    reset-after-read              resets after the whole request
    close-before-read             the same two, with a farewell instead of a reset
    close-after-read
    early             (status)    answers after the headers (413), without reading the body
    keepalive-then-die            the first request of a connection is answered and the connection kept; of
                                  the second the whole is read, and the connection closed without a reply
    keepalive-then-reset          the same with a reset
    answer-then-close             answers, announces keep-alive, and closes all the same
    cut               (bytes)     Content-Length longer by that (100) than what comes; "status" (200)
    cut-chunked                   a chunk that ends too soon
    no-last-chunk                 all chunks but the last, empty one
    bad-chunk                     a chunk length that is no number
    no-length                     the body ends with the connection
    two-lengths                   two different Content-Length headers
    bad-length        (length)    a Content-Length of that text ("-5")
    garbage                       bytes that are not HTTP
    http09                        JSON without status line and headers
    half-status                   half a status line
    half-headers                  status line and half a header
    interim-only                  100 Continue and the end
    switch                        101 Switching Protocols
    empty                         200 without a body
    html              (status)    an HTML page
    text              (status)    plain text, x-vercel-error: FUNCTION_INVOCATION_TIMEOUT (504)
    bad-utf8                      a result with bytes that are not UTF-8
    not-json                      200 with half an object
    nul                           a result with an escaped NUL
    success-false                 200, {"success": false, ...}
    success-text                  200, "success": "true"
    array                         200, an array
    duplicate-keys                200, "success" twice
    deep              (depth)     arrays in arrays (100000)
    big               (mb)        a result of that many MB (1), with its length
    huge-chunked      (mb)        an endless body in chunks (200)
    huge-length       (mb)        the same, its length announced
    drip              (rate)      the reply, so many bytes a second (1)
    drip-headers      (rate)      its headers likewise
    flood-1xx         (mb)        interim replies without end (200)
    flood-headers     (mb)        headers without end (200)
    long-header       (mb)        one header without end (200)
    trailers          (mb)        trailers without end (1)
    gzip                          a compressed body nobody asked for
    gzip-bomb         (mb)        the same, zeros when unpacked (100)
    redirect          (status)    to redirect_port, which counts what arrives (302)

    Every step may carry "headers" (an object; they come with the reply), "result" or "body" (for the
    reply's content), "wait" (seconds before anything else happens) and "held" (true: waits for POST /release before
    anything else happens).

Stats
    {"posts": 3,              requests whose headers arrived
     "whole": {"wf_a": {"{\"story\":\"a\"}": 2}},      of these, arrived whole: workflow -> body -> count
     "answered": {...},       the same, for those that got a good reply whole
     "connections": 2, "in_flight": 0, "peak": 1, "redirected": 0,
     "keys": ["Bearer ..."],  the different Authorization headers
     "last_headers": "..."}   of the last request

A request is counted before its step begins, so that a count never misses what a client may have bought.
"""
import argparse
import collections
import copy
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

from hostile_steps import DIE, OK_LINE, STEPS, UNREAD, Exchange, check_script, parse_step


class State:
    def __init__(self, default):
        self.lock = threading.Lock()
        self.default = default
        self.script = {}
        self.release = threading.Event()
        self.stopping = threading.Event()
        self.redirect_port = 0
        self.in_flight = 0
        self.reset()

    def reset(self):
        self.taken = collections.Counter()
        self.posts = self.connections = self.redirected = 0
        self.peak = self.in_flight
        self.whole, self.answered, self.keys = {}, {}, []
        self.last_headers = ""

    def step(self, name, default):
        """The next step for a workflow (or for "@accept"). With the lock held."""
        steps = self.script.get(name, default)
        steps = steps if isinstance(steps, list) else [steps]
        index = min(self.taken[name], len(steps) - 1)
        self.taken[name] += 1
        return parse_step(steps[index])

    def let_go(self):
        with self.lock:
            waiting, self.release = self.release, threading.Event()
        waiting.set()

    def count(self, table, workflow, body):
        text = body.decode("utf-8", "backslashreplace")
        bodies = table.setdefault(workflow, {})
        bodies[text] = bodies.get(text, 0) + 1

    def stats(self):
        with self.lock:
            names = ("posts", "whole", "answered", "connections", "in_flight", "peak", "redirected", "keys",
                     "last_headers")
            # A copy: what is counted meanwhile must not change what is being printed.
            return copy.deepcopy({name: getattr(self, name) for name in names})


# ---- connections ----

def run_step(x):
    """One POST to the endpoint; DIE when the connection must end."""
    state, name = x.state, x.step["do"]
    if name not in UNREAD and not x.read_body():
        return DIE
    if x.step.get("held"):
        x.release.wait()
    if state.stopping.wait(float(x.step.get("wait", 0))):
        return DIE
    return STEPS[name](x)


def serve_post(x):
    state = x.state
    with state.lock:
        # With the count: whoever has seen it may change the script or release, and means this request.
        x.step = state.step(x.workflow, state.script.get("*", state.default))
        x.release = state.release
        state.posts += 1
        state.in_flight += 1
        state.peak = max(state.peak, state.in_flight)
        state.last_headers = x.head
        key = x.header("authorization")
        if key not in state.keys:
            state.keys.append(key)
    try:
        return run_step(x)
    finally:
        with state.lock:
            state.in_flight -= 1


def serve_endpoint(state, sock, context):
    with state.lock:
        accept = state.step("@accept", "ok")["do"]
        state.connections += 1
    if accept != "ok":
        return serve_accept(state, sock, accept)
    if context is None:
        return serve_requests(state, sock)
    sock.settimeout(30)
    with context.wrap_socket(sock, server_side=True) as secure:
        secure.settimeout(None)
        return serve_requests(state, secure)


def serve_requests(state, sock):
    rest, number = b"", 0
    while True:
        x = Exchange(state, sock, number)
        if not x.read_head(rest):
            return None
        if x.method != "POST" or not x.path.startswith("/api/v1/run/"):
            x.reply(404, b"no such path", "text/plain", Connection="close")
            return None
        if serve_post(x) is DIE:
            return None
        rest, number = x.rest, number + 1


def serve_accept(state, sock, what):
    x = Exchange(state, sock, 0)
    if what == "reset":
        x.reset()
    elif what == "hang":
        state.stopping.wait()
    elif what == "garbage":
        x.send(b"SSH-2.0-hostile\r\n")


def serve_redirect(state, sock, _):
    """Whatever arrives here followed a redirect that it should not have followed."""
    if sock.recv(65536):
        with state.lock:
            state.redirected += 1
        sock.sendall(OK_LINE + b'Content-Length: 31\r\n\r\n{"success":true,"result":"bad"}')


def control(state, x):
    if x.path == "/stats" and x.method == "GET":
        return 200, state.stats()
    if x.path == "/script" and x.method in ("PUT", "POST"):
        script = json.loads(x.body)
        check_script(script)
        with state.lock:
            state.script = script
            state.taken.clear()
        return 200, {}
    if x.path == "/reset" and x.method == "POST":
        with state.lock:
            state.reset()
        return 200, {}
    if x.path == "/release" and x.method == "POST":
        state.let_go()
        return 200, {}
    return 404, {"error": "GET /stats, PUT /script, POST /reset, POST /release"}


def serve_control(state, sock, _):
    rest = b""
    while True:
        x = Exchange(state, sock, 0)
        if not x.read_head(rest) or not x.read_body():
            return
        try:
            status, answer = control(state, x)
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            status, answer = 400, {"error": str(e)}
        x.reply(status, json.dumps(answer).encode())
        rest = x.rest


def run_connection(serve, state, sock, context):
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        serve(state, sock, context)
    except (OSError, ValueError):
        pass  # the client went away, or sent nonsense
    finally:
        sock.close()


def listen(port, serve, state, context=None):
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)

    def accept():
        while True:
            try:
                sock, _ = listener.accept()
            except OSError as e:
                if state.stopping.is_set():
                    return
                print("hostile_server: accept: %s" % e, file=sys.stderr)
                time.sleep(0.05)
                continue
            threading.Thread(target=run_connection, args=(serve, state, sock, context), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def make_certificate(directory):
    key, cert = os.path.join(directory, "key.pem"), os.path.join(directory, "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["http/1.1"])
    return cert, context


def wait_for_the_end(state, until_eof):
    def stop(*_):
        state.stopping.set()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)

    def watch_stdin():
        while os.read(0, 4096):
            pass
        state.stopping.set()
    if until_eof:
        threading.Thread(target=watch_stdin, daemon=True).start()
    while not state.stopping.wait(3600):
        pass
    state.let_go()


def main():
    parser = argparse.ArgumentParser(description="an HTTP endpoint that misbehaves on request")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--default", default="ok", help="the step for workflows that the script does not name")
    parser.add_argument("--until-eof", action="store_true", help="end with the standard input")
    options = parser.parse_args()
    parse_step(options.default)
    state, directory, cert, context = State(options.default), None, None, None
    try:
        if options.tls:
            directory = tempfile.mkdtemp(prefix="hostile-server-")
            cert, context = make_certificate(directory)
        state.redirect_port = listen(0, serve_redirect, state)
        ready = {"port": listen(options.port, serve_endpoint, state, context),
                 "control_port": listen(0, serve_control, state), "redirect_port": state.redirect_port,
                 "ca_file": cert, "pid": os.getpid()}
        print(json.dumps(ready), flush=True)
        wait_for_the_end(state, options.until_eof)
    finally:
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
