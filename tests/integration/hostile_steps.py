"""What hostile_server.py can do to a request: one function a step. See there for what they mean."""
import gzip
import hashlib
import json
import socket
import struct

MB = 1 << 20
DIE = object()  # what a step returns when its connection must end

# What NAME:VALUE sets, and its type.
VALUES = {
    "ok": ("result", str), "status": ("status", int), "delay": ("seconds", float), "early": ("status", int),
    "hold": ("status", int),
    "cut": ("bytes", int), "bad-length": ("length", str), "html": ("status", int), "text": ("status", int),
    "deep": ("depth", int), "big": ("mb", float), "huge-chunked": ("mb", float), "huge-length": ("mb", float),
    "drip": ("rate", float), "drip-headers": ("rate", float), "flood-1xx": ("mb", float),
    "flood-headers": ("mb", float), "long-header": ("mb", float), "trailers": ("mb", float),
    "gzip-bomb": ("mb", float), "redirect": ("status", int),
}


def parse_step(step):
    if isinstance(step, str):
        name, colon, value = step.partition(":")
        step = {"do": name}
        if colon:
            key, kind = VALUES[name]
            step[key] = kind(value)
    if step["do"] not in STEPS and step["do"] not in ACCEPT_STEPS:
        raise ValueError("unknown step: %s" % step["do"])
    return step


def check_script(script):
    for steps in script.values():
        for step in steps if isinstance(steps, list) else [steps]:
            parse_step(step)


class Exchange:
    """One request on a connection, and the means to answer it."""

    def __init__(self, state, sock, number):
        self.state, self.sock, self.number = state, sock, number
        self.method = self.path = self.workflow = self.head = ""
        self.body, self.rest, self.length = b"", b"", 0
        self.step = {}
        self.release = None  # what lets a `hold` go on

    # ---- reading ----

    def read_head(self, rest):
        data = rest
        while b"\r\n\r\n" not in data:
            more = self.sock.recv(65536)
            if not more or len(data) > MB:
                return False
            data += more
        head, _, self.rest = data.partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        self.method, self.path = (self.head.split("\r\n")[0].split(" ") + ["", ""])[:2]
        self.length = int(self.header("content-length") or 0)
        self.workflow = self.path.rpartition("/")[2]
        return True

    def header(self, name):
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.strip().lower() == name:
                return value.strip()
        return None

    def read_body(self):
        data = self.rest
        while len(data) < self.length:
            more = self.sock.recv(65536)
            if not more:
                return False
            data += more
        self.body, self.rest = data[:self.length], data[self.length:]
        if self.method == "POST" and self.path.startswith("/api/"):
            with self.state.lock:
                self.state.count(self.state.whole, self.workflow, self.body)
        return True

    # ---- writing ----

    def send(self, data):
        self.sock.sendall(data)

    def head_bytes(self, status, headers):
        lines = ["HTTP/1.1 %d Status" % status]
        for key, value in {**headers, **self.step.get("headers", {})}.items():
            lines.append("%s: %s" % (key, value))
        return ("\r\n".join(lines) + "\r\n").encode("latin-1")

    def reply(self, status, body, kind="application/json", **headers):
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        head = self.head_bytes(status, {"Content-Type": kind, "Content-Length": len(body), **headers})
        self.send(head + b"\r\n" + body)

    def success(self):
        """The content of a good reply, as the step wants it."""
        body = self.step.get("body")
        if body is not None:
            return body.encode() if isinstance(body, str) else json.dumps(body).encode()
        result = self.step.get("result", "digest " + hashlib.sha256(self.body).hexdigest())
        return json.dumps({"success": True, "result": result}).encode()

    def ok(self):
        body = self.success()
        self.reply(200, body)
        self.answered()

    def answered(self):
        with self.state.lock:
            self.state.count(self.state.answered, self.workflow, self.body)

    def reset(self):
        """The connection ends with a reset instead of a farewell."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return DIE

    def farewell(self):
        """The connection ends properly, although there are bytes that nobody wanted to read."""
        self.sock.shutdown(socket.SHUT_WR)
        while self.sock.recv(65536):  # else they turn the farewell into a reset
            pass
        return DIE

    def flood(self, unit, default=200.0):
        """The same again and again, up to a stated amount or until the client goes away."""
        left = int(self.step.get("mb", default) * MB)
        block = unit * max(1, 65536 // len(unit))
        while left > 0:
            self.send(block)
            left -= len(block)
        return DIE

    def chunk(self, data):
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def drip(self, data):
        rate = float(self.step.get("rate", 1))
        for i in range(len(data)):
            self.send(data[i:i + 1])
            if self.state.stopping.wait(1 / rate):
                return DIE
        return None


# ---- the steps; each has read the whole request, unless it is in UNREAD ----

STEPS, UNREAD = {}, set()
ACCEPT_STEPS = {"ok", "reset", "close", "hang", "garbage"}


def step(name, unread=False):
    def add(function):
        STEPS[name] = function
        if unread:
            UNREAD.add(name)
        return function
    return add


def raw(name, data):
    """A step that says exactly these bytes and closes."""
    def say(x):
        x.send(data)
        return DIE
    STEPS[name] = say


def fixed(name, body, status=200, kind="application/json"):
    """A step that answers properly with this content."""
    STEPS[name] = lambda x: x.reply(int(x.step.get("status", status)), body, kind)


CHUNKED = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
OK_LINE = b"HTTP/1.1 200 OK\r\n"

raw("garbage", b"\x16\x03\x01\x00\xff this is not HTTP\r\n\r\n\x00\x01\x02")
raw("http09", b'{"success": true, "result": "no status line"}')
raw("half-status", b"HTTP/1.1 2")
raw("half-headers", OK_LINE + b"Content-Le")
raw("interim-only", b"HTTP/1.1 100 Continue\r\n\r\n")
raw("switch", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nwhatever")
fixed("empty", b"")
fixed("html", b"<!doctype html><title>Oh</title><p>Something went wrong.</p>", kind="text/html")
fixed("bad-utf8", b'{"success": true, "result": "\xff\xfe \xc3( \xed\xa0\x80"}')
fixed("not-json", b'{"success": true, "result": "broken off')
fixed("nul", b'{"success": true, "result": "a\\u0000b"}')
fixed("success-false", b'{"success": false, "error": "The workflow said no"}')
fixed("success-text", b'{"success": "true", "result": "x"}')
fixed("array", b'[{"success": true, "result": "x"}]')
fixed("duplicate-keys", b'{"success": false, "success": true, "result": "x"}')


@step("ok")
def _(x):
    x.ok()


ERRORS = {401: "Unauthorized", 402: "Invalid billing", 404: "Workflow not found", 429: "Rate limit exceeded",
          500: "Failed to run workflow"}


@step("status")
def answer_status(x):
    status = int(x.step.get("status", 500))
    if status < 400 or "body" in x.step:
        body = x.success()
    else:
        body = json.dumps({"error": ERRORS.get(status, "Status %d" % status), "success": False}).encode()
    x.reply(status, body)


@step("delay")
def _(x):
    if x.state.stopping.wait(float(x.step.get("seconds", 1))):
        return DIE
    return x.ok()


@step("hold")
def _(x):
    x.release.wait()
    if x.state.stopping.is_set():
        return DIE
    return answer_status(x) if "status" in x.step else x.ok()


@step("hold-body")
def _(x):
    body = x.success()
    x.send(x.head_bytes(200, {"Content-Type": "application/json", "Content-Length": len(body)}) + b"\r\n" + body[:-1])
    x.release.wait()
    if x.state.stopping.is_set():
        return DIE
    x.send(body[-1:])
    return x.answered()


@step("hang")
def _(x):
    x.state.stopping.wait()
    return DIE


@step("reset-before-read", unread=True)
def _(x):
    return x.reset()


@step("reset-after-read")
def _(x):
    return x.reset()


@step("close-before-read", unread=True)
def _(x):
    return x.farewell()


@step("close-after-read")
def _(x):
    return DIE


@step("early", unread=True)
def _(x):
    x.reply(int(x.step.get("status", 413)), b"Request Entity Too Large", "text/plain", Connection="close")
    return x.farewell()


@step("keepalive-then-die")
def _(x):
    return x.ok() if x.number == 0 else DIE


@step("keepalive-then-reset")
def _(x):
    return x.ok() if x.number == 0 else x.reset()


@step("answer-then-close")
def _(x):
    x.ok()
    return DIE


@step("cut")
def _(x):
    body = x.success()
    missing = int(x.step.get("bytes", 100))
    x.send(x.head_bytes(int(x.step.get("status", 200)), {"Content-Length": len(body) + missing}) + b"\r\n" + body)
    return DIE


@step("cut-chunked")
def _(x):
    body = x.success()
    x.send(x.head_bytes(200, CHUNKED) + b"\r\n%x\r\n" % (len(body) + 100) + body)
    return DIE


@step("no-last-chunk")
def _(x):
    x.send(x.head_bytes(200, CHUNKED) + b"\r\n")
    x.chunk(x.success())
    return DIE


@step("bad-chunk")
def _(x):
    x.send(x.head_bytes(200, CHUNKED) + b"\r\nzz\r\n" + x.success())
    return DIE


@step("no-length")
def _(x):
    x.send(x.head_bytes(200, {"Connection": "close"}) + b"\r\n" + x.success())
    x.answered()
    return DIE


@step("two-lengths")
def _(x):
    body = x.success()
    x.send(OK_LINE + b"Content-Length: %d\r\nContent-Length: %d\r\n\r\n" % (len(body) + 7, len(body)) + body)
    return DIE


@step("bad-length")
def _(x):
    x.send(x.head_bytes(200, {"Content-Length": x.step.get("length", "-5")}) + b"\r\n" + x.success())
    return DIE


@step("text")
def _(x):
    x.reply(int(x.step.get("status", 504)), b"An error occurred with your deployment\n", "text/plain",
            x_vercel_error="FUNCTION_INVOCATION_TIMEOUT", x_vercel_id="fra1::hostile")


@step("deep")
def _(x):
    depth = int(x.step.get("depth", 100000))
    x.reply(200, b'{"success": true, "result": ' + b"[" * depth + b"]" * depth + b"}")


@step("big")
def _(x):
    x.step.setdefault("result", "r" * int(x.step.get("mb", 1) * MB))
    x.ok()


@step("huge-chunked")
def _(x):
    x.send(x.head_bytes(200, CHUNKED) + b"\r\n")
    return x.flood(b"%x\r\n%s\r\n" % (8192, b"a" * 8192))


@step("huge-length")
def _(x):
    x.send(x.head_bytes(200, {"Content-Length": int(x.step.get("mb", 200) * MB)}) + b"\r\n")
    return x.flood(b"a" * 65536)


@step("drip")
def _(x):
    body = x.success()
    x.send(x.head_bytes(200, {"Content-Length": len(body)}) + b"\r\n")
    if x.drip(body) is DIE:
        return DIE
    return x.answered()


@step("drip-headers")
def _(x):
    body = x.success()
    if x.drip(x.head_bytes(200, {"Content-Length": len(body)}) + b"\r\n") is DIE:
        return DIE
    x.send(body)
    return x.answered()


@step("flood-1xx")
def _(x):
    return x.flood(b"HTTP/1.1 100 Continue\r\n\r\n")


@step("flood-headers")
def _(x):
    x.send(OK_LINE)
    return x.flood(b"x-filler: " + b"a" * 100 + b"\r\n")


@step("long-header")
def _(x):
    x.send(OK_LINE + b"x-filler: ")
    return x.flood(b"a" * 1024)


@step("trailers")
def _(x):
    x.send(x.head_bytes(200, CHUNKED) + b"\r\n")
    x.chunk(x.success())
    x.send(b"0\r\n")
    return x.flood(b"x-filler: " + b"a" * 100 + b"\r\n", 1.0)


@step("gzip")
def _(x):
    x.reply(200, gzip.compress(x.success()), Content_Encoding="gzip")


@step("gzip-bomb")
def _(x):
    x.reply(200, gzip.compress(b"\0" * int(x.step.get("mb", 100) * MB)), Content_Encoding="gzip")


@step("redirect")
def _(x):
    target = "http://127.0.0.1:%d%s" % (x.state.redirect_port, x.path)
    x.reply(int(x.step.get("status", 302)), b"", Location=target)
