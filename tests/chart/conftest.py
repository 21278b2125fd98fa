"""One API server for all tests of this folder."""

import json
import pathlib
import signal
import subprocess
import sys
import time

import pytest
import yaml

from api import Api, start, tool
from helm import NAMESPACE, objects

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "cluster"))
from system import free_port  # noqa: E402


@pytest.fixture(scope="session")
def api(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    client, peer, secure = free_port(), free_port(), free_port()
    key = folder / "service-account.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    tokens = folder / "tokens.csv"
    tokens.write_text('admin-token,admin,admin,"system:masters"\n')
    processes = []
    try:
        start(
            [
                tool("etcd"),
                f"--data-dir={folder / 'etcd'}",
                f"--listen-client-urls=http://127.0.0.1:{client}",
                f"--advertise-client-urls=http://127.0.0.1:{client}",
                f"--listen-peer-urls=http://127.0.0.1:{peer}",
                "--unsafe-no-fsync",
            ],
            folder / "etcd.log",
            processes,
        )
        start(
            [
                tool("kube-apiserver"),
                f"--etcd-servers=http://127.0.0.1:{client}",
                "--bind-address=127.0.0.1",
                f"--secure-port={secure}",
                f"--cert-dir={folder / 'certificates'}",
                f"--token-auth-file={tokens}",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--service-cluster-ip-range=10.96.0.0/16",
                "--authorization-mode=RBAC",
                "--allow-privileged=true",
                # There is no controller that would make one.
                "--disable-admission-plugins=ServiceAccount",
            ],
            folder / "apiserver.log",
            processes,
        )
        server = Api(folder, secure)
        end = time.monotonic() + 90
        while server.kubectl("get", "--raw", "/readyz", check=False).stdout != "ok":
            for process, name in zip(processes, ("etcd", "apiserver")):
                assert process.poll() is None, (folder / f"{name}.log").read_text()[-3000:]
            assert time.monotonic() < end, (folder / "apiserver.log").read_text()[-3000:]
            time.sleep(0.2)
        yield server
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


FOREIGN_KINDS = [
    ("monitoring.coreos.com", "servicemonitors", "ServiceMonitor"), ("monitoring.coreos.com", "podmonitors", "PodMonitor"),
    ("monitoring.coreos.com", "prometheusrules", "PrometheusRule"), ("cert-manager.io", "certificates", "Certificate"),
    ("cert-manager.io", "issuers", "Issuer"),
]  # fmt: skip


def foreign_crds():
    """Of the Prometheus Operator's kinds and cert-manager's, which the API server has to know; their schema is their own affair."""
    for group, plural, kind in FOREIGN_KINDS:
        spec = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        schema = {"type": "object", "properties": {"spec": spec}}
        yield {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
                     "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]},
        }  # fmt: skip


@pytest.fixture(scope="session")
def installed(api):
    """The chart's objects by its defaults in the API server, all but what hooks run."""
    api.kubectl("create", "namespace", NAMESPACE)
    for crd in foreign_crds():
        api.apply_crd("-f", "-", stdin=json.dumps(crd))
    lasting = [one for one in objects({}) if one["kind"] not in ("Pod", "Job")]
    answer = api.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(lasting))
    assert answer.stderr == ""
    return api
