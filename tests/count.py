#!/usr/bin/env python3
"""Sums several runs of ctest and pytest: count.py FOLDER [BUILD THAT FAILED…]

FOLDER holds one JUnit file for each run, named after its build. Prints what failed, what was skipped and why, and last the count:
"N passed, N failed" with ", N skipped" where there were any. Exit code 1 if anything failed, or nothing ran.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as xml


def reason(case):
    """What the test said when it skipped itself: GoogleTest prints it after the place."""
    output = case.findtext("system-out") or ""
    match = re.search(r": Skipped\n(.*)", output) or re.search(r"(?im)^(?:skip\w*:?\s*)(.+)$", output)
    return match.group(1).strip() if match else "no reason given"


def outcome(case):
    """("passed" | "failed" | "skipped", what to add to the name). ctest says it in an attribute, pytest by a child element."""
    status, skip = case.get("status"), case.find("skipped")
    if status is None:
        if case.find("failure") is not None or case.find("error") is not None:
            return "failed", ""
        return ("passed", "") if skip is None else ("skipped", skip.get("message") or "no reason given")
    if status == "run":
        return "passed", ""
    if status == "fail":
        return "failed", ""
    if status == "notrun" and skip is not None and "Not Run" not in (skip.get("message") or ""):
        return "skipped", reason(case)
    return ("skipped", "disabled") if status == "disabled" else ("failed", "did not run")


def main():
    passed, failed, skipped = 0, [], []
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.xml")):
        for case in xml.parse(path).getroot().iter("testcase"):
            name = f"{path.stem}: {case.get('name')}"
            kind, remark = outcome(case)
            if kind == "passed":
                passed += 1
            else:
                (failed if kind == "failed" else skipped).append(f"{name}: {remark}" if remark else name)
    failed += [f"{build}: could not be built or started" for build in sys.argv[2:]]
    for line in skipped:
        print("skipped:", line)
    for line in failed:
        print("FAILED:", line)
    print(f"{passed} passed, {len(failed)} failed" + (f", {len(skipped)} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


sys.exit(main())
