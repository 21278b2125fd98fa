#!/usr/bin/env python3
"""Sums several runs of ctest: count.py FOLDER [BUILD THAT FAILED…]

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


def main():
    passed, failed, skipped = 0, [], []
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.xml")):
        for case in xml.parse(path).getroot().iter("testcase"):
            name = f"{path.stem}: {case.get('name')}"
            if case.get("status") == "run":
                passed += 1
            elif case.get("status") == "fail":
                failed.append(name)
            elif case.get("status") == "notrun" and case.find("skipped") is not None and "Not Run" not in (case.find("skipped").get("message") or ""):
                skipped.append(f"{name}: {reason(case)}")
            elif case.get("status") == "disabled":
                skipped.append(f"{name}: disabled")
            else:
                failed.append(f"{name}: did not run")
    failed += [f"{build}: could not be built or started" for build in sys.argv[2:]]
    for line in skipped:
        print("skipped:", line)
    for line in failed:
        print("FAILED:", line)
    print(f"{passed} passed, {len(failed)} failed" + (f", {len(skipped)} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


sys.exit(main())
