"""The servers that are compared. Each starts on core 0 with an empty cache in a folder of its own, and is ended with all it started."""

import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from content import MANIFEST_TYPE, REPOSITORY

SERVER_CORE, LOAD_CORE = 0, 1
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class NotThere(Exception):
    """The server cannot be had on this machine; says why."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One program; the subclass says how it is configured. `upstream` is a base URL without a trailing slash."""

    core = SERVER_CORE
    serves_go = serves_images = True

    def __init__(self, folder, content, upstream):
        self.folder, self.content, self.upstream = pathlib.Path(folder), content, upstream
        self.port = free_port()
        self.process = None
        self.folder.mkdir(parents=True)

    def command(self):
        """Writes the configuration; (arguments, environment beside the usual)."""
        raise NotImplementedError

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def start(self):
        arguments, environment = self.command()
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(self.core), *map(str, arguments)], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                cwd=self.folder, env={**os.environ, **environment}, start_new_session=True)
        deadline = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(self.url(self.ready_path), timeout=5).close()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise NotThere(f"did not start: {self.log()}") from None
                time.sleep(0.02)

    ready_path = "/v2/"

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-600:].strip()

    def stop(self):
        if self.process is None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, sign)
                self.process.wait(10)
                break
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                pass
        self.process = None

    def processes(self):
        """Process numbers of the program and all its children."""
        children = {}
        for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = entry.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
        found = [self.process.pid]
        for number in found:
            found += children.get(number, [])
        return found

    def cpu(self):
        """Seconds of processor time so far."""
        ticks = 0
        for number in self.processes():
            fields = pathlib.Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Resident MiB. Shared pages count once, so that nginx's two processes are not counted twice."""
        total = 0
        for number in self.processes():
            for line in pathlib.Path(f"/proc/{number}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        return total / 1024


class Nginx(Server):
    def command(self):
        user = "user root;" if os.geteuid() == 0 else ""
        temporary = "".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.folder / "nginx.conf").write_text(f"""
            {user} daemon off; worker_processes 1; pid {self.folder}/pid; error_log stderr error; worker_rlimit_nofile 20000;
            events {{ worker_connections 8192; }}
            http {{
              {temporary} sendfile on; tcp_nopush on; keepalive_requests 100000000; etag on;
              default_type application/octet-stream; open_file_cache max=1000 inactive=60s;
              {self.before()}
              server {{ listen 127.0.0.1:{self.port} backlog=4096; {self.locations()} }}
            }}""")
        return ["nginx", "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", "stderr"], {}

    def before(self):
        return "access_log off;"

    def locations(self):
        manifests = f"/v2/{REPOSITORY}/manifests/"
        return f"""
            root {self.content.folder};
            location = /v2/ {{ add_header Docker-Distribution-API-Version registry/2.0; default_type application/json; return 200 '{{}}'; }}
            location {manifests} {{
              default_type {MANIFEST_TYPE}; add_header Docker-Content-Digest {self.content.manifest_digest};
              add_header Docker-Distribution-API-Version registry/2.0;
            }}"""


class Upstream(Nginx):
    """Where all others fetch from: beside the load, and with a log, by which fetches are counted."""

    core = LOAD_CORE

    def before(self):
        return f"log_format fetches '$request_method $uri $status'; access_log {self.folder}/fetches.log fetches;"

    def fetches(self, path):
        """How often a body was asked for since the start."""
        time.sleep(0.1)
        return sum(line.startswith(f"GET {path} ") for line in (self.folder / "fetches.log").read_text().splitlines())


class NginxCache(Nginx):
    def before(self):
        return f"""access_log off; proxy_cache_path {self.folder}/cache levels=1:2 keys_zone=cache:10m max_size=20g use_temp_path=off;
            upstream source {{ server {self.upstream.removeprefix("http://")}; keepalive 64; }}"""

    def locations(self):
        return """location / { proxy_pass http://source; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_cache cache;
            proxy_cache_valid any 1h; proxy_cache_lock on; proxy_cache_lock_timeout 1h; proxy_cache_lock_age 1h; }"""


class Registry(Server):
    serves_go = False

    def command(self):
        (self.folder / "config.yml").write_text(
            f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
            f"storage: {{filesystem: {{rootdirectory: {self.folder}/cache}}, cache: {{blobdescriptor: inmemory}}}}\n"
            f"http: {{addr: 127.0.0.1:{self.port}}}\nproxy: {{remoteurl: {self.upstream}}}\n")
        return ["docker-registry", "serve", self.folder / "config.yml"], {"OTEL_TRACES_EXPORTER": "none", "GOMAXPROCS": "1"}


def go_environment(folder, upstream):
    return {"GOPROXY": f"{upstream}/go", "GOSUMDB": "off", "GONOSUMDB": "*", "GOMODCACHE": f"{folder}/modules", "GOMAXPROCS": "1",
            "GOTOOLCHAIN": "local"}


class Goproxy(Server):
    serves_images = False

    def command(self):
        program = os.environ.get("CISTERN_GOPROXY")
        if not program:
            raise NotThere("goproxy is not built: see the message above")
        return [program, "server", "--address", f"127.0.0.1:{self.port}", "--cacher-dir", self.folder / "cache", "--path-prefix", "/go",
                "--temp-dir", self.folder], go_environment(self.folder, self.upstream)


class Athens(Server):
    serves_images = False

    def command(self):
        program = os.environ.get("CISTERN_ATHENS")
        if not program:
            raise NotThere("Athens is not built: see the message above")
        go = go_environment(self.folder, self.upstream)
        (self.folder / "cache").mkdir()
        return [program], {**go, "ATHENS_PORT": f"127.0.0.1:{self.port}", "ATHENS_STORAGE_TYPE": "disk", "ATHENS_PATH_PREFIX": "/go",
                           "ATHENS_DISK_STORAGE_ROOT": f"{self.folder}/cache", "ATHENS_LOG_LEVEL": "error", "ATHENS_GONOSUM_PATTERNS": "*",
                           "ATHENS_GO_BINARY_ENV_VARS": ";".join(f"{k}={v}" for k, v in go.items())}


class Agent(Server):
    ready_path = "/healthz"

    def command(self):
        program = ROOT / "build/bin/cache-agent"
        if not program.exists():
            raise NotThere("the agent is not built (build/bin/cache-agent)")
        address = f"127.0.0.1:{self.port}"
        (self.folder / "agent.yaml").write_text(
            f"policy: bench\nlisteners: {{node: '{address}', pods: '{address}'}}\n"
            f"server: {{threads: 1}}\nstorage: {{path: {self.folder}/cache, size: 20Gi, minFree: 1%}}\n"
            f"go: {{views: [{{name: '', upstreams: [{{url: '{self.upstream}/go'}}], sumDB: {{mode: 'Off'}}}}]}}\n"
            f"images: {{registries: [{{name: bench.example, upstreams: [{{url: '{self.upstream}'}}]}}]}}\n")
        return [program, "serve", "--config", self.folder / "agent.yaml"], {}


SERVERS = {"agent": Agent, "nginx": Nginx, "proxy_cache": NginxCache, "registry": Registry, "goproxy": Goproxy, "athens": Athens}
