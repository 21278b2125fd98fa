"""The cluster does what the tests on it rely on: what a DaemonSet, a Service, a host port and a node do on a real one."""

import json
import time
import zipfile

import images
import pytest
from system import Failure

WEB = {
    "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "web"},
    "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{
            "name": "web", "image": images.CLIENT,
            "command": ["sh", "-c", "mkdir /tmp/w; echo $NODE >/tmp/w/index.html; echo started on $NODE; exec httpd -f -p 8080 -h /tmp/w"],
            "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
            "ports": [{"containerPort": 8080, "hostPort": 5050, "hostIP": "127.0.0.1"}],
            "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}}]}}},
}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}


@pytest.fixture(scope="session")
def web(cluster):
    """A web server on each node, which answers with the node's name; its pods by node."""
    cluster.apply(WEB, SERVICE)
    return {pod["spec"]["nodeName"]: pod for pod in cluster.wait_for_pods("app=web", 2)}


def curl(cluster, place, url, *options):
    """(exit code, body) of a request from a node or from a pod."""
    argv = ["curl", "--silent", "--show-error", "--max-time", "3", "--noproxy", "*", *options, url]
    if isinstance(place, dict):
        done = cluster.pod_exec(place["metadata"]["name"], *argv, check=False)
    else:
        done = cluster.node_exec(place, *argv, check=False)
    return done.returncode, done.stdout.strip()


def test_up_makes_ready_nodes_in_zones_within_a_minute(made):
    assert made.seconds <= 60
    nodes = {node["metadata"]["name"]: node["metadata"]["labels"] for node in made.cluster.get("nodes")["items"]}
    places = {name: (labels["topology.kubernetes.io/region"], labels["topology.kubernetes.io/zone"]) for name, labels in nodes.items()}
    assert places == {"node1": ("eu", "eu-a"), "node2": ("cn", "cn-a")}


def test_a_daemonset_runs_on_every_node(web):
    assert set(web) == {"node1", "node2"}


def test_a_service_answers_across_nodes_by_its_name(cluster, web):
    def answers():
        return {curl(cluster, web["node1"], "http://web.default.svc.cluster.local")[1] for _ in range(8)}

    assert cluster.wait_for("an answer from each node", lambda: answers() == {"node1", "node2"}, timeout=20)


def test_pods_of_two_nodes_see_each_other_without_translation(cluster, web):
    assert curl(cluster, web["node1"], f"http://{web['node2']['status']['podIP']}:8080") == (0, "node2")
    assert curl(cluster, "node1", f"http://{web['node2']['status']['podIP']}:8080") == (0, "node2")


def test_a_host_port_on_loopback_answers_its_node_alone(cluster, web):
    assert curl(cluster, "node1", "http://127.0.0.1:5050") == (0, "node1")
    assert curl(cluster, "node2", "http://127.0.0.1:5050") == (0, "node2")
    for place in ("node1", "node2", web["node2"]):
        code, body = curl(cluster, place, f"http://{cluster.node('node1').address}:5050")
        assert code != 0 and body == ""


def test_logs_and_exec_reach_the_container(cluster, web):
    for node, pod in web.items():
        assert cluster.kubectl("logs", pod["metadata"]["name"]) == f"started on {node}\n"
        # Its own file system, not the node's: the image holds this file with these two lines.
        assert len(cluster.pod_exec(pod["metadata"]["name"], "cat", "/etc/passwd").splitlines()) == 2


def test_nodes_share_neither_files_nor_processes(cluster):
    for name in ("node1", "node2"):
        cluster.node_exec(name, "sh", "-c", f"echo {name} >/etc/cistern-test; echo {name} >/var/lib/cistern-test; echo {name} >/run/cistern-test")
    for name in ("node1", "node2"):
        assert cluster.node_exec(name, "cat", "/etc/cistern-test", "/var/lib/cistern-test", "/run/cistern-test").split() == [name] * 3
        assert cluster.node_exec(name, "cat", "/proc/1/cmdline") == "sleep\0infinity\0"


def test_the_world_is_unreachable_while_unplugged(cluster, web):
    url = "http://registry.world:5000/v2/"
    assert curl(cluster, web["node1"], url) == (0, "{}")
    cluster.world.unplug()
    try:
        for place in (web["node1"], "node2"):
            code, body = curl(cluster, place, url, "--max-time", "1")
            assert code in (7, 28) and body == ""
    finally:
        cluster.world.plug()
    assert cluster.wait_for("the world", lambda: curl(cluster, "node2", url) == (0, "{}"), timeout=10)


def test_a_pod_runs_an_image_that_its_node_pulled_from_the_world(cluster, tmp_path):
    cluster.world.push(images.random_image(tmp_path / "app.tar", "app:v1", 1_000_000), "library/app:v1")
    hosts = f'[host."http://{cluster.world.registry}"]\n  capabilities = ["pull", "resolve"]\n'
    for name in ("node1", "node2"):
        cluster.node_exec(name, "sh", "-c", "mkdir -p /etc/containerd/certs.d/registry.world; cat >/etc/containerd/certs.d/registry.world/hosts.toml", stdin=hosts)
    before = len(cluster.world.registry_requests())
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app", "labels": {"app": "pulled"}},
                   "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "app", "image": "registry.world/library/app:v1"}]}})
    pod, = cluster.wait_for_pods("app=pulled", 1)
    requests = cluster.world.registry_requests()[before:]
    assert {request.client for request in requests} == {cluster.node(pod["spec"]["nodeName"]).address}
    fetched = [request for request in requests if "/blobs/" in request.path and request.method == "GET"]
    assert [request.status for request in fetched] == [200, 200] and max(request.size for request in fetched) >= 1_000_000


def test_a_pod_downloads_a_module_from_the_world(cluster, web):
    versions = cluster.world.go_tree / "example.com/hello/@v"
    versions.mkdir(parents=True)
    (versions / "list").write_text("v1.0.0\n")
    (versions / "v1.0.0.info").write_text(json.dumps({"Version": "v1.0.0", "Time": "2024-01-01T00:00:00Z"}))
    (versions / "v1.0.0.mod").write_text("module example.com/hello\n")
    with zipfile.ZipFile(versions / "v1.0.0.zip", "w") as archive:
        archive.writestr("example.com/hello@v1.0.0/go.mod", "module example.com/hello\n")
    cluster.pod_exec(web["node2"]["metadata"]["name"], "sh", "-ec", "mkdir /tmp/m; cd /tmp/m; go mod init m; GOPROXY=http://go.world:8080 GONOSUMDB=* "
                     "go mod download example.com/hello@v1.0.0; ls $GOPATH/pkg/mod/example.com/hello@v1.0.0/go.mod")
    asked = [request.path for request in cluster.world.go_requests() if request.client == web["node2"]["status"]["podIP"]]
    assert asked == [f"/example.com/hello/@v/v1.0.0.{kind}" for kind in ("info", "mod", "zip")]


def test_a_paused_etcd_answers_again_when_it_goes_on(cluster):
    with cluster.paused("etcd"):
        assert cluster.kubectl("get", "nodes", "--request-timeout=1s", check=False).returncode != 0
    assert cluster.wait_for("nodes", lambda: len(cluster.get("nodes")["items"]) == 2, timeout=20)


def test_a_killed_api_server_stays_away_until_it_is_started_again(cluster):
    cluster.kill("kube-apiserver")
    with pytest.raises(Failure, match="refused"):
        cluster.get("nodes")
    cluster.restart("kube-apiserver")
    assert len(cluster.get("nodes")["items"]) == 2


def test_restarting_a_nodes_daemons_leaves_its_pods_alone(cluster, web):
    for daemon in ("containerd", "kubelet", "kube-proxy"):
        cluster.restart(f"node1-{daemon}")
    time.sleep(1)
    assert curl(cluster, "node1", "http://127.0.0.1:5050") == (0, "node1")
    assert cluster.wait_for("exec through the new kubelet", lambda: cluster.pod_exec(web["node1"]["metadata"]["name"], "echo", "here") == "here\n", timeout=20)


def test_a_node_comes_and_goes(cluster, web):
    node = cluster.add_node()
    assert (node.name, node.region) == ("node3", "us")
    pods = {pod["spec"]["nodeName"]: pod for pod in cluster.wait_for_pods("app=web", 3)}
    assert curl(cluster, web["node1"], f"http://{pods['node3']['status']['podIP']}:8080") == (0, "node3")
    cluster.remove_node("node3")
    assert [node.name for node in cluster.nodes()] == ["node1", "node2"]
    assert len(cluster.wait_for_pods("app=web", 2)) == 2
