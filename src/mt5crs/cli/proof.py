"""What `mt5crs journal verify` is given from elsewhere, and what it says of a journal."""

import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mt5crs.cli.report import Failure, note
from mt5crs.errors import SettingError
from mt5crs.guard.kills import PREFIX, kills_of
from mt5crs.heads import Head
from mt5crs.heads import read as read_heads
from mt5crs.journal.chain import Event
from mt5crs.journal.proofs import Pins, Proof, Signatures, prove
from mt5crs.journal.seen import Seen
from mt5crs.journal.states import NoticeKind

if TYPE_CHECKING:
    from mt5crs.journal.store import Journal

KEY = 32
"""Bytes of a public key."""
Z85_KEY = 40
"""Characters of one as key files have it."""
SETTLED = 1.0
"""Seconds in which a gateway that turned a kill switch has written both its mark and its notice."""


def pins_of(gateways: Sequence[str], signers: Sequence[str]) -> Pins:
    """Return the keys of the options `--gateway-key` and `--signer`.

    Raises:
        BadParameter: One of them is not a key.
    """
    named: dict[tuple[str, str], bytes] = {}
    for signer in signers:
        *names, digits = signer.split(":")
        if not 1 <= len(names) <= 2 or not names[-1]:
            raise typer.BadParameter(f"--signer {signer}: say ID:HEX or NAME:ID:HEX")
        named["" if len(names) == 1 else names[0], names[-1]] = _key("--signer", digits)
    return Pins(frozenset(_key("--gateway-key", digits) for digits in gateways), named)


def _key(option: str, digits: str) -> bytes:
    from zmq.utils import z85

    try:
        key = z85.decode(digits) if len(digits) == Z85_KEY else bytes.fromhex(digits)
    except (ValueError, struct.error):
        key = b""
    if len(key) != KEY:
        raise typer.BadParameter(
            f"{option} {digits}: a key is {2 * KEY} hexadecimal digits, or the {Z85_KEY} characters"
            " that `mt5crs keys show` tells"
        )
    return key


def pinned(path: Path) -> Pins:
    """Return the public keys of a gateway's folder of keys, or of a client's key file.

    A folder has those of all clients, also of keys that were revoked or replaced since; no passphrase is
    needed for either.

    Raises:
        KeyFileError: It is neither, or cannot be read.
    """
    from mt5crs.security.folder import GATEWAY
    from mt5crs.security.keyfiles import ClientFile, GatewayFile, decode, raw, read_private
    from mt5crs.security.ring import KeyRing

    if not path.is_dir():
        own = decode(path, read_private(path), ClientFile)
        # For any name: of its client's other keys, before a rotation and after, the file knows nothing.
        return Pins(frozenset({raw(own.gateway_signing)}), {("", own.key_id): raw(own.signing)})
    gateway = decode(path / GATEWAY, read_private(path / GATEWAY), GatewayFile)
    entries = KeyRing(path).entries
    signers = {(name, key.id): raw(key.signing) for name, entry in entries.items() for key in entry.keys}
    return Pins(frozenset({raw(gateway.signing)}), signers)


def joined(pins: Iterable[Pins]) -> Pins:
    """Return what several say together."""
    gateways: set[bytes] = set()
    signers: dict[tuple[str, str], bytes] = {}
    for each in pins:
        gateways |= each.gateways
        signers |= each.signers
    return Pins(frozenset(gateways), signers)


def heads_of(values: Sequence[str]) -> list[Head]:
    """Return the heads of the option `--head`: each is one, or a file of them.

    Raises:
        SettingError: One of them is neither.
    """
    heads: list[Head] = []
    for value in values:
        path = Path(value)
        if not path.is_file():
            heads.append(Head.parse(value))
            continue
        try:
            with path.open("rb") as lines:  # somebody else's, maybe
                kept = read_heads(lines)
        except OSError as error:
            raise SettingError(f"{path} cannot be read: {error.strerror}") from error
        if kept.unreadable:
            note(f"{path}: {kept.unreadable} lines are no heads, and left out")
        if not kept.heads:
            raise SettingError(f"{path} has no heads", hint="a client keeps them where it trades")
        heads += kept.heads
    return heads


def proved(journal: str, events: Iterable[Event], pins: Pins, heads: Iterable[Head]) -> Proof:
    """Return what the events of a journal prove.

    Raises:
        SettingError: Keys are given, and what checks signatures is not installed.
    """
    seen = Seen()
    try:
        return prove(
            journal, events, signatures=_signatures(pins), pins=pins, heads=heads, is_new=seen.is_new
        )
    finally:
        seen.close()


def switch_faults(journal: "Journal") -> list[str]:
    """Return which kill switches are not as the journal's notices say they are, in words.

    The marks of those that are on stand beside the chain. A gateway writes its mark a moment before the
    notice, so what differs is looked at once more.
    """
    found = _switch_faults(journal)
    if found:
        time.sleep(SETTLED)
        found = _switch_faults(journal)
    return found


def _switch_faults(journal: "Journal") -> list[str]:
    marked = kills_of(journal.marks(PREFIX))
    told = journal.switched()
    noticed = {name for name, event in told.items() if event.step == NoticeKind.KILL.value}
    faults = [
        f"the kill switch of {name or 'all orders'} was turned on by event {told[name].number}, and its mark"
        " was taken away"
        for name in sorted(noticed - marked.keys())
    ]
    return faults + [
        f"the kill switch of {name or 'all orders'} is on, and no notice says that it was turned on"
        for name in sorted(marked.keys() - noticed)
    ]


def _signatures(pins: Pins) -> Signatures | None:
    try:
        from mt5crs.security import signing
    except SettingError:  # without PyNaCl the chain and the heads can be proved all the same
        if pins.gateways or pins.signers:
            raise
        return None
    return Signatures(signing.SIGNATURE, signing.opened)


def tell(proof: Proof, pins: Pins, *, strict: bool) -> None:
    """Say what was proved and what was not.

    Raises:
        Failure: The journal was altered; where it is strict, also that it may have been at its end.
    """
    if proof.wrong:
        for fault in proof.faults:
            note(fault)
        raise Failure(
            f"the journal was altered, at {proof.wrong} place{'s' * (proof.wrong > 1)}",
            hint="keep it, and a copy, as they are",
        )
    for line in report(proof, pins):
        typer.echo(line)
    if proof.unproved and proof.checkpoints:
        told = (
            f"{_count(proof.unproved, 'event')} behind the last checkpoint: NOT PROVED, anybody who can write"
        )
        note(f"{told} the file can have made them up (a gateway that was stopped leaves none)")
    if proof.unproved and strict:
        raise Failure(
            f"{_count(proof.unproved, 'event')} not proved",
            hint="stop the gateway, or let it start and stop: it signs the end; or give a head from there",
        )


def report(proof: Proof, pins: Pins) -> Iterator[str]:
    """Yield what a journal that is whole proves, and what not."""
    chain = proof.chain
    head = Head(proof.journal, chain.number, chain.link)
    yield f"whole: {_count(chain.number, 'event')}, its head is {head}"
    yield from _checkpoints(proof, pins)
    yield from _requests(proof)
    if proof.heads:
        yield f"heads: {proof.heads} hold, up to event {proof.until}"
    else:
        yield "heads: none was given; events that were cut off at the end do not show without one"
    if proof.foreign:
        yield f"heads: {proof.foreign} are of other journals, and prove nothing here"
    if proof.dropped:
        yield f"bodies dropped: {proof.dropped}; their digests are left, and signatures in them are gone"


def _checkpoints(proof: Proof, pins: Pins) -> Iterator[str]:
    if not proof.checkpoints:
        yield "checkpoints: none; who can write the file can make another chain"
        return
    keys = ", ".join(sorted(key.hex() for key in proof.keys))
    how = "the gateway's key" if pins.gateways else "not checked against a pinned key (--gateway-key)"
    later = proof.chain.number - proof.covered
    yield f"checkpoints: {proof.checkpoints} signed by {keys}: {how}"
    if later:
        yield f"checkpoints: {_count(later, 'event')} after the last one, {proof.unproved} of them not proved"


def _requests(proof: Proof) -> Iterator[str]:
    if proof.signed:
        yield f"requests: {proof.signed} are what their clients signed"
    for (principal, key), count in sorted(proof.unchecked.items()):
        by = f"{principal} by the key {key}" if key else principal
        yield f"requests: {count} of {by} not checked: its public key was not given (--signer)"
    if proof.unsigned:
        yield f"requests: {proof.unsigned} without a signature, from before the gateway had keys"
    if proof.own:
        yield f"requests: {proof.own} of the gateway's own, which nobody signs"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
