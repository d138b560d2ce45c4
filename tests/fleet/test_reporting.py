"""Results for programs."""

from xml.etree import ElementTree

from mt5crs.checks import Result, Status
from mt5crs.fleet.reporting import document, junit, worst_first

RESULTS = [
    Result("node.reached", "it is reached", "inf", Status.PASS, "10.0.0.3", "", "why"),
    Result("node.disk", "there is room", "inf", Status.WARN, "1 MB < 2 MB", "make room", "why"),
    Result("settings.host", "it is right", "inf", Status.FAIL, "it is <x> \x1b[31m\ud800", "set it", "why"),
    Result("node.reached", "it is reached", "gpu", Status.OFF, "it is off", "", "why"),
]
# What Jenkins' schema (junit-10.xsd) lets each element have: attributes that it must have, that it may have,
# and children.
SCHEMA: dict[str, tuple[set[str], set[str], list[str]]] = {
    "testsuites": (
        set(),
        {"name", "time", "tests", "failures", "disabled", "errors", "skipped"},
        ["testsuite"],
    ),
    "testsuite": (
        {"name", "tests"},
        {"failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id", "package"},
        ["properties", "testcase", "system-out", "system-err"],
    ),
    "testcase": (
        {"name"},
        {"assertions", "time", "classname", "status", "class", "file", "line"},
        ["skipped", "error", "failure", "system-out", "system-err"],
    ),
    "failure": (set(), {"type", "message"}, []),
    "skipped": (set(), {"type", "message"}, []),
    "system-out": (set(), set(), []),
}


def written() -> ElementTree.Element:
    return ElementTree.fromstring(junit(RESULTS, "2026-01-01T00:00:00", 1.25))  # noqa: S314 - our own


def test_the_document_has_a_stable_shape() -> None:
    told = document(RESULTS)
    assert told["holds"] is False
    assert told["counts"] == {"pass": 1, "warn": 1, "fail": 1, "off": 1}
    assert told["nodes"]["gpu"] == {"pass": 0, "warn": 0, "fail": 0, "off": 1}
    assert told["results"][1] == {
        "node": "inf",
        "check": "node.disk",
        "status": "warn",
        "title": "there is room",
        "found": "1 MB < 2 MB",
        "remedy": "make room",
        "reason": "why",
    }
    assert document([])["holds"] is True


def test_what_failed_comes_first() -> None:
    assert [each.status.value for each in worst_first(RESULTS)] == ["fail", "warn", "off", "pass"]


def test_the_xml_is_as_the_schema_wants_it() -> None:
    def check(element: ElementTree.Element) -> None:
        must, may, children = SCHEMA[element.tag]
        assert must <= {*element.keys()} <= must | may, element.attrib
        for child in element:
            assert child.tag in children, (element.tag, child.tag)
            check(child)

    root = written()
    assert root.tag == "testsuites"
    check(root)


def test_there_is_a_suite_for_each_node() -> None:
    inf, gpu = written()
    assert (inf.get("name"), gpu.get("name")) == ("inf", "gpu")
    counted = {name: inf.get(name) for name in ("tests", "failures", "errors", "skipped", "time")}
    assert counted == {"tests": "3", "failures": "1", "errors": "0", "skipped": "0", "time": "1.250"}
    assert gpu.get("skipped") == "1"
    reached, disk, host = inf
    assert (reached.get("classname"), reached.get("name")) == ("inf.node", "reached")
    assert "make room" in (disk.findtext("system-out") or "")
    failure = host.find("failure")
    assert failure is not None
    assert "do: set it" in (failure.text or "")
    assert failure.get("message") == "it is right: it is <x> ?[31m?"
