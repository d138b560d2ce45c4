"""From a revision on HUB to files that can be sent: what we ask HUB for, in which order."""

from typing import Any, NamedTuple

import msgspec

from mt5crs.errors import SettingError
from mt5crs.fleet.answers import answered, readable
from mt5crs.fleet.facts import Bundled, File, Files, Interpreter, Made, Release, Revision
from mt5crs.fleet.inventory import Source
from mt5crs.fleet.lock import Wants, locked, parse, platforms, python_tags, subset, wants
from mt5crs.fleet.ssh import Remote, Tell


class Bundle(NamedTuple):
    """A release as HUB has it, and what it needs.

    Attributes:
        release: What is sent.
        lock: Its `requirements.lock`.
        wants: What its wheel needs.
    """

    release: Release
    lock: str
    wants: Wants

    def pins(self, extras: tuple[str, ...], interpreter: Interpreter) -> str:
        """Return the locked requirements of a node with these extras.

        Raises:
            SettingError: There is no such extra, or the lock is not of this release.
        """
        markers = interpreter.markers
        try:
            return locked(subset(parse(self.lock), self.wants.roots(extras, markers), markers))
        except SettingError:
            raise
        except (KeyError, ValueError) as error:
            raise SettingError(
                f"what its Python says of itself is not understood: {error}",
                hint="name another: python = ...",
            ) from None


async def release_of(remote: Remote, source: Source, tell: Tell) -> Bundle:
    """Have HUB make the release that the inventory names, unless it is there.

    Args:
        remote: HUB.
        source: Where it comes from.
        tell: Is told how it goes on.

    Raises:
        NodeError: There is no such revision or wheel, or it could not be made.
        SettingError: Its lock cannot be used.
    """
    request: dict[str, Any] = {"wheel": source.wheel}
    if not source.wheel:
        request = {"repository": source.repository, "revision": source.revision}
    name = remote.node.name
    found = answered(name, await remote.ask("revision", tell, **request), Revision)
    say_changes(found, tell)
    if not source.wheel:
        # A branch may move on meanwhile.
        request["revision"] = found.release.revision
        builder = subset(parse(found.lock), _builds(found.project), found.markers)
        request["builder_pins"] = locked(builder)
    made = answered(name, await remote.ask("release", tell, **request), Made)
    return await bundle(remote, made.id)


def say_changes(found: Revision, tell: Tell) -> None:
    """Tell that a release does not have what was changed in HUB's repository and never committed."""
    changes = [readable(each) for each in found.changes]
    if changes:
        more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
        tell(f"uncommitted changes are no part of the release: {', '.join(changes[:3])}{more}")


async def bundle(remote: Remote, id_: str) -> Bundle:
    """Return a release that HUB has made before.

    Raises:
        NodeError: It is not there.
    """
    found = answered(remote.node.name, await remote.ask("bundle", id=id_), Bundled)
    return Bundle(found.release, found.lock, wants(found.metadata))


async def wheelhouse(remote: Remote, pins: str, interpreter: Interpreter, tell: Tell) -> tuple[File, ...]:
    """Have HUB fetch the wheels of locked requirements for a node, to its `.fleet/wheels`.

    Args:
        remote: HUB.
        pins: The requirements (`Bundle.pins`).
        interpreter: The node's.
        tell: Is told how it goes on.

    Raises:
        NodeError: They could not be had.
        SettingError: There are no wheels for such a node.
    """
    python, abi = python_tags(interpreter)
    target = {"python": python, "abi": abi, "platforms": platforms(interpreter)}
    answer = await remote.ask("wheelhouse", tell, pins=pins, **target)
    return answered(remote.node.name, answer, Files).files


def _builds(project: str) -> list[str]:
    """Return what a tree's wheel is built with, by its `pyproject.toml`."""
    try:
        return msgspec.convert(msgspec.toml.decode(project)["build-system"]["requires"], list[str])
    except (msgspec.MsgspecError, KeyError, TypeError):
        raise SettingError(
            "the revision's pyproject.toml does not say what builds it", hint="see its [build-system]"
        ) from None
