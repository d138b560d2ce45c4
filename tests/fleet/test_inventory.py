"""The inventory: what it means, and what is said of what is wrong in it."""

from pathlib import Path

import msgspec
import pytest

from mt5crs.errors import SettingError
from mt5crs.fleet.inventory import EXTRAS, Fleet, Role
from mt5crs.fleet.validation import KNOWN_EXTRAS

ROOT = Path(__file__).resolve().parent.parent.parent
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMFGMeLUe0qP58SEIp0Vf0F6m4cNlB3k0m7ZVw1Zq3xA"
SOUND = f"""\
[nodes.inf]
role = "inf"
address = "10.0.0.3"
host_key = "{HOST_KEY}"

[nodes.hub]
role = "hub"
address = "10.0.0.1"

[nodes.gtw]
role = "gtw"
address = "10.0.0.2"
os = "windows"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fleet.toml"


def read(path: Path, text: str) -> Fleet:
    path.write_text(text, encoding="utf-8")
    return Fleet.read(path)


def refused(path: Path, text: str) -> SettingError:
    with pytest.raises(SettingError) as caught:
        read(path, text)
    return caught.value


def test_the_stages_come_in_order_and_say_what_the_file_does_not(path: Path) -> None:
    fleet = read(path, SOUND)
    assert list(fleet.nodes) == ["hub", "gtw", "inf"]
    hub, gtw, inf = fleet.nodes.values()
    assert (fleet.hub, fleet.gateway, fleet.folder) == (hub, gtw, str(path.parent))
    assert (gtw.path, gtw.python) == ("C:/mt5-crs", "python")
    assert (inf.path, inf.python, inf.name) == ("/opt/mt5-crs", "python3", "inf")
    assert fleet.extras(hub) == ("cli", "fleet", "secure")
    assert fleet.extras(gtw) == ("cli", "official", "secure")
    assert fleet.extras(inf) == ("cli", "secure")


def test_what_a_role_says_takes_the_place_of_what_we_would(path: Path) -> None:
    fleet = read(path, SOUND + '[roles.inf]\nextras = ["archive"]\n[roles.gtw]\nextras = []\n')
    assert fleet.extras(fleet.nodes["inf"]) == ("archive",)
    assert fleet.extras(fleet.nodes["gtw"]) == ()
    fleet = read(path, SOUND.replace('role = "inf"', 'role = "inf"\nextras = ["zstd"]'))
    assert fleet.extras(fleet.nodes["inf"]) == ("cli", "secure", "zstd")


def test_clients_find_the_gateway_by_themselves(path: Path) -> None:
    fleet = read(path, SOUND)
    hub, gtw, inf = fleet.nodes.values()
    assert fleet.env(inf) == fleet.env(hub) == {"MT5_HOST": "10.0.0.2", "MT5_PORT": "5555"}
    assert fleet.env(gtw) == {}
    fleet = read(path, SOUND + 'gateway = "gw.lan"\nenv = { MT5_PORT = 6000, MT5_STREAM_PORT = 6001 }\n')
    found = {"MT5_HOST": "gw.lan", "MT5_PORT": "6000", "MT5_STREAM_PORT": "6001"}
    assert fleet.env(fleet.nodes["inf"]) == found
    assert fleet.env(fleet.nodes["gtw"]) == {"MT5_PORT": "6000", "MT5_STREAM_PORT": "6001"}
    own = '[roles.inf]\nenv = { MT5_HOST = "proxy", MT5_TIMEOUT = "9" }\n'
    fleet = read(path, SOUND.replace('role = "inf"', 'role = "inf"\nenv = { MT5_TIMEOUT = "10" }') + own)
    assert fleet.env(fleet.nodes["inf"]) == {"MT5_HOST": "proxy", "MT5_PORT": "5555", "MT5_TIMEOUT": "10"}


def test_defaults_are_for_all_nodes_and_paths_for_those_with_linux(path: Path) -> None:
    text = '[defaults]\nuser = "mt5"\nssh_key = "keys/operator"\npath = "/srv/mt5"\npython = "python3.12"\n'
    fleet = read(path, text + SOUND.replace('role = "hub"', 'role = "hub"\nuser = "root"'))
    hub, gtw, inf = fleet.nodes.values()
    assert [node.user for node in (hub, gtw, inf)] == ["root", "mt5", "mt5"]
    assert (inf.path, inf.python) == ("/srv/mt5", "python3.12")
    assert (gtw.path, gtw.python) == ("C:/mt5-crs", "python")
    assert inf.ssh_key == str(path.parent / "keys" / "operator"), "it is relative to the inventory"
    assert "there is no key 'address'" in str(refused(path, '[defaults]\naddress = "x"\n' + SOUND))


def test_services_are_those_of_the_role_or_of_the_node(path: Path) -> None:
    services = '[services.bot]\ncommand = "mt5crs health"\n[roles.inf]\nservices = ["bot"]\n'
    fleet = read(path, SOUND + services)
    assert list(fleet.services_of(fleet.nodes["inf"])) == ["bot"]
    fleet = read(path, SOUND.replace('role = "inf"', 'role = "inf"\nservices = []') + services)
    assert fleet.services_of(fleet.nodes["inf"]) == {}


def inf(line: str) -> str:
    return SOUND.replace('role = "inf"', f'role = "inf"\n{line}')


def gtw(line: str) -> str:
    return f"{SOUND}{line}\n"


WRONG = {
    "nodes": ("", "nodes of the role hub: none", "exactly one hub"),
    "two hubs": (SOUND.replace('"inf"', '"hub"'), "nodes of the role hub: inf and hub", "exactly one hub"),
    "no gateway": (
        SOUND.replace('role = "gtw"', 'role = "gpu"'),
        "nodes of the role gtw: none",
        "exactly one gtw",
    ),
    "no TOML": ("[nodes", "is no TOML", "docs/fleet.md"),
    "top key": (f"on_failur = 1\n{SOUND}", "there is no key 'on_failur'", "perhaps on_failure"),
    "node key": (inf("adress = 'x'"), "[nodes.inf]: there is no key 'adress'", "perhaps address"),
    "hidden key": (inf("name = 'x'"), "[nodes.inf]: there is no key 'name'", "keys are"),
    "no address": (
        SOUND.replace('address = "10.0.0.3"', ""),
        "[nodes.inf]: there is no address",
        "address = a text",
    ),
    "no such way": (inf("through = 'hob'"), "through is 'hob', and there is no such node", "perhaps hub"),
    "a way through itself": (inf("through = 'inf'"), "leads in a circle: inf -> inf", "needs no `through`"),
    "a circle": (
        inf("through = 'gtw'").replace('role = "gtw"', 'role = "gtw"\nthrough = "inf"'),
        "in a circle: inf -> gtw -> inf",
        "needs no `through`",
    ),
    "role": (SOUND.replace('role = "inf"', 'role = "gpuu"'), "role is 'gpuu'", "one of hub, gtw, inf, gpu"),
    "address": (
        SOUND.replace("10.0.0.3", "http://inf"),
        "address is 'http://inf'",
        "without scheme and port",
    ),
    "placeholder": (SOUND.replace("10.0.0.3", "192.168.x.x"), "address is '192.168.x.x'", "placeholder"),
    "port text": (inf('port = "22"'), "port is '22'", "a whole number"),
    "port range": (inf("port = 0"), "port is 0", "1 to 65535"),
    "host key": (
        inf("extras = []").replace(HOST_KEY, "ssh-ed25519 AAAA"),
        "host_key is",
        "ssh-ed25519 AAAA...",
    ),
    "os": (inf('os = "mac"'), "os is 'mac'", "one of linux, windows"),
    "user": (inf('user = "root@inf"'), "user is 'root@inf'", "a name alone"),
    "path": (inf('path = "opt"'), "path is 'opt'", "such as /opt/mt5-crs"),
    "path up": (inf('path = "/opt/../etc"'), "path is", "such as /opt/mt5-crs"),
    "windows path": (
        gtw('path = "C:/Program Files/x"'),
        "path is 'C:/Program Files/x'",
        "such as C:/mt5-crs",
    ),
    "windows linux path": (gtw('path = "/opt/x"'), "path is '/opt/x'", "a drive"),
    "windows python": (gtw('python = "py -3"'), "python is 'py -3'", "without blanks"),
    "bool": (inf("optional = 1"), "optional is 1", "true or false"),
    "optional hub": (
        SOUND.replace('role = "hub"', 'role = "hub"\noptional = true'),
        "optional is true",
        "the hub",
    ),
    "gateway": (inf('gateway = "x"'), "gateway is 'x'", "the node of the role gtw"),
    "extra": (inf('extras = ["archiv"]'), "there is no extra 'archiv'", "perhaps archive"),
    "extras": (inf('extras = "cli"'), "extras is 'cli'", "a list of texts"),
    "secret": (inf('env = { MT5_PASSWORD = "x" }'), "MT5_PASSWORD is a secret", "put it on the node"),
    "sealed": (
        inf('env = { MT5_KEYS_PASSPHRASE = "x" }'),
        "MT5_KEYS_PASSPHRASE is a secret",
        "put it on the node",
    ),
    "variable": (inf('env = { MT5_PROT = "1" }'), "MT5_PROT is none of our settings", "perhaps MT5_PORT"),
    "foreign": (inf('env = { PATH = "/bin" }'), "PATH is none of our settings", "there are MT5_COMPRESS"),
    "env value": (inf("env = { MT5_PORT = 70000 }"), "MT5_PORT is '70000'", "1 to 65535"),
    "env line": (inf('env = { MT5_SERVER = "a\\nb" }'), "MT5_SERVER is", "one line"),
    "service": (inf('services = ["bot"]'), "there is no service 'bot'", "[services.bot] says what it is"),
    "near service": (
        gtw('services = ["gatewy"]\n[services.gateway]\ncommand = "x"'),
        "no service 'gatewy'",
        "perhaps gateway",
    ),
    "command": (gtw("[services.bot]\ndrain = 3"), "[services.bot]: there is no command", "command = "),
    "drain": (gtw('[services.bot]\ncommand = "x"\ndrain = -1'), "drain is -1", "seconds"),
    "manager": (gtw('[services.bot]\nmanager = "cron"'), "manager is 'cron'", "one of keeper, systemd"),
    "role name": (gtw("[roles.infx]"), "there is no role 'infx'", "perhaps inf"),
    "role env": (
        gtw('[roles.inf]\nenv = { MT5_PORT = "x" }'),
        "[roles.inf]: env: MT5_PORT is 'x'",
        "1 to 65535",
    ),
    "node name": (SOUND.replace("[nodes.inf]", '[nodes."in f"]'), "[nodes]: the name 'in f'", "such as inf2"),
    "this machine": (
        SOUND.replace("10.0.0.3", "localhost").replace("10.0.0.1", "127.0.0.1"),
        "the same folder",
        "another address",
    ),
    "inside": (
        SOUND.replace('address = "10.0.0.3"', 'address = "10.0.0.1"\npath = "/opt/mt5-crs/releases"'),
        "inf is inside the folder of hub: /opt/mt5-crs/releases is below /opt/mt5-crs",
        "beside",
    ),
    "unknown kind": (SOUND.replace(HOST_KEY, "ssh-foo AAAAB3NzaC1mb294"), "host_key is", "one of the kinds"),
    "instance": (SOUND + '[services."a@b"]\ncommand = "python a"\n', "an instance", 'manager = "systemd"'),
    "odd instance": (SOUND + '[services."a@../b"]\nmanager = "systemd"\n', "the name 'a@../b'", "a name is"),
    "same": (SOUND.replace("10.0.0.3", "10.0.0.1"), "inf and hub are the same folder", "another address"),
    "same, mapped": (
        SOUND.replace("10.0.0.3", "::ffff:10.0.0.1"),
        "inf and hub are the same folder",
        "another address",
    ),
    "same, at another port": (
        SOUND.replace('"10.0.0.1"', f'"10.0.0.1"\nport = 2222\nhost_key = "{HOST_KEY}"'),
        "inf and hub are the same folder",
        "a key of its own",
    ),
    "half a key": (SOUND.replace(HOST_KEY, HOST_KEY[:-8]), "host_key is", "a part of the key is missing"),
    "same, by its key": (
        SOUND.replace('"10.0.0.1"', f'"10.0.0.1"\nhost_key = "{HOST_KEY}"'),
        "inf and hub are the same folder",
        "a key of its own",
    ),
    "keep": (f"keep = 0\n{SOUND}", "keep is 0", "from 1 to 1000"),
    "on_failure": (f'on_failure = "ask"\n{SOUND}', "on_failure is 'ask'", "one of stop, continue"),
    "revision": (gtw('[source]\nrevision = "--exec"'), "[source]: revision is '--exec'", "a branch, a tag"),
    "wheel": (gtw('[source]\nwheel = "x.zip"'), "[source]: wheel is 'x.zip'", ".whl"),
    "table": ("nodes = 1", "nodes is no table", "[nodes]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_what_would_be_right(path: Path, name: str) -> None:
    text, what, hint = WRONG[name]
    error = refused(path, text)
    assert str(path) in error.message
    assert what in error.message
    assert hint in error.hint


def test_a_service_may_be_an_instance_of_a_systemd_unit(path: Path) -> None:
    fleet = read(path, SOUND + '[services."strategy@mean"]\nmanager = "systemd"\ndrain = 30\n')
    assert fleet.services["strategy@mean"].drain == 30


def test_nodes_may_share_a_machine_side_by_side(path: Path) -> None:
    fleet = read(
        path, SOUND.replace('address = "10.0.0.3"', 'address = "10.0.0.1"\npath = "/opt/mt5-crs-inf"')
    )
    assert fleet.nodes["inf"].path == "/opt/mt5-crs-inf"


def test_an_inventory_that_is_not_there_says_what_makes_one(path: Path) -> None:
    with pytest.raises(SettingError, match="mt5crs fleet init"):
        Fleet.read(path)


def test_all_extras_of_the_package_are_known() -> None:
    project = msgspec.toml.decode((ROOT / "pyproject.toml").read_bytes())["project"]
    assert tuple(sorted(project["optional-dependencies"])) == KNOWN_EXTRAS
    assert set(EXTRAS) == set(Role)


def test_the_example_of_the_documents_is_what_it_says(path: Path) -> None:
    document = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
    fleet = read(path, document.partition("```toml\n")[2].partition("```")[0])
    hub, gateway, inf_, gpu = fleet.nodes.values()
    assert (fleet.source.revision, fleet.keep, fleet.checks) == ("main", 3, ("our_checks.py",))
    assert (gateway.path, gateway.python, gateway.user, gateway.index) == (
        *("C:/mt5-crs", "python", "Administrator"),
        False,
    )
    assert (hub.user, hub.python, hub.path) == ("mt5", "python3.12", "/opt/mt5-crs")
    assert (gpu.port, gpu.path, gpu.optional) == (2222, "/data/mt5-crs", True)
    assert [fleet.env(each)["MT5_KEYS"] for each in (hub, gpu)] == ["keys/hub.key", "keys/gpu.key"]
    assert (gpu.through, fleet.way(gpu)) == ("hub", (hub,))
    assert fleet.extras(gpu) == ("archive", "cli", "plot", "secure")
    assert fleet.extras(inf_) == ("cli", "frames", "secure")
    assert fleet.env(inf_) == {
        "MT5_HOST": "gateway.internal",
        "MT5_PORT": "5555",
        "MT5_STREAM_PORT": "5556",
        "MT5_TIMEOUT": "3",
        "MT5_KEYS": "keys/inf.key",
    }
    assert list(fleet.services_of(gateway)) == ["gateway"]
    assert list(fleet.services_of(inf_)) == ["signals"]
    rows = [
        line.strip("| ").split(" | ") for line in document.splitlines() if line.startswith(("| hub", "| gpu"))
    ]
    silent = read(path, SOUND.replace('role = "inf"', 'role = "gpu"'))
    for role, extras, _env in rows:
        node = next(node for node in silent.nodes.values() if node.role.value == role)
        assert set(extras.replace("`", "").split()) == set(silent.extras(node))
