"""The attacks: each is made against a gateway with its defences, and against one without the defence named.

An attack is a function that returns whether it succeeded, or lets the gateway's refusal through. What it does
honestly first ends with `scene.mark()`: after that nothing may change at the terminal.
"""

import json
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import zmq

from mt5crs import Client
from mt5crs.constants import RES_S_OK, TRADE_RETCODE_DONE
from mt5crs.errors import (
    BadSignature,
    BridgeError,
    ClockSkew,
    Denied,
    KeyRefused,
    Killed,
    LimitExceeded,
    ProtocolError,
    Replayed,
    StaleEpoch,
    VersionMismatch,
)
from mt5crs.security.keys import create_client, create_gateway, revoke_client
from mt5crs.security.policy import Role
from mt5crs.streams import TickBatch
from mt5crs.topics import Beat, Ticks
from mt5crs.wire import topics
from mt5crs.wire.codec import encode
from mt5crs.wire.messages import Chunk, Credit, Receipt, Reply
from tests.adversity.security.peer import NoAnswer
from tests.adversity.security.relay import Relay
from tests.adversity.security.scene import BUY, SPEED, Scene

SHUT_OUT = 3.0
"""Seconds within which somebody whose entry was spoilt by hand must be shut out."""
QUIET = 0.5
"""Seconds in which something that is not to come would have come."""
TOKEN = b"0123456789abcdef"


class Attack(NamedTuple):
    """An attack.

    Attributes:
        name: What is done.
        defence: A name in `DEFENCES`: what it fails by.
        error: How it fails; None where the gateway just gives nothing.
        run: Does it.
    """

    name: str
    defence: str
    error: type[BridgeError] | tuple[type[BridgeError], ...] | None
    run: Callable[[Scene], bool]


def is_traded(answer: Any) -> bool:
    """Whether an answer says that an order was carried out."""
    return isinstance(answer, Receipt) and answer.value[0] == TRADE_RETCODE_DONE


# ---- who is let in ----------------------------------------------------------------------------------


def _without_a_key(scene: Scene) -> bool:
    with scene.gateway.client(timeout=1.0) as stranger:
        return stranger.account_info() is not None


def _bare_hello(scene: Scene) -> bool:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        req = context.socket(zmq.REQ)
        req.connect(f"tcp://127.0.0.1:{scene.gateway.port}")
        req.send(b"Hello")
        return bool(req.poll(int(QUIET * 1000)))
    finally:
        context.destroy(linger=0)


def stranger_key(scene: Scene) -> Path:
    """Return a key file that names this gateway's keys, and was made for another one."""
    other = scene.folder / "other"
    create_gateway(other)
    path = create_client(other, "owner", Role.ADMIN, scene.folder / "stranger.key")
    content = path.read_text()
    own, theirs = (json.loads((folder / "gateway.json").read_text()) for folder in (other, scene.keys))
    for name in ("public", "signing"):
        content = content.replace(json.dumps(own[name])[1:-1], json.dumps(theirs[name])[1:-1])
    path.write_text(content)
    return path


def _unknown_key(scene: Scene) -> bool:
    with scene.client(stranger_key(scene), timeout=1.0) as stranger:
        return stranger.account_info() is not None


def _from_an_address(source: str) -> Callable[[Scene], bool]:
    def run(scene: Scene) -> bool:
        with scene.peer(scene.key_file(Role.ADMIN), source=source) as peer:
            try:
                return bool(peer.greet(1.0))
            except NoAnswer:
                return False

    return run


# ---- keys that were revoked -------------------------------------------------------------------------


def _revoke(scene: Scene, path: Path) -> None:
    revoke_client(scene.keys, path.stem)


def _revoked_and_new(scene: Scene) -> bool:
    path = scene.key_file(Role.TRADER)
    with scene.client(path) as honest:
        assert honest.account_info()
    _revoke(scene, path)
    with scene.client(path, timeout=1.0) as thief:
        return thief.account_info() is not None


def _revoked_and_reading(scene: Scene) -> bool:
    path = scene.key_file(Role.TRADER)
    with scene.client(path) as thief:
        assert thief.account_info()
        _revoke(scene, path)
        time.sleep(0.1)  # the time between two looks at the keys; an order is not given even that
        return thief.account_info() is not None


def _revoked_and_trading(scene: Scene) -> bool:
    path = scene.key_file(Role.TRADER)
    with scene.client(path) as thief:
        assert thief.account_info()
        scene.mark()
        _revoke(scene, path)
        result = thief.order_send(BUY)
        return result is not None and result.retcode == TRADE_RETCODE_DONE


def _revoked_and_downloading(scene: Scene) -> bool:
    path = scene.key_file(Role.OBSERVER)
    with scene.peer(path) as thief:
        head = thief.ask("copy_rates_from_pos", "EURUSD", 1, 0, 50_000, credit=1)
        assert head.rows == 50_000
        _revoke(scene, path)
        time.sleep(0.1)
        return isinstance(thief.say(encode(Credit(head.id, 8))), Chunk)


def _revoked_and_listening(scene: Scene) -> bool:
    path = scene.key_file(Role.OBSERVER)
    with scene.client(path, timeout=1.5) as thief, scene.client(scene.folder / "owner.key") as owner:
        ticks = thief.ticks("EURUSD", seconds=30.0)
        next(ticks)
        _revoke(scene, path)
        latest = owner.symbol_info_tick("EURUSD")
        assert latest is not None
        late = latest.time_msc + 1500 * SPEED
        for event in ticks:  # what was under way comes yet, however late: when it was made tells
            if isinstance(event, TickBatch) and event.ticks["time_msc"][-1] > late:
                return True
    return False


def _entry_made_unreadable(scene: Scene) -> bool:
    path = scene.key_file(Role.TRADER)
    with scene.client(path) as thief:
        assert thief.account_info()
        entry = scene.keys / "clients" / f"{path.stem}.json"
        entry.write_bytes(b"\0garbage")
        try:
            give_up = time.monotonic() + SHUT_OUT
            while time.monotonic() < give_up:
                assert thief.account_info()
            return True
        finally:
            entry.unlink()


# ---- roles, and whose a connection is ---------------------------------------------------------------


def _observer_trades(scene: Scene) -> bool:
    with scene.client(scene.key_file(Role.OBSERVER)) as observer:
        result = observer.order_send(BUY)
        return result is not None and result.retcode == TRADE_RETCODE_DONE


def _trader_kills(scene: Scene) -> bool:
    with scene.client(scene.key_file(Role.TRADER)) as trader, scene.owner() as owner:
        killed = trader.kill("mortal")
        return owner.resume("mortal") and killed


def _limits_of_others(scene: Scene) -> bool:
    name = b"the admin's connection"
    with scene.peer(scene.folder / "owner.key", routing_id=name) as owner:
        assert any(row[0] == "secret" for row in owner.value("limits", epoch=0))
    with scene.peer(scene.key_file(Role.OBSERVER), routing_id=name) as observer:
        return any(row[0] == "secret" for row in observer.value("limits", epoch=0))


def _session_of_another(scene: Scene) -> bool:
    name = b"the trader's connection"
    with scene.peer(scene.key_file(Role.TRADER), routing_id=name) as trader:
        epoch = trader.greet().epoch
        assert trader.value("market_book_add", "EURUSD")
    with scene.peer(scene.key_file(Role.OBSERVER), routing_id=name) as observer:
        answer = observer.ask("market_book_get", "EURUSD", epoch=epoch)
        return isinstance(answer, Reply) and answer.code == RES_S_OK


# ---- what was recorded comes again ------------------------------------------------------------------


COMMAND = 4
"""What a command of the transport begins with; its length follows."""


def _in_turn(recorded: list[bytes]) -> Iterator[bytes]:
    """Yield parts with what was sent behind a command apart: a peer that has not answered it hangs up."""
    for part in recorded:
        end = 2 + part[1] if part[0] == COMMAND else len(part)
        yield from filter(None, (part[:end], part[end:]))


def _bytes_again(scene: Scene) -> bool:
    key = scene.key_file(Role.TRADER)
    with scene.owner() as owner, Relay(scene.gateway.port) as relay:
        owner.kill(key.stem)
        keys = scene.folder / "owner.key" if scene.has_curve else None
        with Client("127.0.0.1", relay.port, keys=keys, timeout=10.0) as through:
            assert through.resume(key.stem)
        owner.kill(key.stem)
        for recorded in relay.to_gateway:
            with socket.create_connection(("127.0.0.1", scene.gateway.port), timeout=1.0) as again:
                for part in _in_turn(recorded):
                    try:
                        again.sendall(part)
                        again.recv(65536)
                    except OSError:  # it was hung up, or there is no answer to this part
                        pass
        return not owner.resume(key.stem)


def _resume_again(scene: Scene) -> bool:
    key = scene.key_file(Role.TRADER)
    with scene.owner() as owner, scene.peer(scene.folder / "owner.key") as peer:
        owner.kill(key.stem)
        recorded = peer.signed("resume", key.stem)
        assert peer.say(recorded).value
        owner.kill(key.stem)
        try:
            with scene.peer(scene.folder / "owner.key") as attacker:
                attacker.greet()
                return bool(attacker.say(recorded).value)
        finally:
            owner.resume(key.stem)


def _resume_again_after_a_restart(scene: Scene) -> bool:
    key = scene.key_file(Role.TRADER)
    owner_key = scene.folder / "owner.key"
    with scene.owner() as owner, scene.peer(owner_key) as peer:
        owner.kill(key.stem)
        recorded = peer.signed("resume", key.stem)
        assert peer.say(recorded).value
        owner.kill(key.stem)
    scene.gateway.end()
    scene.gateway.start()
    with scene.peer(owner_key) as attacker:
        attacker.greet()
        return bool(attacker.say(recorded).value)


def _refused_order_again(scene: Scene) -> bool:
    key = scene.key_file(Role.TRADER)
    with scene.owner() as owner, scene.peer(key) as peer:
        owner.kill(key.stem)
        recorded = peer.signed("order_send", BUY, key="once")
        with pytest.raises(Killed):
            peer.say(recorded)
        assert owner.resume(key.stem)
        scene.mark()
        with scene.peer(key) as attacker:
            attacker.greet()
            return is_traded(attacker.say(recorded))


def _signed_at(seconds: float) -> Callable[[Scene], bool]:
    def run(scene: Scene) -> bool:
        with scene.peer(scene.key_file(Role.TRADER)) as peer:
            recorded = peer.signed(
                "order_send", BUY, key="late", clock=lambda: time.time_ns() + int(seconds * 1e9)
            )
            return is_traded(peer.say(recorded))

    return run


# ---- signatures -------------------------------------------------------------------------------------


def _flipped_bits(scene: Scene) -> bool:
    """Flip a bit of requests that were just signed: all of the volume's, and some of all others."""
    rng = random.Random(7)  # noqa: S311 - repeatable on purpose
    errors = set[type[BridgeError]]()
    with scene.peer(scene.key_file(Role.TRADER)) as peer:
        length = len(peer.signed("order_send", BUY, key="flip-000"))
        for number in range(64 + 150):
            frame = bytearray(peer.signed("order_send", BUY, key=f"flip-{number:03}"))
            volume = frame.index(struct.pack(">d", BUY["volume"])) * 8
            header = 4 * 8
            bit = volume + number if number < 64 else rng.randrange(header, length * 8)
            frame[bit // 8] ^= 1 << bit % 8
            try:
                answer = peer.say(bytes(frame))
            except BridgeError as error:
                errors.add(type(error))
                continue
            if is_traded(answer) and answer.value[3] != BUY["volume"]:
                return True
    assert BadSignature in errors <= {BadSignature, ProtocolError, VersionMismatch}
    raise BadSignature("each of them was refused")


def _without_a_signature(scene: Scene) -> bool:
    with scene.peer(scene.key_file(Role.TRADER)) as peer:
        return is_traded(peer.ask("order_send", BUY, key="bare"))


def _signed_by_another(scene: Scene) -> bool:
    other = scene.known(scene.key_file(Role.TRADER).stem)
    with scene.peer(scene.key_file(Role.TRADER)) as peer:
        return is_traded(peer.say(peer.signed("order_send", BUY, key="k", by=other)))


def _signed_by_nobody(scene: Scene) -> bool:
    """Put a key's own statement behind another signature than its own."""
    with scene.peer(scene.key_file(Role.TRADER)) as peer:
        frame = peer.signed("order_send", BUY, key="nobody")
        place = frame.index(b"mt5crs.request") - 2 - 64  # an array's head and a string's, after the signature
        return is_traded(peer.say(frame[:place] + bytes(64) + frame[place + 64 :]))


# ---- listening --------------------------------------------------------------------------------------


def _eavesdropping(scene: Scene) -> bool:
    key = scene.key_file(Role.TRADER)
    with Relay(scene.gateway.port) as relay:
        with Client("127.0.0.1", relay.port, keys=key if scene.has_curve else None, timeout=10.0) as victim:
            account, tick = victim.account_info(), victim.symbol_info_tick("EURUSD")
            result = victim.order_send({**BUY, "comment": "quite secret"})
            rates = victim.copy_rates_from_pos("EURUSD", 1, 0, 10)
        scene.mark()
        heard = relay.heard
    assert account is not None
    assert tick is not None
    assert result is not None
    assert rates is not None
    assert len(heard) > 1000
    numbers = (tick.bid, tick.ask, result.price, account.balance)
    return any(
        needle in heard
        for needle in (
            b"EURUSD", b"order_send", b"account_info", b"quite secret", b"mt5crs", b"symbol_info_tick",
            str(account.login).encode(), account.login.to_bytes(4, "big"), account.server.encode(),
            rates["time"][0].tobytes(), rates["close"][0].tobytes(), rates[0].tobytes()[:24],
            *(struct.pack(order, number) for number in numbers for order in (">d", "<d")),
            *(f"{number:.5f}".encode() for number in numbers),
        )
    )  # fmt: skip


# ---- streams ----------------------------------------------------------------------------------------


def _wishing(*wishes: bytes) -> Callable[[Scene], bool]:
    """Return an attack that wishes for something, while an honest client is given ticks."""

    def run(scene: Scene) -> bool:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        path = scene.key_file(Role.OBSERVER)
        keys = scene.known(path.stem)
        try:
            stream = context.socket(zmq.XSUB)
            stream.curve_publickey, stream.curve_secretkey = keys.public, keys.secret
            stream.curve_serverkey = keys.gateway
            stream.connect(f"tcp://127.0.0.1:{scene.gateway.stream_port}")
            for wish in wishes:
                stream.send(topics.SUBSCRIBE + wish)
            with scene.owner() as honest:
                assert isinstance(next(honest.ticks("EURUSD")), TickBatch)
            return bool(stream.poll(int(QUIET * 1000)))
        finally:
            context.destroy(linger=0)

    return run


def _ending_anothers(scene: Scene) -> bool:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    keys = scene.known(scene.key_file(Role.OBSERVER).stem)
    try:
        with scene.client(scene.key_file(Role.OBSERVER), timeout=5.0) as victim:
            ticks = victim.ticks("GBPUSD", seconds=2.0)
            next(ticks)
            stranger = context.socket(zmq.XSUB)
            stranger.curve_publickey, stranger.curve_secretkey = keys.public, keys.secret
            stranger.curve_serverkey = keys.gateway
            stranger.connect(f"tcp://127.0.0.1:{scene.gateway.stream_port}")
            for topic in (topics.name(Ticks("GBPUSD")), topics.name(Beat())):
                for token in (TOKEN, b"", b"short", bytes(32)):
                    # Its own transport lets out no end of what did not begin.
                    stranger.send(topics.SUBSCRIBE + topic + token)
                    stranger.send(topics.UNSUBSCRIBE + topic + token)
            stranger.send(topics.wish(topics.name(Ticks("USDJPY")), TOKEN))
            assert stranger.poll(5000)  # it was heard
            begun = time.monotonic()
            return not any(isinstance(each, TickBatch) for each in ticks if time.monotonic() > begun + 0.5)
    finally:
        context.destroy(linger=0)


# ---- the guard --------------------------------------------------------------------------------------


def _beyond_a_limit(scene: Scene) -> bool:
    with scene.client(scene.key_file(Role.TRADER)) as trader:
        result = trader.order_send({**BUY, "volume": 3.0})
        return result is not None and result.retcode == TRADE_RETCODE_DONE


def _after_a_kill(scene: Scene) -> bool:
    key = scene.key_file(Role.TRADER)
    with scene.client(key) as trader, scene.owner() as owner:
        assert owner.kill(key.stem, reason="enough")
        result = trader.order_send(BUY)
        return result is not None and result.retcode == TRADE_RETCODE_DONE


def _after_a_kill_and_a_power_cut(scene: Scene) -> bool:
    key = scene.key_file(Role.TRADER)
    with scene.owner() as owner:
        assert owner.kill(key.stem, reason="enough")
    scene.gateway.kill()
    scene.gateway.start()
    with scene.client(key) as trader:
        result = trader.order_send(BUY)
        return result is not None and result.retcode == TRADE_RETCODE_DONE


def _as_a_dead_man(scene: Scene) -> bool:
    key = scene.folder / "mortal.key"
    with scene.client(key) as trader:
        assert trader.order_send(BUY)
    scene.mark()
    with scene.owner() as owner:
        give_up = time.monotonic() + 4.0
        while time.monotonic() < give_up and key.stem not in owner.ping().pong.state["guard"]["killed"]:
            time.sleep(0.1)
    with scene.client(key) as trader:
        result = trader.order_send(BUY)
        return result is not None and result.retcode == TRADE_RETCODE_DONE


ATTACKS = (
    Attack("no key at all", "curve", KeyRefused, _without_a_key),
    Attack("a bare Hello", "curve", None, _bare_hello),
    Attack("a key that nobody knows", "known keys", KeyRefused, _unknown_key),
    Attack("an address that is denied", "addresses", None, _from_an_address("127.0.0.2")),
    Attack("an address that is not allowed", "addresses", None, _from_an_address("127.0.0.3")),
    Attack("a revoked key connects", "revocation", KeyRefused, _revoked_and_new),
    Attack("a revoked key reads on", "revocation", KeyRefused, _revoked_and_reading),
    Attack("a revoked key trades on", "revocation", KeyRefused, _revoked_and_trading),
    Attack("a revoked key downloads on", "revocation", KeyRefused, _revoked_and_downloading),
    Attack("a revoked key listens on", "revocation", KeyRefused, _revoked_and_listening),
    Attack("an entry that cannot be read", "revocation", KeyRefused, _entry_made_unreadable),
    Attack("an observer trades", "roles", Denied, _observer_trades),
    Attack("a trader uses the kill switch", "roles", Denied, _trader_kills),
    Attack("the routing id of an admin", "principal of each message", None, _limits_of_others),
    Attack("the session of another key", "greeting of each key", StaleEpoch, _session_of_another),
    Attack("recorded bytes come again", "curve", None, _bytes_again),
    Attack("a signed resume comes again", "nonces", Replayed, _resume_again),
    Attack("a signed resume after a restart", "epochs", StaleEpoch, _resume_again_after_a_restart),
    Attack("a refused order comes again", "nonces", Replayed, _refused_order_again),
    Attack("an order of an hour ago", "window", ClockSkew, _signed_at(-3600.0)),
    Attack("an order of tomorrow", "window", ClockSkew, _signed_at(86400.0)),
    Attack("flipped bits", "verification", BadSignature, _flipped_bits),
    Attack("somebody else's bytes for a signature", "verification", BadSignature, _signed_by_nobody),
    Attack("no signature", "signatures", BadSignature, _without_a_signature),
    Attack("another client's signature", "one signer", BadSignature, _signed_by_another),
    Attack("eavesdropping", "curve", None, _eavesdropping),
    Attack("the empty prefix", "manual grants", None, _wishing(b"")),
    Attack("a prefix", "manual grants", None, _wishing(b"tick.", b"t", b"tick.EURUSD")),
    Attack("a private stream", "private streams", None, _wishing(b"account\0" + TOKEN)),
    Attack("the end of another's stream", "tokens", None, _ending_anothers),
    Attack("an order beyond a limit", "guard", LimitExceeded, _beyond_a_limit),
    Attack("an order after a kill", "guard", Killed, _after_a_kill),
    Attack("an order after a power cut", "kept switches", Killed, _after_a_kill_and_a_power_cut),
    Attack("an order of a dead man", "dead men", Killed, _as_a_dead_man),
)
