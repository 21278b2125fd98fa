"""Whatever fails, no pull fails that would have worked without Cistern, and everything converges."""

import contextlib
import random
import threading
import time

import pulls
import runtime_files
from cistern import REGISTRY
from cluster import SYSTEM_NAMESPACE
from nodes import node_policy, registries
from world import SECURE

WHERE = f"--namespace={SYSTEM_NAMESPACE}"


def test_an_agent_that_is_killed_during_a_pull_does_not_keep_the_pod_from_starting(configured, cluster, tmp_path):
    pulls.push(cluster, tmp_path, "team/killed:v1", size=20_000_000)
    pod = pulls.pod("killed", f"{REGISTRY}/team/killed:v1", "node1")
    with cluster.world.throttled(4):
        pulls.start(cluster, pod)
        time.sleep(2)
        assert kill_agent(cluster, "node1")
        pulls.wait_running(cluster, pod, timeout=120)
    pulls.remove(cluster, pod)


def kill_agent(cluster, node):
    """The agent's process, at once. True: there was one."""
    return cluster.node_exec(node, "pkill", "-9", "-x", "cache-agent", check=False).returncode == 0


def test_without_an_agent_images_are_pulled_from_their_registries(configured, cluster, tmp_path):
    pulls.push(cluster, tmp_path, "team/none:v1")
    ended = threading.Event()

    def keep_killing():
        while not ended.is_set():
            kill_agent(cluster, "node1")
            time.sleep(0.1)

    killer = threading.Thread(target=keep_killing)
    killer.start()
    try:
        pod = pulls.pod("none", f"{SECURE}/team/none:v1", "node1")
        pulls.start(cluster, pod)
        pulls.wait_running(cluster, pod, timeout=120)
    finally:
        ended.set()
        killer.join()
    assert any(each.host == "secure" for each in cluster.world.settled("secure") if "/team/none/" in each.path)
    cluster.wait_for("the agent again", lambda: configured.is_in_force(), 120)
    pulls.remove(cluster, pod)


def test_an_agent_that_hangs_holds_a_pull_up_only_until_kubelet_ends_it(configured, cluster, tmp_path):
    """containerd has no limit of time for a mirror's answer; the agent's liveness probe is what helps."""
    pulls.push(cluster, tmp_path, "team/hangs:v1")
    pod = pulls.pod("hangs", f"{SECURE}/team/hangs:v1", "node1")
    cluster.node_exec("node1", "pkill", "-STOP", "-x", "cache-agent")
    pulls.start(cluster, pod)
    pulls.wait_running(cluster, pod, timeout=150)
    cluster.wait_for("the agent again", lambda: configured.is_in_force(), 120)
    pulls.remove(cluster, pod)


def test_a_node_program_that_is_killed_again_and_again_leaves_whole_files(configured, cluster, tmp_path):
    """While the policy goes to and fro; what containerd reads is at each moment a file of ours or of others, complete."""
    pulls.push(cluster, tmp_path, "team/chaos:v1")
    ended, problems, chance = threading.Event(), [], random.Random(5)
    node = cluster.node("node1")
    strict = registries(fallbackToSource=False)

    def read():
        while not ended.is_set():
            for registry in (REGISTRY, SECURE):
                text = runtime_files.hosts_toml(node, registry)
                if registry == REGISTRY and text is None:
                    problems.append("the administrator's file was gone for a moment")
                elif text is not None and text.startswith(runtime_files.MARK) and not text.rstrip().endswith(("]", '"')):
                    problems.append(f"half a file: {text}")
            time.sleep(0.02)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for turn in range(8):
            configured.apply(node_policy(images=strict if turn % 2 == 0 else registries()))
            time.sleep(chance.uniform(0, 0.8))
            runtime_files.kill_node_program(cluster, "node1")
    finally:
        ended.set()
        reader.join()
    assert not problems, problems[:3]
    configured.apply(node_policy())
    # kubelet waits longer after each of its ends.
    runtime_files.wait_configured(cluster, timeout=180)
    pod = pulls.pod("chaos", f"{REGISTRY}/team/chaos:v1", "node1")
    pulls.start(cluster, pod)
    pulls.wait_running(cluster, pod)
    pulls.remove(cluster, pod)
    cluster.kubectl("delete", "mirrorpolicy", "default", "--timeout=120s")
    runtime_files.wait_as_before(cluster, configured.before, 60)


@contextlib.contextmanager
def small_disk(cluster, node):
    """The folder of the node's hosts.toml files is a disk of its own, with what is in it. Gives its path."""
    folder, scratch = runtime_files.CERTS, "/run/certs"
    program_on_new_mounts = ("delete", "pod", WHERE, "--selector=app.kubernetes.io/component=node", f"--field-selector=spec.nodeName={node.name}", "--wait=true")
    node.exec("sh", "-ec", f"mkdir -p {scratch}; mount -t tmpfs -o size=256k,mode=755 certs {scratch}; cp -a {folder}/. {scratch}/; mount --move {scratch} {folder} || "
              f"{{ mount --bind {scratch} {folder}; }}")
    cluster.kubectl(*program_on_new_mounts)
    try:
        yield folder
    finally:
        node.exec("sh", "-ec", f"mount -o remount,rw,size=4m {folder}; rm -rf {scratch}.kept; cp -a {folder} {scratch}.kept; while umount -l {folder} 2>/dev/null; do :; done; "
                  f"umount -l {scratch} 2>/dev/null || :; rm -rf {folder}; cp -a {scratch}.kept {folder}")
        cluster.kubectl(*program_on_new_mounts)
        cluster.wait_for("the node program", lambda: runtime_files.node_program(cluster, node.name), 60)


def test_a_full_disk_changes_nothing_is_told_and_heals(configured, cluster, tmp_path):
    node = cluster.node("node2")
    pulls.push(cluster, tmp_path, "team/full:v1")
    with small_disk(cluster, node) as folder:
        runtime_files.wait_configured(cluster, timeout=60)
        old = {registry: runtime_files.hosts_toml(node, registry) for registry in (REGISTRY, SECURE)}
        node.exec("sh", "-c", f"dd if=/dev/zero of={folder}/filler bs=4k 2>/dev/null; :")
        configured.apply(node_policy(images=registries(fallbackToSource=False)))
        told = runtime_files.wait_state(cluster, "node2", "Failed", timeout=60)
        assert "space" in told["message"], told
        cluster.wait_for("an event", lambda: "space" in runtime_files.events(cluster, "ApplyFailed"))
        cluster.wait_for("the status to count it", lambda: configured.get()["status"]["nodes"].get("failed") == 1)
        assert old == {registry: runtime_files.hosts_toml(node, registry) for registry in old}, "not a part of the change was made"
        pod = pulls.pod("full", f"{SECURE}/team/full:v1", "node2")
        pulls.start(cluster, pod)
        pulls.wait_running(cluster, pod)
        node.exec("rm", f"{folder}/filler")
        runtime_files.wait_configured(cluster, timeout=120)
        pulls.remove(cluster, pod)


def test_a_read_only_disk_changes_nothing_is_told_and_heals(configured, cluster):
    node = cluster.node("node2")
    with small_disk(cluster, node) as folder:
        runtime_files.wait_configured(cluster, timeout=60)
        old = runtime_files.snapshot(node)
        # For all who have it mounted.
        node.exec("mount", "-o", "remount,ro", folder)
        configured.apply(node_policy(images=registries(fallbackToSource=False)))
        told = runtime_files.wait_state(cluster, "node2", "Failed", timeout=60)
        assert "ead-only" in told["message"], told
        assert runtime_files.snapshot(node) == old
        node.exec("mount", "-o", "remount,rw", folder)
        runtime_files.wait_configured(cluster, timeout=120)


def test_with_the_operator_gone_for_good_everything_works_on(configured, cluster, tmp_path):
    pulls.push(cluster, tmp_path, "team/alone:v1")
    with configured.no_operators():
        cluster.wait_for("the operators to be gone", lambda: not configured.operators())
        node = cluster.node("node1")
        good = runtime_files.hosts_toml(node, SECURE)
        node.exec("rm", f"{runtime_files.CERTS}/{SECURE}/hosts.toml")
        cluster.wait_for("the file to be mended", lambda: runtime_files.hosts_toml(node, SECURE) == good, 10, 0.1)
        pods = [pulls.pod(f"alone-{name}", f"{REGISTRY}/team/alone:v1", name) for name in ("node1", "node2")]
        pulls.start(cluster, *pods)
        pulls.wait_running(cluster, *pods)
        runtime_files.kill_node_program(cluster, "node1")
        cluster.wait_for("the node program to be back", lambda: runtime_files.node_program(cluster, "node1"), 90)
        assert runtime_files.hosts_toml(node, SECURE) == good
        pulls.remove(cluster, *pods)


def test_an_api_server_that_is_away_changes_no_file(configured, cluster):
    before = runtime_files.snapshots(cluster)
    with cluster.paused("kube-apiserver"):
        node = cluster.node("node1")
        node.exec("rm", f"{runtime_files.CERTS}/{SECURE}/hosts.toml")
        deadline = time.monotonic() + 10
        while runtime_files.hosts_toml(node, SECURE) is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert runtime_files.hosts_toml(node, SECURE), "drift is mended all the same"
        time.sleep(3)
    names = lambda found: {name: [line for line in lines if " f " not in line] for name, lines in found.items()}  # noqa: E731 (but for the time of the mended file)
    assert names(runtime_files.snapshots(cluster)) == names(before)
    runtime_files.wait_configured(cluster, timeout=60)


def test_no_more_nodes_change_at_once_than_the_policy_allows(configured, cluster):
    """nodeConfig.maxUnavailable is 1. Every change of a Lease is looked at."""
    before = runtime_files.wanted_hash(cluster)
    with cluster.watching("leases", WHERE, "--selector=app.kubernetes.io/component=node") as versions:
        configured.apply(node_policy(images=registries(fallbackToSource=False)))
        runtime_files.wait_configured(cluster, but=before)
    wanted = runtime_files.wanted_hash(cluster)
    now, seen = {}, set()
    for lease in versions:
        said = lease["metadata"]["annotations"]
        now[lease["metadata"]["name"]] = said.get("cistern.dev/granted-hash") == wanted != said["cistern.dev/applied-hash"]
        seen.add(tuple(sorted(name for name, changes in now.items() if changes)))
    assert {("cistern-node-node1",), ("cistern-node-node2",)} <= seen, "each was seen while it changed"
    assert not [each for each in seen if len(each) > 1], seen
