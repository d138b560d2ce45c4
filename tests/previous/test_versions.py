"""What the release before spoke is understood on both sides, whichever is upgraded first."""

import asyncio
import json
import os
import re
import subprocess
import sys
import typing
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt5crs import AsyncClient, Client
from mt5crs.client import core
from mt5crs.client.proofs import RequestSigner
from mt5crs.errors import ProtocolError, VersionMismatch
from mt5crs.release import release_of
from mt5crs.security.keys import ClientKeys, create_client, create_gateway
from mt5crs.security.policy import Role
from mt5crs.security.signing import SIGNATURE
from mt5crs.wire import codec, messages
from mt5crs.wire.messages import GREW, Hello, Many, Message, Welcome
from mt5crs.wire.session import Session
from tests.previous import protocol2 as old
from tests.previous.peers import (
    DONE,
    PreviousClient,
    Refused,
    has_events,
    has_rows,
    previous_gateway,
    published,
    stands,
)
from tests.processes import Gateway

BUY: dict[str, Any] = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}
RELEASE = "0.2.0-4f2a9c1"
FRAMES = [
    (block.split("\n")[0], bytes.fromhex("".join(block.split("\n")[1:])))
    for block in Path(__file__).with_name("frames2.txt").read_text().strip().split("\n\n")[1:]
]


# ---- frames -----------------------------------------------------------------------------------------

READERS = {
    codec.to_gateway: old.to_gateway,
    codec.to_client: old.to_client,
    codec.on_stream: old.on_stream,
}


@pytest.mark.parametrize(("text", "frame"), FRAMES, ids=[text[:40] for text, _ in FRAMES])
def test_what_was_recorded_of_protocol_2_is_read_as_it_was(text: str, frame: bytes) -> None:
    read = 0
    for now, then in READERS.items():
        try:
            before = then(frame)
        except msgspec.ValidationError:
            with pytest.raises(ProtocolError):
                now(frame)
            continue
        assert same(now(frame), before)
        read += 1
    assert read
    assert codec.encode(next(filter(None, (attempt(each, frame) for each in READERS)))) == frame


def attempt(read: Any, frame: bytes) -> Any:
    try:
        return read(frame)
    except ProtocolError:
        return None


def same(now: Message, before: old.Message) -> bool:
    """Whether a message of today says what the one of then does, and nothing besides."""
    mine, theirs = msgspec.structs.astuple(now), msgspec.structs.astuple(before)
    rest = now.__struct_defaults__[len(theirs) - len(mine) :] if len(mine) > len(theirs) else ()
    return (type(now).__name__, raw(mine)) == (type(before).__name__, raw((*theirs, *rest)))


def raw(values: Any) -> Any:
    """Return values with encoded messages as bytes, which can be compared."""
    return [[bytes(part) for part in value] if parts(value) else value for value in values]


def parts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], msgspec.Raw)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INTEGER = st.integers(-(2**63), 2**64 - 1)
PLAIN = st.recursive(
    st.none() | st.booleans() | INTEGER | TEXT | st.floats(allow_nan=False) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    int: INTEGER, str: TEXT, bytes: st.binary(max_size=80), bool: st.booleans(), Any: PLAIN,
    msgspec.Raw: st.builds(lambda number: msgspec.Raw(old.encode(old.Ping(number))[4:]), INTEGER),
}  # fmt: skip


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Return what a field of a type can hold."""
    if kind in BY_TYPE:
        return BY_TYPE[kind]
    outer, inner = typing.get_origin(kind), typing.get_args(kind)
    if outer is tuple:
        return st.tuples(*map(values, inner))
    if outer is dict:
        return st.dictionaries(values(inner[0]), values(inner[1]), max_size=3)
    assert outer is list
    return st.lists(values(inner[0]), max_size=4)


DIRECTIONS = {
    "to_gateway": messages.ToGateway,
    "to_client": messages.ToClient,
    "on_stream": messages.OnStream,
}
KINDS = [(name, kind) for name, kinds in DIRECTIONS.items() for kind in typing.get_args(kinds)]


@pytest.mark.parametrize(
    ("direction", "kind"), KINDS, ids=[f"{name}-{kind.__name__}" for name, kind in KINDS]
)
@given(data=st.data())
def test_every_message_of_today_is_one_of_then(
    direction: str, kind: type[Message], data: st.DataObject
) -> None:
    """What has no new field that says something is the same bytes, and read alike on both sides."""
    fields = msgspec.structs.fields(kind)[: GREW.get(kind)]
    types = typing.get_type_hints(kind)
    message = kind(*(data.draw(values(types[field.name])) for field in fields))
    frame = codec.encode(message)
    before = getattr(old, direction)(frame)
    assert same(message, before)
    assert old.encode(before) == frame
    assert same(getattr(codec, direction)(old.encode(before)), before)


def test_only_what_has_grown_is_another_message() -> None:
    for _, kind in KINDS:
        before = getattr(old, kind.__name__)
        names = kind.__struct_fields__
        assert names[: GREW.get(kind)] == before.__struct_fields__
        assert (kind in GREW) == (names != before.__struct_fields__)
        assert kind not in GREW or len(names) - GREW[kind] <= len(kind.__struct_defaults__)


def frame(version: int, *fields: Any) -> bytes:
    return codec.MAGIC + bytes([version]) + msgspec.msgpack.encode(fields)


HELLO: tuple[Any, ...] = ("hello", "c", "s", [3, 2], [], [], [])


def test_a_frame_is_read_as_what_its_version_says() -> None:
    assert codec.to_gateway(frame(3, *HELLO, "r")) == Hello("c", "s", [3, 2], release="r")
    assert codec.to_gateway(frame(3, *HELLO)) == Hello("c", "s", [3, 2])  # the rest may be left out, as ever
    assert codec.to_gateway(frame(3, "ping", 1)) == messages.Ping(1)  # the next protocol's frames will be so
    with pytest.raises(ProtocolError, match="1 more fields than hello has in protocol 2.*version 3"):
        codec.to_gateway(frame(2, *HELLO, "r"))
    with pytest.raises(ProtocolError, match="than hello"):
        codec.to_gateway(frame(2, *HELLO, ""))
    for version in (2, 3):
        with pytest.raises(ProtocolError, match="malformed"):
            codec.to_gateway(frame(version, *HELLO, "r", "more"))


def test_only_what_says_something_new_has_the_new_version() -> None:
    assert codec.encode(Hello("c", "s", [3, 2], release="r"))[:4] == codec.NEW_HEADER == b"MT5\3"
    assert codec.encode(Hello("c", "s", [3, 2]))[:4] == codec.HEADER == b"MT5\2"
    assert codec.encode(Welcome(3, "s", 1, 0, "t", 1, release="r"))[:4] == codec.NEW_HEADER


# ---- a client of then, a gateway of today -----------------------------------------------------------


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter as a release has one."""
    folder = tmp_path_factory.mktemp("node") / "releases" / RELEASE
    venv.create(folder / ".venv", symlinks=os.name != "nt")
    (folder / "release.json").write_text("{}")
    (path,) = (
        (folder / ".venv").glob("*/python*[!0-9w]") if os.name == "nt" else [folder / ".venv/bin/python"]
    )
    return str(path)


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys of a gateway and of its client."""
    folder = tmp_path_factory.mktemp("keys")
    create_gateway(folder)
    create_client(folder, "tim", Role.TRADER, folder / "tim.key", streams=("trade",))
    return folder


@pytest.fixture(scope="module")
def today(
    python: str, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway of today that runs a release."""
    place = tmp_path_factory.mktemp("today")
    options = ["--journal", str(place / "journal.db")]
    with Gateway(place, options, environment=environment, python=python) as running:
        yield running


def test_an_old_client_is_answered_in_the_old_form(today: Gateway) -> None:
    with PreviousClient(today.port) as client:
        assert client.greet(packs=["zstd"]).protocol == 2
        assert client.ask("symbol_info_tick", "EURUSD")[1] > 0
        assert client.many(client.asked("symbols_total"), client.asked("positions_total"))[0] > 0
        assert client.ping().state["clients"]["unknown"] >= 1


def test_an_old_client_is_greeted_in_a_many(today: Gateway) -> None:
    with PreviousClient(today.port) as client:
        client.send(old.Hello("previous", "test", [2, 3]), old.Ping(9))  # 3 as well: a many has version 2
        answer, _ = client.receive()
        assert isinstance(answer, old.Many)
        welcome, pong = map(old.part_to_client, answer.messages)
        assert isinstance(welcome, old.Welcome)
        assert (welcome.protocol, type(pong)) == (3, old.Pong)


def test_an_old_client_is_given_an_array_as_it_takes_it(today: Gateway) -> None:
    with PreviousClient(today.port) as client, today.client() as other:
        client.greet()
        rows = client.array("copy_rates_from_pos", "EURUSD", 1, 100, 30_000)
        due = other.copy_rates_from_pos("EURUSD", 1, 100, 30_000)
        assert due is not None
        assert len(rows) == due.nbytes == 60 * 30_000


def test_an_old_client_is_published_to(today: Gateway) -> None:
    with PreviousClient(today.port) as client:
        client.greet()
        stream = client.subscribe(b"tick.EURUSD")
        batch, rows = published(stream, has_rows)
        assert len(rows) == 60 * batch.rows > 0
        stream = client.subscribe(b"trade")
        published(stream, stands)
        assert client.ask("order_send", BUY, key=os.urandom(8).hex())[0] == DONE
        events, _ = published(stream, has_events)
        assert events.events[0][0] == events.serial + 1


def test_an_old_client_with_keys_trades(folder: Path, tmp_path: Path) -> None:
    options = ["--keys", str(folder), "--journal", str(tmp_path / "journal.db")]
    with Gateway(tmp_path, options) as gateway, PreviousClient(gateway.port, folder / "tim.key") as client:
        client.greet()
        one = client.ask("order_send", BUY, key="one")
        assert one[0] == DONE
        assert client.ask("order_send", BUY, key="one") == one
        assert client.ask("positions_total") == 1
        stream = client.subscribe(b"trade")
        published(stream, stands)
        client.ask("order_send", BUY, key="two")
        assert published(stream, has_events)
        with gateway.client(keys=folder / "tim.key") as new:
            assert new.order_send(BUY) is not None


def test_who_speaks_neither_is_told_so(today: Gateway) -> None:
    with PreviousClient(today.port) as client:
        client.send(old.Hello("ancient", "test", [1]))
        answer, _ = client.receive()
        assert (answer.code, answer.hint) == ("version", "upgrade the client")
        with pytest.raises(Refused, match="version"):
            client.socket.send(frame(4, *HELLO))
            client._value(client.receive()[0])


def test_who_speaks_neither_is_told_so_in_few_words(today: Gateway) -> None:
    with PreviousClient(today.port) as client:
        client.send(old.Hello("odd", "\x1b[2Jodd", list(range(100, 9000))))
        answer, _ = client.receive()
        assert answer.message == (
            "?[2Jodd speaks protocol 100, 101, 102, 103, 104, 105, 106, 107 and 8892 more, this gateway 3, 2"
        )
        client.send(old.Hello("odd", "o" * 20_000, [1]))
        answer, _ = client.receive()
        assert (answer.code, len(answer.message) < 100) == ("bad-arguments", True)


def test_what_is_signed_has_the_same_form_as_ever(folder: Path) -> None:
    signer = RequestSigner(ClientKeys.load(folder / "tim.key"))
    content = signer(messages.Ask(5, "order_send", [BUY], 0, 9, "k"), "1@S")
    statement = msgspec.msgpack.decode(content[SIGNATURE:], type=old.Statement)
    assert (statement.protocol, statement.id, statement.key) == (2, 5, "k")


# ---- a client of today, a gateway of then -----------------------------------------------------------


@pytest.fixture
def _released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "release", lambda: RELEASE)


@pytest.mark.usefixtures("_released")
def test_a_new_client_greets_an_old_gateway_again() -> None:
    with previous_gateway() as gateway, Client("127.0.0.1", gateway.port) as client:
        assert client.symbols_total() == 7
        assert gateway.refused == 1
        assert [hello.speaks for hello in gateway.hellos] == [[3, 2]]
        welcome = client.welcome()
        assert (welcome.protocol, welcome.release) == (2, "")
        assert client.ping().pong.state == {"terminal": "simulated"}
        rates = client.copy_rates_from_pos("EURUSD", 1, 0, gateway.ROWS)
        assert rates is not None
        assert len(rates) == gateway.ROWS
        sent = client.order_send(BUY, key="k")
        assert sent is not None
        assert sent.retcode == DONE
        many = client.order_send_many([BUY, BUY])
        assert [each.failure for each in many] == [None, None]
        assert (len(gateway.orders), gateway.refused) == (3, 1)


@pytest.mark.usefixtures("_released")
def test_a_new_asyncio_client_greets_an_old_gateway_again() -> None:
    async def use(port: int) -> None:
        async with AsyncClient("127.0.0.1", port) as client:
            found = await asyncio.gather(client.ping(), *(client.symbols_total() for _ in range(20)))
            assert found[1:] == [7] * 20
            assert (await client.order_send(BUY)).retcode == DONE  # type: ignore[union-attr]

    with previous_gateway() as gateway:
        asyncio.run(use(gateway.port))
        assert (gateway.refused, len(gateway.hellos)) == (1, 1)


@pytest.mark.parametrize(("release", "greetings"), [(RELEASE, 2), ("", 1)])
def test_who_speaks_neither_is_greeted_in_the_old_form_once(
    monkeypatch: pytest.MonkeyPatch, release: str, greetings: int
) -> None:
    monkeypatch.setattr(core, "release", lambda: release)
    with previous_gateway(speaks=(1,)) as gateway, Client("127.0.0.1", gateway.port) as client:
        with pytest.raises(VersionMismatch, match="upgrade the client"):
            client.symbols_total()
        assert gateway.refused + len(gateway.hellos) == greetings


# ---- both of today ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("_released")
def test_both_say_which_release_they_run(today: Gateway) -> None:
    with today.client() as client, today.client() as other:
        welcome = client.welcome()
        assert (welcome.protocol, welcome.release) == (3, RELEASE)
        other.welcome()
        state = client.ping().pong.state
        assert state["release"] == RELEASE
        assert state["clients"][RELEASE] >= 2


def test_a_release_that_could_be_no_id_is_told_to_nobody(
    monkeypatch: pytest.MonkeyPatch, today: Gateway
) -> None:
    monkeypatch.setattr(core, "release", lambda: "\x1b[31m" * 10)
    with today.client() as client:
        client.welcome()
        assert not any("\x1b" in name for name in client.ping().pong.state["clients"])


def test_info_and_about_tell_the_release(today: Gateway, python: str, environment: dict[str, str]) -> None:
    info = subprocess.run(
        [sys.executable, "-m", "mt5crs", "info", "--json", "--port", str(today.port)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(info.stdout)["gateway"]
    assert told["release"] == RELEASE
    assert told["clients"]
    about = subprocess.run(
        [python, "-m", "mt5crs.about"], capture_output=True, text=True, check=True, env=environment
    )
    found = json.loads(about.stdout)
    assert (found["release"], found["speaks"]) == (RELEASE, [3, 2])


@pytest.mark.parametrize(
    ("place", "record", "release"),
    [
        (f"releases/{RELEASE}/.venv", True, RELEASE),
        (f"releases/{RELEASE}/.venv", False, ""),
        (f"elsewhere/{RELEASE}/.venv", True, ""),
        ("releases/-x/.venv", True, ""),
    ],
)
def test_a_release_is_known_by_where_it_runs(tmp_path: Path, place: str, record: bool, release: str) -> None:
    prefix = tmp_path / place
    prefix.mkdir(parents=True)
    if record:
        (prefix.parent / "release.json").touch()
    assert release_of(prefix) == release
    (tmp_path / "current").symlink_to(prefix.parent)
    assert release_of(tmp_path / "current" / ".venv") == release


def test_a_many_of_today_holds_old_forms_alone() -> None:
    many = codec.to_gateway(
        codec.join([codec.encode(Hello("c", "s", [3, 2])), codec.encode(messages.Ping(1))])
    )
    assert isinstance(many, Many)
    assert re.fullmatch(b"MT5\x02.*", codec.encode(many), re.DOTALL)
    assert codec.part_to_gateway(many.messages[0]) == Hello("c", "s", [3, 2])


@pytest.mark.parametrize(
    ("read", "part", "grown"),
    [
        (codec.to_gateway, codec.part_to_gateway, Hello("c", "s", [3], release="1")),
        (
            codec.to_client,
            codec.part_to_client,
            Welcome(3, "s", 1, 2, "t", 3, "a", "j", True, "", release="1"),
        ),
    ],
)
def test_what_is_in_a_many_is_read_as_its_frame(read: Any, part: Any, grown: Message) -> None:
    frame_of_2 = codec.join([codec.encode(grown)])
    frame_of_3 = codec.NEW_HEADER + frame_of_2[codec.HEADER_LENGTH :]
    assert part(read(frame_of_3).messages[0], frame_of_3) == grown
    with pytest.raises(ProtocolError, match="1 more fields than"):
        part(read(frame_of_2).messages[0], frame_of_2)


def test_a_greeting_of_today_in_a_many_is_refused(today: Gateway) -> None:
    with PreviousClient(today.port) as client:
        client.socket.send(frame(2, "many", [[*HELLO, "r"], ["ping", 9]]))
        answer, _ = client.receive()
        refused, pong = map(old.part_to_client, answer.messages)
        assert isinstance(refused, old.Refusal)
        assert (refused.code, type(pong)) == ("protocol", old.Pong)


def test_a_welcome_of_today_in_a_many_is_refused() -> None:
    session = Session(client="c", software="s", where="gtw:5555")
    welcome = Welcome(3, "s", 1, 2, "t", 3, "a", "j", True, "", release="1")
    with pytest.raises(ProtocolError, match="more fields than welcome has"):
        session.receive(codec.join([codec.encode(welcome)]), 1.0)
