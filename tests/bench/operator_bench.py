#!/usr/bin/env python3
"""The operator on a cluster of nodes that kwok simulates: how long a change of a policy takes to be in force everywhere, with how much memory and how many
requests. Called by ./cistern bench operator; needs root. The API server, etcd and the controller manager are real; nodes, their pods and their Leases are
not, and agents are one server that answers for all of them, a moment after it has been told of a new configuration, as a kubelet would."""

import argparse
import http.server
import json
import pathlib
import socketserver
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/cluster"))

from cistern import HASH, condition, policy  # noqa: E402
from cluster import SYSTEM_NAMESPACE, Cluster  # noqa: E402
from layout import folder_of_tests  # noqa: E402
from outside import OutsideOperator  # noqa: E402
from system import Failure, run, start  # noqa: E402

PODS = "10.200.0.0/16"  # kwok gives pods addresses from it; all are this machine's own
KUBELET = 0.1           # seconds from a pod's new annotation to the new configuration: a remount and a reload
BUDGET = "budget for 5,000 nodes and 100 policies: a change applied in ≤ 5 s, ≤ 150 MiB, nothing changed → no write"


class Agents:
    """Answers for every agent's admin listener with the hash that its pod was told to have."""

    def __init__(self, cluster):
        self._cluster = cluster
        self._hashes = {}  # pod's address → (hash, from when on)
        self._watch, self._closed = None, False
        threading.Thread(target=self._follow, daemon=True).start()
        run("ip", "route", "replace", "local", PODS, "dev", "lo")
        agents = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = agents.answer(self.path, self.request.getsockname()[0]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 1024

        self._server = Server(("0.0.0.0", 5051), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _follow(self):
        """kubectl ends when its watch does, and is started again: it begins with all that there is."""
        while not self._closed:
            self._watch = subprocess.Popen(
                [str(self._cluster.tools.kubernetes / "kubectl"), f"--kubeconfig={self._cluster.layout.kubeconfig}", "get", "pods",
                 f"--namespace={SYSTEM_NAMESPACE}", "--watch", "--output=json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            text = ""
            while chunk := self._watch.stdout.readline():
                text += chunk
                if chunk == "}\n":
                    self._saw(json.loads(text))
                    text = ""
            time.sleep(0.5)

    def _saw(self, pod):
        address = pod["status"].get("podIP")
        wanted = pod["metadata"].get("annotations", {}).get(HASH, "")
        if address and self._hashes.get(address, ("",))[0] != wanted:
            self._hashes[address] = (wanted, time.monotonic() + KUBELET, self._hashes.get(address, ("",))[0])

    def answer(self, path, address):
        wanted, since, before = self._hashes.get(address, ("", 0, ""))
        if path == "/metrics":
            return "cistern_store_bytes 0\n"
        return json.dumps({"fills": [], "upstreams": [{"name": "world", "state": "closed", "failures": 0}], "peers": [], "policy": "", "version": "bench",
                           "config_hash": wanted if time.monotonic() >= since else before, "store": {"bytes": 0, "objects": 0}})

    def close(self):
        self._closed = True
        self._watch.kill()
        self._server.shutdown()
        run("ip", "route", "del", "local", PODS, "dev", "lo", check=False)


def node(number, policies):
    name = f"kwok-{number:05}"
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "annotations": {"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
                         "labels": {"type": "kwok", "kubernetes.io/hostname": name, "bench/policy": f"p{number % policies:03}"}},
            "status": {"capacity": {"cpu": "32", "memory": "256Gi", "pods": "110"}, "allocatable": {"cpu": "32", "memory": "256Gi", "pods": "110"}}}


def bench_policy(number, retries=3):
    return policy(f"p{number:03}", nodeSelector={"matchLabels": {"bench/policy": f"p{number:03}"}}, retries=retries)


def say(text):
    print(text, file=sys.stderr, flush=True)


class Bench:
    def __init__(self, cluster, nodes, policies):
        self.cluster, self.nodes, self.policies = cluster, nodes, policies
        self.per_policy = nodes // policies

    def apply(self, objects):
        self.cluster.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=test", "--filename=-",
                             stdin="\n---\n".join(map(json.dumps, objects)), timeout=900)

    def prepare(self):
        cluster = self.cluster
        self.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}},
                    {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "cistern-agent"}, "value": 1000},
                    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "cistern-agent", "namespace": SYSTEM_NAMESPACE}}])
        cluster.kubectl("apply", "--server-side", f"--filename={ROOT / 'crds/mirrorpolicies.cistern.dev.yaml'}")
        start(cluster.layout, "kwok", [cluster.tools.kwok, f"--kubeconfig={cluster.layout.kubeconfig}", "--manage-all-nodes=false",
                                       "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake", f"--cidr={PODS}",
                                       "--node-lease-duration-seconds=40"])
        say(f"making {self.nodes} nodes")
        self.apply([node(number, self.policies) for number in range(self.nodes)])
        cluster.wait_for_nodes(timeout=300, count=self.nodes)

    def in_force(self, numbers):
        """Whether these policies are Ready in their newest generation."""
        wanted = {f"p{number:03}" for number in numbers}
        for found in self.cluster.get("mirrorpolicies")["items"]:
            if found["metadata"]["name"] in wanted:
                status = found.get("status", {})
                if (condition(found, "Ready").get("status") != "True" or status.get("observedGeneration") != found["metadata"]["generation"] or
                        status["agents"]["ready"] != self.per_policy):
                    return False
                wanted.discard(found["metadata"]["name"])
        return not wanted

    def change(self, numbers, retries, limit):
        """Seconds from the API server's answer to all agents of these policies being in force, as their status says."""
        self.apply([bench_policy(number, retries) for number in numbers])
        begin = time.monotonic()
        self.cluster.wait_for("the change to be in force", lambda: self.in_force(numbers), limit, interval=0.1)
        return time.monotonic() - begin

    def measure(self):
        agents = Agents(self.cluster)
        operator = OutsideOperator(self.cluster, "bench")
        try:
            operator.start()
            say(f"applying {self.policies} policies, each for {self.per_policy} nodes; the controller manager makes the pods")
            first = self.change(range(self.policies), 3, 1800)
            time.sleep(5)
            before = operator.requests()
            say(f"in force after {first:.1f} s; changing one policy, three times")
            changes = [number % self.policies for number in range(3)]
            one = [self.change([number], 4 + turn, 120) for turn, number in enumerate(changes)]
            middle = operator.requests()
            say("changing all policies at once")
            every = self.change(range(self.policies), 9, 300)
            after = operator.requests()
            say("a minute in which nothing changes")
            time.sleep(75)  # the counts of Events are written up to a minute after them
            quiet = operator.mutating_requests()
            time.sleep(60)
            return [
                ("first policies to all agents Ready, s (the controller manager's pace)", f"{first:.1f}"),
                ("one policy changed: in force on its nodes, s", f"{sorted(one)[1]:.2f}"),
                ("requests for that", f"{(middle - before) / 3:.0f}"),
                ("all policies changed at once: in force on all nodes, s", f"{every:.2f}"),
                ("requests for that", f"{after - middle:.0f}"),
                ("writes in 60 s in which nothing changed", f"{operator.mutating_requests() - quiet:.0f}"),
                ("memory, MiB", f"{operator.resident() / 2**20:.0f}"),
            ]
        finally:
            operator.stop()
            agents.close()


def main():
    parser = argparse.ArgumentParser(prog="./cistern bench operator", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--policies", type=int, default=50)
    options = parser.parse_args()
    if options.nodes % options.policies:
        parser.error("--nodes must be a multiple of --policies")
    cluster = Cluster(folder_of_tests("bench"))
    try:
        cluster.up(nodes=0)
        bench = Bench(cluster, options.nodes, options.policies)
        bench.prepare()
        rows = bench.measure()
    except Failure as failure:
        say(f"cistern: {failure}")
        return 1
    finally:
        cluster.down()
    print(f"\n| the operator, {options.nodes} nodes (kwok), {options.policies} policies | |\n|---|---:|")
    for name, value in rows:
        print(f"| {name} | {value} |")
    print(f"\n{BUDGET}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
