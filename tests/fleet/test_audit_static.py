"""Gate 1: each check passes a good project, and fails one that is not."""

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from mt5crs.checks import Result, Status
from mt5crs.errors import SettingError
from mt5crs.fleet.audit import gates
from mt5crs.fleet.audit.static import registry
from mt5crs.fleet.audit.tree import collected
from mt5crs.security.keys import create_gateway
from tests.fleet.project import Project, aws, random


def host_key(number: int) -> str:
    """Return a public key as SSH writes it."""
    content = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes([number]) * 32
    return f"ssh-ed25519 {b64encode(content).decode()}"


FLEET = f"""\
[services.gateway]
command = "mt5crs gateway --terminal official --host 10.0.0.5 --keys keys --policy policy.toml"

[roles.gtw]
services = ["gateway"]

[roles.inf]
env = {{ MT5_KEYS = "keys/inf.key" }}

[nodes.hub]
role = "hub"
address = "10.0.0.2"
host_key = "{host_key(1)}"
ssh_key = "operator"

[nodes.gtw]
role = "gtw"
address = "10.0.0.5"
os = "windows"
host_key = "{host_key(2)}"

[nodes.inf]
role = "inf"
address = "10.0.0.3"
host_key = "{host_key(3)}"
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.write("fleet.toml", FLEET)
    made.write("policy.toml", '[addresses]\nallow = ["10.0.0.0/24"]\n')
    made.write("operator", "not looked into", 0o600)
    made.commit()
    return made


def results(project: Project) -> list[Result]:
    return registry.run(collected(project.folder))


def wrong(project: Project) -> dict[str, list[str]]:
    """Return what must be mended or looked at, by check."""
    found: dict[str, list[str]] = {}
    for each in results(project):
        if each.status in {Status.FAIL, Status.WARN}:
            assert each.remedy, each
            found.setdefault(each.check, []).append(each.found)
    return found


def test_a_good_project_passes_every_check(project: Project) -> None:
    found = results(project)
    assert wrong(project) == {}
    assert {each.check for each in found if each.status is Status.OFF} == {"files.release"}
    assert {each.check for each in found} == {each.id for each in registry}


Break = Callable[[Project], object]
LOCK, KEYS = "requirements.lock", 'MT5_KEYS = "keys/inf.key"'


def env(content: str, mode: int = 0o600) -> Break:
    return lambda project: project.write(".env", content, mode)


def key(mode: int) -> Break:
    def make(project: Project) -> None:
        create_gateway(project.folder / "keys")
        (project.folder / "keys/gateway.json").chmod(mode)
        project.write(".gitignore", ".env\nfleet.toml\nkeys/\n")

    return make


def changed(name: str, old: str, new: str) -> Break:
    return lambda project: project.change(name, old, new)


def pyzmq(version: str) -> Break:
    def lower(project: Project) -> None:
        line = next(
            each for each in (project.folder / LOCK).read_text().splitlines() if each.startswith("pyzmq==")
        )
        project.change(LOCK, line, f"pyzmq=={version} \\")
        project.change("pyproject.toml", "pyzmq>=24", "pyzmq")

    return lower


def tracked(project: Project) -> None:
    project.git("add", "-f", ".env")


def removed(name: str) -> Break:
    return lambda project: (project.folder / name).unlink()


CASES: tuple[tuple[str, Break, str], ...] = (
    ("files.there", removed("src/client/mt5_connector.py"), "src/client/mt5_connector.py is missing"),
    ("files.entry", changed("scripts/audit_current_task.py", "def audit_", "def other_"), "has no function"),
    ("env.there", removed(".env"), "there is none"),
    ("env.private", env("MT5_HOST=10.0.0.5\n", 0o644), "can be read by others"),
    ("env.untracked", tracked, "git has it"),
    ("env.untracked", lambda project: project.write(".gitignore", "fleet.toml\n"), "git would take it"),
    ("env.accepted", env("MT5_HOST=192.168.x.x\n"), "placeholder"),
    ("env.accepted", env("MT5_HOST=10.0.0.5\nMT5_PORT=many\n"), "a port is a number"),
    ("env.accepted", env("MT5_HOST 10.0.0.5\n"), "line 1 is not of the form"),
    ("env.host", env("MT5_PORT=5555\n"), "MT5_HOST is not set"),
    ("env.host", env("MT5_HOST=127.0.0.1\n"), "and the inventory has the gateway at 10.0.0.5"),
    ("env.no-secrets", env("MT5_HOST=10.0.0.5\nMT5_PASSWORD=x\n"), "MT5_PASSWORD is set there"),
    ("env.no-secrets", env("MT5_HOST=10.0.0.5\nDB_PASSWORD=x\n"), "DB_PASSWORD is set there, and"),
    ("env.example", changed(".env.example", "MT5_PORT=", "PORT="), "it lacks MT5_PORT"),
    ("lock.hashes", lambda project: project.write(LOCK, "pyzmq>=24\n"), "line 1 is not a pin"),
    ("lock.hashes", lambda project: project.write(LOCK, "pyzmq==27.0 \\\n    # via mt5crs\n"), "has no hash"),
    ("lock.hashes", lambda project: project.write(LOCK, ""), "is empty"),
    ("lock.pyzmq", pyzmq("23.2.1"), "23.2.1"),
    ("lock.project", changed("pyproject.toml", "pyzmq>=24", "pyzmq>=99"), "asks for pyzmq>=99"),
    ("lock.project", changed("pyproject.toml", "pyzmq>=24", "another"), "another is not in the lock"),
    ("lock.project", lambda project: project.write("pyproject.toml", "[project\n"), "pyproject.toml: "),
    ("keys.private", key(0o644), "keys/gateway.json (mt5crs key) can be read by others"),
    ("keys.untracked", lambda project: create_gateway(project.folder / "k"), "k/gateway.json (mt5crs key)"),
    ("secrets.tree", lambda project: project.write("x", aws()), "AWS access key: x:1"),
    ("secrets.history", lambda project: project.commit(f"Use {aws()}"), "AWS access key: the message"),
    ("secrets.exceptions", lambda project: project.write("audit.toml", "[[allow"), "audit.toml"),
    ("security.authentication", changed("fleet.toml", "--keys keys ", ""), "bound to 10.0.0.5"),
    ("security.authentication", lambda project: project.write("fleet.toml", "[nodes"), "fleet.toml"),
    ("security.insecure", changed("fleet.toml", "--keys keys", "--insecure"), "gateway has --insecure"),
    ("security.signatures", changed("fleet.toml", KEYS, 'MT5_TIMEOUT = "9"'), "inf: MT5_KEYS is not set"),
    ("security.signatures", removed("fleet.toml"), "MT5_KEYS is not set, and the gateway is 10.0.0.5"),
    ("security.addresses", changed("fleet.toml", " --policy policy.toml", ""), "has no --policy"),
    ("security.addresses", lambda project: project.write("policy.toml", "[account]\n"), "no allow in"),
    ("security.addresses", lambda project: project.write("policy.toml", "[x]\n"), "the tables are"),
    ("security.host-keys", changed("fleet.toml", f'host_key = "{host_key(3)}"\n', ""), "inf"),
    ("security.ssh-keys", lambda project: (project.folder / "operator").chmod(0o640), "read by others"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("id_", "break_", "says"), CASES, ids=lambda each: each if isinstance(each, str) else ""
)
def test_a_project_that_is_not_as_it_should_be(project: Project, id_: str, break_: Break, says: str) -> None:
    break_(project)
    found = wrong(project)
    assert id_ in found, found
    assert any(says in each for each in found[id_]), found[id_]


def test_every_check_is_seen_to_fail() -> None:
    elsewhere = {"files.release", "secrets.looked-at"}
    assert {id_ for id_, _, _ in CASES} | elsewhere == {each.id for each in registry}


def test_what_is_on_this_machine_alone_needs_no_keys(project: Project) -> None:
    project.write(
        "fleet.toml", FLEET.replace("--host 10.0.0.5 --keys keys --policy policy.toml", "--host=127.0.0.1")
    )
    project.change("fleet.toml", KEYS, 'MT5_HOST = "127.0.0.1"')
    assert wrong(project) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('role = "hub"', 'role = "hub"\nenv = { MT5_HOST = "localhost" }'),  # a tunnel, and said to be one
        ('address = "10.0.0.2"', 'address = "10.0.0.5"'),  # the gateway's own machine
    ],
)
def test_a_gateway_may_be_reached_at_this_machine_where_the_inventory_says_so(
    project: Project, old: str, new: str
) -> None:
    env("MT5_HOST=127.0.0.1\n")(project)
    project.change("fleet.toml", old, new)
    assert "env.host" not in wrong(project)


def test_the_gateway_of_a_node_is_bound_to_what_its_env_says(project: Project) -> None:
    project.change("fleet.toml", "--host 10.0.0.5 --keys keys", "")
    project.change("fleet.toml", "[roles.inf]", "env = { MT5_HOST = '0.0.0.0' }\n\n[roles.inf]")
    assert wrong(project)["security.authentication"] == [
        "service gateway on gtw is bound to 0.0.0.0 and has no --keys"
    ]


def release(project: Project, folder: Path) -> Path:
    """Make a node's folder with the project's files as a release."""
    from hashlib import sha256

    own = folder / "releases" / "1.0-abc"
    tree = {}
    for name in project.git("ls-files").splitlines():
        content = (project.folder / name).read_bytes()
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        (own / name).write_bytes(content)
        tree[name] = sha256(content).hexdigest()
    (own / "release.json").write_bytes(msgspec.json.encode({"release": {"id": "1.0-abc"}, "tree": tree}))
    (own / ".venv").mkdir()
    (folder / ".env").write_text("MT5_HOST=10.0.0.5\n")
    (folder / ".env").chmod(0o600)
    (folder / "current").symlink_to("releases/1.0-abc")
    return folder / "current"


def test_a_release_on_a_node_is_audited_as_far_as_it_can_be(project: Project, tmp_path: Path) -> None:
    current = release(project, tmp_path / "node")
    found = registry.run(collected(current))
    off = {each.check: each.found for each in found if each.status is Status.OFF}
    assert {each.check for each in found if each.status is Status.FAIL} == set()
    assert "the audit on HUB" in off["secrets.history"]
    assert "env.host" not in off
    (current / "pyproject.toml").write_text("changed")
    (current / ".env.example").unlink()
    altered = [each.found for each in registry.run(collected(current), only=["files.release"])]
    assert altered == [".env.example is missing", "pyproject.toml was changed"]


def test_a_release_on_the_gateways_node_needs_no_settings(project: Project, tmp_path: Path) -> None:
    current = release(project, tmp_path / "node")
    (tmp_path / "node" / ".env").unlink()
    found = registry.run(collected(current))
    assert [each for each in found if each.status in {Status.FAIL, Status.WARN}] == []
    (there,) = [each for each in found if each.check == "env.there"]
    assert (there.status, "gateway's own node" in there.found) == (Status.OFF, True)


def test_a_check_of_the_project_s_own(project: Project) -> None:
    name = f"own.{random(8)}"
    project.write(
        "own_checks.py",
        "from mt5crs.checks import failed\n"
        "from mt5crs.fleet.audit import static\n\n"
        f"@static.registry.check({name!r}, 'a title', reason='a reason', remedy='a remedy')\n"
        "def own(tree):\n    return failed(f'{len(tree.files)} files')\n",
    )
    project.write("fleet.toml", 'checks = ["own_checks.py"]\n' + FLEET)
    try:
        for _ in range(2):
            report = gates.audited(project.folder, wanted=[1])
            assert [each.found for each in report.lines if each.check == name] == ["6 files"]
            assert not report.holds
    finally:
        registry._checks.pop(name, None)


def test_what_is_no_folder_and_no_inventory_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="is no folder"):
        collected(tmp_path / "nowhere")
    with pytest.raises(SettingError, match="cannot be read"):
        collected(project.folder, tmp_path / "nowhere.toml")
