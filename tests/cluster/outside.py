"""The operator as a process of this machine, on a cluster: what a test needs to see its memory, to set its clock or to cut its connections."""

import os
import pathlib
import select
import socket
import subprocess
import threading

from cistern import BUILD, IMAGE
from cluster import SYSTEM_NAMESPACE
from system import Failure, free_port, run, wait_until, wall_clock


class Relay:
    """Passes TCP connections on to the API server, and cuts them all when told to."""

    def __init__(self, target):
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client):
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            client.close()
            return
        pair = (client, server)
        with self._lock:
            self._pairs.add(pair)
        other = {client: server, server: client}
        try:
            while True:
                for ready in select.select(pair, [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    other[ready].sendall(data)
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._pairs.discard(pair)
            for each in pair:
                each.close()

    @property
    def connections(self):
        with self._lock:
            return len(self._pairs)

    def cut(self):
        """Every connection is reset. Returns how many there were."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            for each in pair:
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        return len(pairs)

    def close(self):
        self._listener.close()
        self.cut()


class OutsideOperator:
    def __init__(self, cluster, identity, *arguments, faketime=None, relayed=False):
        self.cluster, self.identity, self._arguments, self._faketime = cluster, identity, arguments, faketime
        self.folder = cluster.layout.folder / f"outside-{identity}"
        self.folder.mkdir(exist_ok=True)
        self.log = self.folder / "log"
        self.metrics, self.health, self.webhook = free_port(), free_port(), free_port()
        self.relay = None
        self.kubeconfig = cluster.layout.kubeconfig
        if relayed:
            server = cluster.kubectl("config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}").removeprefix("https://")
            host, _, port = server.partition(":")
            self.relay = Relay((host, int(port)))
            text = pathlib.Path(self.kubeconfig).read_text().replace(f"https://{server}", f"https://127.0.0.1:{self.relay.port}")
            self.kubeconfig = self.folder / "kubeconfig"
            self.kubeconfig.write_text(text)
            run(cluster.tools.kubernetes / "kubectl", "config", f"--kubeconfig={self.kubeconfig}", "set-cluster",
                run(cluster.tools.kubernetes / "kubectl", "config", f"--kubeconfig={self.kubeconfig}", "view",
                    "--output=jsonpath={.clusters[0].name}"), f"--tls-server-name={host}")
        self.process = None

    def start(self):
        environment = {**os.environ}
        if self._faketime:
            environment |= wall_clock(self._faketime)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(BUILD / "bin/cistern-operator"), "run", f"--kubeconfig={self.kubeconfig}", f"--namespace={SYSTEM_NAMESPACE}", f"--image={IMAGE}",
                 f"--identity={self.identity}", f"--metrics=127.0.0.1:{self.metrics}", f"--health=127.0.0.1:{self.health}",
                 f"--webhook=127.0.0.1:{self.webhook}", *self._arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True)
        wait_until("the operator's health", lambda: self._get(self.health, "/readyz") is not None, 60, log=self.log,
                   alive=lambda: self.process.poll() is None)
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise Failure("the operator did not end within 20 s of SIGTERM", self.log) from None
        if self.relay:
            self.relay.close()

    @staticmethod
    def _get(port, path):
        done = run("curl", "-fsS", "--noproxy", "*", "--max-time", "10", f"http://127.0.0.1:{port}{path}", check=False)
        return done.stdout if done.returncode == 0 else None

    def metric(self, name, **labels):
        """The sum of all series of this name that have these labels."""
        text = self._get(self.metrics, "/metrics")
        if text is None:
            raise Failure(f"{self.identity} does not tell its metrics")
        total = 0.0
        for line in text.splitlines():
            series, _, value = line.rpartition(" ")
            if series.split("{")[0] == name and all(f'{key}="{wanted}"' in series for key, wanted in labels.items()):
                total += float(value)
        return total

    def leads(self):
        lease = self.cluster.get("lease", "cistern-operator", f"--namespace={SYSTEM_NAMESPACE}")
        return (lease or {}).get("spec", {}).get("holderIdentity", "").startswith(self.identity)

    def wait_to_lead(self):
        self.cluster.wait_for(f"{self.identity} to lead", self.leads, 60)

    def mutating_requests(self):
        """Those that it made so far, its Lease apart."""
        return sum(self.metric("rest_client_requests_total", method=method) for method in ("POST", "PATCH", "DELETE"))

    def requests(self):
        """All that it made so far."""
        return self.metric("rest_client_requests_total")

    def resident(self):
        """Bytes."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise Failure("the operator has ended", self.log)
