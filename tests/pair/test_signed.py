"""Signed requests: taken once, from and for whom they are, and when; nothing else reaches the terminal."""

import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mt5crs.api import OPERATIONS
from mt5crs.client.proofs import KeptHeads
from mt5crs.errors import BadSignature, ClockSkew, Denied, KeyRefused, Replayed, SplitBrain
from mt5crs.gateway.signatures import ROOM, WINDOW, Nonces
from mt5crs.heads import HeadFile
from mt5crs.journal.chain import Event, link
from mt5crs.journal.entries import parts_of
from mt5crs.journal.proofs import Pins, Proof, Signatures, prove
from mt5crs.journal.states import NoticeKind
from mt5crs.journal.store import Notice
from mt5crs.security.keyfiles import raw
from mt5crs.security.keys import revoke_client, rotate_client
from mt5crs.security.signing import SIGNATURE, Signer, opened
from mt5crs.statement import Statement
from mt5crs.wire.codec import HEADER, encode, to_client, to_gateway
from mt5crs.wire.messages import Ask, Many, Receipt, Refusal, Signed
from tests.pair.bridge import BUY, messages
from tests.pair.keyed import KeyedBridge

STATEMENT = msgspec.msgpack.Decoder(Statement)


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[KeyedBridge]:
    bridge = KeyedBridge(tmp_path / "keys", tmp_path / "journal.db")
    yield bridge
    bridge.close()


def refusal(bridge: KeyedBridge, frame: bytes) -> Refusal:
    """Return how the gateway refuses a frame; nothing of it may reach the terminal."""
    before = bridge.terminal.calls.count("order_send")
    answers = [each for answer in bridge.handle(frame) for each in messages(to_client, answer)]
    assert bridge.terminal.calls.count("order_send") == before
    (answer,) = answers
    assert isinstance(answer, Refusal), answer
    return answer


def test_an_order_is_signed_carried_out_and_kept_as_it_was_signed(bridge: KeyedBridge) -> None:
    frame = bridge.signed("order_send", BUY, key="k1")
    receipt = to_client(bridge.handle(frame)[0])
    assert isinstance(receipt, Receipt)
    assert receipt.value[0] == 10009
    journal = bridge.journal
    assert (receipt.events, receipt.link) == journal.head
    (entry,) = journal.latest(1)
    sent = to_gateway(frame)
    assert isinstance(sent, Signed)
    body = journal.events_of(entry.number)[0].body
    assert body is not None
    _, kept = parts_of(body)
    assert kept == sent.content
    statement = STATEMENT.decode(opened(kept, bridge.principal.signing))
    assert (statement.key, statement.args[0], statement.account) == ("k1", entry.request, entry.account)


def test_a_read_needs_no_signature(bridge: KeyedBridge) -> None:
    assert bridge.call("symbol_info_tick", "EURUSD").value is not None
    assert not any(isinstance(to_gateway(frame), Signed) for frame in bridge.sent)


def test_an_order_without_a_signature_is_refused(bridge: KeyedBridge) -> None:
    bridge.call("version")
    bare = encode(Ask(9, "order_send", [BUY], 0, bridge.dispatch.epoch, "k"))
    assert refusal(bridge, bare).code == BadSignature.code
    assert refusal(bridge, encode(Many([msgspec.Raw(bare[4:])]))).code == BadSignature.code


def test_each_bit_counts(bridge: KeyedBridge) -> None:
    frame = bridge.signed("order_send", BUY, key="k1")
    codes, before = set[str](), bridge.journal.head
    for bit in range(len(HEADER) * 8, len(frame) * 8):
        flipped = bytearray(frame)
        flipped[bit // 8] ^= 1 << bit % 8
        codes.add(refusal(bridge, bytes(flipped)).code)
    assert codes <= {"bad-signature", "protocol", "version"}
    assert bridge.journal.head == before
    assert isinstance(to_client(bridge.handle(frame)[0]), Receipt)


def test_without_verification_a_bit_makes_another_order(
    bridge: KeyedBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the test above does not pass for another reason."""
    signatures = bridge.dispatch._signatures
    assert signatures is not None
    monkeypatch.setattr(signatures, "_opened", lambda content, _public: content[SIGNATURE:])
    made = set[float]()
    for bit in range(64):
        frame = bytearray(bridge.signed("order_send", BUY, key=f"k{bit}"))
        frame[frame.index(struct.pack(">d", BUY["volume"])) + bit // 8] ^= 1 << bit % 8
        answer = to_client(bridge.handle(bytes(frame))[0])
        if isinstance(answer, Receipt) and answer.value[0] == 10009:
            made.add(answer.value[3])
    assert made - {BUY["volume"]}


def test_a_copy_is_not_taken_twice_and_a_retry_is(bridge: KeyedBridge) -> None:
    frame = bridge.signed("order_send", BUY, key="k1")
    assert isinstance(to_client(bridge.handle(frame)[0]), Receipt)
    assert refusal(bridge, frame).code == Replayed.code
    again = bridge.signed("order_send", BUY, key="k1")
    first, second = (to_gateway(each) for each in (frame, again))
    assert isinstance(first, Signed)
    assert isinstance(second, Signed)
    assert first.content != second.content
    assert isinstance(to_client(bridge.handle(again)[0]), Receipt)
    assert bridge.terminal.calls.count("order_send") == 1


def test_a_copy_is_worth_nothing_after_a_restart(bridge: KeyedBridge) -> None:
    frame = bridge.signed("order_send", BUY, key="k1")  # recorded on its way, and withheld
    bridge.restart()
    bridge.call("version")
    assert refusal(bridge, frame).code == "stale-epoch"


@pytest.mark.parametrize(
    ("skew", "said"), [(-31.0, "31.0 s before"), (31.0, "31.0 s after"), (3600.0, "3600.0 s after")]
)
def test_another_time_is_said_to_be_one(bridge: KeyedBridge, skew: float, said: str) -> None:
    bridge.skew = skew
    failure = bridge.call("order_send", BUY).failure
    assert isinstance(failure, ClockSkew)
    assert said in failure.message
    assert "NTP" in failure.hint
    assert bridge.terminal.calls.count("order_send") == 0


@pytest.mark.parametrize("skew", [-29.0, 29.0])
def test_clocks_may_differ_a_little(bridge: KeyedBridge, skew: float) -> None:
    bridge.skew = skew
    assert bridge.call("order_send", BUY).value.retcode == 10009


def signed_by(bridge: KeyedBridge, by: Signer, **changes: Any) -> bytes:
    """Return a frame like one of tim's, with something else in the statement, signed by some key."""
    sent = to_gateway(bridge.signed("order_send", BUY, key="k1"))
    assert isinstance(sent, Signed)
    statement = msgspec.structs.replace(STATEMENT.decode(sent.content[SIGNATURE:]), **changes)
    return encode(Signed(sent.id, by.sign(msgspec.msgpack.encode(statement))))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"form": 3}, "another form of statement"),
        ({"gateway": bytes(32)}, "another gateway"),
        ({"account": "1@Elsewhere"}, "another account"),
        ({"signer": "0123456789abcdef"}, "another key"),
        ({"id": 77}, "another request"),
        ({"nonce": b"short"}, "length of nonce"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_was_signed_for_something_else_is_refused(
    bridge: KeyedBridge, changes: dict[str, Any], said: str
) -> None:
    told = refusal(bridge, signed_by(bridge, bridge.client_keys("tim").signer, **changes))
    assert told.code == BadSignature.code
    assert said in told.message


def test_another_ones_signature_is_refused(bridge: KeyedBridge) -> None:
    ada = bridge.client_keys("ada")
    assert refusal(bridge, signed_by(bridge, ada.signer, signer=ada.key_id)).code == BadSignature.code


@pytest.mark.parametrize("content", [b"", b"x" * 63, b"x" * 64, bytes(1000), b"\xff" * 200], ids=len)
def test_what_is_no_signature_is_refused(bridge: KeyedBridge, content: bytes) -> None:
    bridge.call("version")
    assert refusal(bridge, encode(Signed(5, content))).code == BadSignature.code


@pytest.mark.parametrize(
    "said", [b"", b"\xc1", b"\x90", msgspec.msgpack.encode(["mt5crs.request"]), b"\x9d" * 3000]
)
def test_a_signature_on_nonsense_is_refused(bridge: KeyedBridge, said: bytes) -> None:
    bridge.call("version")
    frame = encode(Signed(5, bridge.client_keys("tim").signer.sign(said)))
    assert refusal(bridge, frame).code == "protocol"


def test_a_role_is_the_keys(bridge: KeyedBridge) -> None:
    bridge.be("eve")
    failure = bridge.call("order_send", BUY).failure
    assert isinstance(failure, Denied)
    bridge.be("ada")
    assert bridge.call("order_send", BUY).value.retcode == 10009


def test_a_trade_needs_a_key_of_its_own(bridge: KeyedBridge) -> None:
    told = refusal(bridge, signed_by(bridge, bridge.client_keys("tim").signer, key=""))
    assert told.code == "bad-arguments"


def test_a_key_that_is_revoked_trades_no_more(bridge: KeyedBridge) -> None:
    assert bridge.call("order_send", BUY).value.retcode == 10009
    revoke_client(bridge.folder, "tim")  # as the command does, while the connection lives
    failure = bridge.call("order_send", BUY).failure
    assert isinstance(failure, KeyRefused)
    assert bridge.terminal.calls.count("order_send") == 1


def test_both_keys_are_good_while_one_replaces_the_other(bridge: KeyedBridge) -> None:
    old = bridge.principal
    rotate_client(bridge.folder, "tim", bridge.folder / "tim2.key")
    assert bridge.call("order_send", BUY, key="k1").value.retcode == 10009
    bridge.be("tim2")
    assert bridge.principal.key_id != old.key_id
    assert (
        bridge.call("order_send", BUY, key="k1").value.retcode == 10009
    )  # the same one: keys are the name's
    assert bridge.terminal.calls.count("order_send") == 1


def told_of(bridge: KeyedBridge, events: list[Event]) -> Proof:
    """Return what events prove to somebody who has the keys of all."""
    signers = {
        (name, key.id): raw(key.signing)
        for name, entry in bridge.keys.ring.entries.items()
        for key in entry.keys
    }
    pins = Pins(frozenset({bridge.keys.signer.public}), signers)
    signatures = Signatures(SIGNATURE, opened)
    return prove(bridge.journal.id, events, signatures=signatures, pins=pins, heads=(), is_new=lambda _: True)


@pytest.mark.parametrize(("name", "value"), [("why", "nothing"), ("name", "eve"), ("close", True)])
def test_what_an_admin_does_is_kept_as_it_was_signed(bridge: KeyedBridge, name: str, value: object) -> None:
    bridge.be("ada")
    assert bridge.call("kill", "tim", False, "enough").value
    assert bridge.call("resume", "tim").value
    bridge.journal.checkpoint()
    events = list(bridge.journal.events())
    proof = told_of(bridge, events)
    assert (proof.faults, proof.signed) == ([], 2)
    place = next(number for number, event in enumerate(events) if event.step == "kill")
    note = {**msgspec.msgpack.decode(events[place].note), name: value}
    forged = events[place]
    forged = msgspec.structs.replace(forged, note=msgspec.msgpack.encode(note))
    forged = msgspec.structs.replace(forged, link=link(events[place - 1].link, forged))
    faults = told_of(bridge, [*events[:place], forged]).faults
    assert f"the kill of event {forged.number} is not what its client signed: other arguments" in faults


def test_a_gateway_without_keys_takes_no_signature(tmp_path: Path) -> None:
    from tests.pair.bridge import Bridge

    keyed = KeyedBridge(tmp_path)
    frame = keyed.signed("order_send", BUY)
    plain = Bridge()
    (answer,) = [to_client(each) for each in plain.handle(frame)]
    assert isinstance(answer, Refusal)
    assert answer.code == BadSignature.code
    keyed.close()


# ---- what is remembered ----

NOW = 1_763_985_600_000
JUMPS = [-600_000, -60_000, 20_000, 90_000]


def test_nonces_are_forgotten_when_their_time_is_refused_anyway() -> None:
    nonces = Nonces()
    for number in range(1000):
        nonces.take("k", number.to_bytes(16, "big"), NOW + number * 1000, NOW + number * 1000)
    assert len(nonces) <= 2 * WINDOW + 2


def test_a_clock_that_is_set_back_lets_nothing_in_again() -> None:
    nonces = Nonces()
    nonces.take("k", b"a", NOW, NOW)
    nonces.take("k", b"b", NOW + 3_600_000, NOW + 3_600_000)
    with pytest.raises(ClockSkew, match="was set back, by 3600 s"):
        nonces.take("k", b"a", NOW, NOW)


def test_memory_has_a_limit() -> None:
    nonces = Nonces(room=3)
    for number in range(3):
        nonces.take("k", bytes([number]), NOW, NOW)
    with pytest.raises(Exception, match="3 signed requests"):
        nonces.take("k", b"x", NOW, NOW)
    nonces.take("another", b"x", NOW, NOW)  # one key's requests keep nobody else from asking
    nonces.take("k", b"y", NOW + 100_000, NOW + 100_000)  # the others are of before
    assert len(nonces) == 1
    assert ROOM >= 10_000


def test_whatever_the_clocks_do_nothing_is_taken_twice() -> None:
    rng = random.Random(5)  # noqa: S311 - repeatable on purpose
    nonces, taken, now = Nonces(), set[tuple[bytes, int]](), NOW
    sent = [(rng.randbytes(16), NOW + rng.randrange(-60_000, 600_000)) for _ in range(300)]
    for _ in range(20_000):
        now += rng.choice([0, 10, 1000, 3000, -1000, -3000]) if rng.random() < 0.99 else rng.choice(JUMPS)
        nonce, at = rng.choice(sent)
        try:
            nonces.take("k", nonce, at, now)
        except (ClockSkew, Replayed):
            continue
        assert (nonce, at) not in taken
        taken.add((nonce, at))
    assert len(taken) > 10


# ---- where the journal ended ----


def restore(bridge: KeyedBridge, copy: Path) -> None:
    """Start the gateway again with an older copy of its journal, as from a backup."""
    journal = bridge.folder.parent / "journal.db"
    bridge.close()
    for part in journal.parent.glob("journal.db*"):
        part.unlink()
    journal.write_bytes(copy.read_bytes())
    bridge.restart()


@pytest.fixture
def copy(bridge: KeyedBridge, tmp_path: Path) -> Path:
    """A copy of the journal from before the orders."""
    bridge.restart()  # closing it brings all of it into one file
    path = tmp_path / "copy.db"
    bridge.close()
    path.write_bytes((tmp_path / "journal.db").read_bytes())
    bridge.restart()
    return path


def test_no_order_goes_to_a_journal_that_was_cut(bridge: KeyedBridge, copy: Path) -> None:
    for number in range(5):
        assert bridge.call("order_send", BUY, key=f"k{number}").value.retcode == 10009
    restore(bridge, copy)
    failure = bridge.call("order_send", BUY, key="k6").failure
    assert isinstance(failure, SplitBrain)
    assert "was cut, is an older copy, or was written anew" in failure.message
    assert bridge.terminal.calls.count("order_send") == 5


def test_nor_to_one_that_has_grown_since(bridge: KeyedBridge, copy: Path) -> None:
    assert bridge.call("order_send", BUY, key="k1").value.retcode == 10009
    restore(bridge, copy)
    for _ in range(10):
        bridge.journal.notify([Notice(NoticeKind.OPERATOR, "somebody")])
    assert isinstance(bridge.call("order_send", BUY, key="k1").failure, SplitBrain)
    bridge.session = bridge.connect()
    assert isinstance(bridge.call("order_send", BUY, key="k1").failure, SplitBrain)  # it stays so
    assert bridge.terminal.calls.count("order_send") == 1


def test_another_process_with_the_same_keys_knows_it_too(bridge: KeyedBridge, copy: Path) -> None:
    keys = bridge.folder / "tim.key"
    bridge.pins = KeptHeads(keys).pins
    bridge.session = bridge.connect()
    for number in range(5):
        assert bridge.call("order_send", BUY, key=f"k{number}").value.retcode == 10009
    kept = HeadFile(keys.with_name("tim.key.heads")).heads()
    assert [head.events for head in kept.heads][-1] == bridge.journal.head[0]
    assert kept.heads[-1].link == bridge.journal.head[1]
    restore(bridge, copy)
    bridge.pins = KeptHeads(keys).pins
    bridge.session = bridge.connect()
    assert isinstance(bridge.call("order_send", BUY, key="k6").failure, SplitBrain)


def test_a_greeting_that_was_on_its_way_is_no_older_copy(bridge: KeyedBridge) -> None:
    late = bridge.connect()
    late.greet(bridge.now, 5.0)
    frames: list[bytes] = []
    late.depart(lambda frame, _: frames.append(frame))
    (welcome,) = bridge.dispatch.handle(b"late", bridge.principal, frames[0], bridge.now)
    assert bridge.call("order_send", BUY, key="k1").value.retcode == 10009
    late.receive(bytes(welcome), bridge.now)
    op = OPERATIONS["order_send"]
    late.ask(op, op.signature.bind(op.name, (BUY,), {}), bridge.now, 5.0, "k2")
    assert late.outbox


def test_where_a_journal_was_cut_the_file_of_heads_is_named(bridge: KeyedBridge, copy: Path) -> None:
    keys = bridge.folder / "tim.key"
    bridge.pins = KeptHeads(keys).pins
    bridge.session = bridge.connect()
    assert bridge.call("order_send", BUY, key="k").value.retcode == 10009
    restore(bridge, copy)
    failure = bridge.call("order_send", BUY, key="k2").failure
    assert isinstance(failure, SplitBrain)
    assert f"move {keys}.heads away" in failure.hint
    Path(f"{keys}.heads").unlink()
    bridge.pins = KeptHeads(keys).pins
    bridge.session = bridge.connect()
    assert bridge.call("order_send", BUY, key="k3").value.retcode == 10009


def test_a_receipt_that_nobody_asked_for_tells_no_head(bridge: KeyedBridge) -> None:
    assert bridge.call("order_send", BUY, key="k1").value.retcode == 10009
    before = bridge.pins.heads()
    assert before == [(bridge.journal.id, *bridge.journal.head)]
    bridge.session.receive(encode(Receipt(999, "odd", 1, "", 2**62, bytes(32))), bridge.now)
    asked = bridge.ask("version")  # a read, whose answer is no receipt
    bridge.session.receive(encode(Receipt(asked, [500, 1, ""], 1, "", 2**62, bytes(32))), bridge.now)
    assert bridge.pins.heads() == before


@pytest.mark.parametrize(
    ("events", "link"), [(2**64 - 1, bytes(32)), (2**63, bytes(32)), (-1, bytes(32)), (2**62, b"")]
)
def test_what_no_journal_can_say_is_not_kept(bridge: KeyedBridge, events: int, link: bytes) -> None:
    assert bridge.call("order_send", BUY, key="k1").value.retcode == 10009
    before = bridge.pins.heads()
    bridge.pins.see(Receipt(1, None, 1, "", events, link))
    assert bridge.pins.heads() == before
