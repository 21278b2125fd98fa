"""Network namespaces and their cables to the bridge. A namespace is kept by a mount in the state folder rather than by `ip netns`, which leaves a folder and a
mount on the machine, and which cannot be used in a chroot."""

import contextlib
import os
import pathlib
import signal

from system import run, wait_until


def inside(layout, part):
    """The beginning of a command line that runs in the network of a part."""
    return ["nsenter", f"--net={layout.network_namespace(part)}"]


def plug_in(layout, part, address):
    """A network namespace for `part` and a cable from it to the bridge. It has a route to the cluster's addresses and to no other."""
    namespace, link = layout.network_namespace(part), layout.link(part)
    namespace.parent.mkdir(exist_ok=True)
    namespace.touch()
    run("unshare", f"--net={namespace}", "--propagation", "unchanged", "true")
    run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace)
    run("ip", "link", "set", link, "master", layout.bridge, "up")
    run(*inside(layout, part), "sh", "-ec", f"ip link set lo up; ip address add {address}/24 dev eth0; ip link set eth0 up; "
        f"ip route add {layout.network} via {layout.host}")


def unplug(layout, part):
    """Undoes plug_in, and ends what still runs in the namespace; what is not there is not missed."""
    namespace = layout.network_namespace(part)
    run("ip", "link", "delete", layout.link(part), check=False)
    if not namespace.exists():
        return

    def empty():
        numbers = members(namespace)
        for number in numbers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        return not numbers

    wait_until(f"the end of what runs in {namespace}", empty, 20)
    while os.path.ismount(namespace):
        run("umount", namespace)
    namespace.unlink()


def members(namespace):
    """The processes in a network namespace."""
    wanted, found = os.stat(namespace), []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(entry / "ns/net"), wanted):
                found.append(int(entry.name))
    return found


def remove_links(layout):
    """The bridge, and cables of whose other end nothing is known any more."""
    for path in pathlib.Path("/sys/class/net").glob(f"{layout.bridge}*"):
        run("ip", "link", "delete", path.name, check=False)


def route(layout, nodes):
    """Who is on the bridge reaches each node's pods through that node."""
    for part in [None, "world", *(node.name for node in nodes)]:
        commands = [f"ip route replace {layout.pods(node.number)} via {node.address}" for node in nodes if node.name != part]
        run(*(inside(layout, part) if part else []), "sh", "-ec", "; ".join(commands) or ":")
