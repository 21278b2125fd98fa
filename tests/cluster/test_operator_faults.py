"""Whatever is disturbed, everything comes to the same state: the one of golden/state.json."""

import time

import pytest
from cistern import condition, policy
from cluster import SYSTEM_NAMESPACE
from outside import OutsideOperator

WHERE = f"--namespace={SYSTEM_NAMESPACE}"


@pytest.fixture
def steady(cistern):
    """A policy in force, in the state of the golden file."""
    cistern.apply(policy())
    cistern.wait_ready()
    cistern.wait_converged()
    return cistern


def roll(cistern, value):
    """A change of the agents' pod template: they are replaced one after the other."""
    cistern.apply(policy(agent={"resources": {"requests": {"cpu": f"{value}m"}}}))


def test_the_follower_takes_over_from_a_killed_leader_and_finishes_its_rollout(steady, cluster):
    leader = steady.leader()
    assert leader and len(steady.operators()) == 2
    roll(steady, 11)
    start = time.monotonic()
    cluster.kubectl("delete", "pod", leader, WHERE, "--force", "--grace-period=0")
    cluster.wait_for("another leader", lambda: steady.leader() not in (None, leader), 40)
    assert time.monotonic() - start <= 20
    steady.wait_ready(timeout=90)
    steady.apply(policy())
    steady.wait_ready(timeout=90)
    steady.wait_converged()


def test_the_api_server_restarts(steady, cluster):
    cluster.kill("kube-apiserver")
    time.sleep(3)
    assert steady.on_node("node1", "/healthz"), "caches work on without it"
    cluster.restart("kube-apiserver")
    roll(steady, 12)
    steady.wait_ready(timeout=120)
    steady.apply(policy())
    steady.wait_ready(timeout=90)
    steady.wait_converged()


def test_etcd_pauses_for_thirty_seconds(steady, cluster):
    with cluster.paused("etcd"):
        time.sleep(30)
        assert steady.on_node("node1", "/healthz")
    cluster.wait_for("a leader", steady.leader, 60)
    cluster.wait_for_nodes(60)
    steady.wait_ready(timeout=120)
    steady.wait_converged()


def test_objects_edited_and_deleted_by_hand_are_put_right(steady, cluster):
    wanted = steady.hash_wanted()
    cluster.kubectl("label", "node", "node1", "cistern.dev.node-restriction.kubernetes.io/group=other", "--overwrite")
    cluster.kubectl("patch", "daemonset", "cistern-default", WHERE, "--type=merge", '--patch={"spec":{"template":{"spec":{"nodeSelector":{"no":"where"}}}}}')
    cluster.kubectl("patch", "service", "cistern-default", WHERE, "--type=merge", '--patch={"spec":{"selector":{"cistern.dev/policy":"other"}}}')
    cluster.kubectl("patch", "secret", "cistern-default", WHERE, "--type=merge", '--patch={"data":{"agent.yaml":"eA=="}}')
    cluster.kubectl("delete", "networkpolicy", "cistern-default", WHERE)
    steady.wait_converged(timeout=60)
    steady.wait_ready(timeout=90)
    cluster.delete("daemonset,service,secret", WHERE, "--selector=cistern.dev/policy")
    steady.wait_converged(timeout=60)
    steady.wait_ready(timeout=90)
    assert steady.hash_wanted() == wanted, "the key of the peers too is what it was"


def test_a_node_comes_and_goes(steady, cluster):
    steady.add_node()
    try:
        cluster.wait_for("three agents in force", lambda: steady.is_true("Ready") and steady.get()["status"]["agents"]["ready"] == 3, 90)
    finally:
        cluster.remove_node("node3")
    cluster.wait_for("two agents", lambda: steady.is_true("Ready") and steady.get()["status"]["agents"]["desired"] == 2, 60)
    steady.wait_converged()


def test_an_unreachable_node_is_told_and_does_not_count(steady, cluster):
    steady.add_node()
    cluster.wait_for("three agents", lambda: steady.is_true("Ready") and steady.get()["status"]["agents"]["ready"] == 3, 90)
    cluster.remove_node("node3", forget=False)
    try:
        # The node's controller takes it for gone after 50 s; until then its agent is one that does not answer.
        cluster.wait_for("the node to be told, and not to count",
                         lambda: steady.is_true("Ready") and "node3" in condition(steady.get(), "Ready").get("message", ""), 90)
    finally:
        cluster.delete("node", "node3")
        cluster.delete("pods", "--all-namespaces", "--field-selector=spec.nodeName=node3", "--force", "--grace-period=0")
    steady.wait_converged()


@pytest.mark.parametrize("skew", ["+2h", "-2h"])
def test_an_operator_whose_clock_is_wrong_shares_the_lead_and_converges(steady, cluster, skew):
    """One operator with a clock of its own, outside the cluster, against those inside: never two leaders, and the same state in the end."""
    operator = OutsideOperator(cluster, "skewed", faketime=skew)
    try:
        operator.start()
        time.sleep(20)
        assert steady.leader(), "a Lease whose times look old, or new, is not taken: what counts is that it changes"
        assert not operator.leads()
        cluster.kubectl("scale", "deployment", "cistern-operator", WHERE, "--replicas=0")
        cluster.wait_for("the skewed one to lead", operator.leads, 40)
        steady.apply(policy(retries=5))
        steady.wait_ready(timeout=60)
    finally:
        operator.stop()
        cluster.kubectl("scale", "deployment", "cistern-operator", WHERE, "--replicas=2")
    cluster.wait_for("a leader inside", steady.leader, 60)
    steady.apply(policy())
    steady.wait_ready(timeout=60)
    steady.wait_converged()
