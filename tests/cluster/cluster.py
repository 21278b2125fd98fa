"""A real Kubernetes on this machine: made, asked, disturbed and taken away again. Tests and `./cistern cluster` use it; needs root."""

import concurrent.futures
import contextlib
import fcntl
import os
import pathlib
import shutil
import signal
import time

import cables
import cgroups
import images
from control_plane import PARTS, ControlPlane
from kubectl import Kubectl
from layout import Layout
from node import DAEMONS, Node
from pki import Authority
from system import Failure, alone, kill_all, leader, missing_facilities, run, signal_part, stop
from world import World

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SYSTEM_NAMESPACE = "cistern-system"


class Tools:
    """The programs that Debian does not have; tests/tools.sh makes them, and `./cistern` says where they are. Each is missed only when it is used."""

    def __getattr__(self, name):
        """`kubernetes` (a folder), `helm`, `coredns`, `go`, `toxiproxy`."""
        variable = f"CISTERN_{name.upper()}"
        value = os.environ.get(variable)
        if not value or not pathlib.Path(value).exists():
            raise Failure(f"{variable} names no program; run this through ./cistern")
        return pathlib.Path(value)


class Cluster(Kubectl):
    """At most one process at a time makes or takes away the cluster of one folder; asking it needs no care."""

    def __init__(self, folder=None):
        super().__init__(Layout(folder), Tools())
        self.world = World(self.layout)
        self.plane = ControlPlane(self.layout, self.tools)

    # --- Up and down ---

    @property
    def is_up(self):
        return (self.layout.folder / "up").exists() and all(leader(self.layout, part) for part in PARTS)

    def up(self, nodes=2, timeout=60):
        """Makes the cluster and returns when its nodes are Ready, names resolve and the outside world answers. What an interrupted run left is taken
        away first; an up that fails or is interrupted takes itself away."""
        with self._alone():
            missing = missing_facilities()
            if missing:
                raise Failure("this machine lacks what a cluster needs:\n  " + "\n  ".join(missing))
            self._remove()
            try:
                self._make(nodes, time.monotonic() + timeout)
            except BaseException as error:
                if isinstance(error, Failure):
                    error.read_log()
                self._remove()
                raise

    def down(self):
        with self._alone():
            self._remove()

    @contextlib.contextmanager
    def _alone(self):
        """Holds the lock beside the state folder, which goes when it is released: one that was waited for may be the one that has gone."""
        path = self.layout.lock
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = os.path.samestat(os.fstat(lock.fileno()), os.stat(path))
            except (BlockingIOError, FileNotFoundError):
                held = False
            if not held:
                raise Failure(f"another ./cistern cluster is at work on {self.layout.folder}")
            try:
                yield
            finally:
                path.unlink()

    def _make(self, nodes, deadline):
        layout = self.layout
        layout.folder.mkdir(parents=True, mode=0o700)
        with alone("network"):  # whoever chooses next sees this one's route
            layout.choose_network()
            self._make_bridge()
        authority = Authority(layout)
        authority.make()
        self.world.make(authority)
        archives = [images.pause(), images.client(self.tools.go)]
        made = [Node(layout, self.tools, number) for number in range(1, nodes + 1)]
        # The control plane and the nodes' runtimes start side by side; kubelets join once there is an API server.
        with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
            futures = [pool.submit(self.plane.start), *(pool.submit(node.make, authority, archives) for node in made)]
            try:
                for future in concurrent.futures.as_completed(futures):
                    future.result()
            except BaseException:
                kill_all(layout)  # what the others wait for does not come any more
                raise
        self._let_kube_proxy_read()
        cables.route(self.layout, self.nodes())
        for node in made:
            node.run()
        self.world.wait()
        self.plane.wait_for_dns()
        self.wait_for_nodes(max(deadline - time.monotonic(), 1))
        (layout.folder / "up").touch()

    def _make_bridge(self):
        bridge = self.layout.bridge
        run("ip", "link", "add", bridge, "type", "bridge")
        run("ip", "address", "add", f"{self.layout.host}/24", "dev", bridge)
        run("ip", "link", "set", bridge, "up")
        if self._filtered():
            run("iptables", "-w", "-I", "FORWARD", *self._bridge_rule())

    def _bridge_rule(self):
        return ["-i", self.layout.bridge, "-o", self.layout.bridge, "-j", "ACCEPT"]

    @staticmethod
    def _filtered():
        """Whether this machine filters what crosses bridges, as one with Docker does. Where nothing is filtered no table is made."""
        switch = pathlib.Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
        if not switch.exists() or switch.read_text(encoding="ascii").strip() != "1":
            return False
        rules = run("iptables-save", check=False).stdout.splitlines()
        return any(line.startswith((":FORWARD DROP", "-A FORWARD")) for line in rules)

    def _let_kube_proxy_read(self):
        """The API server makes the role, but binds nobody to it by this name."""
        group = "rbac.authorization.k8s.io"
        self.apply({"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "cistern-test:node-proxier"},
                    "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "system:node-proxier"},
                    "subjects": [{"apiGroup": group, "kind": "User", "name": "system:kube-proxy"}]})

    def _remove(self):
        """Everything that bears the cluster's name, whoever made it, in an order that works from any state."""
        layout = self.layout
        kill_all(layout)
        for node in self.nodes():
            node.remove()
        self.world.remove()
        cables.remove_links(layout)
        while self._filtered() and run("iptables", "-w", "-D", "FORWARD", *self._bridge_rule(), check=False).returncode == 0:
            pass
        cgroups.remove(layout.cgroup(""))
        if layout.folder.exists():
            shutil.rmtree(layout.folder)

    # --- Nodes ---

    def nodes(self):
        """The nodes of which there is anything, by number."""
        names = {path.name for pattern in ("nodes/node*", "networks/node*") for path in self.layout.folder.glob(pattern)}
        return [Node(self.layout, self.tools, number) for number in sorted(int(name.removeprefix("node")) for name in names)]

    def node(self, name):
        for node in self.nodes():
            if node.name == name:
                return node
        raise Failure(f"there is no node {name}; there are {', '.join(node.name for node in self.nodes()) or 'none'}")

    def node_exec(self, name, *argv, **options):
        """Runs a command as if logged in to the node; returns what it prints, with check=False the finished process."""
        return self.node(name).exec(*argv, **options)

    def load_image(self, archive):
        """Puts a docker-archive on every node."""
        for node in self.nodes():
            node.load(archive)

    def add_node(self, timeout=60):
        """One more node, with the lowest number that is free. Returns it once it is Ready. It has the images that every node begins with."""
        taken = {node.number for node in self.nodes()}
        node = Node(self.layout, self.tools, next(number for number in range(1, self.layout.max_nodes) if number not in taken))
        node.make(Authority(self.layout), [images.pause(), images.client(self.tools.go)])
        cables.route(self.layout, self.nodes())
        node.run()
        self.wait_for(f"{node.name} to be Ready", lambda: self.condition("node", node.name, "Ready") == "True", timeout)
        return node

    def remove_node(self, name, forget=True):
        """The node dies at once, as by power loss. With `forget` its Node object and its pods are deleted too, as a cloud's controller would; otherwise
        Kubernetes waits for it to come back."""
        self.node(name).remove()
        if forget:
            self.delete("node", name)
            # The collector of such pods would need a minute.
            self.delete("pods", "--all-namespaces", f"--field-selector=spec.nodeName={name}", "--force", "--grace-period=0")

    # --- Disturbing ---

    def kill(self, part, sign=signal.SIGKILL):
        """Ends a program: one of control_plane.PARTS, or a node's, such as node1-kubelet. It stays away until restart()."""
        stop(self.layout, part, sign=sign)

    def restart(self, part):
        """Ends a program if it runs, and starts it again; returns when an API server or a containerd serves."""
        name, _, daemon = part.partition("-")
        if part in PARTS:
            self.plane.restart_part(part)
            if part in ("kube-apiserver", "etcd"):
                self.plane.wait_for_api()
        elif daemon in DAEMONS:
            node = self.node(name)
            node.stop_daemon(daemon)
            node.start_daemon(daemon)
            if daemon == "containerd":
                node.wait_for_containerd()
        else:
            raise Failure(f"there is no part {part}; there are {', '.join(PARTS)} and each node's {', '.join(DAEMONS)}")

    @contextlib.contextmanager
    def paused(self, part):
        """Stops a program for as long as the block runs: it holds its connections and answers nothing."""
        signal_part(self.layout, part, signal.SIGSTOP)
        try:
            yield
        finally:
            signal_part(self.layout, part, signal.SIGCONT)

    # --- Cistern ---

    def install(self, image, *settings):
        """Loads the image `cistern.dev/cistern:dev` on every node and installs the chart, or upgrades it. Returns when its pods are Ready."""
        self.load_image(image)
        self.install_chart(ROOT / "charts/cistern", *settings)

    def install_chart(self, chart, *settings):
        """With the image that is on the nodes."""
        if not pathlib.Path(chart).exists():
            raise Failure(f"{chart} is not there, so there is nothing to install; --bare makes a cluster without it")
        try:
            self.helm("upgrade", "--install", "cistern", chart, f"--namespace={SYSTEM_NAMESPACE}", "--create-namespace", "--wait", "--timeout=120s",
                      "--set=image.repository=cistern.dev/cistern", "--set=image.tag=dev", "--set=image.pullPolicy=IfNotPresent", *settings)
        except Failure as error:
            raise Failure(f"{error}\n{self.describe(SYSTEM_NAMESPACE)}") from None
