"""Checks of a release's packages: the locked ones, as they were installed."""

from collections.abc import Iterator

from packaging.version import InvalidVersion, Version

from mt5crs.checks import Finding, Registry, failed, off, passed
from mt5crs.fleet.live.release import NAMED, sync, unchanged
from mt5crs.fleet.live.seen import Seen

PYZMQ = "24"

checks: Registry[Seen] = Registry()


@checks.check(
    "packages.files",
    "the files of its packages are as they were installed",
    reason="a package that was changed in place is not the one that was locked",
    remedy="build the release again: remove it, then `mt5crs fleet sync`",
)
def package_files(seen: Seen) -> Iterator[Finding]:
    """Hold that each file has the digest of when it was installed, and that there is no other file."""
    if seen.facts.package_files is not None:
        yield unchanged(seen, seen.facts.package_files)


@checks.check(
    "packages.pyzmq",
    f"pyzmq is {PYZMQ} or newer",
    reason="client and gateway speak through it",
    remedy="deploy again: `mt5crs fleet sync`; a release brings its own packages",
)
def pyzmq(seen: Seen) -> Iterator[Finding]:
    """Hold that pyzmq is installed: [4] of the guide."""
    about = seen.facts.about
    if about is None or about.wrong is not None:
        return
    version = about.packages.get("pyzmq", "")
    try:
        is_new = Version(version) >= Version(PYZMQ)
    except InvalidVersion:
        is_new = False
    yield passed(version) if is_new else failed(version or "it is not installed", sync(seen))


@checks.check(
    "packages.locked",
    "its packages are the locked ones",
    reason="the release was tested with these versions",
    remedy="nobody should install into a release: build it again",
)
def locked(seen: Seen) -> Iterator[Finding]:
    """Hold that what is installed now is what was there when the release was built."""
    about, built = seen.facts.about, seen.facts.built
    if about is None or about.wrong is not None or built is None:
        return
    then, now = built.about.packages, about.packages
    other = [
        f"{name} {now.get(name, 'missing')} instead of {then.get(name, 'none')}"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
    more = f" and {len(other) - NAMED} more" if len(other) > NAMED else ""
    yield (
        failed(f"{', '.join(other[:NAMED])}{more}", sync(seen)) if other else passed(f"{len(now)} packages")
    )


@checks.check(
    "packages.consistent",
    "its packages fit together",
    reason="a package without what it needs fails when it is used",
    remedy="`mt5crs fleet verify` says which; lock again and deploy",
)
def consistent(seen: Seen) -> Iterator[Finding]:
    """Hold that pip has nothing to say against them."""
    done = seen.facts.consistent
    if seen.facts.built is None:
        return
    if done is None:
        yield off("there is no pip to ask")
    elif done.code == 0:
        yield passed("pip check")
    else:
        yield failed(done.output.strip() or "pip check failed")
