"""Cistern on a cluster, as its tests see it: install it, give it policies, ask its agents, compare what it made with what it should."""

import base64
import contextlib
import copy
import json
import os
import pathlib
import time

from cluster import ROOT, SYSTEM_NAMESPACE
from system import Failure, run, wait_until

API_VERSION = "cistern.dev/v1alpha1"
GROUP_LABEL = "cistern.dev.node-restriction.kubernetes.io/group"
HASH = "cistern.dev/config-hash"
IMAGE = "cistern.dev/cistern:dev"
REGISTRY = "registry.world:5000"
OURS = "cistern.dev/policy"  # label of every object that is a policy's
KINDS = ("daemonset", "secret", "service", "networkpolicy", "configmap")
GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"
BUILD = pathlib.Path(os.environ.get("CISTERN_BUILD", ROOT / "build"))


def policy(name="default", **spec):
    """A policy for the outside world of the test cluster; `spec` replaces sections."""
    whole = {
        "go": {"upstreams": [{"name": "world", "url": "http://go.world:8080"}]},
        "images": {"registries": [{"name": REGISTRY, "upstreams": [{"name": "world", "url": f"http://{REGISTRY}"}], "tagTTL": "1s"}]},
        "storage": {"size": "4Gi", "minFree": "1%"},
    }
    whole.update(spec)
    return {"apiVersion": API_VERSION, "kind": "MirrorPolicy", "metadata": {"name": name}, "spec": whole}


def condition(found, kind):
    """A condition of a policy: its whole entry, {} if it is not there."""
    conditions = (found or {}).get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})


def subset(wanted, found):
    """Whether `wanted` is in `found`: maps member by member, lists element by element."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(key in found and subset(value, found[key]) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(subset, wanted, found))
    return wanted == found


class Cistern:
    def __init__(self, cluster):
        self.cluster = cluster

    # --- Installing ---

    @property
    def image(self):
        """A file of this cluster's own: another run's must not be half written when it is read."""
        return self.cluster.layout.folder / "image.tar"

    def build_image(self):
        """The image of the programs that were built, as a docker-archive. Returns its path."""
        run(ROOT / "cmake/image.sh", BUILD, self.image, timeout=300)
        return self.image

    def add_node(self):
        """One more node, Ready, with Cistern's image on it."""
        node = self.cluster.add_node()
        node.load(self.image)
        return node

    def uninstall(self):
        self.cluster.helm("uninstall", "cistern", f"--namespace={SYSTEM_NAMESPACE}", "--wait", "--timeout=180s")

    def operators(self):
        """The operator's pods that are Ready, by name."""
        listed = self.cluster.get("pods", f"--namespace={SYSTEM_NAMESPACE}", "--selector=app.kubernetes.io/component=operator")["items"]
        return {pod["metadata"]["name"]: pod for pod in listed if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]}

    def lease(self):
        """What the Lease says: holderIdentity, acquireTime, …"""
        return (self.cluster.get("lease", "cistern-operator", f"--namespace={SYSTEM_NAMESPACE}") or {}).get("spec", {})

    def leader(self):
        """The name of the pod that leads."""
        holder = self.lease().get("holderIdentity", "")
        return next((name for name in self.operators() if holder.startswith(name)), None)

    @contextlib.contextmanager
    def no_operators(self):
        """For as long as the block runs none runs in the cluster, so that one outside can lead; afterwards one inside leads again."""
        scale = ("scale", "deployment", "cistern-operator", f"--namespace={SYSTEM_NAMESPACE}")
        self.cluster.kubectl(*scale, "--replicas=0")
        try:
            yield
        finally:
            self.cluster.kubectl(*scale, "--replicas=2")
            self.cluster.wait_for("a leader inside", self.leader, 90)

    # --- Policies ---

    def apply(self, *policies):
        self.cluster.apply(*policies)

    def get(self, name="default"):
        return self.cluster.get("mirrorpolicy", name)

    def wait_peers(self, timeout=60):
        """Waits until each agent knows the others."""

        def known():
            pods = self.agents()
            return all(len(json.loads(self.admin(pod, "/status")).get("peers", [])) == len(pods) for pod in pods.values())

        self.cluster.wait_for("the agents to know each other", known, timeout)

    def is_true(self, kind, name="default", reason=None):
        """Whether a condition holds for the newest generation of a policy."""
        found = self.get(name)
        entry = condition(found, kind)
        return (entry.get("status") == "True" and found["status"].get("observedGeneration") == found["metadata"]["generation"] and
                reason in (None, entry.get("reason")))

    def wait_condition(self, kind, status, name="default", timeout=60):
        """Waits until a condition has this status; returns its whole entry."""

        def found():
            entry = condition(self.get(name), kind)
            return entry if entry.get("status") == status else None

        return self.cluster.wait_for(f"{kind}={status} of policy {name}", found, timeout)

    def wait_ready(self, name="default", timeout=90):
        try:
            return self.cluster.wait_for(f"policy {name} to be Ready", lambda: self.is_true("Ready", name) and self.get(name), timeout)
        except Failure as error:
            raise Failure(f"{error}\n{json.dumps((self.get(name) or {}).get('status'), indent=1)}\n{self.explain()}") from None

    def explain(self):
        """For a test that failed: what the pods do and the operator said."""
        where = f"--namespace={SYSTEM_NAMESPACE}"
        texts = [self.cluster.kubectl("get", "pods", where, "--output=wide", check=False).stdout,
                 self.cluster.kubectl("get", "events", where, "--sort-by=.lastTimestamp", check=False).stdout[-3000:]]
        for name in self.operators():
            texts.append(f"--- {name}\n" + self.cluster.kubectl("logs", where, name, "--tail=20", check=False).stdout)
        return "\n".join(texts)

    def remove_policies(self, timeout=90):
        self.cluster.kubectl("delete", "mirrorpolicies", "--all", f"--timeout={timeout}s", timeout=timeout + 30)
        self.wait_gone(timeout)

    def wait_gone(self, timeout=60):
        """Waits until nothing is left of any policy."""
        self.cluster.wait_for("nothing of any policy", lambda: not self.objects() and not self.agents() and set(self.node_labels().values()) == {None}, timeout)

    def reset_policies(self):
        """The policy `default` as policy() makes it, in force, and no other."""
        others = {each["metadata"]["name"] for each in self.cluster.get("mirrorpolicies")["items"]} - {"default"}
        if others:
            self.cluster.kubectl("delete", "mirrorpolicies", *others, "--timeout=90s")
        self.apply(policy())
        self.wait_ready(timeout=120)
        self.wait_in_force()

    def is_in_force(self, but=None):
        """Whether each agent has the configuration that its Secret holds, and one that is not `but`."""
        wanted = self.hash_wanted()
        nodes = self.agents()
        return wanted not in (None, but) and nodes and all(self.hash_in_force(node) == wanted for node in nodes)

    def wait_in_force(self, but=None, timeout=60, interval=0.4):
        self.cluster.wait_for("the configuration to be in force", lambda: self.is_in_force(but), timeout, interval)

    # --- Agents ---

    def agents(self, selector=OURS):
        """The agents' pods by node, ready or not."""
        listed = self.cluster.get("pods", f"--namespace={SYSTEM_NAMESPACE}", f"--selector={selector}")["items"]
        return {pod["spec"].get("nodeName", ""): pod for pod in listed}

    def on_node(self, node, path, *options, **more):
        """Asks a node's agent by its loopback address, from the node."""
        return self.cluster.node_exec(node, "curl", "-sS", "--noproxy", "*", "--max-time", "30", *options, f"http://127.0.0.1:5050{path}", **more)

    def admin(self, pod, path):
        """Asks the admin listener of an agent's pod, from this machine."""
        if not pod["status"].get("podIP"):
            raise Failure(f"{pod['metadata']['name']} has no address yet")
        return run("curl", "-sS", "--noproxy", "*", "--max-time", "5", f"http://{pod['status']['podIP']}:5051{path}")

    def hash_in_force(self, node):
        try:
            return json.loads(self.on_node(node, "/healthz"))["config_hash"]
        except (Failure, ValueError, KeyError):
            return None

    def hash_wanted(self, group="default"):
        secret = self.cluster.get("secret", f"cistern-{group}", f"--namespace={SYSTEM_NAMESPACE}")
        return (secret or {}).get("metadata", {}).get("annotations", {}).get(HASH)

    # --- What was made ---

    def objects(self):
        """Everything in the operator's namespace that is a policy's, by kind and name."""
        listed = self.cluster.get(",".join(KINDS), f"--namespace={SYSTEM_NAMESPACE}", f"--selector={OURS}")["items"]
        return {f"{each['kind']}/{each['metadata']['name']}": each for each in listed}

    def node_labels(self):
        return {node["metadata"]["name"]: node["metadata"]["labels"].get(GROUP_LABEL) for node in self.cluster.get("nodes")["items"]}

    def state(self):
        """What Cistern has made of the cluster, without what differs from run to run."""
        return {"nodes": self.node_labels(), "objects": {name: normal(found) for name, found in sorted(self.objects().items())}}

    def wait_converged(self, golden="state.json", timeout=120):
        """Waits until the state is what the golden file says; CISTERN_UPDATE_GOLDEN=1 writes the file instead."""
        path = GOLDEN / golden
        if os.environ.get("CISTERN_UPDATE_GOLDEN"):
            time.sleep(5)
            path.write_text(json.dumps(self.state(), indent=1, sort_keys=True) + "\n")
            return
        wanted = json.loads(path.read_text())
        try:
            wait_until(f"the state of {golden}", lambda: self._state_or_none() == wanted, timeout, interval=0.5)
        except Failure as error:
            raise Failure(f"{error}\n{differences(wanted, self.state())}\n{self.explain()}") from None

    def _state_or_none(self):
        try:
            return self.state()
        except Failure:
            return None


def is_ready(pod):
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


def normal(found):
    """An object without what the API server or chance put into it."""
    kept = copy.deepcopy(found)
    kept.pop("status", None)
    old = kept["metadata"]
    kept["metadata"] = {"labels": old.get("labels", {}), "annotations": {key: value for key, value in old.get("annotations", {}).items()
                                                                         if key not in (HASH, "cistern.dev/applied") and not key.startswith("deprecated.daemonset")}}
    kept["metadata"]["owners"] = [f"{owner['kind']}/{owner['name']}" for owner in old.get("ownerReferences", [])]
    if kept["kind"] == "Secret":
        kept["data"] = {key: "…" if key.startswith("peer.key") else base64.b64decode(value).decode().splitlines() for key, value in kept["data"].items()}
    if kept["kind"] == "ConfigMap":
        kept["data"].pop("generation", None)  # counts the edits of a test
    if kept["kind"] == "Service":
        for field in ("clusterIP", "clusterIPs"):
            if kept["spec"].get(field) not in ("None", ["None"]):
                kept["spec"].pop(field, None)
    return kept


def differences(wanted, found, path=""):
    """The places in which two values differ, a line each."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        lines = [differences(wanted.get(key), found.get(key), f"{path}.{key}") for key in sorted({*wanted, *found})]
        return "\n".join(line for line in lines if line)
    return "" if wanted == found else f"{path}: wanted {json.dumps(wanted)[:300]}, found {json.dumps(found)[:300]}"
