"""`requirements.lock`: which of its pins a node needs, hash for hash.

The lock is one for all nodes: it pins every package of every extra, for every Python and system that we
support, with markers. A node gets the pins that its own extras lead to, with the markers resolved for it,
so that pip neither chooses nor asks anything: `pip install --no-deps --require-hashes`. Who needs a package
is read from the `# via` lines of the lock; they name too many rather than too few, because they do not tell
systems apart.
"""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from email import message_from_string
from typing import NamedTuple

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from mt5crs.errors import SettingError
from mt5crs.fleet.facts import Interpreter

NAME = "requirements.lock"
AGAIN = "`make lock` writes it again"

MARKERS = (
    "implementation_name", "implementation_version", "os_name", "platform_machine",
    "platform_python_implementation", "platform_release", "platform_system", "platform_version",
    "python_full_version", "python_version", "sys_platform",
)  # fmt: skip
"""What a node must say of itself; what is missing would be taken from the machine that we run on."""

_PIN = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[\w.!+]+)(?: ; (?P<marker>[^\\]+))? \\")
_HASH = re.compile(r" +--hash=sha256:(?P<hash>[0-9a-f]{64})(?: \\)?")
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
_VIA = re.compile(r" +# +(?:via\b)? *(?P<via>.*)")

WINDOWS = {"amd64": "win_amd64", "x86_64": "win_amd64", "x86": "win32", "arm64": "win_arm64"}
"""Platform tags of Windows, by machine."""
ALIASES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
"""Older names of `manylinux_2_MINOR`."""
OLDEST = {"x86_64": 5, "i686": 5}
"""The first minor version of glibc that has a tag, by machine; 17 of others."""


class Pin(NamedTuple):
    """A package of the lock, in one version.

    Attributes:
        name: Its name, normalized.
        version: Its version.
        marker: Where the pin is meant for; "" for everywhere.
        hashes: SHA-256 of each of its files, in hexadecimal digits.
        via: Normalized names of the packages that need it.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    via: frozenset[str]


class Wants(NamedTuple):
    """What a wheel needs, by its own METADATA.

    Attributes:
        extras: Its extras.
        requires: Its requirements, those of extras with their markers.
    """

    extras: tuple[str, ...]
    requires: tuple[str, ...]

    def roots(self, extras: Iterable[str], markers: Mapping[str, str]) -> list[Requirement]:
        """Return what the wheel with these extras needs on a node, markers resolved.

        Raises:
            SettingError: There is no such extra.
        """
        known = {str(canonicalize_name(extra)) for extra in self.extras}
        wanted = {str(canonicalize_name(extra)) for extra in extras}
        if unknown := sorted(wanted - known):
            raise SettingError(
                f"the release has no extra {', '.join(unknown)}", hint=f"there are {', '.join(sorted(known))}"
            )
        roots: list[Requirement] = []
        for text in self.requires:
            requirement = Requirement(text)
            if any(_applies(requirement.marker, markers, extra) for extra in ("", *wanted)):
                requirement.marker = None
                roots.append(requirement)
        return roots


def wants(metadata: str) -> Wants:
    """Read what a wheel needs from its METADATA."""
    message = message_from_string(metadata)
    return Wants(
        tuple(map(str, message.get_all("Provides-Extra", []))),
        tuple(map(str, message.get_all("Requires-Dist", []))),
    )


def wheel_requirements(wheel: bytes) -> Wants:
    """Read what a wheel needs from its bytes.

    Raises:
        SettingError: It is no wheel.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            # Only that of the wheel itself: what stands in for another package has one too, further down.
            inside = (each for each in archive.namelist() if _METADATA.fullmatch(each))
            return wants(archive.read(next(inside)).decode())
    except (zipfile.BadZipFile, StopIteration):
        raise SettingError("this is not a wheel") from None


def parse(text: str) -> tuple[Pin, ...]:
    """Read a lock.

    Raises:
        SettingError: A line is not as `uv pip compile --generate-hashes` writes it, or a pin lacks its hashes
            or who needs it.
    """
    pins = tuple(_pins(text))
    for pin in pins:
        for what, there in (("no hash", pin.hashes), ("no `# via`", pin.via)):
            if not there:
                raise SettingError(f"{NAME}: {pin.name}=={pin.version} has {what}", hint=AGAIN)
    return pins


def subset(
    lock: Sequence[Pin], roots: Iterable[Requirement | str], markers: Mapping[str, str]
) -> tuple[Pin, ...]:
    """Return the pins that some requirements lead to on a node, sorted by name.

    Args:
        lock: The lock.
        roots: The requirements; those whose markers do not hold there are left out.
        markers: The node's environment of markers.

    Raises:
        SettingError: The lock has no pin for one of them, or one that it does not allow: it is not of this
            release. Or the markers are not complete.
    """
    if missing := [name for name in MARKERS if name not in markers]:
        raise SettingError(f"the node does not say its {', '.join(missing)}")
    here = _here(lock, markers)
    reached: dict[str, Pin] = {}
    for root in roots:
        requirement = Requirement(root) if isinstance(root, str) else root
        if _applies(requirement.marker, markers):
            pin = _fitting(here, requirement, markers)
            reached[pin.name] = pin
    while more := [pin for pin in here.values() if pin.name not in reached and pin.via & reached.keys()]:
        reached.update((pin.name, pin) for pin in more)
    return tuple(reached[name] for name in sorted(reached))


def locked(pins: Iterable[Pin]) -> str:
    """Return pins as a requirements file for `pip install --no-deps --require-hashes`."""
    return "".join(
        " \\\n    ".join((f"{pin.name}=={pin.version}", *(f"--hash=sha256:{each}" for each in pin.hashes)))
        + "\n"
        for pin in pins
    )


def platforms(interpreter: Interpreter) -> list[str]:
    """Return the platform tags of wheels that a node can use, as pip wants them, the most particular first.

    Raises:
        SettingError: There are no wheels for it.
    """
    machine = interpreter.markers["platform_machine"]
    if interpreter.markers["sys_platform"] == "win32" and machine.lower() in WINDOWS:
        return [WINDOWS[machine.lower()]]
    if not interpreter.libc:
        raise SettingError(
            f"no wheels are known for {interpreter.markers['sys_platform']} on {machine}",
            hint="give the node an index that it reaches: index = true",
        )
    libc, version = interpreter.libc
    newest = int(version.split(".")[1])
    if libc == "musl":
        return [*(f"musllinux_1_{minor}_{machine}" for minor in range(newest, -1, -1)), f"linux_{machine}"]
    tags: list[str] = []
    for minor in range(newest, OLDEST.get(machine, 17) - 1, -1):
        tags.append(f"manylinux_2_{minor}_{machine}")
        if minor in ALIASES:
            tags.append(f"{ALIASES[minor]}_{machine}")
    return [*tags, f"linux_{machine}"]


def python_tags(interpreter: Interpreter) -> tuple[str, str]:
    """Return the version of a node's Python as pip wants it, and the tag of its ABI.

    Raises:
        SettingError: It is not CPython.
    """
    if interpreter.markers["implementation_name"] != "cpython":
        raise SettingError(
            f"wheels are fetched for CPython, not {interpreter.markers['implementation_name']}",
            hint="give the node another `python` in the inventory",
        )
    release = Version(interpreter.version.rstrip("+")).release
    return ".".join(map(str, release)), f"cp{release[0]}{release[1]}"


def _pins(text: str) -> Iterator[Pin]:
    pin: Pin | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if found := _PIN.fullmatch(line):
            if pin:
                yield pin
            marker = (found["marker"] or "").strip()
            pin = Pin(str(canonicalize_name(found["name"])), found["version"], marker, (), frozenset())
        elif pin and (found := _HASH.fullmatch(line)):
            pin = pin._replace(hashes=(*pin.hashes, found["hash"]))
        elif pin and (found := _VIA.fullmatch(line)):
            # A file of requirements stands there as `NAME (FILE)`.
            who = found["via"].split(" (")[0]
            pin = pin._replace(via=pin.via | ({str(canonicalize_name(who))} if who else set()))
        else:
            raise SettingError(
                f"{NAME}: line {number} is not a pin, a hash or who needs it: {line[:80]}", hint=AGAIN
            )
    if pin:
        yield pin


def _here(lock: Iterable[Pin], markers: Mapping[str, str]) -> dict[str, Pin]:
    """Return the pins that are meant for a node, by name."""
    here: dict[str, Pin] = {}
    for pin in lock:
        if not pin.marker or _applies(Marker(pin.marker), markers):
            if pin.name in here:
                other = here[pin.name].version
                raise SettingError(f"{NAME} has two of {pin.name}: {other} and {pin.version}", hint=AGAIN)
            here[pin.name] = pin
    return here


def _applies(marker: Marker | None, markers: Mapping[str, str], extra: str = "") -> bool:
    return marker is None or marker.evaluate({**markers, "extra": extra})


def _fitting(here: Mapping[str, Pin], requirement: Requirement, markers: Mapping[str, str]) -> Pin:
    pin = here.get(canonicalize_name(requirement.name))
    where = f"Python {markers['python_full_version']} on {markers['sys_platform']}"
    if pin is None:
        raise SettingError(f"{NAME} has no {requirement.name} for {where}", hint=AGAIN)
    if not requirement.specifier.contains(pin.version, prereleases=True):
        raise SettingError(f"{NAME} has {pin.name} {pin.version}, needed is {requirement}", hint=AGAIN)
    return pin
