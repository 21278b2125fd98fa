"""One node: namespaces, containerd, kubelet and kube-proxy. A node is dead when its first process is."""

import json
import pathlib
import shutil
import sys

import cables
import cgroups
from layout import place
from system import CAP_SYS_RESOURCE, Failure, has_capability, kill_all, processes, run, start, stop, wait_until

DAEMONS = ("containerd", "kubelet", "kube-proxy")
INIT = pathlib.Path(__file__).resolve().with_name("node_init.py")
PAUSE = "cistern.dev/pause:dev"


class Node:
    def __init__(self, layout, tools, number):
        self.layout, self.tools, self.number = layout, tools, number
        self.name = f"node{number}"
        self.folder = layout.node_folder(self.name)
        self.cgroup = layout.cgroup(self.name)
        self.region, self.zone = place(number)

    @property
    def address(self):
        return self.layout.node(self.number)

    # --- Making and ending ---

    def make(self, authority, images):
        """Everything up to a containerd that holds the images; kubelet wants an API server first."""
        self.folder.mkdir(parents=True)
        cgroups.make(self.cgroup)
        cables.plug_in(self.layout, self.name, self.address)
        start(self.layout, self.name, [*cables.inside(self.layout, self.name), "unshare", "--mount", "--propagation", "unchanged", "--pid", "--fork",
                                       sys.executable, INIT, self.folder])
        wait_until(f"{self.name}'s namespaces", (self.folder / "ready").exists, 20, interval=0.02, log=self.layout.log(self.name),
                   alive=lambda: processes(self.layout, self.name))
        names = [f"IP:{self.address}", f"DNS:{self.name}", "IP:127.0.0.1"]
        authority.user(self.name, f"system:node:{self.name}", "system:nodes", names)
        self._configure()
        self.start_daemon("containerd")
        self.wait_for_containerd()
        for image in images:
            self.load(image)

    def run(self):
        self.start_daemon("kubelet")
        self.start_daemon("kube-proxy")

    def remove(self):
        """Ends everything of the node. The Node object is the cluster's to delete."""
        kill_all(self.layout, lambda process: process.part == self.name or process.part.startswith(self.name + "-"))
        cables.unplug(self.layout, self.name)
        cgroups.remove(self.cgroup)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- Being inside ---

    def _inside(self):
        for process in processes(self.layout, self.name):
            if process.inner_number() == 1:
                return ["nsenter", f"--target={process.number}", "--mount", "--net", "--pid"]
        raise Failure(f"{self.name} does not run", self.layout.log(self.name))

    def exec(self, *argv, **options):
        """Runs a command as if on the node; see system.run for what it returns."""
        return run(*self._inside(), *argv, **options)

    def exec_argv(self, argv):
        return [*self._inside(), *argv]

    def part(self, daemon):
        return f"{self.name}-{daemon}"

    def start_daemon(self, daemon):
        start(self.layout, self.part(daemon), [*self._inside(), *self._commands()[daemon]])

    def stop_daemon(self, daemon, **options):
        stop(self.layout, self.part(daemon), **options)

    def wait_for_containerd(self):
        wait_until(f"{self.name}'s containerd", lambda: self.exec("ctr", "version", check=False).returncode == 0, 30, interval=0.05,
                   log=self.layout.log(self.part("containerd")), alive=lambda: processes(self.layout, self.part("containerd")))

    def load(self, archive):
        """Imports a docker-archive, so that pods on this node need not pull it."""
        if not pathlib.Path(archive).is_file():
            raise Failure(f"{archive} is not there")
        with open(archive, "rb") as content:
            self.exec("ctr", "--namespace=k8s.io", "images", "import", "-", stdin=content, timeout=300)

    # --- Configuration ---

    def _commands(self):
        labels = f"topology.kubernetes.io/region={self.region},topology.kubernetes.io/zone={self.zone}"
        return {
            "containerd": ["containerd", "--config=/etc/containerd/config.toml", "--log-level=warn"],
            "kubelet": [self.tools.kubernetes / "kubelet", "--config=/etc/kubernetes/kubelet.json", "--kubeconfig=/etc/kubernetes/kubelet.conf",
                        f"--hostname-override={self.name}", f"--node-ip={self.address}", f"--node-labels={labels}"],
            "kube-proxy": [self.tools.kubernetes / "kube-proxy", "--config=/etc/kubernetes/kube-proxy.json"],
        }

    def write(self, path, text):
        """A file of the node's /etc. It goes through the node: the layer below an overlay must not be written directly."""
        self.exec("sh", "-ec", 'mkdir -p "$(dirname "$1")"; umask 077; cat >"$1"', "sh", path, stdin=text)

    def _configure(self):
        pki = self.layout.pki
        self.write("/etc/hosts", f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        self.write("/etc/resolv.conf", f"nameserver {self.layout.host}\n")
        self.write("/etc/containerd/config.toml", self._containerd())
        self.exec("mkdir", "-p", "/etc/kubernetes/manifests")
        self.write("/etc/cni/net.d/10-cistern.conflist", json.dumps(self._cni(), indent=1))
        self.write("/etc/kubernetes/kubelet.conf", (pki / f"kubeconfig-{self.name}").read_text())
        self.write("/etc/kubernetes/kubelet.json", json.dumps(self._kubelet(), indent=1))
        self.write("/etc/kubernetes/kube-proxy.json", json.dumps(self._kube_proxy(), indent=1))

    def _containerd(self):
        # An overlay cannot be made on an overlay, which the disk of a machine that is itself a container often is.
        kind = run("stat", "--file-system", "--format=%T", self.folder).strip()
        snapshotter = "native" if "overlay" in kind else "overlayfs"
        restrict = "false" if has_capability(CAP_SYS_RESOURCE) else "true"
        return f"""\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = {restrict}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/containerd/certs.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""

    def _cni(self):
        return {
            "cniVersion": "0.4.0", "name": "cistern",
            "plugins": [
                {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipMasq": False,
                 "ipam": {"type": "host-local", "ranges": [[{"subnet": self.layout.pods(self.number)}]], "routes": [{"dst": "0.0.0.0/0"}]}},
                {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
            ],
        }

    def _kubelet(self):
        pki = self.layout.pki
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "clusterDNS": [self.layout.host], "clusterDomain": "cluster.local", "resolvConf": "/etc/resolv.conf",
            "authentication": {"x509": {"clientCAFile": str(pki / "ca.crt")}, "anonymous": {"enabled": False}},
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(pki / f"{self.name}.crt"), "tlsPrivateKeyFile": str(pki / f"{self.name}.key"),
            "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{self.cgroup}", "enforceNodeAllocatable": [], "failCgroupV1": False,
            "failSwapOn": False, "staticPodPath": "/etc/kubernetes/manifests", "oomScoreAdj": 0, "serializeImagePulls": False, "volumePluginDir": "/var/lib/kubelet/volume-plugins",
            # Imported images cannot be pulled again, and the disk is the whole machine's.
            "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%", "imagefs.available": "1%"},
        }

    def _kube_proxy(self):
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "iptables",
            "hostnameOverride": self.name, "bindAddress": self.address, "metricsBindAddress": "127.0.0.1:10249",
            "clientConnection": {"kubeconfig": str(self.layout.pki / "kubeconfig-kube-proxy")},
            "clusterCIDR": self.layout.pods(self.number), "detectLocalMode": "ClusterCIDR",
            "conntrack": {"maxPerCore": 0}, "iptables": {"minSyncPeriod": "0s"},
        }
