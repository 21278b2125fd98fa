"""A real kube-apiserver with its etcd, and nothing else of a cluster: what it admits, refuses and stores."""

import os
import pathlib
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
