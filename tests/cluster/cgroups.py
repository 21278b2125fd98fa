"""A folder in each cgroup hierarchy for one node, under which its kubelet makes those of its pods. Works with cgroup v1, v2 and both at once."""

import os
import pathlib
import signal
import time

ROOT = pathlib.Path("/sys/fs/cgroup")


def hierarchies():
    """(mount point, is v2) of each hierarchy of this machine."""
    found = {}
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2"):
            found[pathlib.Path(place).resolve()] = kind == "cgroup2"
    return found.items()


def make(name):
    for place, unified in hierarchies():
        folder = place / name
        if unified:
            # What the root does not hand down, its children cannot have.
            for controller in (place / "cgroup.controllers").read_text().split():
                try:
                    (place / "cgroup.subtree_control").write_text(f"+{controller}")
                except OSError:
                    pass  # held by a v1 hierarchy, or not to be delegated; kubelet says which one it misses
        folder.mkdir(exist_ok=True)
        # In v1 a new cpuset is empty, and nothing can run in it.
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if not unified and (folder / setting).exists():
                (folder / setting).write_text((place / setting).read_text())


def remove(prefix, timeout=10):
    """Removes the folders whose name begins so, deepest first. What still runs in them is killed."""
    deadline = time.monotonic() + timeout
    for place, _ in hierarchies():
        for top in place.glob(f"{prefix}*"):
            while top.exists():
                try:
                    for folder, _, _ in os.walk(top, topdown=False):
                        os.rmdir(folder)
                except FileNotFoundError:
                    pass
                except OSError:
                    kill_in(top)
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)


def kill_in(top):
    for folder, _, _ in os.walk(top):
        try:
            for number in pathlib.Path(folder, "cgroup.procs").read_text().split():
                os.kill(int(number), signal.SIGKILL)
        except (OSError, ValueError):
            continue


def left(prefix):
    return [str(folder) for place, _ in hierarchies() for folder in place.glob(f"{prefix}*")]
