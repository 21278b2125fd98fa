"""etcd, the API server, the controller manager, the scheduler and CoreDNS, on this machine's end of the bridge."""

import ssl
import urllib.request

from system import leader, start, stop, wait_until
from world import NAMES

# A thousand simulated nodes should wait for what is tested, not for these.
BUSY = ("--kube-api-qps=500", "--kube-api-burst=1000")
PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "coredns")


class ControlPlane:
    def __init__(self, layout, tools):
        self.layout, self.tools = layout, tools

    def start(self):
        """Returns when the API server serves; the others need no waiting for."""
        self.start_part("etcd")
        self._wait("etcd", f"http://{self.layout.host}:2379/health", 30)
        self.start_part("kube-apiserver")
        self.wait_for_api()
        for part in ("kube-controller-manager", "kube-scheduler", "coredns"):
            self.start_part(part)

    def start_part(self, part):
        start(self.layout, part, getattr(self, "_" + part.replace("-", "_"))())

    def restart_part(self, part):
        stop(self.layout, part)
        self.start_part(part)

    def wait_for_api(self, timeout=60):
        trust = ssl.create_default_context(cafile=self.layout.pki / "ca.crt")
        trust.load_cert_chain(self.layout.pki / "admin.crt", self.layout.pki / "admin.key")

        self._wait("kube-apiserver", f"{self.layout.api_url}/readyz", timeout, trust)

    def wait_for_dns(self, timeout=30):
        self._wait("coredns", f"http://{self.layout.host}:8181/ready", timeout)

    def _wait(self, part, url, timeout, trust=None):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))

        def ready():
            try:
                with opener.open(url, timeout=5) as answer:
                    return answer.status == 200
            except OSError:
                return False

        wait_until(part, ready, timeout, log=self.layout.log(part), alive=lambda: leader(self.layout, part))

    def _etcd(self):
        client, peer = (f"http://{self.layout.host}:{port}" for port in (2379, 2380))
        # Nothing here has to survive a power failure, and a test machine's disk may be slow.
        return [self.tools.kubernetes / "etcd", "--name=cistern", f"--data-dir={self.layout.folder / 'etcd'}", "--unsafe-no-fsync", "--logger=zap",
                "--log-level=warn", f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=cistern={peer}", "--quota-backend-bytes=8589934592"]

    def _kube_apiserver(self):
        pki = self.layout.pki
        return [self.tools.kubernetes / "kube-apiserver", f"--etcd-servers=http://{self.layout.host}:2379", f"--bind-address={self.layout.host}",
                f"--advertise-address={self.layout.host}", "--secure-port=6443", f"--service-cluster-ip-range={self.layout.services}",
                f"--tls-cert-file={pki / 'kube-apiserver.crt'}", f"--tls-private-key-file={pki / 'kube-apiserver.key'}",
                f"--client-ca-file={pki / 'ca.crt'}", f"--kubelet-certificate-authority={pki / 'ca.crt'}",
                f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}", f"--kubelet-client-key={pki / 'kubelet-client.key'}",
                "--kubelet-preferred-address-types=InternalIP", "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                f"--service-account-key-file={pki / 'service-account.key'}", f"--service-account-signing-key-file={pki / 'service-account.key'}",
                # No proxy stands in front; without an authority for one the others complain.
                f"--requestheader-client-ca-file={pki / 'ca.crt'}", "--requestheader-allowed-names=nobody",
                "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
                # Webhooks in pods are reached by their address: no kube-proxy runs here.
                "--enable-aggregator-routing=true"]

    def _kube_controller_manager(self):
        pki = self.layout.pki
        config = pki / "kubeconfig-kube-controller-manager"
        return [self.tools.kubernetes / "kube-controller-manager", f"--kubeconfig={config}", f"--authentication-kubeconfig={config}",
                f"--authorization-kubeconfig={config}", f"--bind-address={self.layout.host}", "--leader-elect=false",
                "--use-service-account-credentials=true", f"--root-ca-file={pki / 'ca.crt'}", "--allocate-node-cidrs=false",
                *BUSY, f"--service-account-private-key-file={pki / 'service-account.key'}", "--cert-dir="]

    def _kube_scheduler(self):
        config = self.layout.pki / "kubeconfig-kube-scheduler"
        return [self.tools.kubernetes / "kube-scheduler", f"--kubeconfig={config}", f"--authentication-kubeconfig={config}",
                f"--authorization-kubeconfig={config}", f"--bind-address={self.layout.host}", "--leader-elect=false", *BUSY]

    def _coredns(self):
        """Answers for the cluster's names and for the outside world's; every other name does not exist."""
        corefile = self.layout.folder / "Corefile"
        corefile.write_text(f"""\
.:53 {{
  bind {self.layout.host}
  errors
  health {self.layout.host}:8180
  ready {self.layout.host}:8181
  cache 5
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {self.layout.pki / 'kubeconfig-coredns'}
    ttl 5
  }}
  hosts {{
    {self.layout.world} {' '.join(NAMES)}
    ttl 5
    fallthrough
  }}
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
""")
        return [self.tools.coredns, f"-conf={corefile}"]
