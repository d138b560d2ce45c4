"""What is observed on a node: real files, real sockets, real processes."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

import mt5crs
from mt5crs.fleet.node import nft, sockets
from mt5crs.fleet.node.greeting import greeted, mechanism
from mt5crs.fleet.node.installed import package_changes
from mt5crs.fleet.node.observe import clock, mode, observe
from mt5crs.fleet.node.place import Place
from mt5crs.fleet.node.trees import UNOWNED, packages_drift
from mt5crs.fleet.observed import Observed
from mt5crs.security.keys import create_gateway
from tests.fleet.machines import machines
from tests.fleet.prepared import AUDIT, CONNECTOR, ID, TREE, install, prepare
from tests.processes import Gateway


def seen(place: Place, **request: Any) -> Observed:
    return msgspec.convert(observe(place, request, lambda _text: None), Observed)


@contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[int]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((host, 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Observed]:
    folder = tmp_path_factory.mktemp("node")
    (folder / "inf.key").write_text("secret")
    (folder / "inf.key").chmod(0o640)
    place = prepare(folder, "MT5_HOST=10.0.0.2\nMT5_KEYS=inf.key\n")
    texts = [(AUDIT, "audit_task_003"), (CONNECTOR, ""), ("gone.py", "")]
    return place, seen(place, texts=texts, run={"audit": [AUDIT]})


def test_a_release_as_it_was_deployed(healthy: tuple[Place, Observed]) -> None:
    place, observed = healthy
    assert observed.current == ID
    assert observed.built is not None
    assert observed.built.release.id == ID
    assert 0 < observed.free < observed.total
    assert observed.files is not None
    assert (observed.files.count, observed.files.total) == (len(TREE), 0)
    assert observed.package_files is not None
    assert (observed.package_files.count, observed.package_files.total) == (1, 0)
    assert [(each.exists, each.has) for each in observed.texts] == [
        (True, True),
        (True, True),
        (False, False),
    ]
    assert not list(place.path.rglob("__pycache__")), "looking leaves nothing behind"


def test_the_release_speaks_for_itself(healthy: tuple[Place, Observed]) -> None:
    about = healthy[1].about
    assert about is not None
    assert about.version == mt5crs.__version__
    assert {"thing", "pyzmq"} <= about.packages.keys()
    assert observed_pip(healthy[1]).code == 0


def observed_pip(observed: Observed) -> Any:
    assert observed.consistent is not None
    return observed.consistent


def test_the_audit_is_told_to_look_at_this_node_alone(healthy: tuple[Place, Observed]) -> None:
    assert healthy[1].ran["audit"].code == 0
    assert healthy[1].ran["audit"].answer == "gates 1"


def test_settings_are_those_that_the_release_reads(healthy: tuple[Place, Observed]) -> None:
    place, observed = healthy
    assert observed.client is not None
    assert observed.client.settings["host"] == ("10.0.0.2", str(place.settings))
    assert observed.client.settings["keys"] == (str(place.path / "inf.key"), str(place.settings))
    env, keys = observed.modes
    assert (env.path, env.exists, env.others, env.bits) == (str(place.settings), True, False, "600")
    assert (keys.path, keys.exists, keys.others) == (str(place.path / "inf.key"), True, True)


def test_what_was_changed_since_is_seen(tmp_path: Path) -> None:
    place = prepare(tmp_path, "MT5_HOST=192.168.x.x\n")
    release = place.release(ID)
    (release / CONNECTOR).write_text("print('Hacked')\n")
    (release / "README.md").unlink()
    (release / "src" / "helper.py").write_text("")
    (release / "src" / "__pycache__").mkdir()
    (release / "src" / "__pycache__" / "helper.pyc").write_text("")
    (release / "notes.txt").write_text("outside of the sources")
    packages = next(release.glob(".venv/lib/python*/site-packages"))
    (packages / "thing" / "__init__.py").write_text("VALUE = 2\n")
    (packages / "thing" / "more.py").unlink()
    observed = seen(place)
    files, installed = observed.files, observed.package_files
    assert files is not None
    assert installed is not None
    assert (files.changed, files.missing, files.added) == ((CONNECTOR,), ("README.md",), ("src/helper.py",))
    assert (files.count, files.total) == (3, 3)
    assert (installed.changed, installed.missing) == (("thing/__init__.py",), ("thing/more.py",))
    assert observed.client is not None
    assert observed.client.wrong is not None
    assert "placeholder" in observed.client.wrong.message


def test_what_was_put_beside_packages_is_seen(tmp_path: Path) -> None:
    place = prepare(tmp_path)
    packages = next(place.release(ID).glob(".venv/lib/python*/site-packages"))
    record, listing = packages / "thing-1.0.dist-info" / "RECORD", packages / ".installed.json"

    def wrong() -> tuple[tuple[str, ...], ...]:
        manifest = place.manifest(ID)
        assert manifest is not None
        told = package_changes(packages, manifest["installed"])
        return tuple(told["changed"]), tuple(told["missing"]), tuple(told["added"])

    assert wrong() == ((), (), ())
    cache = packages / "thing" / "__pycache__"
    cache.mkdir()
    compiled = [cache / "more.cpython-311.pyc", cache / "gone.cpython-311.pyc", packages / "bare.pyc"]
    compiled[0].write_bytes(b"abcd\1\0\0\0")
    for path in compiled[1:]:
        path.write_bytes(b"abcd\0\0\0\0")
    (cache / "__init__.cpython-311.pyc").write_bytes(b"abcd\0\0\0\0")  # as Python makes it
    added = [packages / name for name in ("evil.pth", "sitecustomize.py", "thing/added.py")]
    for path in added:
        path.write_text("")
    (packages / "elsewhere").symlink_to("/tmp")  # noqa: S108 - nobody looks there
    every = sorted(p.relative_to(packages).as_posix() for p in (*compiled, *added, packages / "elsewhere"))
    assert wrong() == ((), (), tuple(every))
    for path in (*compiled, *added, packages / "elsewhere"):
        path.unlink()
    content = record.read_bytes()
    for other in (b"", content.replace(b"sha256=", b"sha256=A,"), b"\xff\xfe\0"):
        record.write_bytes(other)
        assert wrong() == (("thing-1.0.dist-info/RECORD",), (), ())
        assert seen(place).about is not None, "it costs no other check"
    record.unlink()
    assert wrong() == ((), ("thing-1.0.dist-info/RECORD",), ())
    record.write_bytes(content)
    install(packages, "thing", {"thing/__init__.py": "VALUE = 666\n", "thing/more.py": ""}, again=True)
    assert wrong() == (("thing-1.0.dist-info/RECORD", "thing/__init__.py"), (), ())
    listing.unlink()
    assert ".installed.json" in wrong()[1]


def test_without_a_list_the_records_have_to_do(tmp_path: Path) -> None:
    packages = tmp_path / "site-packages"
    packages.mkdir()
    install(packages, "thing", {"thing/__init__.py": "VALUE = 1\n"})
    (packages / "thing-1.0.dist-info" / "METADATA").unlink()  # no row of the record has it
    install(packages, "odd", {"odd/__init__.py": ""})
    (packages / "odd-1.0.dist-info" / "RECORD").write_text("odd/__init__.py,sha256=A,0\n")
    found = packages_drift(packages)
    assert found["odd"] == {"odd-1.0.dist-info/RECORD": "changed"}
    assert found[UNOWNED].keys() >= {"odd/__init__.py"}, "nothing says that it belongs there"
    assert "thing" not in found


def test_who_else_could_put_a_file_there(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "inf.key"
    path.parent.mkdir(mode=0o700)
    path.write_text("")
    assert mode(path)["trouble"] == ""
    path.parent.chmod(0o777)
    assert mode(path)["trouble"] == "others may write to its folder"
    os.chown(path, 4242, 4242)
    assert mode(path)["trouble"] == "it is of another user (4242)"


def test_a_node_without_a_release(tmp_path: Path) -> None:
    observed = seen(Place(tmp_path, windows=False), listen=[1], texts=[(AUDIT, "")])
    assert (observed.current, observed.built, observed.about, observed.texts) == ("", None, None, ())
    assert [each.exists for each in observed.modes] == [False]


def test_a_release_that_does_not_start(tmp_path: Path) -> None:
    place = prepare(tmp_path)
    next(place.release(ID).glob(".venv/lib/python*/site-packages/shared.pth")).unlink()
    about = seen(place).about
    assert about is not None
    assert about.wrong is not None
    assert "mt5crs" in about.wrong.message


def test_a_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    place = prepare(tmp_path)
    (place.release(ID) / AUDIT).write_text("import time\ntime.sleep(600)\n")
    done = seen(place, run={"audit": [AUDIT]}, limit=2).ran["audit"]
    assert (done.code, done.output) == (None, "it took longer than 2 s")


def test_who_listens() -> None:
    with listening("127.0.0.7") as port:
        assert sockets.listeners(port) == ["127.0.0.7"]
    assert sockets.listeners(port) == []
    with listening("::1") as port:
        assert sockets.listeners(port) == ["::1"]


def test_who_listens_on_windows() -> None:
    said = (
        "\r\nAktive Verbindungen\r\n\r\n  Proto  Lokale Adresse  Remoteadresse  Status\r\n"
        "  TCP    0.0.0.0:5555           0.0.0.0:0              ABHÖREN\r\n"
        "  TCP    10.0.0.2:55555         0.0.0.0:0              ABHÖREN\r\n"
        "  TCP    10.0.0.2:5555          10.0.0.3:49152         HERGESTELLT\r\n"
        "  TCP    [::]:5555              [::]:0                 ABHÖREN\r\n"
    )
    assert sockets.of_netstat(said, 5555) == ["0.0.0.0", "::"]


def test_what_can_be_reached() -> None:
    with listening() as port:
        assert sockets.reach("127.0.0.1", port, 5)["state"] == "open"
    refused = sockets.reach("127.0.0.1", port, 5)
    assert refused["state"] == "refused"
    assert sockets.reach("no.such.host.invalid", port, 5)["state"] in {"unknown", "failed"}


def test_what_a_firewall_drops_is_told_from_what_nobody_listens_on(tmp_path: Path) -> None:
    with machines(tmp_path / "machines", ["gtw"], isolated=["gtw"]) as running:
        address = running["gtw"].address
        running["gtw"].filter(5555)
        dropped, refused = (sockets.reach(address, port, 0.5) for port in (5555, 5556))
        ssh = sockets.reach(address, 22, 5)
    assert (dropped["state"], dropped["detail"]) == ("filtered", "nothing came back in 0.5 s")
    assert (refused["state"], ssh["state"]) == ("refused", "open")


def test_how_a_port_greets_somebody_without_a_key(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    with Gateway(tmp_path / "open", ("--host", "127.0.0.9", "--insecure")) as gateway:
        here = greeted([("127.0.0.9", gateway.port)], [gateway.stream_port])
    assert here == [
        {"host": "127.0.0.9", "port": port, "mechanism": "NULL"}
        for port in (gateway.port, gateway.stream_port)
    ]
    create_gateway(tmp_path / "keys")
    with Gateway(tmp_path, ("--keys", str(tmp_path / "keys"))) as gateway:
        assert mechanism("127.0.0.1", gateway.port) == "CURVE"
    with listening() as port:  # takes connections and says nothing
        assert mechanism("127.0.0.1", port, 0.1) == ""
    assert mechanism("127.0.0.1", port) == ""


def ruleset(*rules: str, policy: str = "drop", table: str = "inet") -> str:
    lines = "".join(f"\t\t{rule}\n" for rule in rules)
    hook = f"type filter hook input priority filter; policy {policy};"
    return f"table {table} filter {{\n\tchain input {{\n\t\t{hook}\n{lines}\t}}\n}}\n"


ONE = "ip saddr 10.0.0.1 tcp dport 5555 accept"
EVERYBODY, ODD = ["Any"], None


@pytest.mark.parametrize(
    ("rules", "sources"),
    [
        ([ONE], ["10.0.0.1"]),
        (["ip saddr { 10.0.0.1, 10.0.0.3 } tcp dport { 22, 5555-5556 } counter packets 1 bytes 2 accept"],
            ["10.0.0.1", "10.0.0.3"]),
        (["ip saddr { 10.0.0.1,\n\t\t\t10.0.0.3 } tcp dport 5555 accept"], ["10.0.0.1", "10.0.0.3"]),
        (["tcp dport 5000-6000 accept"], EVERYBODY),
        (["accept"], EVERYBODY),
        (["ip saddr 0.0.0.0/1 tcp dport 5555 accept"], ["0.0.0.0/1"]),
        (["ip saddr 10.0.0.9 accept"], ["10.0.0.9"]),
        (["ip saddr != 10.0.0.1 tcp dport 5555 accept"], ODD),
        (["ip saddr @clients tcp dport 5555 accept"], ODD),
        (["tcp dport != 22 accept"], ODD),
        (["tcp dport @ports accept"], ODD),
        (['iifname "eth0" tcp dport 5555 accept'], ODD),
        (["tcp dport vmap { 5555 : accept }"], ODD),
        (["jump ours"], ODD),
        (["ct state != established accept"], ODD),
        (["ct state established accept", 'iif "lo" accept', "udp dport 53 accept", ONE], ["10.0.0.1"]),
        (["tcp dport 5555 drop", "accept"], []),
        ([ONE, "reject with icmp type port-unreachable", "accept"], ["10.0.0.1"]),
        (["ip saddr 10.0.0.9 tcp dport 5555 drop", "tcp dport 5555 accept"], EVERYBODY),
        (["tcp dport 22 accept"], []),
    ],
)  # fmt: skip
def test_rules_of_nft(rules: list[str], sources: list[str] | None) -> None:
    found = nft.admitted(ruleset(*rules), 5555)
    assert all(each["understood"] for each in found) == (sources is not ODD)
    if sources is not ODD:
        assert [source for each in found for source in each["from"]] == sources


def test_what_no_rule_of_nft_limits_is_open() -> None:
    def sources(said: str, *versions: int) -> list[str]:
        return [source for each in nft.admitted(said, 5555, versions) for source in each["from"]]

    assert sources("", 4) == ["Any"]
    assert sources(ruleset(ONE, policy="accept"), 4) == ["10.0.0.1", "Any"]
    assert sources(ruleset(ONE, "drop", policy="accept"), 4) == ["10.0.0.1"]
    assert sources(ruleset(ONE, table="ip"), 4, 6) == ["10.0.0.1", "Any"]
    assert sources(ruleset(policy="accept") + ruleset(ONE), 4) == ["10.0.0.1"], "one that limits is enough"


def test_rules_of_windows() -> None:
    assert sockets.of_windows("") == []
    assert sockets.of_windows('{"name":"MT5","from":["Any"]}') == [{"name": "MT5", "from": ["Any"]}]
    assert len(sockets.of_windows('[{"name":"a","from":["Any"]},{"name":"b","from":["10.0.0.1"]}]')) == 2


def test_the_question_to_windows_is_powershell() -> None:
    import tree_sitter_powershell
    from tree_sitter import Language, Parser

    text = sockets.ALLOWED.format(port=5555)
    tree = Parser(Language(tree_sitter_powershell.language())).parse(text.encode())
    assert not tree.root_node.has_error, text


def test_the_clock_is_the_nodes(tmp_path: Path) -> None:
    import time

    before = time.time()
    told = clock(Place(tmp_path), {}, lambda _text: None)["time"]
    assert before <= told <= time.time()


def test_the_programs_of_a_node_can_be_read_by_old_pythons() -> None:
    import ast

    for path in Path(sockets.__file__).parent.glob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 8))


def test_nothing_but_the_standard_library_is_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import mt5crs.fleet.node.observe"],
        env={"PYTHONPATH": str(Path(mt5crs.__file__).parents[1])},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
