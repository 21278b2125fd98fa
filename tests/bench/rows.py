"""What is measured. Load runs on core 1; every function returns {row: value} for one server that has just been started."""

import re
import selectors
import socket
import statistics
import subprocess
import time

from content import MANIFEST_TYPE
from servers import LOAD_CORE, NotThere

SLOW_CLIENTS = 1000
COLD_CLIENTS = 100


def on_load_core(*arguments):
    result = subprocess.run(["taskset", "-c", str(LOAD_CORE), *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        raise NotThere(f"{arguments[0]} failed: {result.stderr.strip()[-300:]}")
    return result.stdout


def scaled(number, unit, units):
    return float(number) * units[unit]


def wrk(url, connections, seconds, accept="*/*"):
    """(requests a second, p99 in milliseconds, bytes a second)"""
    out = on_load_core("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-H", f"Accept: {accept}", url)
    if "Non-2xx" in out or "Socket errors" in out:
        raise NotThere("wrk saw errors: " + " ".join(re.findall(r"(?:Non-2xx|Socket errors).*", out)))
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    rate = re.search(r"Transfer/sec:\s+([\d.]+)(B|KB|MB|GB)", out)
    return (float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), scaled(p99[1], p99[2], {"us": 1e-3, "ms": 1, "s": 1e3}),
            scaled(rate[1], rate[2], {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}))


def fetch(url, accept="*/*"):
    """(seconds to the first byte, seconds in all) of one GET on a new connection."""
    out = on_load_core("curl", "-sS", "--fail", "-o", "/dev/null", "-H", f"Accept: {accept}", "-w", "%{time_starttransfer} %{time_total}", url)
    first, total = out.split()
    return float(first), float(total)


def idle(server, _):
    time.sleep(0.5)
    return {"idle": server.memory()}


def cold_info(server, _):
    """A cold .info, a new connection each, less what the upstream itself takes."""
    later = [fetch(server.url(path))[0] - fetch(server.upstream + path)[0] for path in server.content.info_paths]
    return {"cold-info": statistics.median(later) * 1e3}


def cold_blob(server, _):
    first, total = fetch(server.url(server.content.blobs["cold"]))
    return {"cold-blob": total, "cold-blob-first": first * 1e3}


def cold_shared(server, settings):
    """Many clients ask for one blob that is not there yet."""
    path = server.content.blobs["shared"]
    before = settings.upstream.fetches(path)
    url = server.url(path)
    start = time.monotonic()
    lines = [part for _ in range(COLD_CLIENTS) for part in ("--url", url, "-o", "/dev/null")]
    sizes = on_load_core("curl", "-sS", "--fail", "--no-progress-meter", "-Z", "--parallel-immediate", "--parallel-max", COLD_CLIENTS, "-w",
                         "%{size_download}\n", *lines).split()
    took = time.monotonic() - start
    if any(int(size) != server.content.blob_size for size in sizes):
        raise NotThere("a client got less than the whole blob")
    return {"cold-100-fetches": settings.upstream.fetches(path) - before, "cold-100": COLD_CLIENTS * server.content.blob_size / took / 1e9}


def small(server, settings):
    fetch(server.url(server.content.mod_path))
    before = server.cpu()
    requests, p99, _ = wrk(server.url(server.content.mod_path), 64, settings.seconds)
    used = server.cpu() - before
    return {"small": requests, "small-p99": p99, "small-cpu": used / (requests * settings.seconds) * 1e6}


def large(row, path):
    def measure(server, settings):
        url = server.url(path(server.content))
        fetch(url)
        before = server.cpu()
        _, _, rate = wrk(url, 4, settings.seconds)
        used = server.cpu() - before
        return {row: rate / 1e9, f"{row}-cpu": used / (rate * settings.seconds / 1e9)}

    return measure


def manifest(row, path):
    def measure(server, settings):
        url = server.url(path(server.content))
        fetch(url, MANIFEST_TYPE)
        return {row: wrk(url, 64, settings.seconds, MANIFEST_TYPE)[0]}

    return measure


def slow_clients(server, settings):
    """Peak memory while many plaintext clients stream a large object, none of them fast."""
    path = server.content.blobs["hot"]
    fetch(server.url(path))
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    selector, clients, peak, received = selectors.DefaultSelector(), [], 0.0, 0
    try:
        for _ in range(SLOW_CLIENTS):
            client = socket.create_connection(("127.0.0.1", server.port))
            client.sendall(request)
            client.setblocking(False)
            selector.register(client, selectors.EVENT_READ)
            clients.append(client)
        end = time.monotonic() + 2 * settings.seconds
        while time.monotonic() < end:
            for key, _ in selector.select(0):
                data = key.fileobj.recv(16384)
                if not data:
                    raise NotThere("a slow client was hung up on")
                received += len(data)
            peak = max(peak, server.memory())
            time.sleep(0.1)
    finally:
        for client in clients:
            client.close()
        selector.close()
    if received < SLOW_CLIENTS * 16384:
        raise NotThere("the slow clients were not served")
    return {"clients-1000": peak}


GO, IMAGES = "go", "images"
# In the order in which they run: what needs an empty cache first. Name, what it needs, how it is measured.
ROWS = [
    ("idle", None, idle),
    ("cold-info", GO, cold_info),
    ("cold-blob", IMAGES, cold_blob),
    ("cold-100", IMAGES, cold_shared),
    ("small", GO, small),
    ("large-zip", GO, large("large-zip", lambda content: content.zip_path)),
    ("large-blob", IMAGES, large("large-blob", lambda content: content.blobs["hot"])),
    ("manifest-digest", IMAGES, manifest("manifest-digest", lambda content: content.by_digest)),
    ("manifest-tag", IMAGES, manifest("manifest-tag", lambda content: content.by_tag)),
    ("clients-1000", IMAGES, slow_clients),
]
