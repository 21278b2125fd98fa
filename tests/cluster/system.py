"""Processes and kernel objects of a cluster. What it starts is tagged in its environment, so that it is found again by reading /proc, whoever
started it and however that ended; no file of process numbers can be stale."""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time

CLUSTER, PART = "CISTERN_CLUSTER", "CISTERN_PART"
CAP_SYS_RESOURCE = 24
DIRECT = {"NO_PROXY": "*", "no_proxy": "*"}  # the user's HTTP proxy does not know the bridge
KERNEL_THREADS = 2  # the number of the process that they are children of


class Failure(Exception):
    """What went wrong, in words for the user, with the last lines of the log that says more."""

    def __init__(self, message, log=None):
        super().__init__(message)
        self.log, self._tail = log, ""

    def read_log(self):
        """Keeps the log's last lines: the file goes when the cluster is taken away."""
        if not self._tail and self.log and pathlib.Path(self.log).exists():
            lines = pathlib.Path(self.log).read_text(errors="replace").splitlines()[-15:]
            self._tail = "\n".join([f"--- the last lines of {self.log.name}", *lines])

    def __str__(self):
        return "\n".join(filter(None, [super().__str__(), self._tail]))


def run(*argv, check=True, stdin=None, timeout=120, env=None):
    """Runs a command to its end and returns its output; with check=False the finished process. A failing one is a Failure with what it said.
    `stdin` is text or an open file."""
    given = {"input": stdin} if isinstance(stdin, str) else {"stdin": stdin or subprocess.DEVNULL}
    try:
        done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=timeout, check=False,
                              env={**(env or os.environ), **DIRECT}, **given)
    except subprocess.TimeoutExpired:
        raise Failure(f"{' '.join(map(str, argv))} did not end within {timeout} s") from None
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(map(str, argv))} failed ({done.returncode}): {(done.stderr or done.stdout).strip()}")
    return done.stdout if check else done


def wall_clock(shift):
    """The environment of a program whose wall clock is shifted, by "-1d" or "+2h"; its steady one is what the kernel counts."""
    library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        raise Failure("libfaketime.so.1 is not there; install the package libfaketime")
    return {"LD_PRELOAD": str(library), "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def wait_until(what, condition, timeout, interval=0.1, log=None, alive=lambda: True):
    """Returns condition()'s first true value. `what` ends the sentence "… is not there after N s"."""
    deadline = time.monotonic() + timeout
    seen = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        # One that is just becoming another program has no tag for a moment, a long one on a busy machine.
        if alive():
            seen = time.monotonic()
        elif time.monotonic() - seen > 1:
            raise Failure(f"{what}: the program has ended", log)
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not there after {timeout} s", log)
        time.sleep(interval)


def start(layout, part, argv):
    """Starts a program of the cluster in a session of its own, its output in the part's log. It outlives this process."""
    layout.logs.mkdir(parents=True, exist_ok=True)
    with open(layout.log(part), "ab") as log:
        return subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
                                env={**os.environ, **DIRECT, CLUSTER: layout.id, PART: part})


_reserved = []


def reserve(name):
    """A name that none of this machine's processes has, and that none gets until what is returned is closed; None if one has it. It is abstract: no file
    is left, however a process ends."""
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        mark.bind(f"\0{name}")
    except OSError:
        mark.close()
        return None
    return mark


@contextlib.contextmanager
def alone(name, timeout=60):
    """The block runs in one process at a time."""
    with wait_until(f"the end of another's {name}", lambda: reserve(f"cistern-{name}"), timeout, interval=0.05):
        yield


def free_port():
    """A port of loopback for a program that is started soon. Not one of those that the kernel gives to connections, nor one that another test has."""
    for _ in range(1000):
        port = random.randint(20000, 32000)
        mark = reserve(f"cistern-test-port-{port}")
        if mark is None:
            continue
        _reserved.append(mark)  # until this process ends
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise Failure("no port is free from 20000 to 32000")


class Process:
    """A tagged process as /proc shows it now."""

    def __init__(self, number):
        self.number = number
        self._folder = pathlib.Path(f"/proc/{number}")
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        self.state, self.parent, self.group, self.session = fields[0], int(fields[1]), int(fields[2]), int(fields[3])
        variables = dict(entry.partition("=")[::2] for entry in self._environment().decode(errors="replace").split("\0"))
        self.cluster, self.part = variables.get(CLUSTER), variables.get(PART)

    def _environment(self):
        """While a process becomes another program it has no environment for a moment. Kernel threads and the dead never have one."""
        for _ in range(5):
            content = (self._folder / "environ").read_bytes()
            if content or self.state in "ZX" or KERNEL_THREADS in (self.number, self.parent):
                break
            time.sleep(0.001)
        return content

    @property
    def leads(self):
        """Whether it is the one that start() made."""
        return self.number == self.session

    def inner_number(self):
        """Its number in its own namespace, None where that is the machine's."""
        for line in (self._folder / "status").read_text().splitlines():
            if line.startswith("NSpid:"):
                numbers = line.split()[1:]
                return int(numbers[-1]) if len(numbers) > 1 else None
        return None


def processes(layout, part=None):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                process = Process(int(entry.name))
            except (OSError, IndexError, ValueError):
                continue
            if process.cluster == layout.id and process.state not in "ZX" and part in (None, process.part):
                found.append(process)
    return found


def leader(layout, part):
    return next((process for process in processes(layout, part) if process.leads), None)


def signal_part(layout, part, sign):
    """Sends a signal to a program of the cluster and to what runs in its process group."""
    process = leader(layout, part)
    if process is None:
        raise Failure(f"{part} is not running", layout.log(part))
    os.killpg(process.group, sign)


def stop(layout, part, timeout=10, sign=signal.SIGTERM):
    """Ends a program; not an error if it is not there."""
    process = leader(layout, part)
    deadline = time.monotonic() + timeout
    while process is not None:
        try:
            os.killpg(process.group, sign)
            os.killpg(process.group, signal.SIGCONT)
        except ProcessLookupError:
            pass
        time.sleep(0.02)
        process = leader(layout, part)
        if time.monotonic() > deadline:
            sign = signal.SIGKILL


def kill_all(layout, chosen=lambda process: True, timeout=20):
    """Kills every process of the cluster that is `chosen`. A node's first process takes all in its process namespace with it."""
    deadline = time.monotonic() + timeout
    while True:
        left = [process for process in processes(layout) if chosen(process)]
        if not left:
            return
        for process in left:
            try:
                os.kill(process.number, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if time.monotonic() > deadline:
            raise Failure(f"processes that do not end: {', '.join(f'{process.number} ({process.part})' for process in left)}")
        time.sleep(0.02)


def has_capability(number):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def missing_facilities():
    """What this machine lacks for a cluster, in words; empty if nothing."""
    if os.geteuid() != 0:
        return ["root (namespaces, mounts and network links are made)"]
    missing = []
    probes = {
        "network namespaces (CONFIG_NET_NS)": ["unshare", "--net", "true"],
        "mount namespaces": ["unshare", "--mount", "--propagation", "unchanged", "true"],
        "process namespaces (CONFIG_PID_NS)": ["unshare", "--pid", "--fork", "true"],
        "veth links and bridges (CONFIG_VETH, CONFIG_BRIDGE)": [
            "unshare", "--net", "sh", "-c", "ip link add x0 type veth peer name x1 && ip link add x2 type bridge"],
        "iptables with nat (CONFIG_NF_NAT, CONFIG_NFT_COMPAT)": [
            "unshare", "--net", "sh", "-ec", "iptables -w -t nat -A OUTPUT -m comment --comment x -m mark --mark 1/1 -p tcp -j REDIRECT;"
            "iptables -w -t nat -A OUTPUT -m addrtype --dst-type LOCAL -m statistic --mode random --probability 0.5 -p tcp -j DNAT --to 10.0.0.1:80;"
            "iptables -w -t nat -A POSTROUTING -j MASQUERADE; iptables -w -A FORWARD -m conntrack --ctstate INVALID -j DROP"],
    }
    for facility, probe in probes.items():
        done = run(*probe, check=False)
        if done.returncode != 0:
            missing.append(f"{facility}: {done.stderr.strip()}")
    filesystems = {line.split()[-1] for line in pathlib.Path("/proc/filesystems").read_text().splitlines()}
    missing += [f"the file system {name}" for name in ("overlay", "tmpfs", "proc") if name not in filesystems]
    if not any(line.split()[2].startswith("cgroup") for line in pathlib.Path("/proc/mounts").read_text().splitlines()):
        missing.append("a mounted cgroup hierarchy at /sys/fs/cgroup")
    missing += [f"the program {name}" for name in ("containerd", "runc", "iptables", "nginx", "docker-registry", "openssl", "busybox", "skopeo")
                if not shutil.which(name)]
    return missing
