"""One policy for two regions and three environments: the right mirrors everywhere."""

import base64
import json
import os
import re
import time

import images
import pulls
import pytest
import runtime_files
from cistern import GOLDEN, REGISTRY, condition, policy
from cluster import SYSTEM_NAMESPACE
from nodes import status
from pulls import AUTHORITY
from test_injection import REQUIRED, created, environment
from test_inspect import ask
from world import SECURE

SERVICE = f"http://cistern-default.{SYSTEM_NAMESPACE}.svc:5050"
UPSTREAM = "registry.k8s.io"  # which the outside world does not have: it is found by its mirrors, or not at all
NAMESPACES = ("dev", "test", "prod")
DENIED = REQUIRED[0].split()[0]
REGION = "topology.kubernetes.io/region"


def regional():
    """node1 is in eu, node2 in cn."""
    mirror = {"name": UPSTREAM, "upstreams": [{"name": "main", "url": f"http://{REGISTRY}"}], "tagTTL": "1s"}
    flat = {"name": "mirror", "url": f"http://{REGISTRY}", "rewrite": [{"pattern": "^(?:.*/)?([^/]+)$", "replacement": "google_containers/\\1"}]}
    other = {"name": "other", "url": f"https://{SECURE}", "caRef": {"name": AUTHORITY}}
    return policy(
        images={"registries": [mirror]}, nodeConfig={"maxUnavailable": 1},
        regions={"cn": {"images": {"registries": [{"name": UPSTREAM, "upstreams": [flat]}]}}, "eu": {"images": {"registries": [{"name": UPSTREAM, "upstreams": [other]}]}}},
        profiles={"dev": {"go": {"sumDB": {"exempt": ["example.com/experiments/*"]}}}, "test": {"injection": {"env": {"STAGE": "test"}}}, "prod": {"go": {"deny": [DENIED]}}})["spec"]


@pytest.fixture(scope="module")
def regions(nodes, cluster):
    for name in NAMESPACES:
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"cistern.dev/profile": name}}})
    nodes.cluster.kubectl("label", "node", "node1", f"{REGION}=eu", "--overwrite")
    nodes.cluster.kubectl("label", "node", "node2", f"{REGION}=cn", "--overwrite")
    nodes.apply({"apiVersion": "cistern.dev/v1alpha1", "kind": "MirrorPolicy", "metadata": {"name": "default"}, "spec": regional()})
    nodes.wait_ready(timeout=120)
    wait_groups(cluster, {"node1": "default-eu", "node2": "default-cn"})
    cluster.wait_for("pods of prod to be told", lambda: variables(cluster, "prod").get("GOPROXY", "").endswith("/go/~prod/"), 30)
    cluster.world.serve_modules(go=str(cluster.tools.go))
    return nodes


def wait_groups(cluster, groups, timeout=60):
    def as_wanted():
        found = runtime_files.leases(cluster)
        return all(found.get(node, {}).get("group") == group and found[node]["state"] == "Applied" and
                   found[node]["applied-hash"] == runtime_files.wanted_hash(cluster, group) for node, group in groups.items())

    cluster.wait_for(f"nodes as {groups}", as_wanted, timeout, 0.2)


def client(name, namespace, node=None, annotations=None):
    made = pulls.pod(name, images.CLIENT, node, namespace, policy="IfNotPresent")
    made["metadata"]["annotations"] = annotations or {}
    return made


def variables(cluster, namespace, annotations=None):
    return environment(created(cluster, client("asked", namespace, annotations=annotations)))


def test_nodes_files_and_namespaces_variables_are_as_the_golden_file_says(regions, cluster):
    found = {"nodes": {node.name: {UPSTREAM: runtime_files.hosts_toml(node, UPSTREAM)} for node in cluster.nodes()},
             "agents": {group: agent_file(cluster, group) for group in ("default-cn", "default-eu")},
             "namespaces": {name: variables(cluster, name) for name in (*NAMESPACES, "default")}}
    path = GOLDEN / "environments.json"
    if os.environ.get("CISTERN_UPDATE_GOLDEN"):
        path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    assert found == json.loads(path.read_text())


def agent_file(cluster, group):
    secret = cluster.get("secret", f"cistern-{group}", f"--namespace={SYSTEM_NAMESPACE}")
    return base64.b64decode(secret["data"]["agent.yaml"]).decode().splitlines()


def test_each_region_pulls_from_its_own_mirror(regions, cluster, tmp_path):
    pulls.push(cluster, tmp_path, "google_containers/coredns:v1")  # in cn all is in one folder
    pulls.push(cluster, tmp_path, "coredns/coredns:v1")
    begun = len(cluster.world.settled())
    pods = [pulls.pod(f"region-{node}", f"{UPSTREAM}/coredns/coredns:v1", node) for node in ("node1", "node2")]
    pulls.start(cluster, *pods)
    pulls.wait_running(cluster, *pods)
    asked = {(each.host, each.path.split("/manifests/")[0]) for each in cluster.world.settled()[begun:] if "/manifests/" in each.path}
    assert asked == {("secure", "/v2/coredns/coredns"), ("registry", "/v2/google_containers/coredns")}
    pulls.remove(cluster, *pods)


def test_a_namespaces_label_and_before_it_a_pods_annotation_choose_the_profile(regions, cluster):
    assert variables(cluster, "test")["STAGE"] == "test"
    assert variables(cluster, "test", {"cistern.dev/profile": "prod"})["GOPROXY"] == f"{SERVICE}/go/~prod/"
    cluster.kubectl("label", "namespace", "test", "cistern.dev/profile=dev", "--overwrite")
    try:
        cluster.wait_for("the next pod to follow", lambda: variables(cluster, "test")["GOPROXY"] == f"{SERVICE}/go/~dev/", 10, 0.1)
    finally:
        cluster.kubectl("label", "namespace", "test", "cistern.dev/profile=test", "--overwrite")
    cluster.wait_for("the next pod to follow", lambda: variables(cluster, "test").get("STAGE") == "test", 10, 0.1)


def test_what_prod_denies_and_dev_allows_comes_from_the_same_agent_or_not(regions, cluster):
    pods = [client("build", name, "node1") for name in ("dev", "prod")]
    pulls.start(cluster, *pods)
    pulls.wait_running(cluster, *pods)
    command = f"mkdir -p /tmp/p && cd /tmp/p && (test -f go.mod || go mod init p) && go mod download {REQUIRED[0].replace(' ', '@')} 2>&1; echo code $?"
    said = {name: cluster.pod_exec("build", "sh", "-c", command, namespace=name) for name in ("dev", "prod")}
    assert "code 0" in said["dev"], said
    assert "403 Forbidden" in said["prod"] and "code 0" not in said["prod"], said
    pulls.remove(cluster, *pods)


def test_explain_names_the_source_of_every_value(regions, cluster):
    node = ask(cluster, "explain", "node", "node2")
    assert re.search(rf"region +cn +# label {REGION}", node), node
    assert "google_containers" in node and "policy default, region cn" in node, node
    namespace = ask(cluster, "explain", "namespace", "prod")
    assert f'"{DENIED}"' in namespace and "profile prod" in namespace, namespace
    pod = client("explained", "prod")
    pulls.start(cluster, pod)
    pulls.wait_running(cluster, pod)
    said = ask(cluster, "explain", "pod", "prod/explained")
    assert "/go/~prod/" in said and "profile prod" in said, said
    pulls.remove(cluster, pod)


def test_a_node_that_moves_pulls_from_its_new_regions_mirror_in_ten_seconds(regions, cluster, tmp_path):
    pulls.push(cluster, tmp_path, "google_containers/moved:v1")
    old = pulls.pod("kept", f"{UPSTREAM}/coredns/coredns:v1", "node1")
    begun = len(cluster.world.settled())
    start = time.monotonic()
    cluster.kubectl("label", "node", "node1", f"{REGION}=cn", "--overwrite")
    try:
        wait_groups(cluster, {"node1": "default-cn"}, 30)
        moved = pulls.pod("moved", f"{UPSTREAM}/some/where/moved:v1", "node1")
        pulls.start(cluster, moved)
        took = time.monotonic() - start
        pulls.wait_running(cluster, moved)
        paths = [each.path for each in cluster.world.settled()[begun:] if "moved" in each.path]
        assert paths and all(path.startswith("/v2/google_containers/moved/") for path in paths), paths
        assert took <= 10
        pulls.remove(cluster, moved, old)
    finally:
        cluster.kubectl("label", "node", "node1", f"{REGION}=eu", "--overwrite")
        wait_groups(cluster, {"node1": "default-eu"}, 60)


@pytest.mark.parametrize("overlays, path", [
    ({"regions": {"cn": {"imagez": {}}}}, "spec.regions.cn.imagez"),
    ({"regions": {"cn": {"retries": "many"}}}, "spec.regions.cn.retries"),
    ({"regions": {"cn": {"go": {"private": ["corp.example"]}}}}, "spec.regions"),
])
def test_bad_overlays_are_refused_with_their_path(regions, cluster, overlays, path):
    """A `null` is not among them: the API server takes it away before anybody sees it. Of a file it is refused."""
    done = cluster.kubectl("create", "--validate=strict", "--filename=-", stdin=json.dumps(policy("wrong", **overlays)), check=False)
    assert done.returncode != 0 and path in done.stderr, done.stderr


# --- Choosing upstreams ---

def ask_for_infos(cluster, first, last):
    """Go's .info of modules of which there is nothing yet, from node1 through the Service; how many answers were not 200."""
    address = cluster.get("service", "cistern-default", f"--namespace={SYSTEM_NAMESPACE}")["spec"]["clusterIP"]
    done = cluster.node_exec("node1", "curl", "-sS", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}\n", "--parallel", "--parallel-max", "20",
                             f"http://{address}:5050/go/example.com/m[{first}-{last}]/@v/v1.0.0.info", timeout=300)
    codes = done.split()
    assert len(codes) == last - first + 1
    return sum(code != "200" for code in codes)


def test_a_canary_gets_its_share_and_is_withdrawn_when_it_fails_with_nobody_noticing(configured, cluster):
    for number in range(11500):
        folder = cluster.world.go_tree / f"example.com/m{number}/@v"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "v1.0.0.info").write_text('{"Version":"v1.0.0","Time":"2020-01-01T00:00:00Z"}')
    upstreams = [{"name": "canary", "url": "http://canary.world:8080", "rollout": {"percent": 10}}, {"name": "world", "url": "http://go.world:8080"}]
    configured.change(go={"upstreams": upstreams})
    configured.wait_in_force()
    configured.wait_peers()
    begun = len(cluster.world.settled())
    assert ask_for_infos(cluster, 0, 9999) == 0
    hosts = [each.host for each in cluster.world.settled()[begun:] if each.path.endswith(".info")]
    share = hosts.count("canary") / 10000
    assert 0.08 <= share <= 0.12 and hosts.count("canary") + hosts.count("go") == 10000, (share, len(hosts))
    with cluster.world.canary_fails():
        begun = len(cluster.world.settled())
        assert ask_for_infos(cluster, 10000, 11499) == 0, "no client sees it"
        answers = [each.status for each in cluster.world.settled()[begun:] if each.host == "canary" and each.path.endswith(".info")]
        # Of about 150 that were its; each agent gives up on its own.
        assert 0 < len(answers) <= 60, len(answers)
        entry = cluster.wait_for("the status to tell", lambda: (found := condition(configured.get(), "Degraded")).get("reason") == "CanaryWithdrawn" and found)
        assert "canary" in entry["message"], entry
    cluster.wait_for("an event", lambda: "canary" in runtime_files.events(cluster, "CanaryWithdrawn"))


def test_the_slow_upstream_is_left_for_the_fast_one_and_back_when_they_swap(configured, cluster):
    world = cluster.layout.world
    with cluster.world.delayed(cluster.tools.toxiproxy, {6001: f"{world}:8080", 6002: f"{world}:8080"}) as delay:
        delay(6001, 5)
        delay(6002, 200)
        # By the name of the host nginx knows whose files are wanted; by the port we know which was asked.
        upstreams = [{"name": "one", "url": "http://go.world:6001"}, {"name": "two", "url": "http://go.world:6002"}]
        configured.change(selection="Fastest", go={"upstreams": upstreams})
        configured.wait_in_force()

        def preferred():
            found = {each["name"] for each in status(configured, "node1")["upstreams"] if each.get("preferred")}
            return found & {"one", "two"}

        def changes():
            return sum(float(line.rpartition(" ")[2]) for line in configured.admin(configured.agents()["node1"], "/metrics").splitlines()
                       if line.startswith("cistern_upstream_preference_changes_total"))

        pod = configured.agents()["node1"]["status"]["podIP"]

        def keep_asking(seconds, until=lambda: False):
            """Builds ask for what is not there yet, all the time."""
            end = time.monotonic() + seconds
            while time.monotonic() < end and not until():
                cluster.node_exec("node1", "curl", "-sS", "--noproxy", "*", "-o", "/dev/null", "--max-time", "10",
                                  f"http://{pod}:5050/go/example.com/x{time.monotonic_ns()}x[1-8]/@v/list", check=False)
            return until()

        keep_asking(15)
        assert preferred() == {"one"} and changes() <= 1
        delay(6001, 200)
        delay(6002, 5)
        assert keep_asking(90, lambda: preferred() == {"two"}), status(configured, "node1")["upstreams"]
        delay(6001, 5)
        delay(6002, 200)
        assert keep_asking(150, lambda: preferred() == {"one"}), status(configured, "node1")["upstreams"]
        assert changes() <= 3, "it does not go to and fro"

