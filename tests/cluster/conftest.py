"""One cluster for all tests of a run, of its own: the one that a developer has up is not touched."""

import dataclasses
import time

import pytest

from cluster import Cluster
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
