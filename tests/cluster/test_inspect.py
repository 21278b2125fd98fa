"""`cistern-operator explain` and `doctor`, as a person runs them, against the cluster."""

import json

import pulls
import runtime_files
from cistern import BUILD, REGISTRY
from system import run
from world import SECURE

PROGRAM = BUILD / "bin/cistern-operator"


def ask(cluster, *words, code=0):
    done = run(PROGRAM, *words, f"--kubeconfig={cluster.layout.kubeconfig}", check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def problems(cluster):
    """By check: what doctor finds wrong."""
    done = run(PROGRAM, "doctor", "-o", "json", f"--kubeconfig={cluster.layout.kubeconfig}", check=False)
    found = json.loads(done.stdout)
    return {each["check"]: each for each in found["checks"] if each["level"] == "problem"}, done.returncode


def test_all_is_well_and_where_each_value_comes_from(configured, cluster):
    said = ask(cluster, "doctor")
    assert "0 problems" in said, said
    said = ask(cluster, "explain", "node", "node1")
    assert "default" in said and "Applied" in said and "containerd://" in said and "cache is not used" not in said, said
    assert f'"{REGISTRY}"  # policy default' in said, said
    said = ask(cluster, "explain", "namespace", "default")
    assert "cistern-default.cistern-system.svc:5050/go/" in said, said
    pod = pulls.pod("asked", "cistern.dev/client:dev", "node1", policy="IfNotPresent")
    pulls.start(cluster, pod)
    pulls.wait_running(cluster, pod)
    said = ask(cluster, "explain", "pod", "default/asked")
    assert "GOPROXY" in said and "policy default" in said, said
    pulls.remove(cluster, pod)


def test_why_a_cache_is_not_used_is_told(configured, cluster):
    """One thing after the other is broken in the ways that are not noticed otherwise."""
    node = cluster.node("node1")
    path = f"{runtime_files.CERTS}/{SECURE}/hosts.toml"
    node.write(path, "# cistern: unmanaged\n")
    try:
        cluster.wait_for("the Lease to name it", lambda: path in runtime_files.leases(cluster)["node1"]["message"], 15)
        said = ask(cluster, "explain", "node", "node1")
        assert path in said, said
    finally:
        node.exec("rm", path)
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "left-out", "labels": {"cistern.dev/inject": "false"}}})
    said = ask(cluster, "explain", "namespace", "left-out")
    assert "cistern.dev/inject" in said and "not used" in said, said
    # A runtime that reads no hosts.toml at all.
    node.exec("cp", "-a", "/etc/containerd/config.toml", "/run/kept.toml")
    try:
        node.exec("sed", "-i", "s/config_path/# config_path/", "/etc/containerd/config.toml")
        runtime_files.wait_state(cluster, "node1", "Unsupported", timeout=90)
        found, code = problems(cluster)
        assert code == 1 and "config_path" in json.dumps(found), found
        said = ask(cluster, "explain", "node", "node1")
        assert "config_path" in said and "not used" in said, said
        degraded = configured.wait_condition("Degraded", "True")
        assert degraded["reason"] == "NodeUnsupported" and "config_path" in degraded["message"], degraded
        assert runtime_files.hosts_toml(node, SECURE) is None, "files that nobody reads are not left"
    finally:
        node.exec("cp", "-a", "/run/kept.toml", "/etc/containerd/config.toml")
    runtime_files.wait_configured(cluster, timeout=90)
    cluster.wait_for("doctor to be content", lambda: not problems(cluster)[0], 60)
