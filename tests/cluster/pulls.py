"""Pods that pull: images in the outside world, pods as users write them, and what became of their pulls."""

import base64
import hashlib
import json
import urllib.request

import images
from system import Failure

MANIFEST, INDEX = "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json"
AUTHORITY = "world-authority"  # the ConfigMap, in Cistern's namespace, with the outside world's CA


def push(cluster, folder, name, size=300_000, seed=0):
    """An image that sleeps, in the outside world as `name`; each seed is another image. Its layers' size is about `size`."""
    target = folder / f"{name.replace('/', '-').replace(':', '-')}.tar"
    cluster.world.push(images.random_image(target, "app:v1", size, seed or int(hashlib.sha256(name.encode()).hexdigest()[:6], 16)), name)
    target.unlink()


def push_index(cluster, folder, name):
    """The same for two architectures, of which this machine has one."""
    repository, _, tag = name.rpartition(":")
    manifests = []
    for architecture, seed in ((images._architecture(), 71), ("s390x", 72)):
        part = f"{repository}:{architecture}"
        push(cluster, folder, part, seed=seed)
        body = _registry(cluster, f"{repository}/manifests/{architecture}", accept=MANIFEST)
        manifests.append({"mediaType": MANIFEST, "size": len(body), "digest": f"sha256:{hashlib.sha256(body).hexdigest()}",
                          "platform": {"architecture": architecture, "os": "linux"}})
    _registry(cluster, f"{repository}/manifests/{tag}", body=json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode(), kind=INDEX)
    return {each["platform"]["architecture"]: each["digest"] for each in manifests}


def _registry(cluster, path, accept="*/*", body=None, kind=None):
    headers = {"Accept": accept, **({"Content-Type": kind} if kind else {})}
    request = urllib.request.Request(f"http://{cluster.world.registry}/v2/{path}", data=body, headers=headers, method="PUT" if body else "GET")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return answer.read()


def pod(name, image, node=None, namespace="default", policy="Always", **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": {"app": "pulls"}},
            "spec": {"terminationGracePeriodSeconds": 0, **({"nodeName": node} if node else {}),
                     "containers": [{"name": "app", "image": image, "imagePullPolicy": policy}], **spec}}


def pull_secret(name, registry, user, password, namespace="default"):
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps({"auths": {registry: {"auth": auth}}})}}


def start(cluster, *pods):
    """Pods of these names from before go first."""
    remove(cluster, *pods)
    cluster.apply(*pods)


def remove(cluster, *pods):
    for each in pods:
        cluster.delete("pod", each["metadata"]["name"], f"--namespace={each['metadata']['namespace']}", "--force", "--grace-period=0")


def wait_running(cluster, *pods, timeout=60):
    def running():
        return all(cluster.condition("pod", each["metadata"]["name"], "Ready", each["metadata"]["namespace"]) == "True" for each in pods)

    try:
        cluster.wait_for(f"{', '.join(each['metadata']['name'] for each in pods)} to run", running, timeout)
    except Failure as error:
        raise Failure(f"{error}\n{cluster.describe(pods[0]['metadata']['namespace'])}") from None


def forget(cluster, node, image):
    """The node has nothing of the image any longer. kubelet's plugin of containerd knows it by several names."""
    digests = {}
    for line in cluster.node_exec(node, "ctr", "-n", "k8s.io", "images", "ls").splitlines()[1:]:
        name, _, digest = line.split()[:3]
        digests[name] = digest
    if image not in digests:
        return

    def unused():
        containers = cluster.node_exec(node, "ctr", "-n", "k8s.io", "containers", "ls").splitlines()[1:]
        return not any(digests.get(line.split()[1]) == digests[image] for line in containers)

    cluster.wait_for(f"{node} to use {image} no longer", unused)
    names = [name for name, digest in digests.items() if digest == digests[image]]
    cluster.node_exec(node, "ctr", "-n", "k8s.io", "images", "rm", "--sync", *names)


def blobs(requests, repository):
    """GETs of a repository's blobs in the outside world, by path."""
    counts = {}
    for each in requests:
        if each.method == "GET" and f"/{repository}/blobs/" in each.path and each.status == 200:
            counts[each.path] = counts.get(each.path, 0) + 1
    return counts
