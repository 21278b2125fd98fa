"""kubelet pulls by its node's agent, and nothing is changed in a pod."""

import ipaddress
import time

import images
import pulls
import runtime_files
from cistern import REGISTRY
from cluster import SYSTEM_NAMESPACE
from nodes import metric, node_policy, registries
from sniffer import Sniffer
from world import PRIVATE, SECURE, USERS, VAULT

NODES = ("node1", "node2")


def pods_of(name, image):
    return [pulls.pod(f"{name}-{node}", image, node) for node in NODES]


def is_agent(cluster, address):
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(cluster.layout.pods(node.number)) for node in cluster.nodes())


def test_both_nodes_start_a_pod_at_once_with_one_fetch_of_its_image(configured, cluster, tmp_path):
    pulls.push(cluster, tmp_path, "team/both:v1", size=3_000_000)
    configured.wait_peers()
    before = {node: metric(configured, node, "cistern_requests_total", ecosystem="oci") for node in NODES}
    begun = len(cluster.world.settled())
    pods = pods_of("both", f"{REGISTRY}/team/both:v1")
    pulls.start(cluster, *pods)
    pulls.wait_running(cluster, *pods)
    seen = cluster.world.settled()[begun:]
    counts = pulls.blobs(seen, "team/both")
    # A configuration and a layer; the other layer is on the nodes already.
    assert len(counts) >= 2 and set(counts.values()) == {1}, counts
    assert all(is_agent(cluster, each.client) for each in seen), "no node went to the registry itself"
    for node in NODES:
        # A manifest by tag and by digest, a configuration and a layer.
        assert metric(configured, node, "cistern_requests_total", ecosystem="oci") - before[node] >= 4, node
    pulls.remove(cluster, *pods)


def test_of_an_image_for_several_architectures_the_nodes_own_is_pulled(configured, cluster, tmp_path):
    digests = pulls.push_index(cluster, tmp_path, "team/many:v1")
    configured.wait_peers()
    begun = len(cluster.world.settled())
    pods = pods_of("many", f"{SECURE}/team/many:v1")
    pulls.start(cluster, *pods)
    pulls.wait_running(cluster, *pods)
    seen = cluster.world.settled()[begun:]
    assert all(is_agent(cluster, each.client) for each in seen)
    asked = " ".join(each.path for each in seen)
    assert digests.pop("s390x") not in asked and list(digests.values())[0] in asked
    assert set(pulls.blobs(seen, "team/many").values()) == {1}
    pulls.remove(cluster, *pods)


def test_a_private_image_is_pulled_with_the_policys_credentials_and_pods_do_not_get_it(configured, cluster, tmp_path):
    pulls.push(cluster, tmp_path, "team/private:v1")
    begun = len(cluster.world.settled())
    pods = pods_of("private", f"{PRIVATE}/team/private:v1")
    pulls.start(cluster, *pods)
    pulls.wait_running(cluster, *pods)
    seen = cluster.world.settled()[begun:]
    assert {each.user for each in seen if each.status == 200} == {"robot"}
    assert all(is_agent(cluster, each.client) for each in seen)
    client = pulls.pod("client", images.CLIENT, "node1", policy="IfNotPresent")
    pulls.start(cluster, client)
    pulls.wait_running(cluster, client)
    service = f"http://cistern-default.{SYSTEM_NAMESPACE}.svc:5050"
    for path in (f"/v2/team/private/manifests/v1?ns={PRIVATE}", f"/v2/{PRIVATE}/team/private/manifests/v1",
                 f"/v2/{PRIVATE.replace(':', '_')}/team/private/manifests/v1"):
        answer = cluster.pod_exec("client", "curl", "-sS", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code}", f"{service}{path}")
        assert answer in ("403", "404"), path
    assert configured.on_node("node1", f"/v2/team/private/manifests/v1?ns={PRIVATE}", "-o", "/dev/null", "-w", "%{http_code}") == "200"
    pulls.remove(cluster, client, *pods)


def test_a_pods_own_pull_secret_still_works_and_never_reaches_the_agent(configured, cluster, tmp_path):
    """Of a registry that the policy has no credentials for."""
    pulls.push(cluster, tmp_path, "team/vault:v1")
    cluster.apply(pulls.pull_secret("own", VAULT, "somebody", USERS["somebody"]))
    begun = len(cluster.world.settled())
    secret = pulls.pod("vault", f"{VAULT}/team/vault:v1", "node1", imagePullSecrets=[{"name": "own"}])
    with Sniffer(cluster.layout.network_namespace("node1"), [b"GET /v2/team/vault", b"HEAD /v2/team/vault", b"Authorization:"]) as sniffer:
        pulls.start(cluster, secret)
        pulls.wait_running(cluster, secret)
    seen = cluster.world.settled()[begun:]
    assert any(each.user == "somebody" and each.status == 200 and not is_agent(cluster, each.client) for each in seen), "the node itself, with the pod's secret"
    assert not any(is_agent(cluster, each.client) and each.user for each in seen)
    clear = [packet.lower() for packet in sniffer.packets if b"/v2/team/vault" in packet]
    assert clear, "the agent was asked first, and we saw it"
    assert not any(b"authorization:" in packet for packet in clear)
    # Without a secret it is refused as it would be without Cistern.
    none = pulls.pod("nothing", f"{VAULT}/team/vault:v1", "node2")
    pulls.start(cluster, none)
    cluster.wait_for("the pull to fail", lambda: "ErrImagePull" in waiting(cluster, none) or "ImagePullBackOff" in waiting(cluster, none))
    pulls.remove(cluster, secret, none)


def waiting(cluster, pod):
    found = cluster.get("pod", pod["metadata"]["name"], f"--namespace={pod['metadata']['namespace']}") or {}
    return " ".join(each["state"].get("waiting", {}).get("reason", "") for each in found.get("status", {}).get("containerStatuses", []))


def test_with_the_world_unplugged_what_is_cached_still_starts_and_the_rest_recovers(configured, cluster, tmp_path):
    for name in ("cached", "fresh"):
        pulls.push(cluster, tmp_path, f"team/{name}:v1")
    first = pulls.pod("cached", f"{REGISTRY}/team/cached:v1", "node1")
    pulls.start(cluster, first)
    pulls.wait_running(cluster, first)
    pulls.remove(cluster, first)
    pulls.forget(cluster, "node1", f"{REGISTRY}/team/cached:v1")
    fresh = pulls.pod("fresh", f"{REGISTRY}/team/fresh:v1", "node1")
    cluster.world.unplug()
    try:
        pulls.start(cluster, first, fresh)
        pulls.wait_running(cluster, first)

        def told():
            return cluster.kubectl("get", "events", "--field-selector=involvedObject.name=fresh,reason=Failed", "--output=jsonpath={.items[*].message}")

        cluster.wait_for("an event about the pull", lambda: f"{REGISTRY}/team/fresh:v1" in told(), 120)
    finally:
        cluster.world.plug()
    pulls.wait_running(cluster, fresh, timeout=120)
    pulls.remove(cluster, first, fresh)


def test_a_change_of_the_policy_reaches_the_nodes_in_five_seconds_and_breaks_no_pull(configured, cluster, tmp_path):
    pulls.push(cluster, tmp_path, "team/slow:v1", size=30_000_000)
    slow = pulls.pod("slow", f"{REGISTRY}/team/slow:v1", "node1")
    changed = registries()
    changed["registries"].append({"name": "added.world", "upstreams": [{"url": f"http://{REGISTRY}"}]})
    before = runtime_files.wanted_hash(cluster)
    with cluster.world.throttled(3):
        pulls.start(cluster, slow)
        time.sleep(2)
        start = time.monotonic()
        configured.apply(node_policy(images=changed))
        runtime_files.wait_configured(cluster, but=before, interval=0.1)
        took = time.monotonic() - start
        assert runtime_files.hosts_toml(cluster.node("node2"), "added.world")
        assert cluster.condition("pod", "slow", "Ready") != "True", "the pull was meant to last longer than the change"
        pulls.wait_running(cluster, slow, timeout=90)
    assert took <= 5
    failed = cluster.kubectl("get", "events", "--field-selector=involvedObject.name=slow,reason=Failed", "--output=jsonpath={.items[*].message}")
    assert not failed, failed
    pulls.remove(cluster, slow)


def test_a_strict_registry_is_asked_of_the_agent_only_unless_the_agent_itself_comes_from_it(configured, cluster, tmp_path):
    pulls.push(cluster, tmp_path, "team/strict:v1")
    strict = registries(fallbackToSource=False)
    strict["registries"].append({"name": "cistern.dev", "upstreams": [{"url": f"http://{REGISTRY}"}], "fallbackToSource": False})  # the agent's image's
    configured.change(images=strict)
    text = runtime_files.hosts_toml(cluster.node("node1"), SECURE)
    assert 'server = "http://127.0.0.1:5050"' in text and "ca.crt" not in text, text
    assert 'server = "http://127.0.0.1:5050"' not in runtime_files.hosts_toml(cluster.node("node1"), "cistern.dev")
    cluster.wait_for("the status to name the exception", lambda: "cistern.dev" in cluster.kubectl("get", "mp", "default", "--output=jsonpath={.status}"))
    pods = pods_of("strict", f"{SECURE}/team/strict:v1")
    pulls.start(cluster, *pods)
    pulls.wait_running(cluster, *pods)
    pulls.remove(cluster, *pods)


def test_of_a_node_with_cri_o_the_drop_in_is_what_its_library_reads(configured, cluster, tmp_path):
    """skopeo reads /etc/containers as CRI-O does, and has the node's here. That the node has CRI-O is what its Node object says, which kubelet would correct."""
    pulls.push(cluster, tmp_path, "team/crio:v1")
    node = cluster.node("node2")
    cluster.kill("node2-kubelet")
    try:
        cluster.kubectl("patch", "node", "node2", "--subresource=status", "--type=merge",
                        '--patch={"status":{"nodeInfo":{"containerRuntimeVersion":"cri-o://1.30.1"}}}')
        cluster.wait_for("the drop-in", lambda: REGISTRY in node.exec("sh", "-c", "cat /etc/containers/registries.conf.d/*cistern*", check=False).stdout, 30)
        runtime_files.wait_configured(cluster)
        assert runtime_files.hosts_toml(node, REGISTRY) == runtime_files.PLAIN, "containerd's are as before"
        begun = len(cluster.world.settled())
        assert '"Digest"' in node.exec("skopeo", "inspect", "--no-tags", f"docker://{REGISTRY}/team/crio:v1")
        seen = cluster.world.settled()[begun:]
        assert seen and all(is_agent(cluster, each.client) for each in seen), seen
    finally:
        cluster.restart("node2-kubelet")
        cluster.wait_for_nodes()
    cluster.wait_for("the node to be one with containerd again", lambda: (runtime_files.hosts_toml(node, REGISTRY) or "").startswith(runtime_files.MARK), 60)
    runtime_files.wait_configured(cluster)
    assert "cistern" not in node.exec("ls", "/etc/containers/registries.conf.d")
