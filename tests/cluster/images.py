"""Images made without Docker: a docker-archive is a tar of manifest.json, a configuration and layers, each layer a tar of files."""

import hashlib
import io
import json
import os
import pathlib
import random
import re
import subprocess
import tarfile

from layout import cache_folder

BUSYBOX, CURL = "/bin/busybox", "/usr/bin/curl"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
CHUNK = 64 << 20  # random bytes come in so many at a time
PAUSE, CLIENT = "cistern.dev/pause:dev", "cistern.dev/client:dev"


class Layer:
    """A layer in the making. Times and owners are fixed, so that the same files are the same layer."""

    def __init__(self):
        self._bytes = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._bytes, mode="w")
        self._folders = set()

    def _add(self, path, kind, mode, content=b"", link=""):
        for parent in reversed(pathlib.PurePosixPath(path).parents):
            if str(parent) != "." and parent not in self._folders:
                self._folders.add(parent)
                self._entry(str(parent), tarfile.DIRTYPE, 0o755)
        self._entry(path, kind, mode, content, link)

    def _entry(self, path, kind, mode, content=b"", link=""):
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(content), link
        self._tar.addfile(entry, io.BytesIO(content))

    def file(self, path, content, mode=0o644):
        self._add(path, tarfile.REGTYPE, mode, content)
        return self

    def link(self, path, target):
        self._add(path, tarfile.SYMTYPE, 0o777, link=target)
        return self

    def folder(self, path, mode=0o755):
        self._folders.add(pathlib.PurePosixPath(path))
        self._add(path, tarfile.DIRTYPE, mode)
        return self

    def done(self):
        self._tar.close()
        return self._bytes.getvalue()


def archive(target, name, layers, command, environment=("PATH=/usr/bin:/bin",), user=""):
    """Writes the docker-archive `target` that holds the image `name`. `layers` are tars, not compressed."""
    names = [f"{hashlib.sha256(layer).hexdigest()}.tar" for layer in layers]
    config = json.dumps({
        "architecture": _architecture(), "os": "linux", "created": "1970-01-01T00:00:00Z",
        "config": {"Cmd": list(command), "Env": list(environment), "User": user, "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.removesuffix('.tar')}" for layer in names]},
    }).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": names}]).encode()
    scratch = pathlib.Path(f"{target}.{os.getpid()}")
    scratch.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(scratch, "w") as tar:
        for file, content in [("manifest.json", manifest), (config_name, config), *dict(zip(names, layers)).items()]:
            entry = tarfile.TarInfo(file)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    scratch.rename(target)
    return target


def _architecture():
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def _kept(label, sources, build):
    """The archive of these sources, made if they have changed since."""
    key = hashlib.sha256(pathlib.Path(__file__).read_bytes())
    for source in sources:
        stat = os.stat(source)
        key.update(f"{source} {stat.st_size} {stat.st_mtime_ns}".encode())
    target = cache_folder() / "images" / f"{label}-{key.hexdigest()[:16]}.tar"
    if not target.exists():
        for old in target.parent.glob(f"{label}-*.tar"):
            old.unlink(missing_ok=True)
        build(target)
    return target


def _programs(layer, *paths):
    """Adds programs of this machine and the libraries that they need, found as the machine's loader finds them."""
    added = set()
    for path in paths:
        libraries = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for file in [path, *re.findall(r"(/\S+) \(0x", libraries)]:
            if file not in added:
                added.add(file)
                layer.file(file.lstrip("/"), pathlib.Path(file).read_bytes(), 0o755)
    return layer


def pause():
    """What holds a pod's namespaces."""
    return _kept("pause", [BUSYBOX], lambda target: archive(target, PAUSE, [_programs(Layer(), BUSYBOX).done()], [BUSYBOX, "sleep", "infinity"]))


def client(go):
    """A pod that does what a user's would: busybox's commands, curl, `go` (enough of it for `go mod download`), certificate authorities."""
    root = pathlib.Path(go).resolve().parent.parent  # where `go` itself finds the rest of it

    def build(target):
        layer = _programs(Layer(), BUSYBOX, CURL)
        for applet in _applets():
            layer.link(f"bin/{applet}", BUSYBOX)
        layer.file("etc/ssl/certs/ca-certificates.crt", pathlib.Path(CERTIFICATES).read_bytes())
        layer.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n")
        layer.file("etc/group", b"root:x:0:\nnogroup:x:65534:\n")
        layer.folder("tmp", 0o1777).folder("root", 0o700)
        for file in ("bin/go", "VERSION", "go.env"):
            source = root / file
            if source.exists():
                layer.file(f"usr/local/go/{file}", source.read_bytes(), 0o755 if file == "bin/go" else 0o644)
        layer.folder("usr/local/go/src").folder("usr/local/go/pkg/tool")  # by these `go` knows its root
        environment = ["PATH=/usr/local/go/bin:/usr/bin:/bin", "HOME=/tmp", "GOPATH=/tmp/go", "GOTOOLCHAIN=local", "GOFLAGS=-modcacherw"]
        archive(target, CLIENT, [layer.done()], ["/bin/sleep", "infinity"], environment)

    return _kept("client", [BUSYBOX, CURL, root / "bin/go", CERTIFICATES], build)


def _applets():
    listing = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    return [applet for applet in listing if applet != "busybox"]


def random_image(target, name, size, seed=0):
    """An image that sleeps, with `size` bytes that no compression makes smaller, the same for the same seed: for what only the amount matters."""
    source = random.Random(seed)
    content = b"".join(source.randbytes(min(CHUNK, size - begin)) for begin in range(0, size, CHUNK))
    return archive(target, name, [_programs(Layer(), BUSYBOX).done(), Layer().file("data", content).done()], [BUSYBOX, "sleep", "infinity"])
