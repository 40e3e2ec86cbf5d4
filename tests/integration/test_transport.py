"""The wire: TLS and whom it trusts, HTTP/2, proxies, a server that is away for a while."""

import pathlib
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from conftest import FAST, KEY, stop, wait_for
from hostile_control import posts, stats


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """certificates(name, subject alternative names): (certificate, key), signed by itself."""
    place = tmp_path_factory.mktemp("certificates")

    def make(name, names="DNS:localhost,IP:127.0.0.1"):
        cert, key = place / f"{name}.pem", place / f"{name}.key"
        if not cert.exists():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                            "-out", cert, "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}"],
                           check=True, capture_output=True)
        return cert, key

    return make


class Proxy:
    """A proxy that makes tunnels and remembers what it could read."""

    def __init__(self, refuse=False):
        self.refuse = refuse
        self.heads = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client:
            data = b""
            while b"\r\n\r\n" not in data:
                more = client.recv(65536)
                if not more:
                    return
                data += more
            self.heads.append(data.decode("latin-1"))
            method, target, _ = data.split(b"\r\n")[0].split(b" ")
            if self.refuse:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            if method != b"CONNECT":
                return
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            name, _, port = target.decode().partition(":")
            with socket.create_connection((name, int(port))) as server:
                threading.Thread(target=self.pump, args=(client, server), daemon=True).start()
                self.pump(server, client)

    @staticmethod
    def pump(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


@pytest.fixture
def proxy():
    opened = []

    def start(**keys):
        opened.append(Proxy(**keys))
        return opened[-1]

    yield start
    for p in opened:
        p.close()


def tls(sandbox, certificates, *options, **keys):
    cert, key = certificates(**keys) if keys else certificates("right")
    return sandbox("--limiter", "none", "--tls-cert", cert, "--tls-key", key, *options), cert


# --- TLS ---


def test_tls_with_a_ca_file(spool, sandbox, once, certificates):
    server, cert = tls(sandbox, certificates)
    for i in range(10):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    assert once(server.url, config=f"ca_file: {cert}\n")[0] == 0
    assert spool.result("j0")["endpoint"] == server.url
    assert "https://" in server.url


@pytest.mark.parametrize("trust", ["none", "wrong ca", "wrong name"])
def test_a_certificate_that_proves_nothing(spool, hostile, sandbox, daemon, certificates, trust):
    """Nothing is sent, not even once; the endpoint is held, no attempt counts, and the right anchor ends it."""
    if trust == "wrong name":
        cert, key = certificates("elsewhere", "DNS:elsewhere.example")
        anchor = f"ca_file: {cert}\n"
    else:
        cert, key = certificates("right")
        anchor = f"ca_file: {certificates('wrong')[0]}\n" if trust == "wrong ca" else ""
    server = sandbox("--limiter", "none", "--tls-cert", cert, "--tls-key", key)
    spool.drop("a.yaml")
    d = daemon(server.url, config="confine: off\n" + anchor)  # the anchor comes from a directory that is not known yet
    d.logged("the endpoint is away")
    line = next(x for x in d.log.splitlines() if "the endpoint is away" in x)
    assert "nothing could be sent" in line and ("certificate" in line.lower() or "SSL" in line), line
    assert spool.outcomes() == []
    if trust != "wrong name":
        d.config_file.write_text(FAST + f"confine: off\nca_file: {cert}\n")
        d.send(signal.SIGHUP)
        assert spool.outcome("a")["attempts"] == 1
    assert d.stop() == 0


def test_no_option_turns_verification_off(spool, daemon):
    for option in ("insecure: true", "verify: false", "tls_verify: false"):
        d = daemon("https://127.0.0.1:9", config=option + "\n")
        assert d.wait() == 2
        assert "unknown key" in d.log


def test_the_environment_does_not_choose_whom_to_trust(spool, sandbox, daemon, certificates):
    server, cert = tls(sandbox, certificates)
    spool.drop("a.yaml")
    d = daemon(server.url, env={"SSL_CERT_FILE": str(cert), "CURL_CA_BUNDLE": str(cert)})
    d.logged("the endpoint is away")
    assert "certificate" in d.log and spool.outcomes() == []
    assert d.stop() == 0


def connections_to(port):
    """Established connections of this machine to that port."""
    count = 0
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, _, remote, state = line.split()[:4]
        count += state == "01" and int(remote.rpartition(":")[2], 16) == port
    return count


NGHTTPX = shutil.which("nghttpx") or shutil.which("nghttpx", path="/usr/sbin")


@pytest.mark.skipif(NGHTTPX is None, reason="nghttpx (nghttp2-proxy) is not installed; the sandbox speaks HTTP/1.1 only")
def test_requests_share_a_connection_where_tls_offers_http_2(spool, sandbox, daemon, certificates, tmp_path, port):
    server = sandbox("--limiter", "none", "--latency", "2s")
    cert, key = certificates("right")
    with open(tmp_path / "nghttpx.log", "wb") as log:
        front = subprocess.Popen([NGHTTPX, "--conf=/dev/null", f"--frontend=127.0.0.1,{port}",
                                  f"--backend=127.0.0.1,{server.url.rpartition(':')[2]}", "--backend-connections-per-host=200", key, cert],
                                 stdout=log, stderr=log)
    try:
        wait_for(lambda: listening(port), "nghttpx to listen")
        for i in range(60):
            spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
        d = daemon(f"https://127.0.0.1:{port}", "--max-concurrency", 30, config=f"ca_file: {cert}\n")
        wait_for(lambda: server.stats()["in_flight"] == 30, "thirty requests in flight")
        assert connections_to(port) <= 2
        wait_for(lambda: len(spool.outcomes()) == 60, "all outcomes")
        assert all(p.endswith(".result.json") for p in spool.outcomes())
        assert server.stats()["requests_total"] == 60
        assert d.stop() == 0
    finally:
        stop(front, signal.SIGKILL)


def listening(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


# --- proxies ---


def test_the_environments_proxy_is_not_used(spool, hostile, proxy, once):
    server, other = hostile(), proxy()
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    spool.drop("a.yaml")
    assert once(server.url, env={name: other.url for name in names})[0] == 0
    assert posts(server) == 1
    assert other.heads == []


def test_a_configured_proxy_is_used(spool, hostile, proxy, once):
    """As a tunnel, also without TLS: a proxy that relays requests may send one again by itself."""
    server, via = hostile(), proxy()
    spool.drop("a.yaml")
    assert once(server.url, config=f"proxy: {via.url}\n", env={"no_proxy": "*", "NO_PROXY": "127.0.0.1"})[0] == 0
    assert posts(server) == 1
    assert len(via.heads) == 1
    assert via.heads[0].startswith("CONNECT " + server.url.removeprefix("http://") + " ") and KEY not in via.heads[0]


def test_a_proxy_does_not_see_the_key_of_a_tls_endpoint(spool, sandbox, proxy, once, certificates):
    server, cert = tls(sandbox, certificates)
    via = proxy()
    spool.drop("a.yaml")
    assert once(server.url, config=f"proxy: {via.url}\nca_file: {cert}\n")[0] == 0
    assert spool.result("a")["endpoint"] == server.url
    assert via.heads and all(head.startswith("CONNECT ") and KEY not in head for head in via.heads)


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_a_proxy_that_refuses(spool, hostile, sandbox, proxy, daemon, certificates, secure):
    """407 is the way to the endpoint, not the job: a hold, and no attempt counts."""
    server = tls(sandbox, certificates)[0] if secure else hostile()
    via = proxy(refuse=True)
    spool.drop("a.yaml")
    d = daemon(server.url, config=f"proxy: {via.url}\n" + (f"ca_file: {certificates('right')[0]}\n" if secure else ""))
    d.logged("the endpoint is away")
    assert "407" in d.log
    assert spool.outcomes() == []
    via.refuse = False
    assert spool.outcome("a")["attempts"] == 1
    assert d.stop() == 0


def test_a_proxy_that_is_not_there(spool, hostile, daemon):
    server = hostile()
    spool.drop("a.yaml")
    d = daemon(server.url, config="proxy: http://127.0.0.1:9\n")
    d.logged("the endpoint is away")
    assert posts(server) == 0
    assert d.stop() == 0


# --- away and back ---


def test_a_server_that_is_away_costs_no_attempt(spool, sandbox, daemon, port):
    """Stopped under load and started again on its port: what it had read is ambiguous, all else waits, and every job ends
    with a result."""
    server = sandbox("--limiter", "none", "--latency", "500ms", port=port)
    for i in range(60):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    d = daemon(server.url, "--max-concurrency", 4, config="retry: {base: 10ms, cap: 50ms, max_attempts: 1}\n")
    wait_for(lambda: server.stats()["runs"] >= 8, "some runs")
    server.process.kill()
    server.process.wait()
    d.logged("the endpoint is away")
    again = sandbox("--limiter", "none", port=port)
    wait_for(lambda: len(spool.outcomes()) == 60, "all outcomes")
    outcomes = [spool.result(f"j{i}") for i in range(60)]
    assert all(outcomes), "max_attempts is 1: an attempt that counted would have failed the job"
    assert sum(o["ambiguous"] for o in outcomes) <= 4
    assert again.stats()["runs"] >= 20
    assert d.stop() == 0


def test_the_key_does_not_go_to_another_port(spool, hostile, daemon):
    """A redirect within the same machine is a redirect all the same."""
    server = hostile("--default", "redirect:307")
    spool.drop("a.yaml")
    d = daemon(server.url)
    d.logged("the endpoint is away")
    assert stats(server)["redirected"] == 0
    assert d.stop() == 0
