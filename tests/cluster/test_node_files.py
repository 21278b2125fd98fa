"""Nobody's file is lost: what nodes had before is there again, byte for byte, whenever Cistern's part is over. Last it is uninstalled."""

import json
import tomllib

import pulls
import pytest
import runtime_files
from cistern import GROUP_LABEL, REGISTRY
from cluster import ROOT, SYSTEM_NAMESPACE
from nodes import give_references, node_policy, registries
from world import SECURE

RESTORE_LABEL = "cistern.dev.node-restriction.kubernetes.io/restore"
WHERE = f"--namespace={SYSTEM_NAMESPACE}"


def test_report_says_what_it_would_do_and_touches_nothing(configured, cluster):
    configured.apply(node_policy(nodeConfig={"mode": "Report"}))
    runtime_files.wait_as_before(cluster, configured.before)
    for node in cluster.nodes():
        told = runtime_files.wait_state(cluster, node.name, "Reported")
        assert f"/etc/containerd/certs.d/{SECURE}/hosts.toml" in told["message"], told
    configured.wait_ready()


def test_ours_are_marked_and_keep_what_was_asked_before(configured, cluster):
    for node in cluster.nodes():
        text = runtime_files.hosts_toml(node, REGISTRY)
        assert text.startswith(runtime_files.MARK)
        said = tomllib.loads(text)
        assert list(said["host"]) == ["http://127.0.0.1:5050"]
        assert said["server"] == f"http://{REGISTRY}", "what the administrator had set is still the way out"
        assert "ca.crt" in runtime_files.hosts_toml(node, SECURE), "and so is the certificate that containerd found by itself"
        assert runtime_files.hosts_toml(node, "other.example") == '[host."https://mirror.example"]\n  capabilities = ["pull"]\n'


def test_what_somebody_edits_or_deletes_is_mended_counted_and_told(configured, cluster):
    node = cluster.node("node1")
    good = runtime_files.hosts_toml(node, SECURE)
    counted = int(runtime_files.leases(cluster)["node1"]["repairs"])
    for damage in (f"echo '# oops' >>'{runtime_files.CERTS}/{SECURE}/hosts.toml'", f"rm '{runtime_files.CERTS}/{SECURE}/hosts.toml'",
                   f"rm -r '{runtime_files.CERTS}/{REGISTRY}'"):
        node.exec("sh", "-ec", damage)
        cluster.wait_for("the file to be as it was", lambda: runtime_files.hosts_toml(node, SECURE) == good and runtime_files.hosts_toml(node, REGISTRY), 10, 0.1)
    cluster.wait_for("the Lease to count them", lambda: int(runtime_files.leases(cluster)["node1"]["repairs"]) >= counted + 3, 15)
    cluster.wait_for("an event", lambda: SECURE in runtime_files.events(cluster, "DriftRepaired"))


def test_a_file_that_is_marked_unmanaged_is_left_alone_and_reported(configured, cluster):
    node = cluster.node("node1")
    path = f"{runtime_files.CERTS}/{SECURE}/hosts.toml"
    mine = '# cistern: unmanaged\nserver = "https://secure.world:5443"\n'
    try:
        node.write(path, mine)
        cluster.wait_for("the Lease to name it", lambda: path in runtime_files.leases(cluster)["node1"]["message"], 15)
        cluster.wait_for("the status to count it", lambda: configured.get()["status"]["nodes"].get("drifted") == 1)
        assert runtime_files.hosts_toml(node, SECURE) == mine
        configured.change(images=registries(fallbackToSource=False))  # nor does a change of the policy touch it
        assert runtime_files.hosts_toml(node, SECURE) == mine
    finally:
        node.exec("rm", path)
    cluster.wait_for("ours to be back", lambda: (runtime_files.hosts_toml(node, SECURE) or "").startswith(runtime_files.MARK), 15)
    cluster.wait_for("the status to say so", lambda: configured.get()["status"]["nodes"].get("drifted") == 0)


def test_a_node_that_leaves_the_policy_is_as_before(configured, cluster):
    configured.apply(node_policy(nodeSelector={"matchLabels": {"kubernetes.io/hostname": "node1"}}))
    runtime_files.wait_as_before(cluster, {"node1": runtime_files.snapshot(cluster.node("node1")), "node2": configured.before["node2"]})
    assert runtime_files.hosts_toml(cluster.node("node1"), REGISTRY).startswith(runtime_files.MARK)
    runtime_files.wait_state(cluster, "node2", "Restored")
    # A node that somebody takes the label from gets it back, and its files.
    configured.begin()
    cluster.kubectl("label", "node", "node2", f"{GROUP_LABEL}-", "--overwrite")
    cluster.wait_for("its label", lambda: configured.node_labels()["node2"] == "default")
    runtime_files.wait_configured(cluster)


def test_an_upgrade_of_the_chart_restores_nothing(configured, cluster):
    before = runtime_files.snapshots(cluster)
    old = {pod["metadata"]["uid"] for pod in node_pods(cluster)}
    cluster.install_chart(ROOT / "charts/cistern", "--set=node.logLevel=debug")
    cluster.wait_for("other pods", lambda: len(fresh := {pod["metadata"]["uid"] for pod in node_pods(cluster)}) == 2 and not fresh & old, 90)
    runtime_files.wait_configured(cluster)
    assert runtime_files.snapshots(cluster) == before, "not even written again"


def node_pods(cluster):
    return cluster.get("pods", WHERE, "--selector=app.kubernetes.io/component=node")["items"]


@pytest.mark.parametrize("keep", ["Delete", "Keep"])
def test_a_deleted_policy_leaves_nodes_as_they_were(configured, cluster, tmp_path, keep):
    configured.change(storage={"size": "4Gi", "minFree": "1%", "onDelete": keep})
    folder = "/var/lib/cistern/default"
    pulls.push(cluster, tmp_path, "team/gone:v1")
    pod = pulls.pod("gone", f"{REGISTRY}/team/gone:v1", "node1")
    pulls.start(cluster, pod)
    pulls.wait_running(cluster, pod)
    cluster.kubectl("delete", "mirrorpolicy", "default", "--timeout=90s")
    runtime_files.wait_as_before(cluster, configured.before)
    configured.wait_gone()
    for node in cluster.nodes():
        exists = lambda: node.exec("test", "-d", folder, check=False).returncode == 0  # noqa: B023, E731 (called at once)
        if keep == "Keep":
            assert exists()
        else:
            cluster.wait_for("the cache's folder to go", lambda: not exists(), 30)  # noqa: B023
    pulls.remove(cluster, pod)
    # The pods that run go on, and a pull works as it did before there was a policy.
    plain = pulls.pod("plain", f"{SECURE}/team/gone:v1", "node2")
    pulls.start(cluster, plain)
    pulls.wait_running(cluster, plain)
    pulls.remove(cluster, plain)


def test_a_namespace_that_is_deleted_by_force_leaves_nodes_as_they_were(configured, cluster):
    cluster.kubectl("delete", "namespace", SYSTEM_NAMESPACE, "--force", "--grace-period=0", "--timeout=120s", check=False, timeout=150)
    runtime_files.wait_as_before(cluster, configured.before, 60)
    cluster.wait_for("the namespace to go", lambda: cluster.get("namespace", SYSTEM_NAMESPACE) is None, 90)
    # What is cluster-wide stays; the chart takes it over again.
    cluster.install_chart(ROOT / "charts/cistern")
    give_references(cluster)
    configured.begin()


def test_by_hand_a_node_is_restored_without_anybody(configured, cluster):
    """The program of the image, when everything else is gone."""
    node = cluster.node("node1")
    program = ROOT / "build/bin/cistern-operator"
    refused = node.exec(program, "node", "--restore", check=False)
    assert refused.returncode != 0 and "cistern-node" in refused.stderr, "it is not done beside a running node program"
    cluster.kubectl("patch", "daemonset", "cistern-node", WHERE, "--type=merge",
                    "--patch=" + json.dumps({"spec": {"template": {"spec": {"nodeSelector": {"none": "such"}}}}}))
    cluster.wait_for("the node programs to end", lambda: not node_pods(cluster), 60)
    assert runtime_files.hosts_toml(node, REGISTRY).startswith(runtime_files.MARK), "an end that is not for good leaves the files"
    said = node.exec(program, "node", "--restore")
    assert runtime_files.snapshot(node) == configured.before["node1"], said
    assert "hosts.toml" in said
    cluster.kubectl("patch", "daemonset", "cistern-node", WHERE, "--type=json", '--patch=[{"op":"remove","path":"/spec/template/spec/nodeSelector/none"}]')
    runtime_files.wait_configured(cluster, timeout=60)


def test_an_uninstall_leaves_nodes_as_they_were_and_policies_that_can_be_deleted(configured, cluster):
    configured.uninstall()
    assert runtime_files.snapshots(cluster) == configured.before, runtime_files.difference(configured.before, runtime_files.snapshots(cluster))
    assert set(configured.node_labels().values()) == {None}
    assert not [each for each in cluster.get("leases", WHERE)["items"] if "cistern" in each["metadata"]["name"]]
    assert configured.get(), "policies are kept"
    cluster.kubectl("delete", "mirrorpolicy", "default", "--timeout=60s")
    # A later installation finds nothing in its way.
    cluster.install_chart(ROOT / "charts/cistern")
    give_references(cluster)
    configured.begin()


def test_a_node_that_was_away_during_an_uninstallation_is_put_right_by_the_next_installation(configured, cluster):
    node = cluster.node("node2")
    cluster.install_chart(ROOT / "charts/cistern", "--set=uninstall.timeout=40s")
    runtime_files.wait_configured(cluster)
    # As by power loss: nothing of it answers, and what is on its disk stays.
    cluster.kill("node2-kubelet")
    cluster.kill("node2-containerd")
    node.exec("pkill", "-9", "cistern-operato", check=False)
    # Until that is noticed, the uninstallation's own pod may be sent there.
    cluster.wait_for("node2 to count as gone", lambda: cluster.condition("node", "node2", "Ready") != "True", 120)
    said = cluster.helm("uninstall", "cistern", WHERE, "--wait", "--timeout=180s")
    assert runtime_files.snapshot(cluster.node("node1")) == configured.before["node1"]
    assert runtime_files.snapshot(node) != configured.before["node2"]
    labels = cluster.get("node", "node2")["metadata"]["labels"]
    assert labels.get(RESTORE_LABEL) == "true" and GROUP_LABEL not in labels, said
    assert RESTORE_LABEL not in cluster.get("node", "node1")["metadata"]["labels"]
    cluster.restart("node2-containerd")
    cluster.restart("node2-kubelet")
    cluster.wait_for_nodes()
    cluster.kubectl("delete", "mirrorpolicy", "default", "--timeout=60s")
    # Which may leave runtimes alone: it puts back all the same.
    cluster.install_chart(ROOT / "charts/cistern", "--set=node.enabled=false")
    runtime_files.wait_as_before(cluster, configured.before, 90)
    cluster.wait_for("the label to go", lambda: RESTORE_LABEL not in cluster.get("node", "node2")["metadata"]["labels"], 60)
