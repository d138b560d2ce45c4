"""Machines that made-up releases are brought to and taken from, by the command line that a user types.

The tests of a module share machines and go on where others have left them: each first brings the release that
it starts from, which takes a moment where it is there already.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fleet.machines import machines
from tests.fleet.world import REPOSITORY, Done, Repository, World

NODES = ("hub", "gtw", "inf")
REST = """\
[roles.hub]
extras = []
[roles.gtw]
extras = []
services = ["serve"]
[roles.inf]
extras = []
env = { MT5_HOST = "127.0.0.1", MT5_PORT = "5555" }
[roles.gpu]
extras = []
[services.serve]
command = "python -m mt5crs.serve"
drain = 5
"""
BROKEN = "import socket\nif socket.gethostname() == 'inf': sys.exit('it does not work here')"


@dataclass(frozen=True)
class Fleet:
    """What the tests work on: machines with a command line, and the ids of releases by version."""

    world: World
    repository: Repository
    ids: dict[str, str]

    def at(self, version: str) -> None:
        """Have a release everywhere."""
        done = self.world.sync(version)
        assert done.code == 0, done
        assert self.here() == dict.fromkeys(NODES, self.ids[version])

    def here(self) -> dict[str, str]:
        """Return what is in use on the nodes that are on."""
        return {name: id_ for name, id_ in self.world.releases().items() if name in NODES}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with machines(folder / "machines", (*NODES, "gpu"), sizes={"gpu": "100m"}) as running:
        running["gpu"].stop()
        repository = Repository(running["hub"].root / REPOSITORY)
        ids = {
            "1.0.0": repository.release("1.0.0"),
            "1.1.0": repository.release("1.1.0"),
            "1.2.0": repository.release("1.2.0", before=BROKEN),
        }
        repository.git("checkout", "--quiet", "-b", "next")
        ids["2.0.0"] = repository.release("2.0.0", speaks=(9,))
        repository.git("checkout", "--quiet", "main")
        lines = {"inf": "index = false", "gpu": "optional = true"}
        yield Fleet(World(folder, running, REST, lines), repository, ids)


def results(done: Done) -> dict[str, str]:
    return {row["node"]: row["result"] for row in done.json["nodes"]}
