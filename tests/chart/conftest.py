"""A real kube-apiserver with its etcd, and nothing else of a cluster: what it admits, refuses and stores."""

import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def tool(name):
    """A program of Kubernetes, or helm. ./cistern test builds them and says where they are."""
    path = os.environ.get("CISTERN_HELM", "") if name == "helm" else os.path.join(os.environ.get("CISTERN_KUBERNETES", ""), name)
    if not os.access(path, os.X_OK):
        pytest.fail(f"there is no {name} to test with; run this by ./cistern test --cluster")
    return path


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Api:
    """kubectl against the server, as its administrator or as somebody else."""

    def __init__(self, folder, port):
        self.kubeconfig = folder / "kubeconfig"
        self.kubectl_program = tool("kubectl")
        self.cache = folder / "kubectl"
        self.kubeconfig.write_text(
            f"""apiVersion: v1
kind: Config
current-context: test
clusters: [{{name: test, cluster: {{server: "https://127.0.0.1:{port}", insecure-skip-tls-verify: true}}}}]
users: [{{name: admin, user: {{token: admin-token}}}}]
contexts: [{{name: test, context: {{cluster: test, user: admin}}}}]
"""
        )

    def kubectl(self, *arguments, stdin=None, check=True):
        done = subprocess.run(
            [self.kubectl_program, "--kubeconfig", self.kubeconfig, "--cache-dir", self.cache, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
        return done

    def apply_crd(self, *arguments, stdin=None):
        """Applies one CRD and waits until it is served (`kubectl wait` gives up where there are no conditions yet)."""
        answer = self.kubectl("apply", "--server-side", *arguments, stdin=stdin)
        name = answer.stdout.split("/")[1].split()[0]
        end = time.monotonic() + 60
        while self.kubectl("get", name.split(".")[0], check=False).returncode != 0:
            assert time.monotonic() < end, self.kubectl("get", "crd", name, "-o", "yaml").stdout
            time.sleep(0.1)
        return answer


def start(command, log, processes):
    with open(log, "wb") as out:
        processes.append(subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True))


@pytest.fixture(scope="session")
def api(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    client, peer, secure = free_ports(3)
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
