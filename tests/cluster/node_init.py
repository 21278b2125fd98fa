"""The first process of a node: node_init.py FOLDER, in new network, mount and process namespaces. It gives the node a root of its own where nodes must not
share, says so with FOLDER/ready and then only lives, so that the node dies with it.

    /etc      the machine's, with changes kept in FOLDER/etc
    /var      FOLDER/var: what containerd, kubelet, CNI and hostPath volumes keep
    /run      empty: sockets, network namespaces of pods
    /proc     the node's own processes
    the rest  the machine's
"""

import ctypes
import os
import pathlib
import signal
import sys

BIND, RECURSIVE, PRIVATE, SHARED = 4096, 16384, 1 << 18, 1 << 20
DETACH, NEW_MOUNTS = 2, 0x00020000
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}[os.uname().machine]
SETTINGS = ("net/ipv4/ip_forward", "net/ipv4/conf/all/route_localnet", "net/bridge/bridge-nf-call-iptables")

libc = ctypes.CDLL(None, use_errno=True)


def call(what, result):
    if result != 0:
        number = ctypes.get_errno()
        sys.exit(f"{what}: {os.strerror(number)}")


def mount(source, target, kind=None, flags=0, options=None):
    words = [word.encode() if word else None for word in (source, target, kind, options)]
    call(f"mount {source or ''} on {target}", libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]))


def main(folder):
    # This machine may itself be a chroot. runc needs a root that is the root of its mount namespace, or what is executed in a running container would
    # find itself outside. Entering the own namespace again leaves the chroot; from there on paths are relative to where it was.
    here = os.open("/", os.O_PATH | os.O_DIRECTORY)
    with open("/proc/self/ns/mnt", encoding="ascii") as own:
        call("setns", libc.setns(own.fileno(), NEW_MOUNTS))
    mount(None, "/", flags=RECURSIVE | PRIVATE)
    os.chdir(here)
    inside = folder.lstrip("/")
    root = f"{inside}/root"
    for name in ("root", "etc", "work", "var/lib", "var/log", "var/tmp", "var/cache"):
        os.makedirs(f"{inside}/{name}", exist_ok=True)
    os.symlink("/run", f"{inside}/var/run")
    mount(".", root, flags=BIND | RECURSIVE)
    mount("overlay", f"{root}/etc", "overlay", options=f"lowerdir=etc,upperdir={inside}/etc,workdir={inside}/work")
    mount(f"{inside}/var", f"{root}/var", flags=BIND)
    mount("tmpfs", f"{root}/run", "tmpfs", options="mode=755")
    os.chdir(root)
    call("pivot_root", libc.syscall(PIVOT_ROOT, b".", b"."))
    call("umount of the old root", libc.umount2(b".", DETACH))
    os.chdir("/")
    mount("proc", "/proc", "proc")
    # kubelet and containerd hand mounts on to the containers that ask for it.
    mount(None, "/", flags=RECURSIVE | SHARED)
    os.makedirs("/run/lock")
    os.makedirs("/run/netns")
    for setting in SETTINGS:
        path = pathlib.Path("/proc/sys", setting)
        if path.exists():
            path.write_text("1", encoding="ascii")
    pathlib.Path(folder, "ready").touch()
    # Orphans of the node come to its first process. One that ignores their end need not wait for them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.execvp("sleep", ["sleep", "infinity"])


main(sys.argv[1])
