"""Pods find the Go cache by themselves, with nothing set; those that want nothing of it get nothing."""

import base64
import json
import os
import re
import signal
import threading
import time

import images
import pulls
import pytest
from cistern import policy
from cluster import SYSTEM_NAMESPACE
from nodes import node_policy
from pki import openssl
from system import run, wall_clock
from test_operator_faults import process_of
from world import MODULES

SHOP = "shop"
SERVICE = f"http://cistern-default.{SYSTEM_NAMESPACE}.svc:5050"
REQUIRED = sorted(set(re.findall(r"^\t(\S+ v\S+)", (MODULES / "go.mod").read_text(), re.MULTILINE)))
DOWNLOAD = "cd /tmp/m && go mod download -x >/tmp/said 2>&1; echo $?; tail -3 /tmp/said; find /tmp/go/pkg/mod/cache/download -name '*.zip' | wc -l"


@pytest.fixture
def shop(configured, cluster):
    """An ordinary namespace."""
    for name, labels in ((SHOP, {}), ("out", {"cistern.dev/inject": "false"})):
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    cluster.wait_for("the namespace's account", lambda: cluster.get("serviceaccount", "default", f"--namespace={SHOP}"))
    cluster.wait_for("new pods to be injected", lambda: injected(cluster, client("probe")), 30)
    yield SHOP
    cluster.delete("pods,jobs,deployments", "--all", f"--namespace={SHOP}", "--force", "--grace-period=0")


def client(name, namespace=SHOP, node=None, environment=(), labels=None, annotations=None, **spec):
    made = pulls.pod(name, images.CLIENT, node, namespace, policy="IfNotPresent", **spec)
    made["spec"]["containers"][0]["env"] = list(environment)
    made["metadata"]["labels"] |= labels or {}
    made["metadata"]["annotations"] = annotations or {}
    return made


def created(cluster, pod):
    """The pod as the API server would store it."""
    done = cluster.kubectl("create", "--dry-run=server", "--output=json", "--filename=-", stdin=json.dumps(pod))
    return json.loads(done)


def environment(pod, container=0, kind="containers"):
    return {each["name"]: each.get("value") for each in pod["spec"][kind][container].get("env", [])}


def injected(cluster, pod):
    return environment(created(cluster, pod)).get("GOPROXY") == f"{SERVICE}/go/"


def give_module(cluster, pod, namespace=SHOP):
    for name in ("go.mod", "go.sum"):
        cluster.put(pod, f"/tmp/m/{name}", (MODULES / name).read_text(), namespace)


def download(cluster, pod, namespace=SHOP):
    """The exit code of `go mod download`, what it said last, and how many modules are there."""
    code, *said, count = cluster.pod_exec(pod, "sh", "-c", DOWNLOAD, namespace=namespace, timeout=300).split("\n")[:-1]
    return int(code), "\n".join(said), int(count)


def test_a_pod_downloads_its_modules_with_nothing_set(shop, cluster):
    cluster.world.serve_modules(go=str(cluster.tools.go))
    pod, out = client("build", node="node1"), client("build", "out", node="node1")
    pulls.start(cluster, pod, out)
    pulls.wait_running(cluster, pod, out)
    give_module(cluster, "build")
    give_module(cluster, "build", "out")
    begun = len(cluster.world.settled("go"))
    code, said, count = download(cluster, "build")
    assert code == 0 and count == len(REQUIRED) >= 50, said
    assert cluster.pod_exec("build", "go", "env", "GOSUMDB", namespace=SHOP).strip() == "sum.golang.org", "checksums are on"
    own = cluster.get("pod", "build", f"--namespace={SHOP}")["status"]["podIP"]
    assert own not in {each.client for each in cluster.world.settled("go")[begun:]}
    # A pod that opted out has the world no nearer: so it was the cache.
    code, said, count = download(cluster, "build", "out")
    assert code != 0 and count == 0, said
    pulls.remove(cluster, out)


def test_what_opted_out_gets_no_patch_at_all(shop, cluster):
    def own(found):
        """Without what the API server and Kubernetes' own admission put into every pod."""
        return found["metadata"].get("annotations", {}), environment(found)

    for pod in (client("a", labels={"cistern.dev/inject": "false"}), client("a", "out"), client("a", "kube-system"), client("a", SYSTEM_NAMESPACE)):
        assert own(created(cluster, pod)) == ({}, {}), pod["metadata"]
    assert injected(cluster, client("a", "out", labels={"cistern.dev/inject": "true"})), "a pod's own word counts more than its namespace's"


def test_what_a_pod_sets_itself_stays(shop, cluster):
    pod = client("own", environment=[{"name": "GOPROXY", "value": "https://goproxy.own"}],
                 initContainers=[{"name": "first", "image": images.CLIENT}, {"name": "second", "image": images.CLIENT, "envFrom": [{"configMapRef": {"name": "own"}}]}])
    found = created(cluster, pod)
    assert environment(found) == {"GOPROXY": "https://goproxy.own"}, "what belongs to another proxy is not changed either"
    assert environment(found, 0, "initContainers")["GOPROXY"] == f"{SERVICE}/go/"
    assert "GOPROXY" not in environment(found, 1, "initContainers")
    assert [each["configMapRef"]["name"] for each in found["spec"]["initContainers"][1]["envFrom"]] == ["cistern-env", "own"]
    notes = found["metadata"]["annotations"]
    assert notes["cistern.dev/injected"] == "default" and "GOPROXY" in notes["cistern.dev/injected-variables"]


def test_of_envFrom_later_ones_win_and_ours_is_there(shop, cluster):
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own"}, "data": {"GOSUMDB": "off"}}, namespace=SHOP)
    pod = client("from", node="node2")
    pod["spec"]["containers"][0] |= {"envFrom": [{"configMapRef": {"name": "own"}}]}
    del pod["spec"]["containers"][0]["env"]
    cluster.wait_for("the ConfigMap", lambda: cluster.get("configmap", "cistern-env", f"--namespace={SHOP}"))
    pulls.start(cluster, pod)
    pulls.wait_running(cluster, pod)
    said = dict(line.partition("=")[::2] for line in cluster.pod_exec("from", "env", namespace=SHOP).splitlines())
    assert said["GOPROXY"] == f"{SERVICE}/go/" and said["GOSUMDB"] == "off" and said["GONOPROXY"] == "none"


def test_pods_of_jobs_deployments_and_static_manifests(shop, cluster):
    template = {"metadata": {"labels": {"app": "made"}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "app", "image": images.CLIENT, "imagePullPolicy": "IfNotPresent"}]}}
    job = json.loads(json.dumps(template))
    job["spec"] |= {"restartPolicy": "Never"}
    job["spec"]["containers"][0]["command"] = ["sh", "-c", "go env GOPROXY"]
    cluster.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "made", "namespace": SHOP}, "spec": {"template": job}},
                  {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "made", "namespace": SHOP},
                   "spec": {"selector": {"matchLabels": {"app": "made"}}, "template": template}})
    cluster.kubectl("wait", "--for=condition=Complete", "job/made", f"--namespace={SHOP}", "--timeout=60s")
    assert cluster.kubectl("logs", "job/made", f"--namespace={SHOP}").strip() == f"{SERVICE}/go/"
    cluster.kubectl("wait", "--for=condition=Available", "deployment/made", f"--namespace={SHOP}", "--timeout=60s")
    made = cluster.get("pods", f"--namespace={SHOP}", "--selector=app=made")["items"]
    assert any(environment(pod).get("GOPROXY") == f"{SERVICE}/go/" for pod in made if pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet")
    # A static pod's mirror is only an image of what runs: it is left as it is, and so is the pod.
    node, path = cluster.node("node1"), "/etc/kubernetes/manifests/static.json"
    node.write(path, json.dumps(client("static", SHOP)))
    try:
        mirror = cluster.wait_for("the mirror", lambda: cluster.get("pod", "static-node1", f"--namespace={SHOP}"), 60)
        assert environment(mirror) == {} and "cistern.dev/injected" not in mirror["metadata"]["annotations"]
        cluster.wait_for("the static pod to run", lambda: cluster.condition("pod", "static-node1", "Ready", SHOP) == "True", 60)
    finally:
        node.exec("rm", path)


def test_a_private_module_of_an_upstream_comes_through_the_agent(shop, configured, cluster):
    """`private` keeps a module from upstreams for everything; one whose `match` names it is asked all the same."""
    module = REQUIRED[0].split()[0]
    upstreams = [{"name": "own", "url": "http://go.world:8080", "match": [module]}, {"name": "world", "url": "http://go.world:8080"}]
    configured.change(go={"upstreams": upstreams, "private": [module]})
    try:
        wanted = lambda: environment(created(cluster, client("private"))).get("GOPRIVATE") or environment(created(cluster, client("private"))).get("GONOSUMDB")  # noqa: E731
        assert module in cluster.wait_for("new pods to be told", wanted, 10)
        pod = client("private", node="node1")
        pulls.start(cluster, pod)
        pulls.wait_running(cluster, pod)
        variables = environment(cluster.get("pod", "private", f"--namespace={SHOP}"))
        assert variables["GONOPROXY"] == "none", "else `go` would pass the cache by"
        said = cluster.pod_exec("private", "sh", "-c", f"mkdir /tmp/p && cd /tmp/p && go mod init p && go mod download -x {REQUIRED[0].replace(' ', '@')} 2>&1", namespace=SHOP)
        assert f"{SERVICE}/go/" in said
    finally:
        configured.begin()


def test_new_pods_follow_a_change_of_the_policy_in_five_seconds(shop, configured, cluster):
    start = time.monotonic()
    configured.apply(node_policy(injection={"env": {"COMPANY": "acme"}}))
    cluster.wait_for("new pods to follow", lambda: environment(created(cluster, client("new"))).get("COMPANY") == "acme", 10, 0.1)
    assert time.monotonic() - start <= 5
    configured.apply(node_policy(injection={"mode": "Off"}))
    cluster.wait_for("no injection", lambda: environment(created(cluster, client("new"))) == {}, 10, 0.1)
    configured.begin()
    cluster.wait_for("injection again", lambda: injected(cluster, client("new")), 10)


def test_a_build_goes_on_when_its_nodes_agent_is_gone(shop, configured, cluster):
    """The Service prefers the agent of the same node; without it the other one answers."""
    cluster.world.serve_modules(go=str(cluster.tools.go))
    pod = client("goes-on", node="node1")
    pulls.start(cluster, pod)
    pulls.wait_running(cluster, pod)
    give_module(cluster, "goes-on")
    held = policy("held", priority=5, nodeSelector={"matchLabels": {"kubernetes.io/hostname": "node1"}}, namespaceSelector={"matchLabels": {"none": "such"}})
    ended = threading.Event()
    result = []
    worker = threading.Thread(target=lambda: (result.append(download(cluster, "goes-on")), ended.set()))
    worker.start()
    time.sleep(0.5)
    # The node changes hands in the middle: its agent of this policy ends.
    configured.apply(held)
    worker.join(300)
    assert ended.is_set() and result[0][0] == 0 and result[0][2] == len(REQUIRED), result
    cluster.wait_for("the agent of this policy to be gone from node1", lambda: set(configured.agents("cistern.dev/policy=default")) == {"node2"}, 60)
    code, said, _ = download(cluster, "goes-on")
    assert code == 0, said
    cluster.pod_exec("goes-on", "go", "clean", "-modcache", namespace=SHOP)
    code, said, count = download(cluster, "goes-on")
    assert code == 0 and count == len(REQUIRED), said
    cluster.kubectl("delete", "mirrorpolicy", "held", "--timeout=90s")


# --- Faults: no pod fails that would have worked without us ---

def test_with_nobody_to_ask_pods_are_created_as_they_are(shop, configured, cluster):
    with configured.no_operators():
        cluster.wait_for("nobody to answer", lambda: not injected(cluster, client("down")), 30)
        pod = client("down")
        start = time.monotonic()
        pulls.start(cluster, pod)
        assert time.monotonic() - start < 10
        pulls.wait_running(cluster, pod)
    cluster.wait_for("injection again", lambda: injected(cluster, client("up")), 60)


def test_a_webhook_that_hangs_holds_a_pod_up_for_three_seconds_at_most(shop, configured, cluster):
    numbers = [process_of(name) for name in configured.operators()]
    for number in numbers:
        os.kill(number, signal.SIGSTOP)
    try:
        start = time.monotonic()
        found = created(cluster, client("slow"))
        assert environment(found) == {} and time.monotonic() - start < 6
    finally:
        for number in numbers:
            os.kill(number, signal.SIGCONT)
    cluster.wait_for("injection again", lambda: injected(cluster, client("slow")), 60)


@pytest.mark.parametrize("damage", ["wrong", "expired", "none", "bundle"])
def test_a_damaged_certificate_stops_no_pod_and_is_replaced(shop, cluster, damage):
    secret = ("secret", "cistern-webhook", f"--namespace={SYSTEM_NAMESPACE}")
    bad = cluster.get(*secret)["data"]["tls.crt"]  # where the whole Secret goes, the same must not come back
    if damage == "bundle":
        cluster.kubectl("patch", "mutatingwebhookconfiguration", "cistern", "--type=json",
                        '--patch=[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]')
    elif damage == "none":
        cluster.delete(*secret)
    else:
        certificate, key = (cluster.layout.folder / f"webhook.{kind}" for kind in ("crt", "key"))
        name = f"cistern-webhook.{SYSTEM_NAMESPACE}.svc"
        make = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", certificate]
        if damage == "expired":
            run("openssl", *make, "-days", "1", env={**os.environ, **wall_clock("-9d")})
        else:
            openssl(*make, "-days", "30")
        data = {"tls.crt": base64.b64encode(certificate.read_bytes()).decode(), "tls.key": base64.b64encode(key.read_bytes()).decode()}
        cluster.kubectl("patch", *secret, "--type=merge", "--patch=" + json.dumps({"data": data}))
        bad = data["tls.crt"]
    for _ in range(5):
        created(cluster, client("certificate"))  # must not fail, whatever it gets
    cluster.wait_for("injection again", lambda: injected(cluster, client("certificate")), 30)
    if damage != "bundle":
        assert cluster.get(*secret)["data"]["tls.crt"] != bad
