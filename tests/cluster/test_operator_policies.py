"""Policies that are wrong, overlap, change and go."""

import json
import subprocess
import time

import images
import pytest
from cistern import REGISTRY, policy
from cluster import SYSTEM_NAMESPACE
from outside import OutsideOperator


@pytest.mark.parametrize("spec, path", [
    ({"go": {"upstreams": [{"url": "http://user:secret@go.world"}]}}, "spec.go.upstreams[0].url"),
    ({"go": {"upstreamz": []}}, "spec.go.upstreamz"),
    ({"images": {"registries": [{"name": "a.example", "upstreams": [{"url": "http://a.example"}]}] * 2}}, "spec.images.registries"),
    ({"go": {"allowDirect": True, "deny": ["example.com/x"]}}, "spec.go"),
    ({"regions": {"cn": {"injection": {"mode": "Off"}}}}, "spec.regions"),
    ({"storage": {"size": "much"}}, "spec.storage.size"),
    ({"retries": -1}, "spec.retries"),
])
def test_a_wrong_policy_is_refused_by_kubectl_with_the_fields_path(installed, cluster, spec, path):
    done = cluster.kubectl("create", "--validate=strict", "--filename=-", stdin=json.dumps(policy("wrong", **spec)), check=False)
    assert done.returncode != 0
    assert path in done.stderr, done.stderr
    assert "secret@" not in done.stderr or "user:secret" in path


def test_what_only_the_operator_can_refuse_is_told_and_the_old_stays_in_force(ready, cluster):
    before = ready.hash_wanted()
    # Two upstreams that get the same name from their host, which no schema can know.
    upstreams = [{"url": f"http://{REGISTRY}/a"}, {"url": f"http://{REGISTRY}/b"}]
    ready.apply(policy(images={"registries": [{"name": REGISTRY, "upstreams": upstreams}]}))
    entry = ready.wait_condition("Accepted", "False")
    assert "spec.images.registries[0].upstreams[1].name" in entry["message"], entry
    time.sleep(2)
    assert ready.hash_wanted() == before == ready.hash_in_force("node1")
    # Nor does another leader, who has never seen the good one, take it away.
    old = set(ready.operators())
    cluster.delete("pods", f"--namespace={SYSTEM_NAMESPACE}", "--selector=app.kubernetes.io/component=operator", "--force", "--grace-period=0")
    cluster.wait_for("another leader", lambda: ready.leader() not in (None, *old), 90)
    time.sleep(3)
    assert ready.hash_wanted() == before == ready.hash_in_force("node1")
    ready.apply(policy())
    ready.wait_ready()


def test_of_two_policies_that_overlap_the_higher_priority_wins_and_the_loser_says_so(ready, cluster):
    ready.apply(policy("special", priority=10, nodeSelector={"matchLabels": {"kubernetes.io/hostname": "node2"}}))
    ready.wait_ready("special")
    cluster.wait_for("node2 to change hands", lambda: ready.node_labels() == {"node1": "default", "node2": "special"})
    loser = ready.wait_condition("Overridden", "True")
    assert "special" in loser["message"] and "1 node" in loser["message"]

    def events():
        return cluster.kubectl("get", "events", "--all-namespaces", "--field-selector=involvedObject.kind=MirrorPolicy,involvedObject.name=default")

    cluster.wait_for("an event of it", lambda: "OtherPolicyWins" in events())
    cluster.wait_for("the loser to be Ready on what it has left", lambda: ready.is_true("Ready") and ready.get()["status"]["nodes"]["selected"] == 1, 90)
    # The loser takes over again when the winner goes.
    cluster.kubectl("delete", "mirrorpolicy", "special", "--timeout=90s")
    cluster.wait_for("node2 to be taken over", lambda: ready.node_labels() == {"node1": "default", "node2": "default"})
    ready.wait_condition("Overridden", "False")
    ready.wait_ready()


def test_a_change_during_a_large_download_is_in_force_within_five_seconds_and_breaks_nothing(ready, cluster, tmp_path):
    size = 60_000_000
    cluster.world.push(images.random_image(tmp_path / "held.tar", "app:v1", size, seed=3), "team/held:v1")
    target = f"/v2/team/held/manifests/v1?ns={REGISTRY}"
    accept = "Accept: application/vnd.docker.distribution.manifest.v2+json,application/vnd.oci.image.manifest.v1+json"
    layer = max(json.loads(ready.on_node("node1", target, "-H", accept))["layers"], key=lambda each: each["size"])
    node = cluster.node("node1")
    download = subprocess.Popen([str(word) for word in node.exec_argv(
        ["sh", "-c", f"curl -sS --noproxy '*' --limit-rate 3M 'http://127.0.0.1:5050/v2/team/held/blobs/{layer['digest']}?ns={REGISTRY}' | sha256sum"])],
        stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    old = ready.hash_in_force("node1")
    pods = {name: pod["metadata"]["uid"] for name, pod in ready.agents().items()}
    start = time.monotonic()
    ready.apply(policy(retries=7))
    ready.wait_in_force(but=old, interval=0.1)
    took = time.monotonic() - start
    assert download.poll() is None, "the download was meant to last longer than the change"
    assert f"sha256:{download.communicate(timeout=120)[0].split()[0]}" == layer["digest"]
    assert {name: pod["metadata"]["uid"] for name, pod in ready.agents().items()} == pods, "by reload, not by restart"
    assert took <= 5
    ready.wait_ready()


def test_new_credentials_reach_the_agents_without_a_restart(ready, cluster):
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth", "metadata": {"name": "robot"},
              "stringData": {"username": "robot", "password": "one"}}
    cluster.apply(secret, namespace=SYSTEM_NAMESPACE)
    try:
        upstreams = [{"name": "world", "url": f"http://{REGISTRY}", "credentialsRef": {"name": "robot"}}]
        ready.apply(policy(images={"registries": [{"name": REGISTRY, "upstreams": upstreams}]}))
        ready.wait_ready()
        pods = {name: pod["metadata"]["uid"] for name, pod in ready.agents().items()}
        old = ready.hash_wanted()
        cluster.apply({**secret, "stringData": {"username": "robot", "password": "two"}}, namespace=SYSTEM_NAMESPACE)
        ready.wait_in_force(but=old)
        assert {name: pod["metadata"]["uid"] for name, pod in ready.agents().items()} == pods
    finally:
        cluster.delete("secret", "robot", f"--namespace={SYSTEM_NAMESPACE}")


def test_a_deleted_policy_leaves_nothing(ready, cluster):
    assert len(ready.objects()) >= 5
    cluster.kubectl("delete", "mirrorpolicy", "default", "--timeout=90s")
    ready.wait_gone()


def test_a_dead_node_does_not_hold_up_a_deletion(ready, cluster):
    """By an operator outside, whose limit is not the two minutes of the chart's."""
    operator = OutsideOperator(cluster, "hasty", "--cleanup-timeout=10s")
    ready.add_node()
    try:
        cluster.wait_for("an agent on node3", lambda: "node3" in ready.agents() and ready.is_true("Ready"), 120)
        cluster.remove_node("node3", forget=False)
        operator.start()
        with ready.no_operators():
            operator.wait_to_lead()
            start = time.monotonic()
            cluster.kubectl("delete", "mirrorpolicy", "default", "--timeout=90s", timeout=120)
            assert time.monotonic() - start >= 9, "it was waited for"
            assert not ready.objects()
            # Of this one only its node could say that it has ended.
            cluster.wait_for("the agents of the others to end", lambda: set(ready.agents()) == {"node3"})
            cluster.wait_for("an event that names it", lambda: "Pod" in cluster.kubectl(
                "get", "events", "--all-namespaces", "--field-selector=reason=CleanupIncomplete", "--output=jsonpath={.items[*].message}"))
            operator.stop()
    finally:
        operator.stop()
        cluster.delete("node", "node3")
        cluster.delete("pods", "--all-namespaces", "--field-selector=spec.nodeName=node3", "--force", "--grace-period=0")
