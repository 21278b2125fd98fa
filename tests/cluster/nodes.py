"""Cistern with nodes and pods pointed at it: what its tests share."""

import json

import runtime_files
from cistern import REGISTRY, Cistern, policy
from cluster import SYSTEM_NAMESPACE
from pulls import AUTHORITY
from world import PRIVATE, SECURE, USERS, VAULT


def registries(**changes):
    """The outside world's, as a policy names them; `changes` are fields of each."""
    secure = {"caRef": {"name": AUTHORITY}}
    upstreams = {
        REGISTRY: {"url": f"http://{REGISTRY}"},
        SECURE: {"url": f"https://{SECURE}", **secure},
        PRIVATE: {"url": f"https://{PRIVATE}", "credentialsRef": {"name": "robot"}, **secure},
        VAULT: {"url": f"https://{VAULT}", **secure},  # what is there is only for those who have a password of their own
    }
    return {"registries": [{"name": name, "upstreams": [{"name": name.partition(".")[0], **upstream}], "tagTTL": "1s", **changes}
                           for name, upstream in upstreams.items()]}


def node_policy(**spec):
    return policy(**{"images": registries(), "nodeConfig": {"maxUnavailable": 1}, **spec})


class Nodes(Cistern):
    """Cistern on a cluster whose nodes had files of their own before."""

    def __init__(self, cluster, before):
        super().__init__(cluster)
        self.before = before  # runtime_files.snapshots()

    def begin(self, **spec):
        """The policy is node_policy(), in force in agents and nodes."""
        self.apply(node_policy(**spec))
        self.wait_ready(timeout=120)
        self.wait_in_force()
        runtime_files.wait_configured(self.cluster)

    def change(self, **spec):
        """Another policy, once agents and nodes have it."""
        self.apply(node_policy(**spec))
        self.wait_ready()
        runtime_files.wait_configured(self.cluster)


def give_references(cluster):
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": AUTHORITY}, "data": {"ca.crt": (cluster.layout.pki / "ca.crt").read_text()}},
                  {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth", "metadata": {"name": "robot"},
                   "stringData": {"username": "robot", "password": USERS["robot"]}}, namespace=SYSTEM_NAMESPACE)


def metric(cistern, node, name, **labels):
    """The sum of an agent's numbers of this name and these labels."""
    total = 0.0
    for line in cistern.admin(cistern.agents()[node], "/metrics").splitlines():
        if line.partition("{")[0].partition(" ")[0] == name and all(f'{key}="{value}"' in line for key, value in labels.items()):
            total += float(line.rpartition(" ")[2])
    return total


def status(cistern, node):
    return json.loads(cistern.admin(cistern.agents()[node], "/status"))
