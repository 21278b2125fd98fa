#!/usr/bin/env python3
"""clang-tidy over the project, skipping what was found good before: tidy.py COMPILE_COMMANDS CACHE_FOLDER

A heavy header such as Beast's costs clang-tidy ten seconds in every file that includes it, so the files of a folder are looked at
together, as one translation unit that includes them all; where they do not compile together, one by one. A group is skipped when its
files, every project header that they include, their compiler's arguments, .clang-tidy and the installed libraries are what they were
when it last had no findings. Exit code 1 on any finding.
"""

import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE_FOLDERS = [ROOT / "lib", ROOT]
OURS = ("lib", "cache-agent", "operator", "tests")
TIDY = "clang-tidy-16"
AT_ONCE = 6  # files in one translation unit


def arguments_of(entry):
    """The compiler's arguments that say how to read the file: without the compiler, its launcher, input and outputs."""
    words = shlex.split(entry["command"])
    kept, i = [], 0
    while i < len(words):
        if words[i] in ("-I", "-isystem", "-D", "-include"):
            kept += words[i : i + 2]
            i += 1
        elif re.match(r"-(I|D|std=|isystem|W|f(no-)?exceptions|f(no-)?rtti|pthread)", words[i]):
            kept.append(words[i])
        i += 1
    return tuple(kept)


def read_with_headers(file, seen):
    """Adds to `seen` the file and, recursively, the project's files that it includes by "…"."""
    if file in seen:
        return
    seen.add(file)
    for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', file.read_text(errors="replace"), re.M):
        for folder in [file.parent, *INCLUDE_FOLDERS]:
            if (folder / name).is_file():
                read_with_headers((folder / name).resolve(), seen)
                break


def key_of(files, arguments, constant):
    read = set()
    for file in files:
        read_with_headers(file, read)
    digest = hashlib.sha256(constant)
    digest.update(repr(arguments).replace(str(ROOT), "").encode())
    for file in sorted(read):
        digest.update(f"{file.relative_to(ROOT)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def tidy(files, arguments):
    """(good, what it printed, whether the files compile together)"""
    with tempfile.NamedTemporaryFile("w", suffix=".cpp", dir=ROOT / "build" / "tidy") as unit:
        unit.writelines(f'#include "{file}"  // NOLINT(bugprone-suspicious-include)\n' for file in files)
        unit.flush()
        filters = "^" + str(ROOT) + "/(" + "|".join(OURS) + r")/.*\.[hc]pp$"
        result = subprocess.run(
            [TIDY, "--quiet", f"--config-file={ROOT}/.clang-tidy", f"--header-filter={filters}", unit.name, "--", *arguments],
            cwd=ROOT, capture_output=True, text=True)
    printed = result.stdout + result.stderr
    return result.returncode == 0, printed, "[clang-diagnostic-error]" not in printed


def check(files, arguments, cache, constant):
    """(what was found, whether it was known before)"""
    known = cache / key_of(files, arguments, constant)
    if known.exists():
        known.touch()
        return "", True
    good, printed, compiles = tidy(files, arguments)
    if not compiles and len(files) > 1:
        alone = [check([file], arguments, cache, constant)[0] for file in files]
        good, printed = not any(alone), "".join(alone)
    if good:
        known.touch()
        return "", False
    return printed or f"{TIDY} failed on {files}\n", False


def main():
    database, cache = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    cache.mkdir(parents=True, exist_ok=True)
    packages = [line for line in (ROOT / "cmake/packages.txt").read_text().splitlines() if not line.startswith("#")]
    constant = (ROOT / ".clang-tidy").read_bytes() + pathlib.Path(__file__).read_bytes()
    constant += subprocess.run(["dpkg-query", "-W", TIDY, *packages], capture_output=True).stdout

    folders = collections.defaultdict(list)
    for entry in json.loads(database.read_text()):
        file = pathlib.Path(entry["file"]).resolve()
        if file.is_relative_to(ROOT) and file.relative_to(ROOT).parts[0] in OURS and file.name != "third_party.cpp":
            folders[file.parent, arguments_of(entry)].append(file)
    groups = []
    for (_, arguments), files in sorted(folders.items()):
        files = sorted(set(files))
        groups += [(files[i : i + AT_ONCE], arguments) for i in range(0, len(files), AT_ONCE)]

    bad = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {pool.submit(check, files, arguments, cache, constant): files for files, arguments in groups}
        for done, future in enumerate(concurrent.futures.as_completed(running), 1):
            found, known = future.result()
            skipped += known
            if not known:
                print(f"[{done}/{len(groups)}] {running[future][0].parent.relative_to(ROOT)}", flush=True)
            if found:
                bad += 1
                print(re.sub(r"(?m)^\d+ warnings.*\n|^Suppressed .*\n|^Use -header-filter.*\n", "", found), flush=True)
    print(f"{len(groups)} groups of files, {skipped} unchanged, {bad} with findings")
    return 1 if bad else 0


sys.exit(main())
