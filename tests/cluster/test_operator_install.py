"""From `helm install` and `kubectl apply` to caches that serve."""

import collections
import concurrent.futures
import json
import pathlib
import re
import time

import images
from cistern import REGISTRY, condition, policy
from cluster import SYSTEM_NAMESPACE
from world import MODULES

SERVICE = f"http://cistern-default.{SYSTEM_NAMESPACE}.svc.cluster.local:5050"


def client_pod(node):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"client-{node}", "labels": {"app": "client"}},
            "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [{"name": "client", "image": images.CLIENT}]}}


def test_the_first_policy_is_ready_a_minute_after_install(cistern, installed):
    start = time.monotonic()
    cistern.apply(policy())
    found = cistern.wait_ready(timeout=60)
    assert installed[1] + time.monotonic() - start <= 60
    assert found["status"]["agents"]["ready"] == found["status"]["agents"]["desired"] == 2
    assert found["status"]["nodes"]["selected"] == 2
    listed = cistern.cluster.kubectl("get", "mp")
    assert "default" in listed and "True" in listed and "2/2" in listed


def test_a_pod_downloads_modules_through_the_service(ready, cluster):
    # Before, an agent takes itself for the owner of all: what it fetched then, another that is its owner later fetches again.
    ready.wait_peers()
    cluster.world.serve_modules(go=str(cluster.tools.go))
    cluster.apply(client_pod("node1"))
    cluster.wait_for_pods("app=client", 1)
    # kube-proxy writes its rules in its own time.
    cluster.wait_for("the Service to answer the pod", lambda: cluster.pod_exec("client-node1", "curl", "-fsS", "--max-time", "5", f"{SERVICE}/healthz"))
    for name in ("go.mod", "go.sum"):
        cluster.put("client-node1", f"/tmp/m/{name}", (MODULES / name).read_text())
    required = set(re.findall(r"^\t(\S+ v\S+)", (MODULES / "go.mod").read_text(), re.MULTILINE))
    download = f"""
        cd /tmp/m
        GOPROXY={SERVICE}/go/ GOSUMDB=sum.golang.org GONOSUMDB= go mod download -x 2>&1 | tail -3
        find /tmp/go/pkg/mod/cache/download -name '*.zip' | wc -l"""
    done = cluster.pod_exec("client-node1", "sh", "-c", download, timeout=300)
    assert int(done.split()[-1]) == len(required) > 100, done
    before = len(cluster.world.settled("go"))
    assert before > 100
    done = cluster.pod_exec("client-node1", "sh", "-c", f"go clean -modcache; {download}", timeout=300)
    assert int(done.split()[-1]) == len(required) > 100, done
    again = [each for each in cluster.world.settled("go")[before:] if each.path.endswith((".zip", ".mod", ".info"))]
    assert not again, "the second time all comes from the caches"


def test_a_node_pulls_by_its_own_loopback_address(ready, cluster, tmp_path):
    cluster.world.push(images.random_image(tmp_path / "small.tar", "app:v1", 2_000_000, seed=1), "team/small:v1")
    ready.wait_peers()
    for node in ("node1", "node2"):
        assert pull(cluster, node, "team/small:v1", tmp_path) == 0
    fetches = collections.Counter(each.path for each in cluster.world.settled("registry") if "/team/small/blobs/" in each.path and each.method == "GET")
    assert len(fetches) >= 2 and set(fetches.values()) == {1}, fetches
    assert ready.on_node("node1", "/go/").startswith("Go modules are served by the pods listener")


def test_a_large_cold_image_asked_for_on_both_nodes_at_once_is_fetched_once(ready, cluster, tmp_path):
    size = 200_000_000
    cluster.world.push(images.random_image(tmp_path / "large.tar", "app:v1", size, seed=2), "team/large:v1")
    ready.wait_peers()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        codes = list(pool.map(lambda node: pull(cluster, node, "team/large:v1", tmp_path), ("node1", "node2")))
    assert codes == [0, 0]
    fetched = [each for each in cluster.world.settled("registry") if "/team/large/blobs/" in each.path and each.method == "GET"]
    assert sum(each.size for each in fetched) < 1.1 * size, fetched


def test_agents_hold_no_token_and_run_without_privilege(ready):
    agents = ready.agents()
    assert set(agents) == {"node1", "node2"}
    for pod in agents.values():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert not [volume for volume in spec["volumes"] if "projected" in volume]
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"] and context["capabilities"]["drop"] == ["ALL"]
            assert context.get("runAsNonRoot") or spec["securityContext"]["runAsNonRoot"]


def test_the_operator_can_change_no_node_but_for_its_label(installed, cluster):
    account = f"system:serviceaccount:{SYSTEM_NAMESPACE}:cistern-operator"

    def patch(body):
        return cluster.kubectl("patch", "node", "node1", "--type=merge", f"--patch={json.dumps(body)}", f"--as={account}", "--dry-run=server", check=False)

    allowed = patch({"metadata": {"labels": {"cistern.dev.node-restriction.kubernetes.io/group": "other"}}})
    assert allowed.returncode == 0, allowed.stderr
    for body in ({"metadata": {"labels": {"other": "x"}}}, {"spec": {"unschedulable": True}}, {"metadata": {"annotations": {"x": "y"}}}):
        refused = patch(body)
        assert refused.returncode != 0, body
        assert "cistern" in refused.stderr, "the message says whose rule it is"


def test_the_service_accounts_may_do_no_more_than_they_need(installed, cluster):
    def may(account, verb, resource, namespace=SYSTEM_NAMESPACE):
        return cluster.kubectl("auth", "can-i", verb, resource, f"--namespace={namespace}", f"--as=system:serviceaccount:{SYSTEM_NAMESPACE}:{account}",
                               check=False).stdout.strip() == "yes"

    for verb, resource, namespace in [("get", "secrets", "default"), ("list", "secrets", "kube-system"), ("create", "pods", SYSTEM_NAMESPACE),
                                      ("delete", "nodes", ""), ("create", "clusterroles", ""), ("update", "nodes", ""),
                                      ("delete", "namespaces", ""), ("create", "pods/exec", SYSTEM_NAMESPACE), ("impersonate", "users", "")]:
        assert not may("cistern-operator", verb, resource, namespace), (verb, resource)
    assert may("cistern-operator", "patch", "daemonsets")
    for verb, resource in [("get", "secrets"), ("list", "pods"), ("get", "nodes"), ("get", "mirrorpolicies.cistern.dev"), ("create", "events")]:
        assert not may("cistern-agent", verb, resource), (verb, resource)


def test_helm_test_passes(ready, cluster):
    cluster.helm("test", "cistern", f"--namespace={SYSTEM_NAMESPACE}", "--timeout=120s")


def test_what_is_not_there_is_told_by_the_status(ready, cluster):
    """A missing Secret and an unreachable upstream are Degraded and leave the policy Ready; each is gone from the status when it is put right."""
    upstreams = [{"name": "world", "url": f"http://{REGISTRY}", "credentialsRef": {"name": "robot"}}]
    ready.apply(policy(images={"registries": [{"name": REGISTRY, "upstreams": upstreams}]}))
    degraded = ready.wait_condition("Degraded", "True")
    assert "robot" in degraded["message"] and SYSTEM_NAMESPACE in degraded["message"]
    ready.wait_ready()
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth", "metadata": {"name": "robot"},
                   "stringData": {"username": "robot", "password": "do-not-print"}}, namespace=SYSTEM_NAMESPACE)
    try:
        ready.wait_condition("Degraded", "False")
        text = json.dumps(ready.get()) + cluster.kubectl("get", "events", "--all-namespaces", "--output=json")
        assert "do-not-print" not in text
        ready.wait_in_force()
    finally:
        cluster.delete("secret", "robot", f"--namespace={SYSTEM_NAMESPACE}")


def test_an_image_that_can_not_be_pulled_is_named_in_the_status(cistern, cluster):
    cistern.apply(policy(agent={"image": "registry.world:5000/none/there:v9"}))

    def told():
        entry = condition(cistern.get(), "Ready")
        return entry.get("status") == "False" and "none/there:v9" in entry.get("message", "") and entry

    entry = cluster.wait_for("the status to name the image", told, 60)
    assert entry["reason"] == "ImagePullFailed"


def pull(cluster, node, image, folder):
    """Pulls by containerd through the node's agent, as kubelet will do once the runtime is configured; returns ctr's exit code."""
    hosts = f"/run/certs-{pathlib.Path(folder).name}"
    cluster.node_exec(node, "sh", "-c", f"mkdir -p '{hosts}/{REGISTRY}' && cat >'{hosts}/{REGISTRY}/hosts.toml'", stdin='[host."http://127.0.0.1:5050"]\n  capabilities = ["pull", "resolve"]\n')
    return cluster.node_exec(node, "ctr", "-n", "k8s.io", "images", "pull", "--hosts-dir", hosts, f"{REGISTRY}/{image}", check=False, timeout=240).returncode
