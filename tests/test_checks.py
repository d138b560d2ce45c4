"""The registry of checks."""

from collections.abc import Callable, Iterator

import pytest

from mt5crs.checks import Finding, Registry, Result, Status, failed, holds, off, passed, warned


def always(finding: Finding) -> Callable[[str], Finding]:
    return lambda _seen: finding


def of(*looks: tuple[str, Finding]) -> Registry[str]:
    registry: Registry[str] = Registry()
    for id_, finding in looks:
        registry.check(id_, f"{id_} holds", reason="why", remedy="do it")(always(finding))
    return registry


def test_each_finding_is_a_result_of_its_subject() -> None:
    registry: Registry[str] = Registry()

    @registry.check("word.letters", "each letter is small", reason="it must be", remedy="write it small")
    def look(seen: str) -> Iterator[Finding]:
        for letter in seen:
            yield passed(letter) if letter.islower() else failed(letter, f"write {letter.lower()}")

    assert registry.run("aB", "word") == [
        Result("word.letters", "each letter is small", "word", Status.PASS, "a", "", "it must be"),
        Result("word.letters", "each letter is small", "word", Status.FAIL, "B", "write b", "it must be"),
    ]
    assert registry.run("") == []


@pytest.mark.parametrize(
    ("finding", "remedy"),
    [(passed("x"), ""), (off("x"), ""), (warned("x"), "do it"), (failed("x", "this"), "this")],
)
def test_only_what_is_not_right_has_a_remedy(finding: Finding, remedy: str) -> None:
    (result,) = of(("a.b", finding)).run("")
    assert (result.status, result.remedy) == (finding.status, remedy)


def test_a_check_with_a_defect_fails_alone() -> None:
    registry = of(("a.first", passed("x")))

    @registry.check("a.second", "it works", reason="why", remedy="do it")
    def look(seen: str) -> Finding:
        yes: list[str] = []
        return passed(yes[0])

    first, second = registry.run("")
    assert first.status is Status.PASS
    assert second.status is Status.FAIL
    assert "IndexError" in second.found
    assert second.remedy == "mend the check"


def test_a_check_cannot_end_the_program_and_whoever_interrupts_can() -> None:
    registry = of(("a.first", passed("x")))

    @registry.check("a.leaves", "it stays", reason="why", remedy="do it")
    def leave(seen: str) -> Finding:
        raise SystemExit(0)

    *_, left = registry.run("")
    assert (left.status, "SystemExit" in left.found) == (Status.FAIL, True)

    @registry.check("a.interrupted", "it ends", reason="why", remedy="do it")
    def interrupt(seen: str) -> Finding:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registry.run("")


def test_an_id_is_given_once() -> None:
    registry = of(("a.b", passed("x")))
    with pytest.raises(ValueError, match=r"a\.b"):
        registry.check("a.b", "again", reason="why", remedy="do it")(lambda _seen: passed("x"))
    with pytest.raises(ValueError, match=r"a\.b"):
        registry.include(of(("a.b", passed("x"))))


def test_registries_join_in_their_order() -> None:
    registry = of(("b.one", passed("x")))
    registry.include(of(("a.two", passed("x"))))
    assert [check.id for check in registry] == ["b.one", "a.two"]
    assert registry["a.two"].title == "a.two holds"


def test_some_can_be_run() -> None:
    registry = of(("a.one", passed("x")), ("a.two", failed("x")))
    assert [each.check for each in registry.run("", only=["a.two"])] == ["a.two"]


def test_what_failed_alone_does_not_hold() -> None:
    assert holds(of(("a.one", passed("x")), ("a.two", warned("x")), ("a.three", off("x"))).run(""))
    assert not holds(of(("a.one", passed("x")), ("a.two", failed("x"))).run(""))
