"""The image: complete, minimal, the same each time, and the same by both ways."""

import hashlib
import http.server
import json
import os
import re
import socket
import ssl
import subprocess
import tarfile
import threading

import pytest

from api import SOURCE

SCRIPT = SOURCE / "cmake" / "image.sh"
BUILD = SOURCE / "build"
PROGRAMS = ("cistern-operator", "cache-agent")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "image.tar"
    subprocess.run([SCRIPT, BUILD, path], check=True)
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "root"
    subprocess.run([SCRIPT, "--root", path, BUILD], check=True)
    return path


def config(archive):
    with tarfile.open(archive) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
        return manifest[0], json.load(tar.extractfile(manifest[0]["Config"]))


def test_the_same_programs_make_the_same_bytes(archive, tmp_path):
    subprocess.run([SCRIPT, BUILD, tmp_path / "again.tar"], check=True)
    assert hashlib.sha256((tmp_path / "again.tar").read_bytes()).digest() == hashlib.sha256(archive.read_bytes()).digest()


def test_other_tools_read_it(archive):
    seen = json.loads(subprocess.run(["skopeo", "inspect", f"docker-archive:{archive}"], check=True, capture_output=True).stdout)
    assert seen["Os"] == "linux"
    assert len(seen["Layers"]) == 1
    manifest, settings = config(archive)
    assert manifest["RepoTags"] == ["cistern.dev/cistern:dev"]
    with tarfile.open(archive) as tar:
        layer = tar.extractfile(manifest["Layers"][0]).read()
    assert settings["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()]


def test_another_tag_is_written(tmp_path):
    subprocess.run([SCRIPT, "--tag", "example.com/x:1", BUILD, tmp_path / "image.tar"], check=True)
    assert config(tmp_path / "image.tar")[0]["RepoTags"] == ["example.com/x:1"]


def test_the_dockerfile_says_the_same(archive):
    final = (SOURCE / "Dockerfile").read_text().split("FROM scratch")[1]
    settings = config(archive)[1]["config"]
    assert re.search(r"^USER (.*)$", final, re.M)[1] == settings["User"] == "65532:65532"
    assert json.loads(re.search(r"^ENTRYPOINT (.*)$", final, re.M)[1]) == settings["Entrypoint"]
    assert [re.search(r"^ENV (.*)$", final, re.M)[1]] == settings["Env"]
    assert re.search(r"^WORKDIR (.*)$", final, re.M)[1] == settings["WorkingDir"]


def test_it_holds_the_programs_and_what_they_load_and_no_shell(root):
    files = {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir() and not path.is_symlink()}
    assert {f"usr/bin/{name}" for name in PROGRAMS} == {name for name in files if name.startswith("usr/bin/")}
    others = [name for name in files if not re.match(r"usr/(bin/|lib(64|32|x32)?/(.*/)?[^/]*\.so[.0-9]*$)", name)]
    assert sorted(others) == ["etc/group", "etc/nsswitch.conf", "etc/passwd", "etc/ssl/certs/ca-certificates.crt"]
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert "65532" in (root / "etc/passwd").read_text()


def test_nothing_in_it_is_writable_by_its_user_but_tmp(root):
    for path in root.rglob("*"):
        if not path.is_symlink() and path != root / "tmp":
            assert path.stat().st_mode & 0o7022 == 0, path


def inside(root, *command):
    """As the image's user, with nothing but the image to see."""
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    return subprocess.run(["/usr/sbin/chroot", "--userspec=65532:65532", root, *command], capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin"})


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_run_in_it(root, name):
    version = inside(root, f"/usr/bin/{name}", "--version")
    assert version.returncode == 0, version.stderr
    assert re.match(r"\d+\.\d+\.\d+", version.stdout)
    assert "Usage" in inside(root, f"/usr/bin/{name}", "--help").stdout


class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ready)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def test_names_are_resolved_in_it(root, server):
    # Without /etc/hosts, "localhost" is known to glibc's resolver itself.
    (root / "etc/hosts").write_text("127.0.0.1 ready.example\n")
    try:
        done = inside(root, "/usr/bin/cistern-operator", "check-health", f"http://ready.example:{server.server_port}/readyz", "--timeout", "0s")
    finally:
        (root / "etc/hosts").unlink()
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("/readyz: ok\n")


def test_a_health_that_does_not_come_is_an_error(root):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        done = inside(root, "/usr/bin/cistern-operator", "check-health", f"http://127.0.0.1:{closed.getsockname()[1]}/", "--timeout", "100ms")
    assert done.returncode == 1
    assert "connect" in done.stderr


def test_roots_of_trust_are_found_in_it(root, server, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    ask = ("/usr/bin/cistern-operator", "check-health", f"https://127.0.0.1:{server.server_port}/", "--timeout", "0s")
    unknown = inside(root, *ask)
    assert unknown.returncode == 1
    assert "certificate" in unknown.stderr and "CAfile" not in unknown.stderr
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    before = bundle.read_text()
    assert before.count("BEGIN CERTIFICATE") > 50
    bundle.write_text(before + certificate.read_text())
    try:
        known = inside(root, *ask)
    finally:
        bundle.write_text(before)
    assert known.returncode == 0, known.stderr


def test_a_missing_program_is_said(tmp_path):
    done = subprocess.run([SCRIPT, tmp_path, tmp_path / "image.tar"], capture_output=True, text=True)
    assert done.returncode != 0
    assert "is not there; build it first" in done.stderr
    assert not (tmp_path / "image.tar").exists()
