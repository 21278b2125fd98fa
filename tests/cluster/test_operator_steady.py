"""When nothing changes nothing is written, and nothing grows."""

import time

import pytest
from cistern import KINDS, OURS, policy
from cluster import SYSTEM_NAMESPACE
from outside import OutsideOperator

WHERE = f"--namespace={SYSTEM_NAMESPACE}"


@pytest.fixture(scope="module")
def without_operators(installed):
    """The policy `default` is in force, and no operator runs in the cluster."""
    installed[0].reset_policies()
    with installed[0].no_operators():
        yield installed[0]


@pytest.fixture
def outside(without_operators, cluster):
    """Makes an operator outside the cluster, which leads."""
    made = []

    def make(*arguments, **options):
        operator = OutsideOperator(cluster, "outside", *arguments, **options)
        made.append(operator)
        operator.start()
        operator.wait_to_lead()
        return operator

    yield make
    for operator in made:
        operator.stop()


def settle(cluster, operator):
    """Waits until it has written nothing for a while: one that begins to lead learns of its agents one by one, and those whose first answer was late are
    asked again within half a minute."""
    seen = [None, time.monotonic()]

    def quiet():
        count = operator.mutating_requests()
        if count != seen[0]:
            seen[:] = count, time.monotonic()
        return time.monotonic() - seen[1] > 35

    cluster.wait_for("its first writes to be over", quiet, 180)


def written(cistern):
    """When the operator last wrote each object; others, such as the DaemonSets' controller, write too."""
    listed = cistern.cluster.get(",".join(KINDS), WHERE, f"--selector={OURS}", "--show-managed-fields")["items"]
    return {f"{each['kind']}/{each['metadata']['name']}": [entry["time"] for entry in each["metadata"]["managedFields"] if entry["manager"] == "cistern"]
            for each in listed}


def test_a_hundred_resyncs_write_nothing(outside, without_operators, cluster):
    cistern = without_operators
    operator = outside("--resync=100ms")

    def resyncs():
        return operator.metric("cistern_resyncs_total")

    settle(cluster, operator)
    times, own, start = written(cistern), operator.mutating_requests(), resyncs()
    assert times and all(times.values())
    cluster.wait_for("a hundred resyncs", lambda: resyncs() >= start + 100, 180)
    assert operator.mutating_requests() == own, f"it writes although nothing changes:\n{operator.log.read_text()[-3000:]}"
    assert written(cistern) == times
    assert cistern.is_true("Ready")


def test_ten_thousand_reconciles_take_no_more_memory_than_a_thousand(outside, cluster):
    operator = outside("--resync=20ms")

    def reconciles():
        return operator.metric("controller_runtime_reconcile_total")

    cluster.wait_for("the first thousand", lambda: reconciles() >= 1000, 120)
    before = operator.resident()
    start = reconciles()
    cluster.wait_for("ten thousand more", lambda: reconciles() >= start + 10_000, 600)
    assert operator.resident() - before < 2_000_000


def test_a_thousand_dropped_watches_cost_nothing(outside, without_operators, cluster):
    cistern = without_operators
    operator = outside(relayed=True)
    pod = next(iter(cistern.agents().values()))["metadata"]["name"]
    watched = [f"{kind}/cistern-default" for kind in ("secret", "service", "daemonset", "networkpolicy")] + [
        f"pod/{pod}", "configmap/cistern-accepted-default", "mirrorpolicy/default", "node/node1", "namespace/default"]

    def drop(wanted):
        """Cuts all connections, time and again, each time after every watch has told something: one that never does is asked for ever less often."""
        dropped = 0
        deadline = time.monotonic() + 900
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
    cluster.wait_for("it to lead again", operator.leads, 120)
    assert operator.resident() - before < 4_000_000
    cistern.apply(policy(retries=6))
    cistern.wait_ready(timeout=180)
    cistern.apply(policy())
    cistern.wait_ready(timeout=180)
