#!/usr/bin/env python3
"""Sums several runs of ctest and pytest: count.py FOLDER [BUILD THAT FAILED…]

FOLDER holds one JUnit file for each run, named after its build. Prints what was skipped and why, what the first tests that failed said, the names of all
that failed, and last the count: "N passed, N failed" with ", N skipped" where there were any. All of it is at the end, since of a long log only the end
may be kept. Exit code 1 if anything failed, or nothing ran.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as xml

SHOWN = 10  # tests whose words are shown
LINES, WIDTH = 25, 300  # of each
# Where what matters begins in the output of a test program; above it is what passed.
TROUBLE = re.compile(r": Failure$|: error: |ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|terminate called|(?i:\btimed? ?out\b)")


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
    if status == "notrun" and skip is not None and not re.search("Not Run|Unable to find|Missing", skip.get("message") or ""):
        return "skipped", reason(case)
    return ("skipped", "disabled") if status == "disabled" else ("failed", "did not run")


def said(case):
    """What is worth reading of a failed test's words, as lines."""
    if case.get("status") is None:
        # pytest: the message is the whole exception, the text ends with the place.
        found = case.find("failure") if case.find("failure") is not None else case.find("error")
        place = [line for line in (found.text or "").splitlines() if line.strip()][-1:]
        return shortened((found.get("message") or "").strip().splitlines() + place, LINES // 2)
    # ctest has only what the program printed. It does not say which one was ended for taking too long, or crashed; the seconds tell.
    output = (case.findtext("system-out") or "").splitlines()
    begin = next((number for number, line in enumerate(output) if TROUBLE.search(line)), None)
    if begin is not None:
        return output[begin:begin + LINES]
    return [f"(ended after {float(case.get('time') or 0):.1f} s without naming a failure; its last lines:)", *output[-LINES:]]


def shortened(lines, end):
    """Both ends of lines that are too many."""
    return lines if len(lines) <= LINES else [*lines[:LINES - end], f"… {len(lines) - LINES} more lines …", *lines[-end:]]


def main():
    passed, failed, skipped, words = 0, [], [], []
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.xml")):
        try:
            cases = list(xml.parse(path).getroot().iter("testcase"))
        except xml.ParseError as error:  # of a run that was ended while it wrote
            failed.append(f"{path.stem}: its results can not be read: {error}")
            continue
        for case in cases:
            name = f"{path.stem}: {case.get('name')}"
            kind, remark = outcome(case)
            if kind == "passed":
                passed += 1
            else:
                (failed if kind == "failed" else skipped).append(f"{name}: {remark}" if remark else name)
            if kind == "failed" and len(words) < SHOWN:
                words.append(f"--- {name}\n" + "".join(f"    {line[:WIDTH]}\n" for line in said(case)))
    failed += [f"{build}: could not be built or started" for build in sys.argv[2:]]
    for line in skipped:
        print("skipped:", line)
    print("".join(words), end="")
    for line in failed:
        print("FAILED:", line)
    print(f"{passed} passed, {len(failed)} failed" + (f", {len(skipped)} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


sys.exit(main())
