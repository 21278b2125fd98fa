"""What `./cistern cluster` leaves behind: nothing, however it ends. Each test makes a small cluster in a folder of its own, beside the one of the other tests."""

import os
import pathlib
import re
import signal
import subprocess
import sys

import cgroups
import pytest
from cluster import Cluster
from layout import default_folder, folder_of_tests
from system import Failure, missing_facilities, processes, run, wait_until

CLI = [sys.executable, "-B", str(pathlib.Path(__file__).with_name("cli.py"))]


def traces(layout):
    """What there is of this cluster on this machine, and of nobody's in particular: other clusters may come and go meanwhile."""
    found = {f"process {process.number} {process.part}" for process in processes(layout)}
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if str(layout.folder) + "/" in words:
            found.add(f"process {entry.parent.name} {words[:100]}")
    found |= {f"cgroup {folder}" for folder in cgroups.left(layout.cgroup(""))}
    found |= {f"mount {line.split()[4]}" for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()}
    found |= {f"file {path}" for path in pathlib.Path("/run").glob("*") if path.name != "xtables.lock"}
    found |= {f"link {name}" for name in os.listdir("/sys/class/net")}
    found |= {f"rule {line}" for line in run("iptables-save").splitlines() if line.startswith("-A")}
    found |= {f"route {line}" for line in run("ip", "route", "show", "table", "all").splitlines()}
    found |= {f"folder {path}" for path in layout.folder.parent.glob(f"{layout.folder.name}*")}
    own = re.compile(rf"cis(tern-)?{layout.id}|{re.escape(str(layout.folder))}")
    others = re.compile(rf"cis(tern-)?[0-9a-f]{{6}}|/cluster|{re.escape(str(default_folder()))}")
    return {trace for trace in found if own.search(trace) or not others.search(trace)}


@pytest.fixture
def other():
    """A cluster that is not up, and a check that nothing more of it is there after the test than before."""
    cluster = Cluster(folder_of_tests("test-other"))
    cluster.down()
    before = traces(cluster.layout)
    yield cluster
    cluster.down()
    assert traces(cluster.layout) - before == set()


def command(cluster, *argv, **environment):
    # As from a terminal: tests that run in the background would hand on that they hear no Ctrl-C.
    return subprocess.Popen([*CLI, *argv], env={**os.environ, "CISTERN_CLUSTER_DIR": str(cluster.layout.folder), **environment}, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def half_done(cluster):
    """An `up` that has just started its node's containerd."""
    child = command(cluster, "up", "--bare", "--nodes=1")
    wait_until("a node's containerd", lambda: processes(cluster.layout, "node1-containerd"), 30, interval=0.01, alive=lambda: child.poll() is None)
    return child


def test_up_after_a_killed_up_works_and_down_leaves_nothing(other):
    child = half_done(other)
    child.kill()
    child.communicate()
    assert processes(other.layout)
    again = command(other, "up", "--bare", "--nodes=1")
    output, errors = again.communicate(timeout=90)
    assert (again.returncode, errors) == (0, "")
    assert output.startswith("1 nodes Ready after ")
    output, _ = command(other, "up").communicate()
    assert output.startswith("The cluster is up: 1 nodes.")
    output, errors = command(other, "kubectl", "-n", "kube-system", "get", "serviceaccount", "default").communicate()
    assert output.startswith("NAME") and not errors, "kubectl's own options may come first"
    output, _ = command(other, "kubeconfig").communicate()
    assert output.strip() == str(other.layout.kubeconfig)
    other.wait_for("its node", lambda: [node["metadata"]["name"] for node in other.get("nodes")["items"]] == ["node1"])
    assert command(other, "down").wait() == 0
    assert not other.is_up


def test_an_interrupted_up_takes_itself_away(other):
    child = half_done(other)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert errors == "cistern: interrupted; what was made is taken away\n"
    assert not other.layout.folder.exists() and not processes(other.layout)


def test_a_failed_up_takes_itself_away_and_shows_the_log(other, tmp_path):
    for program in other.tools.kubernetes.iterdir():
        (tmp_path / program.name).symlink_to(program)
    (tmp_path / "kube-apiserver").unlink()
    (tmp_path / "kube-apiserver").write_text("#!/bin/sh\necho no storage in this test\nexit 1\n")
    (tmp_path / "kube-apiserver").chmod(0o755)
    child = command(other, "up", "--bare", "--nodes=0", CISTERN_KUBERNETES=str(tmp_path))
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 1
    assert errors == "cistern: kube-apiserver: the program has ended\n--- the last lines of kube-apiserver.log\nno storage in this test\n"
    assert not other.layout.folder.exists() and not processes(other.layout)


def test_two_commands_at_once_on_one_cluster_are_refused(other):
    child = half_done(other)
    try:
        with pytest.raises(Failure, match="another ./cistern cluster is at work"):
            other.down()
    finally:
        child.terminate()
        child.communicate(timeout=60)
    assert child.returncode == 143


def test_a_machine_that_cannot_have_a_cluster_is_told_what_it_lacks(monkeypatch):
    assert missing_facilities() == []
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    with pytest.raises(Failure, match="(?s)lacks what a cluster needs.*root"):
        Cluster(folder_of_tests("test-other")).up()
