"""Results for programs: as a document of plain values, and as JUnit's XML, which every CI shows."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree import ElementTree

from mt5crs.checks import Result, Status, holds

FIELDS = ("node", "check", "status", "title", "found", "remedy", "reason")
"""A result for programs, in this order."""
ORDER = {status: place for place, status in enumerate((Status.FAIL, Status.WARN, Status.OFF, Status.PASS))}
"""What people look for first."""
UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML has no way to say."""
WHOLE = "fleet"
"""The name of the suite of what belongs to no node."""


def row(result: Result) -> dict[str, str]:
    """Return a result as plain values."""
    return {
        "node": result.subject,
        "check": result.check,
        "status": result.status.value,
        "title": result.title,
        "found": result.found,
        "remedy": result.remedy,
        "reason": result.reason,
    }


def worst_first(results: Iterable[Result]) -> list[Result]:
    """Return results with what failed first."""
    return sorted(results, key=lambda result: ORDER[result.status])


def by_node(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Return the results of each node, in their order."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.subject, []).append(result)
    return found


def counts(results: Iterable[Result]) -> dict[str, int]:
    """Return how many results there are of each status."""
    counter = Counter(result.status for result in results)
    return {status.value: counter[status] for status in Status}


def document(results: Sequence[Result]) -> dict[str, Any]:
    """Return the results as one document.

    Returns:
        `holds`, whether nothing failed; `counts` by status; `nodes`, the counts of each; `results`, each with
        `FIELDS`.
    """
    return {
        "holds": holds(results),
        "counts": counts(results),
        "nodes": {node: counts(each) for node, each in by_node(results).items()},
        "results": [row(result) for result in results],
    }


def junit(results: Sequence[Result], begun: str, seconds: float) -> bytes:
    """Return the results as JUnit's XML: a suite for each node, a case for each finding.

    Args:
        results: The results.
        begun: When it was looked, ISO 8601 without a zone.
        seconds: How long it took.
    """
    top = ElementTree.Element("testsuites", {"name": "mt5crs fleet verify", **_numbers(results, seconds)})
    for number, (node, found) in enumerate(by_node(results).items()):
        name = _writable(node or WHOLE)
        about = {"name": name, "id": str(number), "hostname": name, "timestamp": begun}
        suite = ElementTree.SubElement(top, "testsuite", {**about, **_numbers(found, seconds)})
        for result in found:
            _add(suite, name, result)
    ElementTree.indent(top)
    text = ElementTree.tostring(top, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def _numbers(results: Sequence[Result], seconds: float) -> dict[str, str]:
    counted = counts(results)
    return {
        "tests": str(len(results)),
        "failures": str(counted["fail"]),
        "errors": "0",
        "skipped": str(counted["off"]),
        "time": f"{seconds:.3f}",
    }


def _add(suite: ElementTree.Element, node: str, result: Result) -> None:
    group, _, name = result.check.partition(".")
    case = ElementTree.SubElement(
        suite, "testcase", classname=f"{node}.{_writable(group)}", name=_writable(name or group), time="0.000"
    )
    words = _writable(f"{result.title}: {result.found}")
    more = _writable(f"{result.title}\nfound: {result.found}\nwhy: {result.reason}\ndo: {result.remedy}")
    if result.status is Status.FAIL:
        ElementTree.SubElement(case, "failure", message=words, type=_writable(result.check)).text = more
    elif result.status is Status.OFF:
        ElementTree.SubElement(case, "skipped", message=words)
    else:
        told = f"warning: {more}" if result.status is Status.WARN else words
        ElementTree.SubElement(case, "system-out").text = told


def _writable(text: str) -> str:
    return UNWRITABLE.sub("?", text)
