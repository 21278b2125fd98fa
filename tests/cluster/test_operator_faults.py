"""Whatever is disturbed, everything comes to the same state: the one of golden/state.json."""

import datetime
import os
import pathlib
import signal
import time

import pytest
from cistern import condition, policy
from cluster import SYSTEM_NAMESPACE
from outside import OutsideOperator

WHERE = f"--namespace={SYSTEM_NAMESPACE}"


@pytest.fixture
def steady(ready):
    """A policy in force, in the state of the golden file."""
    ready.wait_converged()
    return ready


def roll(cistern, value):
    """A change of the agents' pod template: they are replaced one after the other."""
    cistern.apply(policy(agent={"resources": {"requests": {"cpu": f"{value}m"}}}))


def process_of(operator):
    """The number of an operator's process on this machine, by its pod's name."""
    word = f"--identity={operator}".encode()
    return next(int(path.parent.name) for path in pathlib.Path("/proc").glob("[0-9]*/cmdline") if word in path.read_bytes().split(b"\0"))


def test_the_follower_takes_over_from_a_killed_leader_and_finishes_its_rollout(steady, cluster):
    cluster.wait_for("a leader and a follower", lambda: steady.leader() and len(steady.operators()) == 2)
    leader = steady.leader()
    number = process_of(leader)
    roll(steady, 11)
    cluster.wait_for("the rollout to begin", lambda: '"cpu":"11m"' in cluster.kubectl("get", "daemonset", "cistern-default", WHERE, "--output=jsonpath={.spec.template}"))
    # First it is stopped, so that it can not give the Lease back when it hears that its pod is deleted; killed alone it would be started again.
    start = time.time()
    os.kill(number, signal.SIGSTOP)
    cluster.kubectl("delete", "pod", leader, WHERE, "--force", "--grace-period=0")
    os.kill(number, signal.SIGKILL)
    cluster.wait_for("another leader", lambda: steady.leader() not in (None, leader), 60)
    acquired = datetime.datetime.fromisoformat(steady.lease()["acquireTime"].replace("Z", "+00:00")).timestamp()
    assert 5 < acquired - start <= 20, "not given back, but run out"
    steady.wait_ready(timeout=120)
    steady.apply(policy())
    steady.wait_ready(timeout=120)
    steady.wait_converged()


def test_the_api_server_restarts(steady, cluster):
    cluster.kill("kube-apiserver")
    time.sleep(3)
    assert steady.on_node("node1", "/healthz"), "caches work on without it"
    cluster.restart("kube-apiserver")
    roll(steady, 12)
    steady.wait_ready(timeout=180)
    steady.apply(policy())
    steady.wait_ready(timeout=120)
    steady.wait_converged()


def test_etcd_pauses_for_thirty_seconds(steady, cluster):
    with cluster.paused("etcd"):
        time.sleep(30)
        assert steady.on_node("node1", "/healthz")
    cluster.wait_for("a leader", steady.leader, 120)
    cluster.wait_for_nodes(120)
    steady.apply(policy(retries=4))  # Ready may still be what was written before; this one has to be worked for
    steady.wait_ready(timeout=180)
    steady.apply(policy())
    steady.wait_ready(timeout=120)
    steady.wait_converged()


def test_objects_edited_and_deleted_by_hand_are_put_right(steady, cluster):
    wanted = steady.hash_wanted()
    cluster.kubectl("label", "node", "node1", "cistern.dev.node-restriction.kubernetes.io/group=other", "--overwrite")
    cluster.kubectl("patch", "daemonset", "cistern-default", WHERE, "--type=merge", '--patch={"spec":{"template":{"spec":{"nodeSelector":{"no":"where"}}}}}')
    cluster.kubectl("patch", "service", "cistern-default", WHERE, "--type=merge", '--patch={"spec":{"selector":{"cistern.dev/policy":"other"}}}')
    cluster.kubectl("patch", "secret", "cistern-default", WHERE, "--type=merge", '--patch={"data":{"agent.yaml":"eA=="}}')
    cluster.kubectl("delete", "networkpolicy", "cistern-default", WHERE)
    steady.wait_converged()
    steady.wait_ready(timeout=120)
    cluster.delete("daemonset,service,secret", WHERE, "--selector=cistern.dev/policy")
    steady.wait_converged()
    steady.wait_ready(timeout=120)
    assert steady.hash_wanted() == wanted, "the key of the peers too is what it was"


def test_a_node_comes_and_goes(steady, cluster):
    steady.add_node()
    try:
        cluster.wait_for("three agents in force", lambda: steady.is_true("Ready") and steady.get()["status"]["agents"]["ready"] == 3, 120)
    finally:
        cluster.remove_node("node3")
    cluster.wait_for("two agents", lambda: steady.is_true("Ready") and steady.get()["status"]["agents"]["desired"] == 2, 120)
    steady.wait_converged()


def test_an_unreachable_node_is_told_and_does_not_count(steady, cluster):
    steady.add_node()
    cluster.wait_for("three agents", lambda: steady.is_true("Ready") and steady.get()["status"]["agents"]["ready"] == 3, 120)
    cluster.remove_node("node3", forget=False)
    try:
        # The node's controller takes it for gone after 50 s; until then its agent is one that does not answer.
        cluster.wait_for("the node to be told, and not to count",
                         lambda: steady.is_true("Ready") and "node3" in condition(steady.get(), "Ready").get("message", ""), 180)
    finally:
        cluster.delete("node", "node3")
        cluster.delete("pods", "--all-namespaces", "--field-selector=spec.nodeName=node3", "--force", "--grace-period=0")
    steady.wait_converged()


def test_operators_whose_clocks_are_wrong_share_the_lead_and_converge(steady, cluster):
    """Two operators with clocks of their own, outside the cluster, against those inside: never two leaders, and the same state in the end."""
    fast, slow = OutsideOperator(cluster, "fast", faketime="+2h"), OutsideOperator(cluster, "slow", faketime="-2h")
    try:
        fast.start()
        slow.start()
        end = time.monotonic() + 20
        while time.monotonic() < end:
            assert not fast.leads() and not slow.leads(), "a Lease whose times look old, or new, is not taken: what counts is that it changes"
            time.sleep(0.5)
        assert steady.leader()
        with steady.no_operators():
            cluster.wait_for("a skewed one to lead", lambda: fast.leads() or slow.leads(), 60)
            first, second = (fast, slow) if fast.leads() else (slow, fast)
            steady.apply(policy(retries=5))
            steady.wait_ready(timeout=120)
            first.stop()
            second.wait_to_lead()
            steady.apply(policy(retries=6))
            steady.wait_ready(timeout=120)
            second.stop()
    finally:
        fast.stop()
        slow.stop()
    steady.apply(policy())
    steady.wait_ready(timeout=120)
    steady.wait_converged()
