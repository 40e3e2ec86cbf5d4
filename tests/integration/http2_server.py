"""An HTTP/2 endpoint over TLS, just large enough to be misbehaved with. Python's standard library only.

Http2Server(certificate, key, serve) listens on 127.0.0.1 and calls serve(connection, request) on the thread of the
connection for every request that has arrived whole. It answers nothing of its own accord. Request headers are not
decoded: requests are told apart by their bodies. A client that wants HTTP/1.1 gets it, with a plain success.
"""

import json
import socket
import ssl
import struct
import subprocess
import threading

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
REFUSED_STREAM = 7


def make_certificate(directory):
    """(certificate, key) for 127.0.0.1, signed by itself."""
    cert, key = directory / "h2.pem", directory / "h2.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                    "-out", cert, "-days", "2", "-subj", "/CN=h2", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return cert, key


def success(size=10):
    return json.dumps({"success": True, "result": "x" * size}).encode()


class Request:
    def __init__(self, stream):
        self.stream = stream
        self.body = b""


class Connection:
    """One of a client's connections; everything happens on one thread."""

    def __init__(self, server, sock):
        self.server = server
        self.sock = sock
        self.open = {}
        self.whole = []  # requests, in the order in which they ended
        self.ended = False

    def frame(self, kind, flags, stream, payload=b""):
        self.sock.sendall(struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload)

    def reply(self, request, body, end=True, announced=False):
        """A 200; without end the stream stays open, as if there were more. Announced: with its length."""
        headers = {b"content-type": b"application/json"}
        if announced:
            headers[b"content-length"] = str(len(body)).encode()
        block = b"\x88"  # ":status: 200" of the static table
        for name, value in headers.items():
            block += bytes((0, len(name))) + name + bytes((len(value),)) + value  # a literal, not to be indexed
        self.frame(HEADERS, END_HEADERS, request.stream, block)
        for at in range(0, len(body), 16384):
            self.frame(DATA, 0, request.stream, body[at:at + 16384])
        if end:
            self.frame(DATA, END_STREAM, request.stream)

    def refuse(self, request):
        """REFUSED_STREAM: the server's word that it did nothing with it."""
        self.frame(RST_STREAM, 0, request.stream, struct.pack(">I", REFUSED_STREAM))

    def go_away(self, last):
        self.frame(GOAWAY, 0, 0, struct.pack(">II", last, 0))

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.sock.close()
        self.ended = True

    def finish(self):
        """The orderly end: nothing more to say, and what the client still sends is read."""
        self.sock.shutdown(socket.SHUT_WR)
        while self.sock.recv(65536):
            pass
        self.close()

    def read(self, size):
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            if not more:
                raise ConnectionError("the client went away")
            data += more
        return data

    def run(self):
        if self.read(len(PREFACE)) != PREFACE:
            raise ConnectionError("not HTTP/2")
        self.frame(SETTINGS, 0, 0)
        while not self.ended:
            head = self.read(9)
            payload = self.read(int.from_bytes(head[:3], "big"))
            self.take(head[3], head[4], int.from_bytes(head[5:], "big"), payload)

    def take(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            self.frame(SETTINGS, ACK, 0)
        elif kind == PING and not flags & ACK:
            self.frame(PING, ACK, 0, payload)
        elif kind == HEADERS:
            self.open[stream] = Request(stream)
            self.server.requests += 1
        elif kind == DATA and stream in self.open:
            self.open[stream].body += payload
        if kind in (HEADERS, DATA) and flags & END_STREAM and stream in self.open:
            request = self.open.pop(stream)
            self.whole.append(request)
            self.server.bodies.append(request.body.decode())
            self.server.serve(self, request)


class Http2Server:
    def __init__(self, certificate, key, serve):
        self.serve = serve
        self.requests = 0  # begun, over HTTP/2
        self.bodies = []  # of the requests that arrived whole, over whatever
        self.protocols = []  # one a connection
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(plain,), daemon=True).start()

    def talk(self, plain):
        try:
            with self.context.wrap_socket(plain, server_side=True) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.protocols.append(sock.selected_alpn_protocol())
                if self.protocols[-1] == "h2":
                    Connection(self, sock).run()
                else:
                    self.talk_http_1(sock)
        except OSError:
            pass  # the client's end of it is what the tests look at

    def talk_http_1(self, sock):
        stream = sock.makefile("rb")
        while line := stream.readline():
            length = 0
            while line.strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                line = stream.readline()
            self.bodies.append(stream.read(length).decode())
            body = success()
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
