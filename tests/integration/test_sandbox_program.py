"""flowspool-sandbox as a program: TLS, start and stop, signals, wrong usage, help."""

import contextlib
import http.client
import json
import re
import resource
import signal
import socket
import ssl
import subprocess
import time

import pytest
from conftest import ROOT, wait_for
from sandbox_program import AUTH, PROGRAM, start  # noqa: F401


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return str(cert), str(key)


def test_tls(start, certificate):
    cert, key = certificate
    s = start("--tls-cert", cert, "--tls-key", key, "--latency", "20ms", "--fault", "reset-after:1/2")
    assert "https://" in s.line
    context = ssl.create_default_context(cafile=cert)
    for expectation in [contextlib.nullcontext(), pytest.raises((ConnectionError, ssl.SSLError, http.client.HTTPException))]:
        connection = http.client.HTTPSConnection(s.host, s.port, context=context, timeout=30)
        with expectation:
            connection.request("POST", "/api/v1/run/wf_story", '{"story":"x"}', AUTH)
            assert json.loads(connection.getresponse().read())["success"] is True
        connection.close()
    connection = http.client.HTTPSConnection(s.host, s.port, context=context, timeout=30)
    connection.request("GET", "/sandbox/stats")
    assert json.loads(connection.getresponse().read())["runs"] == 2
    connection.close()


def test_ipv6(start):
    try:
        socket.socket(socket.AF_INET6).bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    s = start("--listen", "::1")
    assert "http://[::1]:" in s.line
    assert s.run()[0] == 200


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_stops_at_once_with_runs_in_flight(start, sig):
    s = start("--limiter", "none", "--latency", "1h", "--fault", "drip:1h:1/3")
    sockets = [s.send_raw(f'{{"story":"{i}"}}') for i in range(30)]
    wait_for(lambda: s.stats()["in_flight"] == 30, "all to be in flight")
    begin = time.monotonic()
    assert s.stop(sig) == 0
    assert time.monotonic() - begin < 10
    for sock in sockets:
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1) == b""
        sock.close()


def test_stops_while_it_drips(start):
    s = start("--fault", "drip:1h")
    sockets = [s.send_raw(f'{{"story":"{i}"}}') for i in range(5)]
    for sock in sockets:
        assert sock.recv(1)
    assert s.stop() == 0
    for sock in sockets:
        sock.close()


def test_usr1_prints_statistics(start):
    s = start()
    s.run()
    s.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: s.err.endswith("}\n"), "statistics on stderr")
    stats = json.loads(s.err)
    assert stats["runs"] == 1 and "requests" not in stats
    assert s.run()[0] == 200


def test_quiet_by_default(start):
    s = start()
    s.run()
    assert s.stop() == 0
    assert s.err == ""


def test_port_file_and_a_port_that_is_taken(start, tmp_path):
    port_file = tmp_path / "port"
    s = start("--port-file", str(port_file))
    assert port_file.read_text() == f"{s.port}\n", "it is there before the line that says where"
    assert not list(tmp_path.glob("port.*"))
    done = subprocess.run([PROGRAM, "--port", str(s.port)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "cannot listen" in done.stderr and done.stdout == ""
    s.stop()
    again = subprocess.Popen([PROGRAM, "--port", str(s.port)], stdout=subprocess.PIPE, text=True)
    try:
        assert again.stdout.readline().endswith(f":{s.port}\n"), "a port just given up can be had again"
    finally:
        again.terminate()
        again.communicate(timeout=30)


WRONG = [
    ["--port", "65536"], ["--port", "x"], ["--port"], ["--nonsense"], ["word"], ["--limiter", "leaky"], ["--limit", "0"],
    ["--window", "0"], ["--window", "25h"], ["--headers", "some"], ["--retry-after", "soon"], ["--retry-after", "5s,time"],
    ["--latency", "normal:3s"], ["--seed", "-1"], ["--fault", "418"], ["--fault", "500:200%"], ["--missing-input", "lax"],
    ["--credits", "-1"], ["--max-connections", "0"], ["--key", ""], ["--key-file", "/nonexistent"], ["--key-file", "/dev/null"],
    ["--workflows", "/nonexistent"], ["--workflows", "/dev/null"], ["--tls-cert", "/dev/null"],
    ["--tls-cert", "/nonexistent", "--tls-key", "/dev/null"], ["--tls-cert", "/dev/null", "--tls-key", "/dev/null"],
    ["--fault", "500"] * 17, ["--key", "k"] * 65, ["--key-file", "/"], ["--workflows", "/"], ["--limit", "+5"], ["--limit", " 5"],
    ["--listen", "localhost"], ["--latency", "5"], ["--latency", "uniform:3s,1s"], ["--latency", "lognormal:sigma=1"],
    ["--fault", "drip:slow"], ["--fault", "huge:big"], ["--cache=yes"],
]


@pytest.mark.parametrize("options", WRONG, ids=lambda o: " ".join(o[:2]))
def test_wrong_usage(options):
    done = subprocess.run([PROGRAM, "--port", "0", *options], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and done.stdout == ""
    # The option, or the file that it named; and one or two lines, not a page.
    assert any(option.lstrip("-").partition("=")[0] in done.stderr for option in options), done.stderr
    assert done.stderr.count("\n") <= 2 and "flowspool-sandbox" in done.stderr


def test_a_fault_in_the_workflow_file_is_located(tmp_path):
    path = tmp_path / "w.yaml"
    path.write_text("workflows:\n  wf_a:\n    template: x\n    publish: true\n")
    done = subprocess.run([PROGRAM, "--port", "0", "--workflows", str(path)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert done.stderr == f"flowspool-sandbox: {path}:4:5: a workflow has template, published, latency and citations, no other key\n"


@pytest.mark.parametrize("options", [["--listen", "192.0.2.1"], ["--port-file", "/nonexistent/port"]], ids=lambda o: o[0])
def test_what_it_cannot_do_there(options):
    """Right usage on a machine that does not allow it: another status, and nothing says that it listens."""
    done = subprocess.run([PROGRAM, "--port", "0", *options], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and done.stdout == "" and options[1] in done.stderr


def test_few_descriptors_are_said(tmp_path):
    port_file = tmp_path / "port"
    with open(tmp_path / "err", "wb") as err:
        process = subprocess.Popen([PROGRAM, "--port", "0", "--port-file", str(port_file)], stdout=subprocess.DEVNULL, stderr=err,
                                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)))
    try:
        wait_for(port_file.exists, "the port file")
        found = re.fullmatch(r"flowspool-sandbox: descriptors allow only (\d+) connections\n", (tmp_path / "err").read_text())
        assert found and 100 < int(found[1]) < 200
    finally:
        process.terminate()
        assert process.wait(30) == 0


def test_help_and_manual_agree():
    done = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 80, "fits a screen"
    assert "Example: flowspool-sandbox" in done.stdout
    in_help = set(re.findall(r"--([a-z-]+)", done.stdout)) | {"help", "version"}
    manual = (ROOT / "man" / "flowspool-sandbox.1").read_text()
    assert in_help == set(re.findall(r"^\.It Fl -([a-z-]+)", manual, re.M))
    version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, timeout=30)
    assert re.fullmatch(r"flowspool-sandbox \d+\.\d+\.\d+\n", version.stdout)
