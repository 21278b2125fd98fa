#!/usr/bin/env python3
"""What people judge a cache by: pods on a real cluster whose one large image is behind a slow link. Called by ./cistern bench pull; needs root. kubelet and
containerd are real, and so is the link's limit, which all who pull share."""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/cluster"))

import pulls  # noqa: E402
import runtime_files  # noqa: E402
from cistern import Cistern  # noqa: E402
from cluster import Cluster  # noqa: E402
from layout import folder_of_tests  # noqa: E402
from nodes import give_references, node_policy  # noqa: E402
from system import Failure  # noqa: E402
from world import SECURE  # noqa: E402

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text):
    """Of Go's way to write a time, such as 1m43.2s."""
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([0-9.]+)(ms|h|m|s)", text))


class PullBench:
    def __init__(self, cluster, megabytes, rate):
        self.cluster, self.megabytes, self.rate = cluster, megabytes, rate
        self.rows = []

    def pull(self, what, node, image):
        """Starts a pod that needs the image; the time is what kubelet says that its pull took."""
        name = f"pull-{len(self.rows)}"
        pod = pulls.pod(name, image, node)
        print(f"    {what} …", file=sys.stderr, flush=True)
        pulls.start(self.cluster, pod)
        pulls.wait_running(self.cluster, pod, timeout=60 + 4 * self.megabytes / self.rate)
        told = self.cluster.kubectl("get", "events", f"--field-selector=involvedObject.name={name},reason=Pulled", "--output=jsonpath={.items[0].message}")
        taken = re.search(r" in (\S+)", told)
        if not taken:
            raise Failure(f"kubelet did not say how long the pull took: {told}")
        self.rows.append((what, seconds(taken.group(1))))
        pulls.remove(self.cluster, pod)
        pulls.forget(self.cluster, node, image)

    def run(self, folder):
        cluster = self.cluster
        runtime_files.make_others_files(cluster)
        cistern = Cistern(cluster)
        cluster.install(cistern.build_image())
        give_references(cluster)
        pulls.push(cluster, folder, "team/large:v1", size=self.megabytes * 1_000_000)
        pulls.push(cluster, folder, "team/large:v2", size=self.megabytes * 1_000_000)
        with cluster.world.throttled(self.rate):
            self.pull("without Cistern", "node1", f"{SECURE}/team/large:v1")
            cistern.apply(node_policy())
            cistern.wait_ready()
            runtime_files.wait_configured(cluster)
            cistern.wait_peers()
            self.pull("the first pull in the cluster, through the cache", "node1", f"{SECURE}/team/large:v2")
            self.pull("the second one on this node", "node1", f"{SECURE}/team/large:v2")
            self.pull("the first one on another node", "node2", f"{SECURE}/team/large:v2")

    def print(self):
        print(f"A pod's image of {self.megabytes} MB; the link to its registry gives {self.rate} MB/s.\n")
        print("| pull | seconds | ratio |\n|---|---:|---:|")
        for what, taken in self.rows:
            print(f"| {what} | {taken:.1f} | {taken / self.rows[0][1]:.2f} |")


def main(argv):
    parser = argparse.ArgumentParser(prog="./cistern bench pull", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=500, help="the image's size (default 500)")
    parser.add_argument("--rate", type=int, default=5, help="of the link, in MB/s (default 5)")
    options = parser.parse_args(argv)
    cluster = Cluster(folder_of_tests("bench"))
    bench = PullBench(cluster, options.megabytes, options.rate)
    try:
        cluster.up(nodes=2, timeout=180)
        bench.run(cluster.layout.folder)
        bench.print()
    finally:
        cluster.down()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failure as failure:
        print(f"cistern: {failure}", file=sys.stderr)
        sys.exit(1)
