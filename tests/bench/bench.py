#!/usr/bin/env python3
"""Compares the agent with the caches that people use now; see README.md in this folder. Called by ./cistern bench."""

import argparse
import datetime
import os
import pathlib
import platform
import resource
import shutil
import signal
import statistics
import sys
import tempfile

from content import Content
from rows import ROWS, GO, IMAGES
from servers import ROOT, SERVERS, NotThere, Upstream

# row → (what it is, format)
SHOWN = {
    "small": ("hit, 137-byte .mod, 64 connections, requests/s", "{:,.0f}"),
    "small-p99": ("p99 of that, ms", "{:.2f}"),
    "small-cpu": ("processor microseconds for each request of that", "{:.1f}"),
    "large-zip": ("hit, large .zip, GB/s", "{:.2f}"),
    "large-zip-cpu": ("processor seconds for each GB of the .zip", "{:.2f}"),
    "large-blob": ("hit, large blob, GB/s", "{:.2f}"),
    "large-blob-cpu": ("processor seconds for each GB of the blob", "{:.2f}"),
    "manifest-digest": ("manifest by digest, hit, requests/s", "{:,.0f}"),
    "manifest-tag": ("manifest by tag, hit, requests/s", "{:,.0f}"),
    "cold-info": ("cold .info: first byte later than the upstream's by, ms", "{:.2f}"),
    "cold-blob": ("cold large blob, s", "{:.2f}"),
    "cold-blob-first": ("first byte of that, ms", "{:.1f}"),
    "cold-100": ("100 clients, one cold large blob: together, GB/s", "{:.2f}"),
    "cold-100-fetches": ("upstream fetches for that", "{:.0f}"),
    "idle": ("memory after the start, MiB", "{:.1f}"),
    "clients-1000": ("memory with 1,000 slow clients on a large blob, MiB", "{:.1f}"),
}
# (row, the agent against: a server, another of its own rows, or nothing; how; the bound)
BUDGETS = [
    ("small", "nginx", ">=", 1.2),
    ("small", "proxy_cache", ">=", 1.5),
    ("small-p99", "nginx", "<=", 1.0),
    ("small-p99", "proxy_cache", "<=", 1.0),
    ("large-zip", "nginx", ">=", 0.95),
    ("large-blob", "nginx", ">=", 0.95),
    ("large-zip-cpu", "nginx", "<=", 1.0),
    ("large-blob-cpu", "nginx", "<=", 1.0),
    ("manifest-digest", "registry", ">=", 100),
    ("manifest-tag", "registry", ">=", 100),
    ("cold-info", None, "<=", 2.0),
    ("cold-blob", "proxy_cache", "<=", 1.5),
    ("cold-100-fetches", None, "<=", 1),
    ("cold-100", "large-blob", ">=", 0.8),
    ("idle", None, "<=", 20),
    ("clients-1000", None, "<=", 64),
]


class Settings:
    def __init__(self, upstream, seconds):
        self.upstream, self.seconds = upstream, seconds


def measure(name, folder, content, settings, wanted, results, notes):
    """One round of one server: fresh, all rows, gone."""
    server = SERVERS[name](folder, content, settings.upstream.url(""))
    try:
        server.start()
        for row, needs, run in ROWS:
            if row not in wanted or (needs == GO and not server.serves_go) or (needs == IMAGES and not server.serves_images):
                continue
            if name == "nginx" and row.startswith("cold"):
                continue  # it has nothing to fetch
            print(f"  {name}: {row}", file=sys.stderr, flush=True)
            try:
                for key, value in run(server, settings).items():
                    results.setdefault(key, {}).setdefault(name, []).append(value)
            except NotThere as error:
                notes[f"{name}, {row}: {error}"] = True
                if server.process.poll() is not None:
                    raise NotThere(f"ended while it was measured: {server.log()}") from None
    except NotThere as error:
        notes[f"{name}: {error}"] = True
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def table(results):
    lines = ["| | " + " | ".join(SERVERS) + " |", "|---|" + "---:|" * len(SERVERS)]
    for row, (label, form) in SHOWN.items():
        if row in results:
            cells = [form.format(statistics.median(results[row][name])) if name in results[row] else "–" for name in SERVERS]
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def budgets(results):
    def median(row, name):
        values = results.get(row, {}).get(name)
        return statistics.median(values) if values else None

    lines = ["| the agent's | against | budget | measured | |", "|---|---|---:|---:|---|"]
    for row, against, how, bound in BUDGETS:
        if row not in results:
            continue
        own = median(row, "agent")
        if against is None:
            value, beside = own, ""
        else:
            beside = against if against in SERVERS else SHOWN[against][0]
            other = median(row, against) if against in SERVERS else median(against, "agent")
            value = own / other if own is not None and other else None
        if value is None:
            shown, verdict = "–", "not measured"
        else:
            kept = value >= bound if how == ">=" else value <= bound
            shown, verdict = f"{value:.2f}", "kept" if kept else "**missed**"
        lines.append(f"| {SHOWN[row][0]} | {beside} | {'≥' if how == '>=' else '≤'} {bound:g} | {shown} | {verdict} |")
    return lines


def report(results, notes, rounds, content):
    text = [*table(results), "", *budgets(results), ""]
    text += [f"- {note}" for note in notes] + ([""] if notes else [])
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    text.append(f"Medians of {rounds} rounds in turn; large: a {content.zip_size // 1000000} MB zip and a {content.blob_size // 1000000} MB blob. "
                f"Server on one core, load and upstream on another. {model}, {datetime.date.today()}.")
    return "\n".join(text)


def main():
    parser = argparse.ArgumentParser(prog="./cistern bench")
    names = [row for row, _, _ in ROWS]
    parser.add_argument("rows", nargs="*", metavar="ROW", help="of: " + ", ".join(names))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--servers", default=",".join(SERVERS), help="which to run, with commas")
    parser.add_argument("--write", action="store_true", help="write the table to docs/benchmarks.md")
    parser.add_argument("--list", action="store_true", help="name the rows")
    options = parser.parse_args()
    if options.list:
        print("\n".join(names))
        return 0
    if unknown := (set(options.rows) - set(names)) | (set(options.servers.split(",")) - set(SERVERS)):
        parser.error("there is no " + ", ".join(sorted(unknown)))
    if len(os.sched_getaffinity(0)) < 2:
        parser.error("this needs two processor cores, one for the server and one for the load")
    if options.quick:
        options.rounds = 1

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(16384, hard), hard))
    results, notes = {}, {}
    with tempfile.TemporaryDirectory(prefix="cistern-bench-") as temporary:
        folder = pathlib.Path(temporary)
        print("making what the upstream serves", file=sys.stderr)
        content = Content(folder / "content", options.quick)
        upstream = Upstream(folder / "upstream", content, "")
        try:
            upstream.start()
            settings = Settings(upstream, 2 if options.quick else 5)
            for turn in range(options.rounds):
                print(f"round {turn + 1} of {options.rounds}", file=sys.stderr)
                for name in options.servers.split(","):
                    measure(name, folder / f"{name}-{turn}", content, settings, options.rows or names, results, notes)
        finally:
            upstream.stop()
        text = report(results, notes, options.rounds, content)
    print(text)
    if options.write:
        file = ROOT / "docs/benchmarks.md"
        head = file.read_text().split("<!-- the table -->")[0] if file.exists() else "# Benchmarks\n\n"
        file.write_text(f"{head}<!-- the table -->\n{text}\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
