"""The files of nodes' container runtimes: what an administrator has there before Cistern comes, and whether it is so again when Cistern is gone."""

import json

from cluster import SYSTEM_NAMESPACE
from system import Failure
from world import PRIVATE, SECURE, VAULT

CERTS = "/etc/containerd/certs.d"
FOLDERS = ("/etc/containerd", "/etc/containers")
OPEN = "registry.world:5000"
MARK = "# managed by cistern"

# containerd speaks TLS to what nothing is said about.
PLAIN = f"""\
# of an administrator, who has it so for years
server = "http://{OPEN}"
"""


def make_others_files(cluster):
    """What pulls of the outside world's registries need without Cistern, and what has nothing to do with it."""
    authority = (cluster.layout.pki / "ca.crt").read_text()
    for node in cluster.nodes():
        node.exec("sh", "-ec", f"rm -rf '{CERTS}'; mkdir -p /etc/containers/registries.conf.d")
        node.write(f"{CERTS}/{OPEN}/hosts.toml", PLAIN)
        for registry in (SECURE, PRIVATE, VAULT):
            node.write(f"{CERTS}/{registry}/ca.crt", authority)  # which containerd finds by itself
        node.write(f"{CERTS}/other.example/hosts.toml", '[host."https://mirror.example"]\n  capabilities = ["pull"]\n')
        node.write("/etc/containers/registries.conf.d/50-other.conf", '[[registry]]\nlocation = "other.example"\nblocked = true\n')
        node.exec("sh", "-ec", f"cd {CERTS}; chmod 755 . */; chmod 640 other.example/hosts.toml; chmod 644 */ca.crt '{OPEN}/hosts.toml'; "
                  f"touch -d 2020-02-02T02:02:02 '{OPEN}/hosts.toml' other.example/hosts.toml; chown 12:34 other.example/hosts.toml; ln -sfn other.example link.example")


def snapshot(node):
    """Every file, folder and link: kind, mode, owner, a file's time and content. Names that runtimes never look at are not left out."""
    listing = node.exec("find", *FOLDERS, "-mindepth", "1", "(", "-type", "f", "-printf", "%p f %m %U:%G %T@\n", "-o", "-type", "l", "-printf", "%p l %l\n", "-o",
                        "-printf", "%p %y %m %U:%G\n", ")")
    hashes = node.exec("find", *FOLDERS, "-type", "f", "-exec", "sha256sum", "{}", "+")
    return sorted(listing.splitlines()) + sorted(hashes.splitlines())


def snapshots(cluster):
    return {node.name: snapshot(node) for node in cluster.nodes()}


def difference(before, after):
    """Lines of one and not of the other, for a message."""
    lines = []
    for name in before:
        lines += [f"{name}: - {line}" for line in before[name] if line not in after.get(name, [])]
        lines += [f"{name}: + {line}" for line in after.get(name, []) if line not in before[name]]
    return "\n".join(lines)


def wait_as_before(cluster, before, timeout=30):
    last = [None]

    def same():
        last[0] = snapshots(cluster)
        return last[0] == before

    try:
        cluster.wait_for("nodes' files to be as before", same, timeout)
    except Failure as error:
        raise Failure(f"{error}\n{difference(before, last[0])}\n{cluster.describe(SYSTEM_NAMESPACE)}") from None


def hosts_toml(node, registry=OPEN):
    """None if there is none."""
    done = node.exec("cat", f"{CERTS}/{registry}/hosts.toml", check=False)
    return done.stdout if done.returncode == 0 else None


# --- What nodes say of themselves ---

def leases(cluster):
    """cistern.dev/… annotations of the nodes' Leases, by node."""
    listed = cluster.get("leases", f"--namespace={SYSTEM_NAMESPACE}", "--selector=app.kubernetes.io/component=node")["items"]
    return {lease["metadata"]["name"].removeprefix("cistern-node-"):
            {key.removeprefix("cistern.dev/"): value for key, value in lease["metadata"]["annotations"].items()} for lease in listed}


def wanted_hash(cluster, group="default"):
    found = cluster.get("configmap", f"cistern-node-{group}", f"--namespace={SYSTEM_NAMESPACE}")
    return json.loads(found["data"]["node.json"])["hash"] if found else None


def are_configured(cluster, but=None, group="default"):
    """Whether each node has what its group's ConfigMap says, and something else than `but`. The hash."""
    wanted = wanted_hash(cluster, group)
    if wanted in (None, but):
        return None
    found = leases(cluster)
    nodes = [node.name for node in cluster.nodes()]
    return wanted if all(found.get(name, {}).get("state") == "Applied" and found[name]["applied-hash"] == wanted for name in nodes) else None


def wait_configured(cluster, but=None, timeout=30, interval=0.4):
    try:
        return cluster.wait_for("the nodes to be configured", lambda: are_configured(cluster, but), timeout, interval)
    except Failure as error:
        raise Failure(f"{error}\nwanted {wanted_hash(cluster)}\n{json.dumps(leases(cluster), indent=1)}\n{cluster.describe(SYSTEM_NAMESPACE)}") from None


def wait_state(cluster, node, *states, timeout=30):
    """Waits until a node's Lease says one of these; its annotations."""
    return cluster.wait_for(f"{node} to be {' or '.join(states)}", lambda: (found := leases(cluster).get(node, {})).get("state") in states and found, timeout)


def events(cluster, reason):
    """Notes of the node programs' and the operator's Events for this reason."""
    return cluster.kubectl("get", "events", "--all-namespaces", f"--field-selector=reason={reason}", "--output=jsonpath={range .items[*]}{.message}{'\\n'}{end}")


def node_program(cluster, node):
    """The number, on this machine, of a node's node program."""
    found = cluster.get("pods", f"--namespace={SYSTEM_NAMESPACE}", "--selector=app.kubernetes.io/component=node", f"--field-selector=spec.nodeName={node}")["items"]
    for pod in found:
        for status in pod["status"].get("containerStatuses", []):
            identity = status.get("containerID", "").removeprefix("containerd://")
            if identity and "running" in status["state"]:
                inner = cluster.node_exec(node, "ctr", "-n", "k8s.io", "tasks", "ls")
                for line in inner.splitlines():
                    if line.startswith(identity):
                        return int(line.split()[1])  # in the node's process namespace
    return None


def kill_node_program(cluster, node):
    """At once, as by the kernel. True: there was one."""
    number = node_program(cluster, node)
    return number is not None and cluster.node_exec(node, "kill", "-9", str(number), check=False).returncode == 0


