"""A release is built beside the one that runs, and is complete when its `release.json` is there.

What is left of a build that did not get that far is removed by the next. A complete release is looked at
again: one whose files are no longer as they were is built again, and where it is the one in use, what is
wrong in it is put right in place, since an environment cannot be moved.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from . import pip, trees
from .files import MIB, digest, flush_all, free, private_folder, replace
from .operations import Failed, Tell, operation
from .place import Place
from .points import reach
from .trouble import FULL

PACKAGE = "mt5crs"
TREE = "tree.tar.gz"
ENVIRONMENT_SIZE = 48 * MIB
PACKAGE_SIZE = 6 * MIB
"""Bytes of an empty environment, and of a package where nobody says how large it is; on the generous side."""
UNPACKED = 5
"""How much larger than what is sent it can get."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:==|\s*@)", re.MULTILINE)

Files = Mapping[str, str]


@operation("build", changes=True)
def build(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Build a release, unless it is there; return its `release.json`, and what was `repaired` in it."""
    return Build(place, request, tell).run()


class Build:
    """One build.

    Args:
        place: The node's folder.
        request: `release`; `pins`, what is to be installed; `extras`, which these are for; `wheels`, the
            packages that were sent, None where the node gets them from an index.
        tell: Is told how it goes on.
    """

    def __init__(self, place: Place, request: Mapping[str, Any], tell: Tell) -> None:
        self._place = place
        self._tell = tell
        self._release: dict[str, Any] = request["release"]
        self._pins: str = request["pins"]
        self._extras: list[str] = sorted(request.get("extras", ()))
        self._wheels: list[dict[str, Any]] | None = request.get("wheels")
        self._id: str = self._release["id"]
        names = [self._id, *(each["name"] for each in (*self._release["files"], *(self._wheels or ())))]
        odd = next((name for name in names if not NAME.fullmatch(name)), None)
        if odd is not None:
            raise Failed(f"{odd!r:.120} is no name of a release or of a file of one", code="name")
        self._folder = place.release(self._id)
        self._environment = self._folder / ".venv"
        self._python = place.python(self._id)

    def run(self) -> dict[str, Any]:
        """Build, mend or leave it."""
        os.umask(0o022)
        self._place.path.mkdir(parents=True, exist_ok=True)
        self._place.releases.mkdir(exist_ok=True)
        private_folder(self._place.own)
        manifest = self._place.manifest(self._id)
        if manifest is not None:
            wrong = self._wrong(manifest)
            if not wrong and self._is_same(manifest):
                return {**manifest, "repaired": []}
            if self._place.current_id() == self._id:
                return self._mend(manifest, wrong)
            for name in wrong:
                self._tell(f"{self._id}: {name}: built again")
        remove(self._folder)
        try:
            return {**self._make(), "repaired": []}
        except OSError as error:
            what = self._full() if error.errno in FULL else Failed(f"{self._id} cannot be built: {error}")
            remove(self._folder)
            raise what from None
        except BaseException:
            remove(self._folder)
            raise

    def _make(self) -> dict[str, Any]:
        incoming = self._incoming()
        if free(self._place.releases) < self._needed():
            raise self._full()
        self._folder.mkdir(mode=0o755)
        tree: dict[str, str] = {}
        if TREE in incoming:
            self._tell("unpacking")
            tree = trees.unpack(incoming[TREE], self._folder)
        reach("unpacked")
        self._tell("making its environment")
        pip.make_environment(self._environment)
        reach("venv")
        self._install(())
        return self._finish(tree)

    def _mend(self, manifest: dict[str, Any], wrong: Files) -> dict[str, Any]:
        """Put right what is wrong in the release that is in use."""
        incoming = self._incoming()
        tree: dict[str, str] = manifest.get("tree", {})
        drifted = trees.drift(self._folder, tree)
        if drifted and TREE in incoming:
            trees.repair(incoming[TREE], self._folder, drifted)
        if not self._python.exists() or pip.ask(self._python, ["-c", ""])[0]:
            pip.make_environment(self._environment)
        packages = trees.packages_of(self._environment)
        wrong_packages = trees.packages_drift(packages, manifest.get("installed", ""))
        force = {*wrong_packages}
        if trees.LISTING in wrong_packages.get(trees.UNOWNED, {}):  # then nobody knows what is as it was
            force |= {_normal(match[1]) for match in PIN.finditer(self._pins)} | {PACKAGE}
        self._clear(packages, wrong_packages, force)
        if manifest["release"] != self._release:
            force.add(PACKAGE)
        self._install(force)
        done = self._finish(tree)
        still = self._wrong(done)
        if still:
            raise Failed(
                f"{self._id} is in use and not as it was built: {_listed(still)}",
                "bring another release to the node, then this one again: it is built anew then",
                "drift",
            )
        return {**done, "repaired": sorted(wrong)}

    def _clear(self, packages: Path, wrong: Mapping[str, Files], force: set[str]) -> None:
        """Remove what was added, and the broken records of what is installed again: pip trips over them."""
        ours = {_normal(match[1]) for match in PIN.finditer(self._pins)} | {PACKAGE}
        for path, state in wrong.get(trees.UNOWNED, {}).items():
            if state == "added":
                (packages / path).unlink()
        for name in force & ours:
            for path in wrong.get(name, {}):
                if path.endswith(".dist-info/RECORD"):
                    shutil.rmtree((packages / path).parent, ignore_errors=True)

    def _install(self, force: Iterable[str]) -> None:
        """Install what is locked and the release; packages of `force` also where they seem to be there."""
        pins = self._environment / "pins.txt"
        forced = self._environment / "pins-again.txt"
        wheelhouse = self._environment / "wheelhouse"
        pins.write_text(self._pins, encoding="utf-8")
        wheel = next(each for each in self._release["files"] if each["name"].endswith(".whl"))
        own = self._environment / f"{PACKAGE}.txt"
        own.write_text(f"{PACKAGE}=={self._release['version']} --hash=sha256:{wheel['sha256']}\n")
        try:
            self._gather(wheelhouse, [wheel, *(self._wheels or ())])
            local = ["--no-index", "--find-links", str(wheelhouse)]
            index = local if self._wheels is not None else []
            own_index = self._wheels is None
            if PIN.search(self._pins):
                self._tell(f"installing {len(PIN.findall(self._pins))} packages")
                pip.install(
                    self._place, self._python, [*index, "-r", str(pins)], own_index=own_index, tell=self._tell
                )
                again = _only(self._pins, force)
                if again:
                    forced.write_text(again, encoding="utf-8")
                    pip.install(
                        self._place, self._python, [*index, "--force-reinstall", "-r", str(forced)],
                        own_index=own_index, tell=self._tell,
                    )  # fmt: skip
            reach("packages")
            again_own = ["--force-reinstall"] if PACKAGE in force else []
            pip.install(
                self._place,
                self._python,
                [*local, *again_own, "-r", str(own)],
                own_index=False,
                tell=self._tell,
            )
            reach("installed")
        finally:
            shutil.rmtree(wheelhouse, ignore_errors=True)

    def _gather(self, folder: Path, files: Iterable[Mapping[str, Any]]) -> None:
        """Have files that were sent in a folder, by their names."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for each in files:
            sent, target = self._sent(each), folder / each["name"]
            try:
                os.link(sent, target)
            except OSError:
                shutil.copyfile(sent, target)

    def _finish(self, tree: dict[str, str]) -> dict[str, Any]:
        self._tell("looking at it")
        pip.check(self._place, self._python)
        about = self._about()
        if about.get("version") != self._release["version"]:
            raise Failed(
                f"{self._id} says that it is {about.get('version')}, not {self._release['version']}",
                "look at the version in the revision", "version",
            )  # fmt: skip
        if "cli" in self._extras:
            code, said = pip.ask(self._python, ["-m", PACKAGE, "--version"], self._environment)
            if code:
                raise Failed(f"{self._id}: its command does not run", said, "broken")
        manifest: dict[str, Any] = {
            "release": self._release,
            "about": about,
            "pins": hashlib.sha256(self._pins.encode()).hexdigest(),
            "extras": self._extras,
            "built": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "tree": tree,
            "installed": trees.list_packages(trees.packages_of(self._environment)),
        }
        flush_all(self._folder)  # else a power cut could leave release.json and not what it speaks of
        reach("complete")
        replace(self._folder / "release.json", json.dumps(manifest, indent=1).encode(), 0o644)
        return manifest

    def _about(self) -> dict[str, Any]:
        code, said = pip.ask(self._python, ["-m", f"{PACKAGE}.about"], self._environment)
        try:
            about: dict[str, Any] = {} if code else json.loads(said.splitlines()[-1])
        except (ValueError, IndexError):
            about = {}
        if not about:
            raise Failed(f"{self._id} does not say what it is", said[-2000:], "broken")
        return about

    def _wrong(self, manifest: Mapping[str, Any]) -> dict[str, str]:
        """Return what is not as it was built, and how."""
        wrong = trees.drift(self._folder, manifest.get("tree", {}))
        packages = trees.packages_of(self._environment)
        for name, files in trees.packages_drift(packages, manifest.get("installed", "")).items():
            wrong.update({f"{name or 'packages'}: {path}": state for path, state in files.items()})
        try:
            if self._about() != manifest["about"]:
                wrong[".venv"] = "changed"
        except (Failed, OSError):
            wrong[".venv"] = "broken"
        return wrong

    def _is_same(self, manifest: Mapping[str, Any]) -> bool:
        pins = hashlib.sha256(self._pins.encode()).hexdigest()
        return (manifest["pins"], manifest["extras"], manifest["release"]) == (
            pins, self._extras, self._release,
        )  # fmt: skip

    def _incoming(self) -> dict[str, Path]:
        """Return the files that were sent for it, by name; they are what they should be."""
        return {each["name"]: self._sent(each) for each in (*self._release["files"], *(self._wheels or ()))}

    def _sent(self, file: Mapping[str, Any]) -> Path:
        path: Path = self._place.incoming / file["sha256"]
        try:
            found = digest(path)
        except FileNotFoundError:
            raise Failed(f"{file['name']} was not sent", "send it", "missing") from None
        if found != file["sha256"]:
            path.unlink()
            raise Failed(
                f"{file['name']} is not what was sent: its digest is another", "send it again", "hash"
            )
        return path

    def _needed(self) -> int:
        sent: int = sum(each["size"] for each in (*self._release["files"], *(self._wheels or ())))
        unknown = 0 if self._wheels is not None else len(PIN.findall(self._pins)) * PACKAGE_SIZE
        return ENVIRONMENT_SIZE + UNPACKED * sent + unknown

    def _full(self) -> Failed:
        there, needed = free(self._place.releases) // MIB, self._needed() // MIB
        return Failed(
            f"{self._id} needs about {needed} MiB, {there} MiB are free below {self._place.path}",
            "make room; `mt5crs fleet` keeps fewer old releases with a smaller keep in the inventory",
            "no-space",
        )


def remove(folder: Path) -> None:
    """Remove a release; what is left of it when that is interrupted is not complete."""
    try:
        (folder / "release.json").unlink()
    except FileNotFoundError:
        pass
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            folder.unlink()
            return
        raise Failed(
            f"{folder} cannot be removed: {error.strerror or error}", "end what uses it", "busy"
        ) from None


def _only(pins: str, names: Iterable[str]) -> str:
    """Return those requirements that are of some packages."""
    wanted = {_normal(name) for name in names}
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", pins)
    return "".join(block for block in blocks if (match := PIN.match(block)) and _normal(match[1]) in wanted)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _listed(wrong: Files) -> str:
    shown = [f"{name} ({state})" for name, state in list(wrong.items())[:3]]
    return ", ".join(shown) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
