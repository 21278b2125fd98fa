"""Policies that are wrong, overlap, change and go."""

import json
import subprocess
import time

import images
import pytest
from cistern import REGISTRY, condition, policy
from cluster import SYSTEM_NAMESPACE


@pytest.mark.parametrize("spec, path", [
    ({"go": {"upstreams": [{"url": "http://user:secret@go.world"}]}}, "spec.go.upstreams[0].url"),
    ({"go": {"upstreamz": []}}, "spec.go.upstreamz"),
    ({"images": {"registries": [{"name": "a.example", "upstreams": [{"url": "http://a.example"}]}] * 2}}, "spec.images.registries"),
    ({"go": {"allowDirect": True, "deny": ["example.com/x"]}}, "spec.go"),
    ({"regions": {"cn": {"injection": {"mode": "Off"}}}}, "spec.regions"),
    ({"storage": {"size": "much"}}, "spec.storage.size"),
    ({"retries": -1}, "spec.retries"),
])
def test_a_wrong_policy_is_refused_by_kubectl_with_the_fields_path(cistern, cluster, spec, path):
    done = cluster.kubectl("create", "--validate=strict", "--filename=-", stdin=json.dumps(policy("wrong", **spec)), check=False)
    assert done.returncode != 0
    assert path in done.stderr, done.stderr
    assert "secret@" not in done.stderr or "user:secret" in path


def test_what_only_the_operator_can_refuse_is_told_and_the_old_stays_in_force(cistern, cluster):
    cistern.apply(policy())
    cistern.wait_ready()
    before = cistern.hash_wanted()
    # Two upstreams that get the same name from their host, which no schema can know.
    upstreams = [{"url": f"http://{REGISTRY}/a"}, {"url": f"http://{REGISTRY}/b"}]
    cistern.apply(policy(images={"registries": [{"name": REGISTRY, "upstreams": upstreams}]}))
    entry = cluster.wait_for("Accepted=False", lambda: condition(cistern.get(), "Accepted").get("status") == "False" and condition(cistern.get(), "Accepted"), 15)
    assert "spec.images.registries[0].upstreams[1].name" in entry["message"], entry
    time.sleep(2)
    assert cistern.hash_wanted() == before == cistern.hash_in_force("node1")
    # Nor does another leader, who has never seen the good one, take it away.
    cluster.delete("pods", f"--namespace={SYSTEM_NAMESPACE}", "--selector=app.kubernetes.io/component=operator", "--force", "--grace-period=0")
    cluster.wait_for("another leader", cistern.leader, 60)
    time.sleep(3)
    assert cistern.hash_wanted() == before == cistern.hash_in_force("node1")
    cistern.apply(policy())
    cistern.wait_ready()


def test_of_two_policies_that_overlap_the_higher_priority_wins_and_the_loser_says_so(cistern, cluster):
    cistern.apply(policy())
    cistern.wait_ready()
    cistern.apply(policy("special", priority=10, nodeSelector={"matchLabels": {"kubernetes.io/hostname": "node2"}}))
    cistern.wait_ready("special")
    cluster.wait_for("node2 to change hands", lambda: cistern.node_labels() == {"node1": "default", "node2": "special"}, 20)
    loser = cluster.wait_for("Overridden", lambda: condition(cistern.get(), "Overridden").get("status") == "True" and condition(cistern.get(), "Overridden"), 20)
    assert "special" in loser["message"] and "1 node" in loser["message"]
    events = cluster.kubectl("get", "events", "--all-namespaces", "--field-selector=involvedObject.kind=MirrorPolicy,involvedObject.name=default")
    assert "Overridden" in events or "special" in events
    assert cluster.wait_for("the loser to be Ready on what it has left", lambda: cistern.is_true("Ready") and cistern.get(), 60)["status"]["nodes"]["selected"] == 1
    # The loser takes over again when the winner goes.
    cluster.kubectl("delete", "mirrorpolicy", "special", "--timeout=60s")
    cluster.wait_for("node2 to be taken over", lambda: cistern.node_labels() == {"node1": "default", "node2": "default"}, 20)
    cluster.wait_for("Overridden to be over", lambda: condition(cistern.get(), "Overridden").get("status") == "False", 20)
    cistern.wait_ready()


def test_a_change_during_a_large_download_is_in_force_within_five_seconds_and_breaks_nothing(cistern, cluster, tmp_path):
    size = 60_000_000
    cluster.world.push(images.random_image(tmp_path / "held.tar", "app:v1", size, seed=3), "team/held:v1")
    cistern.apply(policy())
    cistern.wait_ready()
    target = f"/v2/team/held/manifests/v1?ns={REGISTRY}"
    accept = "Accept: application/vnd.docker.distribution.manifest.v2+json,application/vnd.oci.image.manifest.v1+json"
    layer = max(json.loads(cistern.on_node("node1", target, "-H", accept))["layers"], key=lambda each: each["size"])
    node = cluster.node("node1")
    download = subprocess.Popen([str(word) for word in node.exec_argv(
        ["sh", "-c", f"curl -sS --noproxy '*' --limit-rate 6M 'http://127.0.0.1:5050/v2/team/held/blobs/{layer['digest']}?ns={REGISTRY}' | sha256sum"])],
        stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    old = cistern.hash_in_force("node1")
    pods = {name: pod["metadata"]["uid"] for name, pod in cistern.agents().items()}
    start = time.monotonic()
    cistern.apply(policy(retries=7))

    def in_force():
        wanted = cistern.hash_wanted()
        return wanted != old and all(cistern.hash_in_force(name) == wanted for name in ("node1", "node2"))

    cluster.wait_for("the change to be in force", in_force, 20)
    took = time.monotonic() - start
    assert download.poll() is None, "the download was meant to last longer than the change"
    assert f"sha256:{download.communicate(timeout=60)[0].split()[0]}" == layer["digest"]
    assert {name: pod["metadata"]["uid"] for name, pod in cistern.agents().items()} == pods, "by reload, not by restart"
    assert took <= 5
    cistern.wait_ready()


def test_new_credentials_reach_the_agents_without_a_restart(cistern, cluster):
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth", "metadata": {"name": "robot"},
              "stringData": {"username": "robot", "password": "one"}}
    cluster.apply(secret, namespace=SYSTEM_NAMESPACE)
    try:
        upstreams = [{"name": "world", "url": f"http://{REGISTRY}", "credentialsRef": {"name": "robot"}}]
        cistern.apply(policy(images={"registries": [{"name": REGISTRY, "upstreams": upstreams}]}))
        cistern.wait_ready()
        pods = {name: pod["metadata"]["uid"] for name, pod in cistern.agents().items()}
        old = cistern.hash_wanted()
        cluster.apply({**secret, "stringData": {"username": "robot", "password": "two"}}, namespace=SYSTEM_NAMESPACE)
        cluster.wait_for("the new password to be in force",
                         lambda: cistern.hash_wanted() != old and all(cistern.hash_in_force(name) == cistern.hash_wanted() for name in pods), 15)
        assert {name: pod["metadata"]["uid"] for name, pod in cistern.agents().items()} == pods
    finally:
        cluster.delete("secret", "robot", f"--namespace={SYSTEM_NAMESPACE}")


def test_a_deleted_policy_leaves_nothing(cistern, cluster):
    cistern.apply(policy())
    cistern.wait_ready()
    assert len(cistern.objects()) >= 5
    cluster.kubectl("delete", "mirrorpolicy", "default", "--timeout=60s")
    cluster.wait_for("everything of it to be gone", lambda: not cistern.objects() and not cistern.agents(), 30)
    assert set(cistern.node_labels().values()) == {None}


def test_a_dead_node_does_not_hold_up_a_deletion(cistern, cluster):
    cistern.apply(policy())
    cistern.wait_ready()
    cistern.add_node()
    cluster.wait_for("an agent on node3", lambda: "node3" in cistern.agents() and cistern.is_true("Ready"), 60)
    cluster.remove_node("node3", forget=False)
    try:
        start = time.monotonic()
        cluster.kubectl("delete", "mirrorpolicy", "default", "--timeout=150s", timeout=180)
        assert time.monotonic() - start < 150
        assert not [name for name in cistern.objects() if not name.startswith("Pod/")]
    finally:
        cluster.delete("node", "node3")
        cluster.delete("pods", "--all-namespaces", "--field-selector=spec.nodeName=node3", "--force", "--grace-period=0")
