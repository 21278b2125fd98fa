"""One cluster for all tests of a run, of its own: the one that a developer has up is not touched."""

import dataclasses
import time

import pytest

from cistern import Cistern
from cluster import ROOT, Cluster
from layout import folder_of_tests


@dataclasses.dataclass
class Run:
    cluster: Cluster
    seconds: float  # that `up` took


@pytest.fixture(scope="session")
def made():
    """A cluster with two nodes, and how long it took. What an interrupted run left in its folder is gone."""
    cluster = Cluster(folder_of_tests())
    start = time.monotonic()
    cluster.up(nodes=2)
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
    cluster.load_image(Cistern.build_image())
    start = time.monotonic()
    cluster.install_chart(ROOT / "charts/cistern")
    return Cistern(cluster), time.monotonic() - start


@pytest.fixture
def cistern(installed):
    """Cistern as installed. Policies that a test leaves are removed after it."""
    yield installed[0]
    installed[0].remove_policies()
