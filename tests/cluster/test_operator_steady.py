"""When nothing changes nothing is written, and nothing grows."""

import time

import pytest
from cistern import policy
from cluster import SYSTEM_NAMESPACE
from outside import OutsideOperator

WHERE = f"--namespace={SYSTEM_NAMESPACE}"


@pytest.fixture
def outside(cistern, cluster):
    """Makes operators outside the cluster, in place of those inside; the policy `default` is in force."""
    cistern.apply(policy())
    cistern.wait_ready()
    cluster.kubectl("scale", "deployment", "cistern-operator", WHERE, "--replicas=0")
    made = []

    def make(*arguments, **options):
        operator = OutsideOperator(cluster, "outside", *arguments, **options)
        made.append(operator)
        operator.start()
        cluster.wait_for("it to lead", operator.leads, 40)
        return operator

    yield make
    for operator in made:
        operator.stop()
    cluster.kubectl("scale", "deployment", "cistern-operator", WHERE, "--replicas=2")
    cluster.wait_for("a leader inside", cistern.leader, 60)


def test_a_hundred_resyncs_write_nothing(outside, cistern, cluster):
    operator = outside("--resync=100ms")
    cluster.wait_for("the first resyncs", lambda: operator.metric("cistern_resyncs_total") >= 5, 20)
    versions = {name: found["metadata"]["resourceVersion"] for name, found in cistern.objects().items()}
    own, start = operator.mutating_requests(), operator.metric("cistern_resyncs_total")
    cluster.wait_for("a hundred more", lambda: operator.metric("cistern_resyncs_total") >= start + 100, 60)
    assert operator.mutating_requests() == own
    assert {name: found["metadata"]["resourceVersion"] for name, found in cistern.objects().items()} == versions
    assert cistern.is_true("Ready")


def test_ten_thousand_reconciles_take_no_more_memory_than_a_thousand(outside, cluster):
    operator = outside("--resync=20ms")

    def reconciles():
        return operator.metric("controller_runtime_reconcile_total")

    cluster.wait_for("the first thousand", lambda: reconciles() >= 1000, 60)
    before = operator.resident()
    start = reconciles()
    cluster.wait_for("ten thousand more", lambda: reconciles() >= start + 10_000, 180)
    assert operator.resident() - before < 2_000_000


def test_a_thousand_dropped_watches_cost_nothing(outside, cistern, cluster):
    operator = outside(relayed=True)
    pod = next(iter(cistern.agents().values()))["metadata"]["name"]
    watched = [f"{kind}/cistern-default" for kind in ("secret", "service", "daemonset", "networkpolicy")] + [
        f"pod/{pod}", "configmap/cistern-accepted-default", "mirrorpolicy/default", "node/node1", "namespace/default"]

    def drop(wanted):
        """Cuts all connections, time and again, each time after every watch has told something: one that never does is asked for ever less often."""
        dropped = 0
        deadline = time.monotonic() + 400
        while dropped < wanted:
            assert time.monotonic() < deadline, f"{dropped} of {wanted}"
            cluster.kubectl("annotate", "--overwrite", WHERE, *watched, f"test={dropped}")
            dropped += operator.relay.cut()
            limit = time.monotonic() + 2
            while operator.relay.connections < len(watched) and time.monotonic() < limit:
                time.sleep(0.05)

    drop(150)
    before = operator.resident()
    drop(1000)
    cluster.wait_for("it to lead again", operator.leads, 60)
    assert operator.resident() - before < 4_000_000
    cistern.apply(policy(retries=6))
    cistern.wait_ready(timeout=60)
    cistern.apply(policy())
    cistern.wait_ready(timeout=60)
