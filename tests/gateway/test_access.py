"""Who may connect, as the transport asks; and how often who may ask."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from zmq.utils import z85

from mt5crs.errors import Busy
from mt5crs.gateway.access import DOMAIN, STREAMS, VERSION, Access
from mt5crs.gateway.rates import Rates
from mt5crs.guard.policy import parse
from mt5crs.operation import Kind
from mt5crs.security.keys import ClientKeys, GatewayKeys, create_client, create_gateway, revoke_client
from mt5crs.security.policy import Role


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    create_gateway(tmp_path / "keys")
    create_client(tmp_path / "keys", "tim", Role.TRADER, tmp_path / "tim.key")
    return tmp_path / "keys"


def admits_all(_address: str) -> bool:
    return True


def question(mechanism: bytes, *credentials: bytes, address: str = "127.0.0.1") -> list[bytes]:
    return [VERSION, b"7", DOMAIN, address.encode(), b"", mechanism, *credentials]


def status(access: Access, frames: list[bytes]) -> tuple[str, str, str]:
    version, request, code, text, user, metadata = access.answer(frames)
    assert (version, metadata) == (VERSION, b"")
    assert request == (frames[1] if len(frames) > 1 else b"")
    return code.decode(), text.decode(), user.decode()


def test_a_known_key_is_let_in_under_its_id(keys: Path, tmp_path: Path) -> None:
    tim = ClientKeys.load(tmp_path / "tim.key")
    access = Access(GatewayKeys.load(keys).ring, admits_all)
    assert status(access, question(b"CURVE", z85.decode(tim.public))) == ("200", "OK", tim.key_id)
    revoke_client(keys, "tim")
    assert status(access, question(b"CURVE", z85.decode(tim.public))) == ("400", "unknown key", "")


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([], "500"),
        ([VERSION], "500"),
        ([b"2.0", b"7", DOMAIN, b"127.0.0.1", b"", b"CURVE", bytes(32)], "500"),
        ([VERSION, b"7"], "400"),
        ([VERSION, b"7", b"other", b"127.0.0.1", b"", b"CURVE", bytes(32)], "400"),
        (question(b"NULL"), "400"),
        (question(b"PLAIN", b"user", b"password"), "400"),
        (question(b"CURVE"), "400"),
        (question(b"CURVE", b"short"), "400"),
        (question(b"CURVE", bytes(32)), "400"),
        (question(b"CURVE", bytes(32), bytes(32)), "400"),
        (question(b"CURVE", b"\xff" * 32), "400"),
    ],
)
def test_everything_else_is_not(keys: Path, frames: list[bytes], code: str) -> None:
    access = Access(GatewayKeys.load(keys).ring, admits_all)
    assert status(access, frames)[0] == code


POLICY = b"""
[addresses]
allow = ["10.0.0.0/8", "::1/128", "192.168.1.7"]
deny = ["10.1.0.0/16"]
"""


@pytest.mark.parametrize(
    ("address", "is_in"),
    [
        ("10.0.0.1", True),
        ("10.1.2.3", False),
        ("::ffff:10.0.0.1", True),
        ("::ffff:10.1.2.3", False),
        ("::1", True),
        ("192.168.1.7", True),
        ("192.168.1.8", False),
        ("127.0.0.1", False),
        ("", False),
        ("nonsense", False),
    ],
)
def test_addresses_are_looked_at_before_keys(keys: Path, tmp_path: Path, address: str, is_in: bool) -> None:
    tim = ClientKeys.load(tmp_path / "tim.key")
    admits = parse(POLICY, "policy.toml").addresses.admits
    for access, frames in (
        (
            Access(GatewayKeys.load(keys).ring, admits),
            question(b"CURVE", z85.decode(tim.public), address=address),
        ),
        (Access(None, admits), question(b"NULL", address=address)),
    ):
        code, text, _ = status(access, frames)
        assert (code, text) == (("200", "OK") if is_in else ("400", "address not allowed"))
    unknown = question(b"CURVE", bytes(32), address=address)
    told = status(Access(GatewayKeys.load(keys).ring, admits), unknown)[1]
    assert told == ("unknown key" if is_in else "address not allowed")


def test_a_look_tells_of_who_is_shut_out_and_not_of_who_is_let_in(keys: Path, tmp_path: Path) -> None:
    access = Access(GatewayKeys.load(keys).ring, admits_all)
    assert access.look() is None
    create_client(keys, "eve", Role.OBSERVER, tmp_path / "eve.key")
    assert access.look() == (["eve"], [])
    revoke_client(keys, "tim")
    assert access.look() == ([], ["tim"])
    assert access.look() is None


# ---- rates ----


def limits(name: str) -> Mapping[Kind, float]:
    return {Kind.TRADE: 2.0, Kind.READ: 0.5} if name == "tim" else {}


def taken(rates: Rates, name: str, kind: Kind, times: list[float]) -> int:
    count = 0
    for now in times:
        try:
            rates.take(name, kind, now)
            count += 1
        except Busy:
            continue
    return count


def test_a_rate_holds_for_its_key_and_kind_alone() -> None:
    rates = Rates(limits)
    assert taken(rates, "tim", Kind.TRADE, [0.0] * 10) == 2
    assert taken(rates, "tim", Kind.READ, [0.0] * 10) == 1
    assert taken(rates, "tim", Kind.WATCH, [0.0] * 10) == 10
    assert taken(rates, "eve", Kind.TRADE, [0.0] * 10) == 10


@pytest.mark.parametrize("step", [0.001, 0.1, 0.3, 0.5])
def test_in_the_long_run_it_is_the_rate(step: float) -> None:
    times = [number * step for number in range(int(100 / step))]
    assert taken(Rates(limits), "tim", Kind.TRADE, times) == pytest.approx(min(200, len(times)), abs=3)


def test_who_asks_too_often_is_told_the_setting() -> None:
    rates = Rates(limits)
    rates.take("tim", Kind.READ, 0.0)
    with pytest.raises(Busy, match=r"tim asks more than 0.5 read requests a second.*\[keys.tim.rates\]"):
        rates.take("tim", Kind.READ, 0.1)


def test_a_key_that_is_barred_may_not_stream_for_a_while(keys: Path, tmp_path: Path) -> None:
    now = [100.0]
    tim = ClientKeys.load(tmp_path / "tim.key")
    access = Access(GatewayKeys.load(keys).ring, admits_all, lambda: now[0])
    asked = question(b"CURVE", z85.decode(tim.public))
    streaming = [*asked[:2], STREAMS, *asked[3:]]
    access.bar(tim.key_id, 60.0)
    assert status(access, asked)[0] == "200"
    assert status(access, streaming) == ("300", "it has flooded the streams", "")
    now[0] += 60.0
    assert status(access, streaming) == ("200", "OK", tim.key_id)
