"""Certificates and kubeconfig files. One authority signs all; it lives as long as the cluster."""

import concurrent.futures
import json
import os

from system import run, wall_clock


def openssl(*argv):
    """What it makes is good since yesterday, also for a program whose clock is slow."""
    return run("openssl", *argv, env={**os.environ, **wall_clock("-1d")})


class Authority:
    def __init__(self, layout):
        self.layout, self.folder = layout, layout.pki

    def make(self):
        """The authority, what the control plane's programs show each other, and the key that signs the pods' tokens."""
        self.folder.mkdir(parents=True, mode=0o700)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=cistern-test-cluster",
            "-keyout", self.folder / "ca.key", "-out", self.folder / "ca.crt")
        names = [f"IP:{self.layout.host}", f"IP:{self.layout.api_service}", "IP:127.0.0.1", "DNS:localhost"]
        names += [f"DNS:kubernetes{rest}" for rest in ("", ".default", ".default.svc", ".default.svc.cluster.local")]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            made = [
                pool.submit(openssl, "genrsa", "-out", self.folder / "service-account.key", "2048"),
                pool.submit(self.certificate, "kube-apiserver", "kube-apiserver", names=names),
                # Binds to system:kubelet-api-admin by what it may: everything.
                pool.submit(self.certificate, "kubelet-client", "kube-apiserver-kubelet-client", group="system:masters"),
                pool.submit(self.user, "admin", "kubernetes-admin", "system:masters"),
                pool.submit(self.user, "kube-controller-manager", "system:kube-controller-manager"),
                pool.submit(self.user, "kube-scheduler", "system:kube-scheduler"),
                pool.submit(self.user, "kube-proxy", "system:kube-proxy"),
                pool.submit(self.user, "coredns", "coredns", "system:masters"),
            ]
            for each in made:
                each.result()
        (self.folder / "kubeconfig-admin").rename(self.layout.kubeconfig)

    def certificate(self, name, subject, group=None, names=()):
        """NAME.crt and NAME.key, good for both ends of a connection."""
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
            (f"/O={group}" if group else "") + f"/CN={subject}", "-keyout", self.folder / f"{name}.key", "-out", request)
        extensions.write_text("keyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n"
                              + (f"subjectAltName={','.join(names)}\n" if names else ""))
        openssl("x509", "-req", "-days", "30", "-in", request, "-CA", self.folder / "ca.crt", "-CAkey", self.folder / "ca.key",
            "-set_serial", str(int.from_bytes(name.encode(), "big")), "-extfile", extensions, "-out", self.folder / f"{name}.crt")
        request.unlink()
        extensions.unlink()

    def user(self, name, subject, group=None, names=()):
        """The file kubeconfig-NAME, with which `subject` speaks to the API server. It names no other file, so that it can be copied."""
        self.certificate(name, subject, group, names)

        def data(file):
            return openssl("base64", "-A", "-in", self.folder / file)

        target = self.folder / f"kubeconfig-{name}"
        target.touch(mode=0o600)
        target.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "cistern",
            "clusters": [{"name": "cistern", "cluster": {"server": self.layout.api_url, "certificate-authority-data": data("ca.crt")}}],
            "users": [{"name": subject, "user": {"client-certificate-data": data(f"{name}.crt"), "client-key-data": data(f"{name}.key")}}],
            "contexts": [{"name": "cistern", "context": {"cluster": "cistern", "user": subject}}],
        }, indent=1))
        return target
