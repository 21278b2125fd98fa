"""Asking and telling a cluster: kubectl and helm with its administrator's kubeconfig."""

import base64
import contextlib
import gzip
import json
import os
import subprocess
import tempfile

from system import DIRECT, Failure, run, wait_until


class Kubectl:
    """What needs no more than a kubeconfig. A Cluster is one."""

    def __init__(self, layout, tools):
        self.layout, self.tools = layout, tools

    def _environment(self):
        # Helm's caches are kept with the cluster: nothing of one run is left for the next.
        return {**os.environ, "KUBECONFIG": str(self.layout.kubeconfig), "KUBECACHEDIR": str(self.layout.folder / "kubectl-cache"),
                **{f"HELM_{kind}_HOME": str(self.layout.folder / "helm" / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}}

    def kubectl(self, *argv, **options):
        """What kubectl prints; with check=False the finished process instead."""
        return run(self.tools.kubernetes / "kubectl", *argv, env=self._environment(), **options)

    def helm(self, *argv, **options):
        return run(self.tools.helm, *argv, env=self._environment(), timeout=options.pop("timeout", 300), **options)

    def get(self, *argv):
        """The object or list as JSON; None if there is none of that name."""
        done = self.kubectl("get", *argv, "--output=json", check=False)
        if done.returncode != 0:
            if "NotFound" in done.stderr:
                return None
            raise Failure(f"kubectl get {' '.join(argv)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def watching(self, *argv):
        """Gives a list that, when the block has ended, holds every version of the objects that there was meanwhile, in order."""
        versions = []
        with tempfile.TemporaryFile("w+") as seen:
            watch = subprocess.Popen([str(self.tools.kubernetes / "kubectl"), "get", *argv, "--watch", "--output=json"], stdout=seen, stdin=subprocess.DEVNULL,
                                     env={**self._environment(), **DIRECT})
            try:
                wait_until("the watch", lambda: os.fstat(seen.fileno()).st_size > 0, 30)
                yield versions
            finally:
                watch.terminate()
                watch.wait()
            seen.seek(0)
            text, decoder, at = seen.read(), json.JSONDecoder(), 0
            while at < len(text.rstrip()):
                found, at = decoder.raw_decode(text, at)
                versions.append(found)
                at += len(text[at:]) - len(text[at:].lstrip())

    def apply(self, *objects, namespace=None):
        """Applies objects, each a dict or YAML text."""
        where = [f"--namespace={namespace}"] if namespace else []
        for item in objects:
            text = item if isinstance(item, str) else json.dumps(item)
            self.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=test", *where, "--filename=-", stdin=text)

    def delete(self, *argv, wait=True):
        self.kubectl("delete", "--ignore-not-found", f"--wait={str(wait).lower()}", *argv)

    def wait_for(self, what, condition, timeout=60, interval=0.4):
        """Waits for condition() to be true and returns its value; one that fails because the API server does not answer is asked again. To ask more often
        makes all slower: each kubectl costs a tenth of a second of a processor."""
        failure = None

        def attempt():
            nonlocal failure
            try:
                return condition()
            except Failure as error:
                failure = error
                return None

        try:
            return wait_until(what, attempt, timeout, interval)
        except Failure as error:
            raise Failure(f"{error}" + (f" (last: {failure})" if failure else "")) from None

    def condition(self, resource, name, kind, namespace="default"):
        """The status of one condition ("True", "False", "Unknown"), None if it is not there."""
        found = self.get(resource, name, f"--namespace={namespace}")
        conditions = (found or {}).get("status", {}).get("conditions", [])
        return next((each["status"] for each in conditions if each["type"] == kind), None)

    def wait_for_nodes(self, timeout=180, count=None):
        """All nodes that run (or `count` of them) are Ready and have lost the taint that they begin with."""
        wanted = len(self.nodes()) if count is None else count

        def ready():
            listed = self.get("nodes")["items"]
            good = [node for node in listed if not node["spec"].get("taints") and
                    any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions", []))]
            return len(good) >= wanted

        self.wait_for("Ready nodes", ready, timeout)

    def wait_for_pods(self, selector, count, namespace="default", timeout=60):
        """The Ready pods of a label selector, as soon as there are exactly `count`, by node's name."""

        def ready():
            listed = self.get("pods", f"--namespace={namespace}", f"--selector={selector}")["items"]
            good = [pod for pod in listed if "deletionTimestamp" not in pod["metadata"] and
                    any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))]
            return sorted(good, key=lambda pod: pod["spec"]["nodeName"]) if len(good) == count == len(listed) else None

        try:
            return self.wait_for(f"{count} Ready pods of {selector}", ready, timeout)
        except Failure as error:
            raise Failure(f"{error}\n{self.describe(namespace)}") from None

    def describe(self, namespace, lines=8):
        """For the message of what failed: the pods of a namespace, the last events, the last lines that pods said that are not Ready."""
        where = f"--namespace={namespace}"
        texts = [self.kubectl("get", "pods", where, "--output=wide", check=False).stdout]
        texts.append("\n".join(self.kubectl("get", "events", where, "--sort-by=.lastTimestamp", check=False).stdout.splitlines()[-lines:]))
        for pod in self.get("pods", where)["items"]:
            if not all(each.get("ready") for each in pod["status"].get("containerStatuses", [])):
                name = pod["metadata"]["name"]
                said = self.kubectl("logs", where, name, "--all-containers", f"--tail={lines}", check=False).stdout
                texts.append(f"--- {name}\n{said}")
        return "\n".join(texts)

    def put(self, pod, path, text, namespace="default"):
        """Writes a file in a pod that has busybox. The text goes as an argument: on a busy machine what goes by standard input may be lost."""
        packed = base64.b64encode(gzip.compress(text.encode())).decode()
        done = self.pod_exec(pod, "sh", "-ec", 'mkdir -p "$(dirname "$1")"; echo "$2" | base64 -d | gzip -d >"$1"; wc -c <"$1"', "sh", path, packed,
                             namespace=namespace)
        if int(done) != len(text.encode()):
            raise Failure(f"{path} in {pod} has {done.strip()} bytes of {len(text.encode())}")

    def pod_exec(self, pod, *argv, namespace="default", **options):
        return self.kubectl("exec", f"--namespace={namespace}", pod, "--", *argv, **options)
