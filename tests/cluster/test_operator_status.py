"""What keeps a policy from working is a condition with a reason, and it goes with its cause."""

import contextlib

import pytest
from cistern import REGISTRY, condition, policy
from cluster import SYSTEM_NAMESPACE

QUOTA = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}}
TAINT = "example.com/reserved=yes:NoExecute"


@contextlib.contextmanager
def quota(cluster):
    cluster.apply(QUOTA, namespace=SYSTEM_NAMESPACE)
    cluster.wait_for("the quota to count", lambda: "used" in cluster.get("resourcequota", "few", f"--namespace={SYSTEM_NAMESPACE}").get("status", {}), 30)
    try:
        yield {}
    finally:
        cluster.delete("resourcequota", "few", f"--namespace={SYSTEM_NAMESPACE}")


@contextlib.contextmanager
def taint(cluster):
    cluster.kubectl("taint", "node", "node2", TAINT)
    try:
        yield {"agent": {"tolerations": []}}
    finally:
        cluster.kubectl("taint", "node", "node2", f"{TAINT}-")


@contextlib.contextmanager
def image(_cluster):
    yield {"agent": {"image": f"{REGISTRY}/no/such-agent:v1"}}


@pytest.mark.parametrize("cause, reason, stalled, words", [
    (quota, "PodsRefused", True, ["exceeded quota: few", "ResourceQuota", "node1", "node2"]),
    (taint, "NodesLeftOut", True, ["node2", "spec.agent.tolerations"]),
    (image, "ImagePullFailed", False, [f"{REGISTRY}/no/such-agent:v1", "spec.agent.image"]),
])
def test_what_keeps_agents_from_running_is_told_until_it_is_gone(cistern, cluster, cause, reason, stalled, words):
    with cause(cluster) as spec:
        cistern.apply(policy(**spec))
        entry = cluster.wait_for(f"Ready=False, {reason}", lambda: condition(cistern.get(), "Ready").get("reason") == reason and condition(cistern.get(), "Ready"), 60)
        assert entry["status"] == "False" and all(word in entry["message"] for word in words), entry
        assert cistern.is_true("Stalled", reason=reason) == stalled
        assert not stalled or not cistern.is_true("Reconciling")
        events = cluster.kubectl("get", "events", "--field-selector=involvedObject.kind=MirrorPolicy,involvedObject.name=default")
        assert reason in events
    cistern.apply(policy())
    # The DaemonSets' controller waits longer after each refusal.
    cistern.wait_ready(timeout=120)
    assert not cistern.is_true("Stalled")


def test_a_secret_that_is_missing_degrades_the_policy_until_it_is_there(cistern, cluster):
    upstreams = [{"name": "world", "url": f"http://{REGISTRY}", "credentialsRef": {"name": "late"}}]
    cistern.apply(policy(images={"registries": [{"name": REGISTRY, "upstreams": upstreams}]}))
    cluster.wait_for("Degraded", lambda: cistern.is_true("Degraded"), 60)
    entry = condition(cistern.get(), "Degraded")
    assert "late" in entry["message"] and "credentialsRef" in entry["message"], entry
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth", "metadata": {"name": "late"},
              "stringData": {"username": "robot", "password": "one"}}
    cluster.apply(secret, namespace=SYSTEM_NAMESPACE)
    try:
        cluster.wait_for("Degraded to be over", lambda: not cistern.is_true("Degraded") and cistern.is_true("Ready"), 30)
    finally:
        cluster.delete("secret", "late", f"--namespace={SYSTEM_NAMESPACE}")


def test_an_upstream_that_cannot_be_reached_degrades_the_policy_until_it_can(cistern, cluster):
    # Nobody listens there.
    upstreams = [{"name": "broken", "url": "http://go.world:9"}]
    cistern.apply(policy(go={"upstreams": upstreams}))
    cistern.wait_ready()
    pod = cistern.agents()["node1"]

    def asked_and_told():
        cluster.node_exec("node1", "curl", "-sS", "--noproxy", "*", "--max-time", "10", "-o", "/dev/null", f"http://{pod['status']['podIP']}:5050/go/example.com/m/@v/list", check=False)
        return cistern.is_true("Degraded", reason="UpstreamUnreachable")

    cluster.wait_for("UpstreamUnreachable", asked_and_told, 90)
    assert "broken" in condition(cistern.get(), "Degraded")["message"]
    assert cistern.is_true("Ready"), "the agents do what they are told"
    cistern.apply(policy())
    cluster.wait_for("Degraded to be over", lambda: not cistern.is_true("Degraded"), 60)
