"""The chart's life after the first day. Last in the order of files: it ends with Cistern uninstalled."""

import pathlib
import shutil

import images
from cistern import REGISTRY, policy
from cluster import ROOT, SYSTEM_NAMESPACE
from test_operator_install import pull

FIRST_CHART = pathlib.Path(__file__).resolve().parent / "data/cistern-0.1.0.tgz"
WHERE = f"--namespace={SYSTEM_NAMESPACE}"


def test_an_upgrade_keeps_caches_and_policies(cistern, cluster, tmp_path):
    cistern.uninstall()
    cluster.install_chart(FIRST_CHART)
    cluster.world.push(images.random_image(tmp_path / "kept.tar", "app:v1", 3_000_000, seed=4), "team/kept:v1")
    cistern.apply(policy(images={"registries": [{"name": REGISTRY, "upstreams": [{"name": "world", "url": f"http://{REGISTRY}"}], "tagTTL": "1h"}]}))
    before = cistern.wait_ready()
    cistern.wait_peers()  # each blob goes to its owner
    assert pull(cluster, "node1", "team/kept:v1", tmp_path) == 0
    labels = cistern.node_labels()
    # The chart of today, with a change of its CRD.
    chart = tmp_path / "cistern"
    shutil.copytree(ROOT / "charts/cistern", chart, symlinks=False)
    crd = next(path for path in chart.rglob("*.yaml") if "kind: CustomResourceDefinition" in path.read_text() and "additionalPrinterColumns" in path.read_text())
    crd.write_text(crd.read_text().replace("additionalPrinterColumns:", "additionalPrinterColumns:\n        - {name: Priority, type: integer, jsonPath: .spec.priority}", 1))
    cluster.install_chart(chart, "--set=operator.replicas=1", "--set=operator.logLevel=debug")
    assert "PRIORITY" in cluster.kubectl("get", "mp"), "an upgrade reaches the CRD"
    after = cistern.wait_ready()
    assert after["metadata"]["uid"] == before["metadata"]["uid"] and cistern.node_labels() == labels
    cluster.node_exec("node1", "ctr", "-n", "k8s.io", "images", "rm", "--sync", f"{REGISTRY}/team/kept:v1")
    cistern.wait_peers()
    fetched = len(cluster.world.settled("registry"))
    assert pull(cluster, "node1", "team/kept:v1", tmp_path) == 0
    assert len(cluster.world.settled("registry")) == fetched, "all of it came from the cache"


def test_an_uninstall_leaves_the_crd_and_its_policies_only(ready, cluster):
    ready.uninstall()
    assert ready.get(), "policies are kept"
    ready.wait_gone()
    kinds = ("clusterrole,clusterrolebinding,priorityclass,validatingadmissionpolicy,validatingadmissionpolicybinding,"
             "mutatingwebhookconfiguration,role,rolebinding,deployment,daemonset,job,service,networkpolicy,poddisruptionbudget,serviceaccount,lease")

    def left():
        listed = cluster.get(kinds, "--all-namespaces")["items"]
        names = [f"{each['kind']}/{each['metadata']['name']}" for each in listed if "cistern" in each["metadata"]["name"]]
        return [name for name in names if "/cistern-test:" not in name]

    cluster.wait_for("nothing of it", lambda: not left() or None)
    # Kept policies can be deleted although nobody is left to clean up after them.
    cluster.kubectl("delete", "mirrorpolicy", "default", "--timeout=60s")
