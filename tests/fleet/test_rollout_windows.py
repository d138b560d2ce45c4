"""A release brought to a gateway with Windows and taken back, by the command line that a user types.

HUB is a real machine. The gateway is `tests.fleet.windows`, which says what of Windows is played there: what
is proved is what it is told, where files go, and what becomes of it where its script refuses.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fleet.machines import machines
from tests.fleet.windows import PATH, PYTHON, Windows, windows
from tests.fleet.world import REPOSITORY, Done, Repository, World

pytestmark = pytest.mark.long
HUB = "127.77.3.9"
REST = """\
[roles.hub]
extras = []
[roles.gtw]
extras = []
services = ["serve"]
[services.serve]
command = "python -m mt5crs.serve"
drain = 5
[nodes.gtw]
role = "gtw"
os = "windows"
address = "{0.address}"
port = {0.port}
host_key = "{0.host_key}"
ssh_key = "{0.ssh_key}"
user = "trader"
path = "{1}"
python = "{2}"
"""
SCRIPT = (
    "powershell.exe -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -File "
    "C:/mt5-crs/.fleet/mt5crs.ps1 "
)
STATUS = SCRIPT + "status -Path C:/mt5-crs -Service serve"
INSTALL = SCRIPT + "install -Path C:/mt5-crs -Service serve -Clients 127.77.3.9 -Ports 5555,5556 -User trader"
TASK = "schtasks.exe /Run /TN mt5crs-serve"
REFUSAL = "install changes the firewall and needs an administrator\nhint: log in over SSH as one\n"


@dataclass(frozen=True)
class Fleet:
    """What the tests work on, and the ids of releases by version."""

    world: World
    gtw: Windows
    ids: dict[str, str]

    def current(self) -> str:
        """Return what the pointer file says; "" where there is none."""
        file = self.gtw.node / "current"
        assert not file.is_symlink()
        return file.read_text().strip() if file.exists() else ""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with machines(folder / "machines", {"hub": HUB}) as running, windows(folder / "windows") as gtw:
        repository = Repository(running["hub"].root / REPOSITORY)
        ids = {version: repository.release(version) for version in ("1.0.0", "1.1.0")}
        made = Fleet(World(folder, running, REST.format(gtw, PATH, PYTHON)), gtw, ids)
        yield made
        stop(gtw.node)


def stop(node: Path) -> None:
    """End the service, which the played script does not."""
    from mt5crs.fleet.node import services
    from mt5crs.fleet.node.place import Place

    place = Place(node, windows=True)
    services.act(place, "stop", services.known(place))


def results(done: Done) -> dict[str, str]:
    return {row["node"]: row["result"] for row in done.json["nodes"]}


def plan(done: Done) -> dict[str, dict[str, object]]:
    return {row["node"]: row for row in done.json["nodes"]}


def test_it_is_set_up_and_gets_a_release_and_then_nothing_is_left_to_do(fleet: Fleet) -> None:
    looked = fleet.world.sync("1.0.0", "--dry-run")
    assert looked.code == 0, looked
    shown = plan(looked)["gtw"]
    assert shown["steps"] == ["send", "build", "set up", "deploy"]
    assert shown["commands"] == [INSTALL]
    assert f"gtw: set up: {INSTALL}\n" in looked.err
    assert fleet.gtw.programs() == [STATUS]

    # A script that refuses leaves everything as it is, on the hub too: it is run before anything is switched.
    fleet.gtw.refusal.write_text(REFUSAL)
    refused = fleet.world.sync("1.0.0")
    assert refused.code == 1, refused
    assert results(refused) == {"hub": "skipped", "gtw": "failed"}
    assert "gtw: set up: mt5crs.ps1 install: install changes the firewall and needs an" in refused.err
    assert "hint: log in over SSH as one" in refused.err
    assert fleet.current() == ""
    assert fleet.world.releases() == {"hub": ""}
    assert fleet.gtw.programs() == [STATUS, INSTALL]
    fleet.gtw.refusal.unlink()

    done = fleet.world.sync("1.0.0")
    assert done.code == 0, done
    assert results(done) == {"hub": "done", "gtw": "done"}
    assert fleet.current() == fleet.ids["1.0.0"]
    assert fleet.gtw.programs() == [STATUS, INSTALL, TASK]
    (line,) = set(fleet.gtw.commands())
    assert line.startswith(r"C:\Python312\python.exe C:/mt5-crs/.fleet/node-")

    again = fleet.world.sync("1.0.0")
    assert again.code == 0, again
    assert results(again) == {"hub": "unchanged", "gtw": "unchanged"}
    assert fleet.gtw.programs() == [STATUS]


def test_clients_that_have_moved_are_let_in_without_a_restart(fleet: Fleet) -> None:
    assert fleet.world.sync("1.0.0").code == 0
    fleet.gtw.programs()
    key = fleet.world.machines["hub"].host_key
    text = f'{fleet.world.text}\n[nodes.gpu]\nrole = "gpu"\naddress = "127.77.3.10"\noptional = true\n'
    text += f'host_key = "{key}"\nport = 9\n'
    moved = INSTALL.replace("127.77.3.9", "127.77.3.9,127.77.3.10")
    done = fleet.world.sync("1.0.0", text=text)
    assert done.code == 0, done
    (row,) = (row for row in done.json["plan"] if row["node"] == "gtw")
    assert (row["steps"], row["restarts"]) == (["set up"], [])
    assert row["why"] == ["the firewall rule admits 127.77.3.9 to 5555, 5556"]
    assert fleet.gtw.programs() == [STATUS, moved]
    assert fleet.current() == fleet.ids["1.0.0"]

    named = fleet.world.sync("1.0.0", "--dry-run", text=text.replace("127.77.3.10", "gpu.example"))
    assert named.code == 1, named
    shown = plan(named)["gtw"]
    assert shown["action"] == "refused"
    assert shown["why"] == ["the firewall rule of gtw needs the IP address of gpu, not 'gpu.example'"]
    assert "hint: write that as the address of [nodes.gpu] in the inventory" in named.err


def test_it_goes_back_by_its_pointer_file(fleet: Fleet) -> None:
    for version in ("1.0.0", "1.1.0"):
        assert fleet.world.sync(version).code == 0
        assert fleet.current() == fleet.ids[version]
    fleet.gtw.programs()
    back = fleet.world.run("fleet", "rollback", "--yes", "--json", "--no-verify")
    assert back.code == 0, back
    assert results(back) == {"hub": "done", "gtw": "done"}
    assert fleet.current() == fleet.ids["1.0.0"]
    assert fleet.gtw.programs() == []  # its keeper runs: it is asked itself, and nothing is set up


def test_its_script_is_run_by_hand(fleet: Fleet) -> None:
    fleet.gtw.programs()
    dry = fleet.world.run("fleet", "windows", "gtw", "install", "--dry-run", "--json")
    assert dry.code == 0, dry
    assert dry.json == [{"node": "gtw", "command": INSTALL}]
    assert fleet.gtw.programs() == []

    done = fleet.world.run("fleet", "windows", "gtw", "install")
    assert done.code == 0, done
    assert "gtw: install is done" in done.err
    status = fleet.world.run("fleet", "windows", "gtw", "status", "--json")
    assert status.code == 0, status
    (row,) = status.json
    assert (row["service"], row["task"], row["clients"]) == ("serve", "Ready", ["127.77.3.9"])
    assert row["missing"] == []
    assert fleet.gtw.programs() == [INSTALL, STATUS]

    assert fleet.world.run("fleet", "windows", "gtw", "uninstall").code == 0
    assert fleet.gtw.programs() == [INSTALL.partition(" -Clients")[0].replace("install", "uninstall")]
    status = fleet.world.run("fleet", "windows", "gtw", "status")
    assert "the firewall rule admits nobody to no port; the task mt5crs-serve is not there" in status.out

    for node, said in (("hub", "hub runs linux: mt5crs.ps1 is for Windows alone"), ("x", "has no node x")):
        refused = fleet.world.run("fleet", "windows", node, "install")
        assert refused.code == 2, refused
        assert said in refused.err
