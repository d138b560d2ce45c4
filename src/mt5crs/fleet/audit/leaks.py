"""Secrets in the files of a project and in its history."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mt5crs.fleet.audit.history import LARGEST, Commit, Object, Place, Repository
from mt5crs.fleet.audit.secrets import Spot, find


class Leak(NamedTuple):
    """A secret where none should be.

    Attributes:
        kind: Which kind.
        path: The file, from the folder; "" of a message, or of what git has and no commit leads to.
        line: The line in it.
        commit: The commit that it came with; "" of what was never committed.
        blob: Git's id of the content; "" of what git does not have.
        now: Whether it is in the folder as it is.
    """

    kind: str
    path: str
    line: int
    commit: str
    blob: str
    now: bool


class History(NamedTuple):
    """What git has.

    Attributes:
        revision: The commit that is checked out.
        shallow: Whether a part of the history is not there.
        changed: Files that are not as git has them.
        contents: Contents that were looked at: everything that was ever committed, each once.
        size: Their bytes.
    """

    revision: str
    shallow: bool
    changed: tuple[str, ...]
    contents: int
    size: int


def in_files(folder: Path, paths: Iterable[str], left_out: list[str]) -> list[Leak]:
    """Return the secrets in files as they are; `.env` may have settings, and is checked by itself."""
    leaks: list[Leak] = []
    for path in paths:
        file = folder / path
        try:
            if file.is_symlink() or not file.is_file() or path == ".env":
                continue
            if file.stat().st_size > LARGEST:
                left_out.append(f"{path} has more than {LARGEST >> 20} MiB")
                continue
            spots = list(find(file.read_bytes()))
        except OSError as error:
            left_out.append(f"{path} cannot be read: {error.strerror or error}")
            continue
        leaks += [Leak(spot.kind, path, spot.line, "", "", now=True) for spot in spots]
    return leaks


def in_history(
    repository: Repository, tracked: Mapping[str, str], left_out: list[str]
) -> tuple[History, list[Leak]]:
    """Return what git has, and the secrets in all of that, whatever leads to it, and in what it would take.

    Args:
        repository: The repository.
        tracked: The ids of what is tracked, by path from the folder.
        left_out: Takes what could not be looked at.
    """
    objects = repository.objects()
    small = [each for each in objects if each.size <= LARGEST]
    large = [each for each in objects if each.size > LARGEST]
    found: dict[Object, list[Spot]] = {}
    commits: dict[str, Commit] = {}
    for each, content in repository.contents(small):
        if each.kind == "commit":
            commits[each.id] = Commit.read(content)
        spots = list(find(content))
        if spots:
            found[each] = spots
    changed = repository.changed()
    now = {path: id_ for path, id_ in tracked.items() if path not in changed}
    places = repository.places((each.id for each in (*found, *large)), commits)
    for each in large:
        path = next((place.path for place in places.get(each.id, ())), each.id)
        left_out.append(f"{path} has more than {LARGEST >> 20} MiB")
    left_out += [f"{each} is a repository of its own: audit it by itself" for each in repository.others()]
    leaks = in_files(repository.folder, changed, left_out)
    age = {id_: number for number, id_ in enumerate(places)}
    for each, spots in sorted(found.items(), key=lambda item: age.get(item[0].id, len(age))):
        leaks += _placed(each, spots, _first(each, places.get(each.id, ()), repository.prefix, now), now)
    history = History(
        repository.revision(),
        repository.is_shallow(),
        tuple(changed),
        len(small),
        sum(each.size for each in small),
    )
    return history, leaks


def _first(thing: Object, places: Sequence[Place], prefix: str, now: Mapping[str, str]) -> dict[str, str]:
    """Return each path that a content ever had, from the folder, with the first commit that it had it in."""
    first: dict[str, str] = {}
    for place in places:
        first.setdefault(place.path.removeprefix(prefix), place.commit)
    for path, id_ in now.items():
        if id_ == thing.id:
            first.setdefault(path, "")
    if not first:  # a commit or a tag, whose message it is, or a content that nothing leads to any more
        first[""] = thing.id[:12] if thing.kind != "blob" else ""
    return first


def _placed(
    thing: Object, spots: Sequence[Spot], first: Mapping[str, str], now: Mapping[str, str]
) -> Iterator[Leak]:
    for path, commit in first.items():
        for spot in spots:
            yield Leak(spot.kind, path, spot.line, commit, thing.id, now.get(path) == thing.id)
