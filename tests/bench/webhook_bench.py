#!/usr/bin/env python3
"""The webhook over TLS: server on core 0, wrk on core 1, reviews of a Deployment's pods (about 7 KB each). Called by ./cistern bench webhook."""

import argparse
import json
import pathlib
import re
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUDGET = "budget: ≥ 5,000 reviews a second on one core, p99 ≤ 2 ms, with 1,000 namespaces and 50 policies"
SCRIPT = """
local requests, next = {}, 0
function init(_)
  for i = 0, 99 do
    local file = io.open("%s/review-" .. i .. ".json")
    requests[i] = wrk.format("POST", "/mutate-pods?timeout=3s", {["Content-Type"] = "application/json"}, file:read("a"))
    file:close()
  end
end
function request()
  next = (next + 1) %% 100
  return requests[next]
end
"""


def check(folder, port):
    """Every review is answered with a patch; what is measured is the work, not a refusal."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for i in range(100):
        body = (folder / f"review-{i}.json").read_bytes()
        request = urllib.request.Request(f"https://127.0.0.1:{port}/mutate-pods", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            if "patch" not in json.load(answer)["response"]:
                sys.exit(f"review {i} was answered without a patch")


def wrk(folder, port, connections, seconds):
    out = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", folder / "reviews.lua",
                          f"https://127.0.0.1:{port}"], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit("wrk saw errors: " + out)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), float(p99[1]) * {"us": 1e-3, "ms": 1, "s": 1e3}[p99[2]]


def cpu(pid):
    """Seconds of processor time."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main():
    parser = argparse.ArgumentParser(prog="./cistern bench webhook", description=__doc__)
    parser.add_argument("--namespaces", type=int, default=1000)
    parser.add_argument("--policies", type=int, default=50)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        server = subprocess.Popen(["taskset", "-c", "0", ROOT / "build/bin/webhook_bench_server", folder, str(options.namespaces), str(options.policies)])
        try:
            for _ in range(600):
                if (folder / "port").exists() or server.poll() is not None:
                    break
                time.sleep(0.05)
            port = int((folder / "port").read_text())
            (folder / "reviews.lua").write_text(SCRIPT % folder)
            check(folder, port)
            rounds = []
            for _ in range(options.rounds):
                before = cpu(server.pid)
                rate, p99 = wrk(folder, port, options.connections, options.seconds)
                rounds.append((rate, p99, rate * options.seconds / (cpu(server.pid) - before)))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(10)
    rate, p99, by_cpu = (statistics.median(values) for values in zip(*rounds))
    print(f"{options.namespaces:,} namespaces, {options.policies} policies, {options.connections} connections, median of {options.rounds} rounds:")
    print(f"{rate:,.0f} reviews a second ({by_cpu:,.0f} for each second of processor time), p99 {p99:.2f} ms")
    print(BUDGET)


if __name__ == "__main__":
    main()
