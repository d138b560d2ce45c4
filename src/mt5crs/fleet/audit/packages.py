"""Gate 1: which packages a node gets."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from mt5crs.checks import Finding, failed, off, passed
from mt5crs.errors import SettingError
from mt5crs.fleet.audit.static import LOCK, PROJECT, registry
from mt5crs.fleet.audit.tree import Tree

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from mt5crs.fleet.lock import Pin

LEAST_PYZMQ = "24"


def _with_pins(
    look: "Callable[[Tree, tuple[Pin, ...]], Iterator[Finding]]",
) -> Callable[[Tree], Iterator[Finding]]:
    """Give a check the pins of the lock; what is wrong with it is what the check found."""

    def looked(tree: Tree) -> Iterator[Finding]:
        content = tree.files.get(LOCK)
        if content is None:
            yield failed(f"{LOCK} is missing")
            return
        try:
            from mt5crs.fleet import lock
        except ImportError as error:
            told = f"{error.name} is not installed here"
            yield off(told) if tree.release else failed(told, "pip install 'mt5crs[fleet]'")
            return
        try:
            pins = lock.parse(content.decode())
        except (SettingError, UnicodeDecodeError) as error:
            yield failed(str(error))
        else:
            yield from look(tree, pins)

    return looked


@registry.check(
    "lock.hashes",
    "every package is locked to one version, with the SHA-256 of each of its files",
    reason="only so the same release is the same on every node, and nothing else can be slipped in",
    remedy="make lock",
)
@_with_pins
def _lock_hashes(tree: Tree, pins: "tuple[Pin, ...]") -> Iterator[Finding]:
    yield passed(f"{len(pins)} pins") if pins else failed(f"{LOCK} is empty")


@registry.check(
    "lock.pyzmq",
    f"pyzmq is {LEAST_PYZMQ} or newer",
    reason="the guide asks for it: older ones lack what the gateway uses",
    remedy="make lock ARGS='--upgrade-package pyzmq'",
)
@_with_pins
def _lock_pyzmq(tree: Tree, pins: "tuple[Pin, ...]") -> Iterator[Finding]:
    from packaging.version import Version

    versions = sorted(Version(pin.version) for pin in pins if pin.name == "pyzmq")
    if not versions:
        yield failed("it is not locked")
    for each in versions:
        yield passed(str(each)) if each >= Version(LEAST_PYZMQ) else failed(str(each))


@registry.check(
    "lock.project",
    "the lock has what `pyproject.toml` asks for",
    reason="a lock of another day installs what the code was not written for",
    remedy="make lock",
)
@_with_pins
def _lock_project(tree: Tree, pins: "tuple[Pin, ...]") -> Iterator[Finding]:
    from packaging.requirements import InvalidRequirement

    try:
        wanted = list(_requirements(tree))
    except (msgspec.MsgspecError, InvalidRequirement, SettingError) as error:
        yield failed(f"{PROJECT}: {error}", f"git checkout HEAD -- {PROJECT}")
        return
    wrong = [told for each in wanted for told in _unmet(each, pins)]
    for told in wrong:
        yield failed(told)
    if not wrong:
        yield passed(f"{len(wanted)} requirements")


def _requirements(tree: Tree) -> "Iterator[Requirement]":
    from packaging.requirements import Requirement

    content = tree.files.get(PROJECT)
    if content is None:
        raise SettingError("it is missing")
    project: dict[str, Any] = msgspec.toml.decode(content, type=dict[str, Any]).get("project", {})
    extras: dict[str, list[str]] = project.get("optional-dependencies", {})
    for text in [*project.get("dependencies", ()), *(each for extra in extras.values() for each in extra)]:
        yield Requirement(text)


def _unmet(requirement: "Requirement", pins: "Iterable[Pin]") -> Iterator[str]:
    from packaging.utils import canonicalize_name

    own = [pin for pin in pins if pin.name == canonicalize_name(requirement.name)]
    if not own:
        yield f"{requirement.name} is not in the lock"
    for pin in own:
        if not requirement.specifier.contains(pin.version, prereleases=True):
            yield f"{pin.name} is locked to {pin.version}, {PROJECT} asks for {requirement}"
