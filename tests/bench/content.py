"""What the upstream serves: files below one folder, laid out as the URLs are.

go/example.com/bench/@v/   a Go module proxy: v1.0.0.mod (137 bytes), v1.0.0.zip (39 MB), and .info files to ask for cold
v2/library/bench/          a registry: one manifest, by tag and by digest, and blobs: `hot` to hit, `cold` and `shared` to miss
"""

import hashlib
import json
import os
import pathlib
import zipfile

MODULE = "example.com/bench"
REPOSITORY = "library/bench"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INFOS = 20  # how many .info files there are to ask for cold


class Content:
    def __init__(self, folder: pathlib.Path, quick: bool):
        self.folder = folder
        self.blob_size = (20 if quick else 200) * 1000 * 1000
        self.zip_size = (4 if quick else 39) * 1000 * 1000
        self._make_module()
        self._make_image()

    def _make_module(self):
        versions = self.folder / "go" / MODULE / "@v"
        versions.mkdir(parents=True)
        text = f"module {MODULE}\n\ngo 1.21\n\n// "
        go_mod = text + "x" * (137 - len(text) - 1) + "\n"
        for version in ["v1.0.0"] + [f"v1.1.{i}" for i in range(INFOS)]:
            (versions / f"{version}.info").write_text(json.dumps({"Version": version, "Time": "2024-01-01T00:00:00Z"}))
            (versions / f"{version}.mod").write_text(go_mod)
            # goproxy fetches all three for any one of them, so there is a zip for each.
            with zipfile.ZipFile(versions / f"{version}.zip", "w", zipfile.ZIP_STORED) as archive:
                archive.writestr(f"{MODULE}@{version}/go.mod", go_mod)
                if version == "v1.0.0":
                    archive.writestr(f"{MODULE}@{version}/data.bin", os.urandom(self.zip_size))
        (versions / "list").write_text("v1.0.0\n")
        self.mod_path = f"/go/{MODULE}/@v/v1.0.0.mod"
        self.zip_path = f"/go/{MODULE}/@v/v1.0.0.zip"
        self.info_paths = [f"/go/{MODULE}/@v/v1.1.{i}.info" for i in range(INFOS)]

    def _make_image(self):
        root = self.folder / "v2" / REPOSITORY
        (root / "blobs").mkdir(parents=True)
        (root / "manifests").mkdir()
        self.blobs, layers = {}, []
        for name in ("hot", "cold", "shared"):
            digest, size = self._blob(root, os.urandom(self.blob_size))
            self.blobs[name] = f"/v2/{REPOSITORY}/blobs/{digest}"
            layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": size})
        digest, size = self._blob(root, json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode())
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": size}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": layers}).encode()
        self.manifest_digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
        for name in ("latest", self.manifest_digest):
            (root / "manifests" / name).write_bytes(manifest)
        self.by_tag = f"/v2/{REPOSITORY}/manifests/latest"
        self.by_digest = f"/v2/{REPOSITORY}/manifests/{self.manifest_digest}"

    @staticmethod
    def _blob(root, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        (root / "blobs" / digest).write_bytes(data)
        return digest, len(data)
