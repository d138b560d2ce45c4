"""All nodes looked at over SSH: real sshds, a real gateway, releases in real folders."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import msgspec
import pytest

from mt5crs.checks import Result, Status
from mt5crs.errors import SettingError
from mt5crs.fleet.inventory import Fleet
from mt5crs.fleet.ssh import NodeError
from mt5crs.fleet.verify import load_checks, verified
from tests.cli.commands import process
from tests.fleet.machines import Machine, inventory, machines
from tests.fleet.prepared import CONNECTOR, ID, prepare
from tests.processes import Gateway

# What this machine decides: what pip says of its packages, its disk, and which packages it has.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDmJ895WHUOE00sZ5207RwhyB66kCcxM3QD0yjYCe4kP"
OF_THE_PLACE = {"packages.consistent", "node.disk", "packages.locked"}


class Site(NamedTuple):
    """Two machines with a release each, a third that is off, and a gateway."""

    file: Path
    machines: dict[str, Machine]
    gateway: Gateway

    @property
    def fleet(self) -> Fleet:
        return Fleet.read(self.file)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("fleet")
    with machines(folder / "machines", ["hub", "gtw"]) as running:
        address = running["gtw"].address
        with Gateway(folder, ("--host", address, "--insecure")) as gateway:
            env = {
                "MT5_HOST": address,
                "MT5_PORT": str(gateway.port),
                "MT5_STREAM_PORT": str(gateway.stream_port),
            }
            for machine in running.values():
                prepare(machine.root, "".join(f"{name}={value}\n" for name, value in env.items()))
            lines = "".join(f'{name} = "{value}"\n' for name, value in env.items())
            roles = "".join(f"[roles.{role}.env]\n{lines}" for role in ("hub", "gtw", "gpu"))
            off = running["hub"]
            gpu = f'[nodes.gpu]\nrole = "gpu"\naddress = "{address}"\nport = 1\noptional = true\n'
            gpu += f'host_key = "{off.host_key}"\nssh_key = "{off.ssh_key}"\n'
            file = folder / "fleet.toml"
            file.write_text(inventory(running, roles) + gpu)
            yield Site(file, running, gateway)


@pytest.fixture(scope="module")
def results(site: Site) -> list[Result]:
    return asyncio.run(verified(site.fleet))


def of(results: list[Result], node: str, check: str) -> list[Result]:
    return [each for each in results if (each.subject, each.check) == (node, check)]


def with_checks(site: Site, *names: str) -> Fleet:
    return msgspec.structs.replace(site.fleet, checks=names)


def test_what_is_as_it_should_be_passes(results: list[Result]) -> None:
    wrong = [
        each
        for each in results
        if each.status in {Status.FAIL, Status.WARN} and each.check not in OF_THE_PLACE
    ]
    # The release in these folders is another than the gateway's, which is that of the test.
    assert [each.check for each in wrong] == ["gateway.version"]
    (streams,) = of(results, "hub", "gateway.streams")
    assert streams.status is Status.PASS


def test_a_client_was_measured_on_its_node(site: Site, results: list[Result]) -> None:
    (answers,) = of(results, "hub", "gateway.answers")
    assert answers.found.startswith("mt5crs/")
    assert "of 100" in of(results, "hub", "client.rtt")[0].found
    assert "with its first arrays" in of(results, "hub", "client.memory")[0].found
    assert of(results, "gtw", "client.rtt") == []
    listens = [each.found for each in of(results, "gtw", "gateway.listens")]
    address = site.machines["gtw"].address
    assert listens == [f"{port} on {address}" for port in (site.gateway.port, site.gateway.stream_port)]


def test_an_optional_node_that_is_off_is_told(results: list[Result]) -> None:
    (result,) = [each for each in results if each.subject == "gpu"]
    assert (result.check, result.status) == ("node.reached", Status.OFF)


def test_what_is_broken_on_one_node_fails_there_and_a_project_has_checks_too(site: Site) -> None:
    file = site.file.with_name("of_project.py")
    file.write_text(
        "from mt5crs.checks import failed, passed\nfrom mt5crs.fleet.live import registry\n"
        '@registry.check("of-project.readme", "there is a page", reason="why", remedy="write it")\n'
        "def look(seen):\n    tree = seen.facts.built.tree\n"
        '    return passed("it is there") if "README.md" in tree else failed("no page")\n'
    )
    fleet = with_checks(site, file.name)
    load_checks(fleet)  # each file is loaded once, however often is looked
    root = site.machines["hub"].root
    connector = root / "releases" / ID / CONNECTOR
    content, env = connector.read_bytes(), (root / ".env").read_bytes()
    try:
        connector.unlink()
        (root / ".env").write_text("MT5_HOST=192.168.x.x\n")
        found = asyncio.run(verified(fleet, only=["hub"]))
    finally:
        connector.write_bytes(content)
        (root / ".env").write_bytes(env)
    assert {each.subject for each in found} == {"hub"}
    failed = {each.check for each in found if each.status is Status.FAIL}
    wanted = {
        "release.connector",
        "release.files",
        "settings.accepted",
        "settings.host",
        "settings.inventory",
    }
    assert failed - OF_THE_PLACE == wanted
    (files,) = of(found, "hub", "release.files")
    assert files.found == f"{CONNECTOR} missing"
    assert [each.status for each in of(found, "hub", "of-project.readme")] == [Status.PASS]


def test_connections_that_are_there_are_used(site: Site) -> None:
    lost = {name: NodeError(name, "no route", kind="unreachable") for name in site.fleet.nodes}
    found = asyncio.run(verified(site.fleet, lost))
    assert {each.subject: each.status for each in found} == {
        "hub": Status.FAIL,
        "gtw": Status.FAIL,
        "gpu": Status.OFF,
    }


def test_a_node_that_does_not_exist_is_refused(site: Site) -> None:
    with pytest.raises(SettingError, match="there is no node 'abc'"):
        asyncio.run(verified(site.fleet, only=["abc"]))


def test_the_command_tells_people_programs_and_ci(site: Site, tmp_path: Path) -> None:
    junit = tmp_path / "out.xml"
    command = ("fleet", "verify", "--inventory", str(site.file), "--only", "hub", "--only", "gpu")
    done = process(*command, "--junit", str(junit))
    assert done.code == 1, done.err  # the gateway's version
    assert [row[0] for row in done.table[:2]] == ["hub", "gpu"]
    assert "✗ hub: gateway.version\n  wanted: the gateway that runs is that of the current" in done.out
    assert "  do:     start the gateway's service again" in done.out
    suites = ElementTree.fromstring(junit.read_bytes())  # noqa: S314 - our own
    assert [suite.get("name") for suite in suites] == ["hub", "gpu"]
    assert int(suites.get("failures", "0")) == done.out.count("✗")


def test_the_checklist_says_what_is_open(site: Site) -> None:
    script = site.machines["gtw"].root / "releases" / ID / "scripts" / "audit_current_task.py"
    content = script.read_bytes()
    try:
        script.write_bytes(b"print('old')\n")
        done = process("fleet", "checklist", "-i", str(site.file))
    finally:
        script.write_bytes(content)
    assert done.code == 1, done.err
    assert (done.out.count("[x]"), done.out.count("[ ]")) == (6, 1)
    assert "gtw: it has no audit_task_003" in done.out


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone.py", None, "are not there"),
        ("checks.txt", "", "no Python file"),
        ("broken.py", "import nothing_of_that_name\n", "ModuleNotFoundError"),
        ("syntax.py", "def\n", "SyntaxError"),
    ],
)
def test_files_that_cannot_be_loaded_are_told(site: Site, name: str, content: str | None, words: str) -> None:
    if content is not None:
        site.file.with_name(name).write_text(content)
    with pytest.raises(SettingError, match=words) as error:
        load_checks(with_checks(site, name))
    assert name in str(error.value)


def test_programs_get_every_field(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    lines = f'address = "127.0.0.1"\nport = 1\nhost_key = "{KEY}"\n'
    nodes = [f'[nodes.{name}]\nrole = "{name}"\npath = "/{name}"\n{lines}' for name in ("hub", "gtw")]
    file.write_text("".join(nodes))
    done = process("fleet", "verify", "-i", str(file), "--json")
    assert done.code == 1, done.err
    assert done.json["counts"] == {"pass": 0, "warn": 0, "fail": 2, "off": 0}
    assert [each["check"] for each in done.json["results"]] == ["node.reached"] * 2
    done = process("fleet", "verify", "-i", str(file), "--csv")
    assert [(row["node"], row["status"]) for row in done.csv] == [("hub", "fail"), ("gtw", "fail")]
    done = process("fleet", "checklist", "-i", str(file), "--wait", "0.5")
    assert done.code == 1
    assert "still open: 7 of 7" in done.err
