#!/usr/bin/python3
"""How many jobs a second flowspoold does where the service costs nothing, beside what people use. Prints; judges nothing.

    throughput.py [--jobs N] [--rounds N] [--peer NAME]... [--undici DIR] [--json]
    throughput.py --backlog N [--cold]

flowspool-instant answers on the last core, every client runs on the first, 64 requests at a time. Each round runs all
that were found, one after the other, because figures of different minutes do not compare: only ratios count. Jobs and
state lie on a fresh ext4 in a loop image, where that can be mounted (by root), else in a temporary directory, which is
said. Files are older than `settle` when a run begins. Time is from the start of the command to its end.

    flowspoold  flowspoold --once: YAML in, outcome files out, durable
    nosync      the same with syncs that do nothing (flowspool-nosync.so)
    asyncio, cookbook   aiohttp (throughput_peers.py)      undici   node (throughput_undici.mjs; --undici DIR has it
    curl-Z      one curl -Z, all requests in a config file          in node_modules)
    xargs, parallel     a curl for each request; a tenth of the jobs

--backlog leaves N job files and measures the first request instead: seconds from the start until it is sent, and the
memory then and 20 s later, with the service slow enough for the backlog to stay. The programs are those in
$FLOWSPOOL_BIN_DIR (default: build/release/bin in the tree), the server's beside it in tests/.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BIN = pathlib.Path(os.environ.get("FLOWSPOOL_BIN_DIR", ROOT / "build" / "release" / "bin"))
TESTS = BIN.parent / "tests"
AT_ONCE = 64
LAST_CORE = max(os.sched_getaffinity(0))
FIRST_CORE = min(os.sched_getaffinity(0))
SHARE = {"xargs": 10, "parallel": 10}
TARGETS = [("nosync", 0.8), ("asyncio", 3.5), ("undici", 3), ("cookbook", 10), ("xargs", 40), ("parallel", 80), ("curl-Z", 0.5)]


# --- The place ---

@contextlib.contextmanager
def fresh_file_system(size_gb):
    """A directory on an ext4 of its own, or any."""
    with tempfile.TemporaryDirectory(prefix="flowspool-bench-") as top:
        image, mount = os.path.join(top, "image"), os.path.join(top, "mount")
        os.mkdir(mount)
        with open(image, "wb") as file:
            file.truncate(size_gb << 30)
        made = subprocess.run(["mkfs.ext4", "-q", "-F", "-i", "4096", image], check=False).returncode == 0
        if not made or subprocess.run(["mount", "-o", "loop", image, mount], check=False).returncode != 0:
            os.unlink(image)
            print(f"no loop image could be mounted: on whatever {top} is on", file=sys.stderr)
            yield mount
            return
        try:
            yield mount
        finally:
            subprocess.run(["umount", mount], check=True)


@contextlib.contextmanager
def server(place):
    port_file = os.path.join(place, "port")
    process = subprocess.Popen(["taskset", "-c", str(LAST_CORE), TESTS / "flowspool-instant", port_file])
    try:
        while not os.path.exists(port_file) or not pathlib.Path(port_file).read_text().endswith("\n"):
            time.sleep(0.01)
        yield f"http://127.0.0.1:{int(pathlib.Path(port_file).read_text())}"
    finally:
        process.terminate()
        process.wait()
        os.unlink(port_file)


# --- One run ---

def watch_memory(pid, stop, found):
    while not stop.wait(0.02):
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    found["kb"] = max(found.get("kb", 0), int(line.split()[1]))


def measured(command, jobs, **options):
    """Seconds, CPU in us a job (with children), peak KiB of the first process."""
    stop, found = threading.Event(), {}
    began = time.monotonic()
    process = subprocess.Popen(["taskset", "-c", str(FIRST_CORE), *map(str, command)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, **options)
    watcher = threading.Thread(target=watch_memory, args=(process.pid, stop, found))
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    took = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    stop.set()
    watcher.join()
    if process.returncode != 0:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return {"jobs_s": jobs / took, "cpu_us": (usage.ru_utime + usage.ru_stime) * 1e6 / jobs, "rss_mb": found.get("kb", 0) / 1024}


def make_jobs(place, jobs):
    spool = os.path.join(place, "spool")
    shutil.rmtree(spool, ignore_errors=True)
    os.mkdir(spool)
    for i in range(jobs):
        with open(f"{spool}/job-{i:07}.yaml", "w", encoding="utf-8") as file:
            file.write(f'workflow: bench\ninputs:\n  topic: number {i}\n  words: "40"\n')
    key = os.path.join(place, "key")
    if not os.path.exists(key):
        pathlib.Path(key).write_text("bench\n")
        os.chmod(key, 0o400)
    subprocess.run(["sync", "-f", spool], check=True)
    return [BIN / "flowspoold", "--spool", spool, "--api-key-file", key, "--max-concurrency", str(AT_ONCE)]


def run_flowspoold(place, url, jobs, environment=None):
    command = make_jobs(place, jobs)
    time.sleep(1.2)  # older than `settle`
    result = measured([*command, "--endpoint", url, "--once", "--log-level", "error"], jobs, env={**os.environ, **(environment or {})})
    found = sum(name.endswith(".result.json") for name in os.listdir(os.path.join(place, "spool")))
    if found != jobs:
        raise SystemExit(f"flowspoold left {found} results of {jobs}")
    return result


def run_nosync(place, url, jobs):
    return run_flowspoold(place, url, jobs, {"LD_PRELOAD": str(TESTS / "flowspool-nosync.so")})


def run_python(how):
    return lambda place, url, jobs: measured(
        ["/usr/bin/python3", HERE / "throughput_peers.py", how, url + "/api/v1/run/bench", jobs, AT_ONCE], jobs, cwd=place)


def run_undici(place, url, jobs):
    return measured(["node", HERE / "throughput_undici.mjs", url + "/api/v1/run/bench", jobs, AT_ONCE], jobs)


def run_curl(place, url, jobs):
    config = os.path.join(place, "curl.conf")
    with open(config, "w", encoding="utf-8") as file:
        for i in range(jobs):
            body = json.dumps({"topic": f"number {i}", "words": "40"}).replace('"', '\\"')
            file.write(f'url = "{url}/api/v1/run/bench"\nheader = "Authorization: Bearer bench"\n'
                       f'header = "Content-Type: application/json"\ndata = "{body}"\noutput = /dev/null\n')
            file.write("next\n" if i + 1 < jobs else "")
    return measured(["curl", "-s", "-Z", "--parallel-max", AT_ONCE, "-K", config], jobs)


def each_with(*starter):
    def run(place, url, jobs):
        numbers = os.path.join(place, "numbers")
        pathlib.Path(numbers).write_text("".join(f"{i}\n" for i in range(jobs)))
        command = [*starter, "curl", "-s", "-o", "/dev/null", "-H", "Authorization: Bearer bench", "--json", '{"topic":"number {}"}',
                   url + "/api/v1/run/bench"]
        with open(numbers, "rb") as file:
            return measured(command, jobs, stdin=file)
    return run


def python_has(module):
    return subprocess.run(["/usr/bin/python3", "-c", f"import {module}"], stderr=subprocess.DEVNULL, check=False).returncode == 0


def node_has(module):
    tried = f"require('node:module').createRequire(process.env.UNDICI_FROM ?? '{HERE}/x.js')('{module}')"
    return shutil.which("node") is not None and subprocess.run(["node", "-e", tried], stderr=subprocess.DEVNULL, check=False).returncode == 0


PEERS = {
    "flowspoold": (run_flowspoold, lambda: True),
    "nosync": (run_nosync, lambda: True),
    "asyncio": (run_python("asyncio"), lambda: python_has("aiohttp")),
    "cookbook": (run_python("cookbook"), lambda: python_has("aiohttp")),
    "undici": (run_undici, lambda: node_has("undici")),
    "curl-Z": (run_curl, lambda: shutil.which("curl") is not None),
    "xargs": (each_with("xargs", "-P", AT_ONCE, "-I", "{}"), lambda: shutil.which("curl") is not None),
    "parallel": (each_with("parallel", "--will-cite", "-j", AT_ONCE), lambda: shutil.which("parallel") is not None),
}


def summary(runs):
    result = {"runs": len(runs)}
    for key in ["jobs_s", "cpu_us", "rss_mb"]:
        values = sorted(run[key] for run in runs)
        result[key] = {"median": statistics.median(values), "least": values[0], "most": values[-1]}
    return result


def compare(options):
    names = [name for name in PEERS if not options.peer or name in options.peer]
    missing = [name for name in names if not PEERS[name][1]()]
    names = [name for name in names if name not in missing]
    runs = {name: [] for name in names}
    with fresh_file_system(2) as place:
        for _ in range(options.rounds):
            for name in names:
                with server(place) as url:
                    runs[name].append(PEERS[name][0](place, url, max(1, options.jobs // SHARE.get(name, 1))))
    table = {name: summary(runs[name]) for name in names}
    ratios = {}
    for name, wanted in TARGETS:
        if name in table and "flowspoold" in table:
            each = [ours["jobs_s"] / theirs["jobs_s"] for ours, theirs in zip(runs["flowspoold"], runs[name])]
            ratios[name] = {"ratio": statistics.median(each), "wanted": wanted}
    if "asyncio" in table and "flowspoold" in table:
        each = [ours["cpu_us"] / theirs["cpu_us"] for ours, theirs in zip(runs["flowspoold"], runs["asyncio"])]
        ratios["cpu of asyncio"] = {"ratio": statistics.median(each), "wanted_at_most": 1 / 3}
    return {"jobs": options.jobs, "load": os.getloadavg()[0], "missing": missing, "table": table, "ratios": ratios}


def print_comparison(result):
    def span(values, digits=0):
        return f"{values['median']:,.{digits}f} ({values['least']:,.{digits}f}-{values['most']:,.{digits}f})"
    print(f"{result['jobs']} jobs, {AT_ONCE} in flight, load {result['load']:.1f}; median (least-most)")
    print(f"{'':12}{'jobs/s':>24}{'CPU us a job':>24}{'MB':>6}")
    for name, row in result["table"].items():
        print(f"{name:12}{span(row['jobs_s']):>24}{span(row['cpu_us']):>24}{row['rss_mb']['median']:>6.0f}")
    for name in result["missing"]:
        print(f"{name:12}not found")
    for name, row in result["ratios"].items():
        wanted = f"at least {row['wanted']}" if "wanted" in row else f"at most {row['wanted_at_most']:.2f}"
        print(f"flowspoold is {row['ratio']:.2f} x {name} (to reach: {wanted})")


# --- A large backlog ---

def hwm_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def backlog(options):
    with fresh_file_system(16) as place:
        command = make_jobs(place, options.backlog)
        time.sleep(1.2)
        if options.cold:
            subprocess.run(["sync"], check=True)
            pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n")
        log = os.path.join(place, "log")
        sandbox = [BIN / "flowspool-sandbox", "--port", "0", "--port-file", os.path.join(place, "port"), "--limiter", "none", "--latency",
                   "fixed:2s", "--any-workflow"]
        serving = subprocess.Popen(sandbox, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.exists(os.path.join(place, "port")):
            time.sleep(0.01)
        port = int(pathlib.Path(place, "port").read_text())
        began = time.monotonic()
        with open(log, "wb") as file:
            daemon = subprocess.Popen([*map(str, command), "--endpoint", f"http://127.0.0.1:{port}", "--log-level", "debug"], stderr=file)
        while b" sent (" not in pathlib.Path(log).read_bytes():
            time.sleep(0.005)
        first = time.monotonic() - began
        then = hwm_mb(daemon.pid)
        time.sleep(20)
        later = hwm_mb(daemon.pid)
        told = subprocess.run([BIN / "flowspool", "--spool", os.path.join(place, "spool"), "status", "--json"], stdout=subprocess.PIPE, check=False)
        for process in [daemon, serving]:
            process.send_signal(signal.SIGKILL)
            process.wait()
        return {"files": options.backlog, "cold": options.cold, "first_request_s": first, "rss_mb": then, "rss_20s_mb": later,
                "status": json.loads(told.stdout or b"{}").get("jobs")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", action="append", choices=list(PEERS))
    parser.add_argument("--undici", metavar="DIR")
    parser.add_argument("--backlog", type=int)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.undici:
        os.environ["UNDICI_FROM"] = str(pathlib.Path(options.undici).resolve() / "x.js")
    result = backlog(options) if options.backlog else compare(options)
    if options.json or options.backlog:
        print(json.dumps(result, indent=2))
    else:
        print_comparison(result)


if __name__ == "__main__":
    main()
