"""A gateway with keys: who is let in, and that the role is the key's."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from mt5crs import Client
from mt5crs.errors import Denied, KeyRefused, WrongGateway
from mt5crs.security.keys import create_client, create_gateway
from mt5crs.security.policy import Role
from mt5crs.streams import TickBatch
from tests.client.test_functions import BUY, length
from tests.processes import Gateway


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    create_gateway(folder)
    for name, role in (("eve", Role.OBSERVER), ("tim", Role.TRADER)):
        create_client(folder, name, role, folder / f"{name}.key")
    return folder


@pytest.fixture(scope="module")
def guarded(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("guarded"), ["--keys", str(keys)]) as running:
        yield running


def test_a_known_key_gets_in_with_its_role(guarded: Gateway, keys: Path) -> None:
    with guarded.client(keys=keys / "tim.key") as trader:
        assert trader.order_send(BUY).retcode == 10009  # type: ignore[union-attr]
        assert length(trader.copy_rates_from_pos("EURUSD", 1, 0, 50_000)) == 50_000
    with guarded.client(keys=keys / "eve.key") as observer:
        assert observer.account_info()
        with pytest.raises(Denied, match="eve is observer and may not trade"):
            observer.order_send(BUY)


def test_streams_are_encrypted_too(guarded: Gateway, keys: Path) -> None:
    with guarded.client(keys=keys / "eve.key") as observer:
        assert isinstance(next(observer.ticks("EURUSD")), TickBatch)


def test_without_a_key_nobody_gets_in(guarded: Gateway) -> None:
    with guarded.client(timeout=1.0) as client, pytest.raises(KeyRefused, match="wants keys.*MT5_KEYS"):
        client.version()


def test_an_unknown_key_does_not_get_in(guarded: Gateway, keys: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    create_gateway(other)
    stranger = create_client(other, "stranger", Role.ADMIN, tmp_path / "stranger.key")
    content = stranger.read_text()
    own, theirs = (json.loads((folder / "gateway.json").read_text()) for folder in (other, keys))
    for name in ("public", "signing"):
        content = content.replace(own[name], theirs[name])
    stranger.write_text(content)
    with Client("127.0.0.1", guarded.port, keys=stranger, timeout=1.0) as client:
        with pytest.raises(KeyRefused, match="does not let stranger in: it does not know the key"):
            client.version()


def test_a_gateway_that_is_not_the_pinned_one_is_not_trusted(
    guarded: Gateway, keys: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    create_gateway(other)
    deceived = create_client(other, "tim", Role.TRADER, tmp_path / "tim.key")
    with guarded.client(keys=deceived, timeout=1.0) as client:
        with pytest.raises(WrongGateway, match="is not the gateway that the key file of tim is for"):
            client.version()


def test_the_seeds_handshake_needs_a_key_as_well(guarded: Gateway) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    req = context.socket(zmq.REQ)
    try:
        req.connect(f"tcp://127.0.0.1:{guarded.port}")
        req.send(b"Hello")
        assert not req.poll(300)
    finally:
        context.destroy(linger=0)
