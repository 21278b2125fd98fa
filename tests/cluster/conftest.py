"""One cluster for all tests of a run, of its own: the one that a developer has up is not touched."""

import dataclasses
import time

import pytest
import runtime_files

from cistern import Cistern
from cluster import ROOT, Cluster
from layout import folder_of_tests
from nodes import Nodes, give_references


@dataclasses.dataclass
class Run:
    cluster: Cluster
    seconds: float  # that `up` took


@pytest.fixture(scope="session")
def made():
    """A cluster with two nodes, and how long it took. What an interrupted run left in its folder is gone."""
    cluster = Cluster(folder_of_tests())
    start = time.monotonic()
    cluster.up(nodes=2, timeout=180)  # other runs make theirs at the same time
    yield Run(cluster, time.monotonic() - start)
    cluster.down()


@pytest.fixture(scope="session")
def cluster(made):
    return made.cluster


@pytest.fixture(scope="session")
def installed(made):
    """Cistern, installed once, and the seconds that `helm install` took with its image on the nodes."""
    cluster = made.cluster
    cluster.delete("daemonset/web", "service/web")  # test_cluster.py's, which has the agents' host port
    cistern = Cistern(cluster)
    cluster.load_image(cistern.build_image())
    start = time.monotonic()
    cluster.install_chart(ROOT / "charts/cistern")
    return cistern, time.monotonic() - start


@pytest.fixture
def cistern(installed):
    """Cistern without any policy."""
    installed[0].remove_policies()
    return installed[0]


@pytest.fixture
def ready(installed):
    """Cistern with policy() in force, and no other. Agents of the test before are kept: most tests do not mind them, and all would wait for new ones."""
    installed[0].reset_policies()
    return installed[0]


@pytest.fixture(scope="session")
def nodes(made, request):
    """Installed, with what its policies refer to."""
    cluster = made.cluster
    runtime_files.make_others_files(cluster)
    found = Nodes(cluster, runtime_files.snapshots(cluster))
    request.getfixturevalue("installed")
    give_references(cluster)
    return found


@pytest.fixture
def configured(nodes):
    """With node_policy() in force, and no other."""
    others = {each["metadata"]["name"] for each in nodes.cluster.get("mirrorpolicies")["items"]} - {"default"}
    if others:
        nodes.cluster.kubectl("delete", "mirrorpolicies", *others, "--timeout=90s")
    nodes.begin()
    return nodes
