"""This project itself, brought to a gateway's machine, where its gateway runs as a service."""

from pathlib import Path

import pytest

from mt5crs import Client
from tests.fleet.demo import PORT, STREAM_PORT, working_tree
from tests.fleet.machines import machines
from tests.fleet.world import REPOSITORY, Repository, World

pytestmark = pytest.mark.long
REST = """\
[roles.gtw]
extras = ["cli"]
services = ["gateway"]
[services.gateway]
command = "mt5crs gateway --terminal simulated --state account.db --journal journal.db"
"""


@pytest.mark.timeout(300)
def test_the_working_tree_comes_to_a_gateway_and_serves_clients(tmp_path: Path) -> None:
    with machines(tmp_path / "machines", ("hub", "gtw")) as running:
        repository = Repository(running["hub"].root / REPOSITORY)
        working_tree(repository)
        commit = repository.commit("Release the working tree", {})
        address = running["gtw"].address
        env = f'env = {{ MT5_HOST = "{address}", MT5_PORT = "{PORT}", MT5_STREAM_PORT = "{STREAM_PORT}" }}'
        world = World(tmp_path, running, REST, {"gtw": env})
        done = world.sync("main", "--only", "gtw")
        assert done.code == 0, done
        assert world.releases()["gtw"].endswith(commit[:12])
        with Client(address, PORT, timeout=30) as client:
            assert client.account_info() is not None
        again = world.sync("main", "--only", "gtw")
        assert [row["result"] for row in again.json["nodes"]] == ["unchanged"], again
        # The journal that the gateway has written is of a version that this release reads.
        assert world.run("fleet", "rollback", "--to", commit[:12], "--only", "gtw", "--dry-run").code == 0
