#!/usr/bin/python3
"""How near flowspoold comes to a rate limit on real sockets, beside what people write. Prints a table and judges nothing.

    rate_on_sockets.py [--quick] [--case NAME]... [--peer NAME]... [--seed N] [--json]

A row is one run of one peer against a fresh flowspool-sandbox on the loopback address, from the start of the command to
its end. The least possible time is that of a client that knows the limiter and loses no time on the way, with at most
256 in flight: greedy, and with the very latencies that the sandbox draws from the seed, the nth admitted request getting
the nth. (Where there is no limit, cookbook can be faster: it has any number in flight.) Nobody tells flowspoold
anything; it starts without a memory, but in the case warm.

    flowspoold  flowspoold --once with default settings
    asyncio     a semaphore, and a pause that doubles after each 429 (rate_peers.py)
    cookbook    a budget of requests a minute, which it is told, and 15 s of pause after a 429 (rate_peers.py)
    curl        xargs with so many curl at a time, each with --retry and one second between tries

A run that takes --at-most times the least possible (and 10 s) is stopped; its row shows what was done by then. The
programs are those in $FLOWSPOOL_BIN_DIR (default: build/release/bin in the tree). --quick cuts a case to a tenth of its
jobs and a quarter of its latency, and runs only the first case unless told which. All of it takes about half an hour,
or with --at-once 4, which is fair only where the machine stays idle enough, ten minutes.
"""

import argparse
import collections
import concurrent.futures
import heapq
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("FLOWSPOOL_BIN_DIR", ROOT / "build" / "release" / "bin"))
PEERS = ["flowspoold", "asyncio", "cookbook", "curl"]
IN_FLIGHT = 256
SIGMA = 0.6

# many: what somebody who tries a few numbers gives a script, about twice what the limit can keep busy.
Case = collections.namedtuple("Case", "name jobs kind limit window_ms median_ms many headers warm", defaults=["success", False])
CASES = [
    Case("10-per-1s", 400, "sliding", 10, 1000, 2000, 50),
    Case("50-per-1s", 2000, "sliding", 50, 1000, 3000, 256),
    Case("no-headers", 300, "sliding", 10, 1000, 2000, 50, headers="none"),
    Case("log-60-per-10s", 240, "log", 60, 10000, 1300, 20),
    Case("fixed-60-per-10s", 240, "fixed", 60, 10000, 1300, 20),
    Case("warm", 400, "sliding", 10, 1000, 2000, 50, warm=True),
    Case("no-limit", 500, "none", 10, 1000, 1000, 256),
]


# --- The least possible ---

class Draws:
    """src/sandbox/random.c and latency.c again: the same seed gives the same latencies."""

    def __init__(self, seed, median_ms):
        self.state, self.median_ms = seed, median_ms

    def uniform(self):
        mask = 2**64 - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        z ^= z >> 31
        return (z >> 11) * 2.0**-53

    def latency_ms(self):
        u1, u2 = self.uniform(), self.uniform()
        normal = math.sqrt(-2 * math.log(1 - u1)) * math.cos(2 * math.pi * u2)
        return min(300000, int(self.median_ms * math.exp(SIGMA * normal)))


class Limiter:
    """The three of src/sandbox/limiter.c that the cases use, and none."""

    def __init__(self, case):
        self.kind, self.limit, self.window = case.kind, case.limit, case.window_ms
        self.start, self.current, self.previous = 0, 0, 0
        self.admitted = collections.deque()

    def take(self, t):
        if self.kind == "none":
            return True
        if self.kind == "log":
            return self.take_logged(t)
        start = t - t % self.window
        if start != self.start:
            self.previous = self.current if start == self.start + self.window else 0
            self.start, self.current = start, 0
        before = (self.window - (t - start)) * self.previous // self.window if self.kind == "sliding" else 0
        if self.current + before >= self.limit:
            return False
        self.current += 1
        return True

    def take_logged(self, t):
        while self.admitted and self.admitted[0] <= t - self.window:
            self.admitted.popleft()
        if len(self.admitted) >= self.limit:
            return False
        self.admitted.append(t)
        return True


def least_s(case, seed, begun_ms):
    """From begun_ms, Unix time, until a greedy client has its last reply."""
    limiter, draws = Limiter(case), Draws(seed, case.median_ms)
    ends, t, last = [], begun_ms, begun_ms
    for _ in range(case.jobs):
        if len(ends) == IN_FLIGHT:
            t = max(t, heapq.heappop(ends))
        while not limiter.take(t):
            t += 1
        ended = t + draws.latency_ms()
        heapq.heappush(ends, ended)
        last = max(last, ended)
    return (last - begun_ms) / 1000


# --- Processes ---

running = set()
interrupted = threading.Event()


def end(process):
    """Ends a process and those that it started: each was given a group of its own."""
    running.discard(process)
    for sig, patience in [(signal.SIGTERM, 3), (signal.SIGKILL, 10)]:
        try:
            os.killpg(process.pid, sig)
            process.wait(patience)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait(10)


def spawn(command, log):
    if interrupted.is_set():
        raise KeyboardInterrupt
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FLOWSPOOL_")}
    process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                               start_new_session=True)
    running.add(process)
    return process


def end_all():
    interrupted.set()
    for process in list(running):
        end(process)


class Sandbox:
    def __init__(self, scratch, case, seed):
        port = scratch / "port"
        command = [BIN / "flowspool-sandbox", "--port", 0, "--port-file", port, "--any-workflow", "--key", "bench", "--seed", seed,
                   "--limiter", case.kind, "--limit", case.limit, "--window", f"{case.window_ms}ms", "--headers", case.headers,
                   "--latency", f"lognormal:median={case.median_ms}ms,sigma={SIGMA}"]
        with open(scratch / "sandbox.log", "wb") as log:
            self.process = spawn(command, log)
        for _ in range(1000):
            if port.exists() or self.process.poll() is not None:
                break
            time.sleep(0.01)
        if not port.exists():
            end(self.process)
            raise SystemExit("flowspool-sandbox does not start: " + (scratch / "sandbox.log").read_text())
        self.url = "http://127.0.0.1:" + port.read_text().strip()

    def ask(self, path, data=None):
        no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with no_proxy.open(urllib.request.Request(self.url + path, data), timeout=10) as reply:
            return json.loads(reply.read() or b"{}")

    def settled(self):
        """The statistics when nothing is in flight; what a stopped client left behind still ends and counts."""
        for _ in range(100):
            stats = self.ask("/sandbox/stats")
            if stats["in_flight"] == 0:
                break
            time.sleep(0.1)
        return stats


# --- The peers ---

def fill_spool(scratch, case, run):
    spool = scratch / "spool"
    spool.mkdir(exist_ok=True)
    (scratch / "key").touch(mode=0o600)
    (scratch / "key").write_text("bench\n")
    for i in range(case.jobs):
        aside = spool / ".new"
        aside.write_text(f"workflow: wf_bench\ninputs: {{text: job {run}-{i}}}\n")
        aside.rename(spool / f"job-{run}-{i:05d}.yaml")
    return spool


def peer_command(peer, case, scratch, url, run):
    if peer == "flowspoold":
        spool = fill_spool(scratch, case, run)
        return [BIN / "flowspoold", "--spool", spool, "--endpoint", url, "--api-key-file", scratch / "key", "--once"]
    url += "/api/v1/run/wf_bench"
    script = [sys.executable, pathlib.Path(__file__).with_name("rate_peers.py")]
    if peer == "asyncio":
        return [*script, "semaphore", url, case.jobs, case.many]
    if peer == "cookbook":
        per_minute = case.limit * 60000 // case.window_ms if case.kind != "none" else 60000
        return [*script, "budget", url, case.jobs, per_minute]
    # A file each: before another try curl truncates what it wrote, and ends where it cannot, as with /dev/null.
    curl = ["curl", "--noproxy", "*", "-s", "-o", scratch / "reply-{}", "--retry", 100000, "--retry-delay", 1,
            "-H", "Authorization: Bearer bench", "-H", "Content-Type: application/json", "-d", '{"text":"job {}"}', url]
    (scratch / "numbers").write_text("".join(f"{i}\n" for i in range(case.jobs)))
    return ["xargs", "-a", scratch / "numbers", "-P", case.many, "-I{}", *curl]


def timed(command, scratch, at_most_s):
    """How long it took; whether it had to be stopped."""
    with open(scratch / "peer.log", "ab") as log:
        begun = time.monotonic()
        process = spawn(command, log)
    # Not wait(at_most_s), which polls and may notice the end 50 ms late.
    timer = threading.Timer(at_most_s, end, [process])
    timer.start()
    try:
        process.wait()
        took = time.monotonic() - begun
        return took, took >= at_most_s
    finally:
        timer.cancel()
        end(process)


def row(case, peer, seed, at_most, scratch):
    sandbox = Sandbox(scratch, case, seed)
    try:
        if case.warm:
            command = peer_command(peer, case, scratch, sandbox.url, "first")
            timed(command, scratch, at_most * least_s(case, seed, int(time.time() * 1000)) + 10)
            sandbox.ask("/sandbox/reset", b"")
        command = peer_command(peer, case, scratch, sandbox.url, "job")
        least = least_s(case, seed, int(time.time() * 1000))
        took, stopped = timed(command, scratch, at_most * least + 10)
        stats = sandbox.settled()
    finally:
        end(sandbox.process)
    requests = stats["requests_total"]
    return {"case": case.name, "peer": peer, "jobs": case.jobs, "done": sum(r["charged"] > 0 for r in stats["requests"]),
            "stopped": stopped, "seconds": round(took, 2), "least_seconds": round(least, 2), "efficiency": round(least / took, 3),
            "requests": requests, "refused": stats["rate_limited"], "refused_share": round(stats["rate_limited"] / max(1, requests), 4),
            "worst_job_refused": max((r["posts"] - r["charged"] for r in stats["requests"]), default=0)}


# --- The table ---

HEAD = f"{'case':17} {'peer':11} {'jobs':>9} {'time':>8} {'least':>7} {'x least':>7} {'effic.':>6} {'429':>6} {'requests':>8} {'worst':>5}"


def line(r):
    over = ">" if r["stopped"] else ""
    under = "<" if r["stopped"] else ""
    jobs = str(r["jobs"]) if r["done"] == r["jobs"] else f"{r['done']}/{r['jobs']}"
    return (f"{r['case']:17} {r['peer']:11} {jobs:>9} {over + format(r['seconds'], '.1f'):>7}s {r['least_seconds']:6.1f}s"
            f" {over + format(r['seconds'] / r['least_seconds'], '.2f'):>7} {under + format(r['efficiency'], '.2f').lstrip('0'):>6}"
            f" {100 * r['refused_share']:5.1f}% {r['requests']:8} {r['worst_job_refused']:5}")


def run_all(rows, options):
    """Results in the order of rows, each as soon as those before it are there."""
    def one(chosen):
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="flowspool-bench-", dir=options.keep))
        try:
            return row(*chosen, options.seed, options.at_most, scratch)
        finally:
            if not options.keep:
                shutil.rmtree(scratch)

    with concurrent.futures.ThreadPoolExecutor(options.at_once) as pool:
        try:
            yield from pool.map(one, rows)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            end_all()
            raise


def quick(case):
    return case._replace(jobs=max(20, case.jobs // 10), median_ms=case.median_ms // 4)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small, in less than a minute")
    parser.add_argument("--case", action="append", choices=[c.name for c in CASES], help="may be repeated; default: all")
    parser.add_argument("--peer", action="append", choices=PEERS, help="may be repeated; default: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--at-most", type=float, default=4, metavar="TIMES", help="default: 4")
    parser.add_argument("--at-once", type=int, default=1, metavar="ROWS", help="rows that run at the same time; default: 1")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="leave logs and spools there")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    names = options.case or ([CASES[0].name] if options.quick else [c.name for c in CASES])
    cases = [quick(c) if options.quick else c for c in CASES if c.name in names]
    peers = [p for p in PEERS if p in (options.peer or PEERS)]
    if "curl" in peers and not shutil.which("curl"):
        print("curl is not installed: without it", file=sys.stderr)
        peers.remove("curl")
    # Only flowspoold remembers.
    rows = [(c, p) for c in cases for p in peers if p == "flowspoold" or not c.warm]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not options.json:
        print(HEAD, flush=True)
    try:
        for result in run_all(rows, options):
            print(json.dumps(result) if options.json else line(result), flush=True)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
