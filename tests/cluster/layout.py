"""Names, addresses and folders of one test cluster, all derived from its state folder, so that two clusters never meet."""

import hashlib
import ipaddress
import json
import os
import pathlib
import subprocess

NETWORKS = [ipaddress.ip_network(f"10.{second}.0.0/16") for second in range(100, 250)]
REGIONS = ("eu", "cn", "us")


def cache_folder():
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "cistern"


def default_folder():
    """The state folder of `./cistern cluster`: CISTERN_CLUSTER_DIR, or one for all of this user's checkouts."""
    return pathlib.Path(os.environ.get("CISTERN_CLUSTER_DIR") or cache_folder() / "cluster")


def folder_of_tests(name="test"):
    """Beside it, so that a developer's cluster and that of the tests do not meet; always the same, so that a run cleans up after an interrupted one."""
    folder = default_folder()
    return folder.with_name(f"{folder.name}-{name}")


def free_network(preferred):
    """A /16 that overlaps no route of this machine (the default route aside), beginning the search at `preferred`."""
    listing = subprocess.run(["ip", "-json", "-4", "route", "show", "table", "all"], check=True, capture_output=True, text=True).stdout
    taken = []
    for route in json.loads(listing or "[]"):
        if route.get("dst") not in (None, "default"):
            taken.append(ipaddress.ip_network(route["dst"], strict=False))
    for offset in range(len(NETWORKS)):
        network = NETWORKS[(preferred + offset) % len(NETWORKS)]
        if not any(network.overlaps(other) for other in taken):
            return network
    raise LookupError("every network from 10.100.0.0/16 to 10.249.0.0/16 overlaps a route of this machine")


class Layout:
    """Where everything of one cluster is. Node numbers start at 1.

    10.N.0.0/24 is the bridge: .1 this machine and its control plane, .2 the outside world, .10+i node i.
    10.N.(16+i).0/24 are node i's pods, 10.N.240.0/20 the Services.
    """

    max_nodes = 200

    def __init__(self, folder=None):
        self.folder = pathlib.Path(folder or default_folder()).resolve()
        self.id = hashlib.sha256(str(self.folder).encode()).hexdigest()[:6]
        self.bridge = f"cis{self.id}"
        self.logs = self.folder / "logs"
        self.pki = self.folder / "pki"
        self.kubeconfig = self.folder / "kubeconfig"
        # Beside the folder, which comes and goes.
        self.lock = self.folder.parent / f"{self.folder.name}.lock"
        self._network = self.folder / "network"

    def choose_network(self):
        self._network.write_text(str(free_network(int(self.id, 16))))

    @property
    def network(self):
        return ipaddress.ip_network(self._network.read_text().strip())

    def _address(self, third, fourth):
        return str(self.network.network_address + third * 256 + fourth)

    @property
    def host(self):
        """This machine on the bridge: API server, etcd, DNS."""
        return self._address(0, 1)

    @property
    def world(self):
        return self._address(0, 2)

    def node(self, number):
        return self._address(0, 10 + number)

    def pods(self, number):
        return self._address(16 + number, 0) + "/24"

    @property
    def bridge_range(self):
        return self._address(0, 0) + "/24"

    @property
    def services(self):
        return self._address(240, 0) + "/20"

    @property
    def api_service(self):
        """The first address of the Services is the API server's."""
        return self._address(240, 1)

    @property
    def api_url(self):
        return f"https://{self.host}:6443"

    def cgroup(self, part):
        return f"cistern-{self.id}-{part}"

    def network_namespace(self, part):
        """The file by which a part's network namespace is entered."""
        return self.folder / "networks" / part

    def link(self, part):
        """The bridge's end of a part's cable. Linux allows 15 characters."""
        return f"{self.bridge}{part.replace('node', 'n').replace('world', 'w')}"

    def node_folder(self, name):
        return self.folder / "nodes" / name

    def log(self, part):
        return self.logs / f"{part}.log"


def place(number):
    """(region, zone) of node i: the first three nodes are in three regions, the next three in second zones of the same ones."""
    region = REGIONS[(number - 1) % len(REGIONS)]
    return region, f"{region}-{chr(ord('a') + (number - 1) // len(REGIONS) % 26)}"
