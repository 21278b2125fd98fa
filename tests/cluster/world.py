"""The outside world of a cluster: a registry and a Go module proxy on the bridge, whose cable can be pulled, and whose requests are counted.

    http://registry.world:5000    docker-registry, empty until something is pushed
    https://secure.world:5443     the same registry, with a certificate of the cluster's authority
    https://private.world:5443    the same again, for USERS only; https://vault.world:5443 is another name of it
    http://go.world:8080          (and http://canary.world:8080, which answers 500 while `canary_fails`) a Go proxy: a plain tree of files, as a module cache keeps them, with the checksum database's answers

nginx is in front of all and writes one line of JSON for each request. Nodes and pods resolve the names; this machine uses the address.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from cables import inside, plug_in, unplug
from layout import cache_folder
from system import Failure, leader, run, start, stop, wait_until

NAMES = ("registry.world", "secure.world", "private.world", "vault.world", "go.world", "canary.world")
SECURE, PRIVATE, VAULT = "secure.world:5443", "private.world:5443", "vault.world:5443"
USERS = {"robot": "robot-has-a-secret", "somebody": "somebody-has-another"}
SUM_DATABASE = "sum.golang.org"
MODULES = pathlib.Path(__file__).resolve().parent.parent / "conformance/clients/data"


@dataclasses.dataclass(frozen=True)
class Request:
    time: float
    host: str      # "registry", "secure", "private", "go" or "canary"
    method: str
    path: str      # with the query
    status: int
    size: int      # of the answer's body as sent
    client: str    # the address that asked
    user: str      # as whom, empty if as nobody


class World:
    def __init__(self, layout):
        self.layout = layout
        self.folder = layout.folder / "world"
        self.go_tree = self.folder / "go"

    @property
    def registry(self):
        """HOST:PORT for clients on this machine."""
        return f"{self.layout.world}:5000"

    @property
    def go_proxy(self):
        return f"http://{self.layout.world}:8080"

    # --- Making ---

    def make(self, authority):
        for name in ("registry", "go", "temporary"):
            (self.folder / name).mkdir(parents=True)
        plug_in(self.layout, "world", self.layout.world)
        authority.certificate("world", "world", names=[f"DNS:{name}" for name in NAMES])
        (self.folder / "users").write_text("".join(f"{user}:{run('openssl', 'passwd', '-apr1', password)}" for user, password in USERS.items()))
        (self.folder / "registry.yaml").write_text(json.dumps({
            "version": "0.1", "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "registry")}, "delete": {"enabled": True}},
            "http": {"addr": "127.0.0.1:5000", "relativeurls": True, "secret": "world"},
        }))
        (self.folder / "nginx.conf").write_text(self._nginx())
        for part, argv in {
            "world-registry": ["docker-registry", "serve", self.folder / "registry.yaml"],
            "world-nginx": ["nginx", "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", "stderr"],
        }.items():
            # Each in a process namespace, so that it ends with the process that bears the cluster's tag: nginx writes its title over its environment.
            start(self.layout, part, [*inside(self.layout, "world"), "unshare", "--pid", "--fork", "--kill-child", *argv])

    def wait(self):
        def answers():
            return self.exec("sh", "-c", f"curl -fsS -m 2 -o /dev/null http://{self.registry}/v2/ && curl -fsS -m 2 http://{self.layout.world}:8080/",
                             check=False).returncode == 0

        wait_until("the outside world's servers", answers, 20, log=self.layout.log("world-nginx"), alive=lambda: leader(self.layout, "world-nginx"))

    def remove(self):
        unplug(self.layout, "world")

    def _nginx(self):
        temporary = " ".join(f"{kind}_temp_path {self.folder}/temporary/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        fields = ('{"time":$msec,"host":"$server_name","method":"$request_method","path":"$request_uri","status":$status,'
                  '"size":$body_bytes_sent,"client":"$remote_addr","user":"$remote_user"}')
        address = self.layout.world
        # A client's credentials are for nginx; the registry behind has no use for them.
        registry = ("location / { proxy_pass http://127.0.0.1:5000; proxy_set_header Host $http_host; proxy_set_header Authorization \"\"; "
                    "proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off; proxy_read_timeout 300s; }")
        tree = f"root {self.go_tree}; types {{ application/json info; text/plain mod; application/zip zip; }} location = / {{ access_log off; return 200; }}"
        tls = f"listen {address}:5443 ssl; ssl_certificate {self.layout.pki}/world.crt; ssl_certificate_key {self.layout.pki}/world.key;"
        return f"""\
user root; daemon off; worker_processes 1; pid {self.folder}/pid; error_log stderr error;
events {{ worker_connections 2048; }}
http {{
  {temporary} sendfile on; client_max_body_size 0; default_type application/octet-stream;
  log_format one escape=json '{fields}';
  access_log {self.folder}/requests one;
  server {{ listen {address}:5000; server_name registry; {registry} }}
  server {{ {tls} server_name secure secure.world; {registry} }}
  server {{ {tls} server_name private private.world vault.world; auth_basic "private"; auth_basic_user_file {self.folder}/users; {registry} }}
  server {{ listen {address}:8080; server_name go; {tree} }}
  server {{ listen {address}:8080; server_name canary canary.world; if (-f {self.folder}/canary-fails) {{ return 500; }} {tree} }}
}}
"""

    # --- Plug ---

    def unplug(self):
        """Nothing reaches the world any more, and nobody is told: packets are lost."""
        run("ip", "link", "set", self.layout.link("world"), "down")

    def plug(self):
        run("ip", "link", "set", self.layout.link("world"), "up")

    @contextlib.contextmanager
    def canary_fails(self):
        """For as long as the block runs canary.world answers nothing but 500."""
        mark = self.folder / "canary-fails"
        mark.touch()
        try:
            yield
        finally:
            mark.unlink()

    @contextlib.contextmanager
    def throttled(self, megabytes):
        """For as long as the block runs so many megabytes a second leave the world, for all who ask together."""
        device = ("dev", "eth0", "root")
        self.exec("tc", "qdisc", "add", *device, "tbf", "rate", f"{megabytes * 8}mbit", "burst", "128kb", "latency", "100ms")
        try:
            yield
        finally:
            self.exec("tc", "qdisc", "delete", *device)

    @contextlib.contextmanager
    def delayed(self, toxiproxy, targets):
        """For as long as the block runs there is a toxiproxy in the world, with a listener for each of `targets` (port → HOST:PORT). Gives a function that
        sets how many milliseconds later than its target one answers: delay(port, milliseconds)."""
        control = f"{self.layout.world}:8474"
        start(self.layout, "world-toxiproxy", [*inside(self.layout, "world"), toxiproxy, "-host", self.layout.world])

        def tell(method, path, body, check=True):
            return self.exec("curl", "-sS", "-f", "-X", method, "-d", json.dumps(body), f"http://{control}{path}", check=check)

        def delay(port, milliseconds):
            tell("DELETE", f"/proxies/p{port}/toxics/slow", {}, check=False)
            tell("POST", f"/proxies/p{port}/toxics", {"name": "slow", "type": "latency", "stream": "downstream", "attributes": {"latency": milliseconds}})

        try:
            wait_until("toxiproxy", lambda: tell("GET", "/version", {}, check=False).returncode == 0, 20)
            for port, target in targets.items():
                tell("POST", "/proxies", {"name": f"p{port}", "listen": f"{self.layout.world}:{port}", "upstream": target})
            yield delay
        finally:
            stop(self.layout, "world-toxiproxy")

    def exec(self, *argv, **options):
        return run(*inside(self.layout, "world"), *argv, **options)

    # --- What was asked ---

    def requests(self, host=None):
        log = self.folder / "requests"
        text = log.read_text(errors="replace") if log.exists() else ""
        lines = text.rpartition("\n")[0].splitlines()  # the last line may be half written
        return [request for request in (Request(**json.loads(line)) for line in lines) if host in (None, request.host)]

    def registry_requests(self):
        return self.requests("registry")

    def go_requests(self):
        return self.requests("go")

    def settled(self, host=None):
        """The requests, once none has come for half a second: nginx writes of one when its answer has been sent, which the one who asked may see sooner."""
        seen = [None]

        def same():
            found = self.requests(host)
            before, seen[0] = seen[0], len(found)
            return (found,) if before == len(found) else None

        return wait_until("the end of requests", same, 60, interval=0.5)[0]

    # --- What is there ---

    def push(self, archive, name):
        """Puts a docker-archive into the registry as `name` (such as library/app:v1), from this machine."""
        run("skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false", f"docker-archive:{archive}", f"docker://{self.registry}/{name}", timeout=600)

    def serve_modules(self, folder=MODULES, go="go"):
        """Has the Go proxy serve what the go.mod in `folder` requires. Fetched once from the proxy that `go env GOPROXY` names, then kept by content."""
        tree = module_tree(folder, go)
        # Links where the two folders are on one disk: nothing here writes into a file that is there.
        if run("cp", "-al", f"{tree}/.", self.go_tree, check=False).returncode != 0:
            run("cp", "-a", f"{tree}/.", self.go_tree)


def module_tree(folder, go):
    """The folder, outside the checkout, that holds these modules as a Go proxy serves them."""
    folder = pathlib.Path(folder)
    key = hashlib.sha256(b"".join((folder / name).read_bytes() for name in ("go.mod", "go.sum"))).hexdigest()[:16]
    target = cache_folder() / "world" / f"go-{key}"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".go.") as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "module").mkdir()
        # Without go.sum every module is looked up in the checksum database, whose answers are to be served as well.
        shutil.copy(folder / "go.mod", scratch / "module/go.mod")
        environment = {**os.environ, "GOPATH": str(scratch / "path"), "GOMODCACHE": str(scratch / "path/pkg/mod"), "GOFLAGS": "-modcacherw -mod=mod",
                       "GOTOOLCHAIN": "local", "GOSUMDB": SUM_DATABASE, "GONOSUMDB": "", "GOPRIVATE": "", "GOWORK": "off", "CGO_ENABLED": "0"}
        done = subprocess.run([go, "mod", "download"], cwd=scratch / "module", env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"the modules of {folder} could not be fetched: {done.stderr.strip()}")
        tree = scratch / "path/pkg/mod/cache/download"
        database = tree / "sumdb" / SUM_DATABASE
        if database.exists():
            (database / "supported").touch()
            shutil.copy(scratch / "path/pkg/sumdb" / SUM_DATABASE / "latest", database / "latest")
        for lock in tree.rglob("*.lock"):
            lock.unlink()
        shutil.rmtree(target, ignore_errors=True)
        tree.rename(target)
    return target
