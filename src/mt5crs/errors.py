"""Everything that can go wrong on the way to a terminal, as one tree.

    BridgeError                  code               outcome
    ├── SettingError             setting            refused   a value of ours is wrong
    ├── Unreachable              unreachable        refused   never left this machine
    │   ├── ConnectionTimeout    timeout            refused   the gateway did not answer in time
    │   └── WrongGateway         wrong-gateway      refused   another one than the key file is for answers
    ├── OutcomeUnknown           outcome-unknown    unknown   a trade was sent, no answer came
    ├── ProtocolError            protocol           refused   bytes that are not our protocol
    │   ├── VersionMismatch      version            refused   the two sides speak different versions
    │   └── TooLarge             too-large          refused   a message beyond the limits
    ├── Refused                  refused            refused   the gateway understood, and said no
    │   ├── UnknownOperation     unknown-operation  refused
    │   ├── BadArguments         bad-arguments      refused
    │   ├── KeyRefused           key-refused        refused   the gateway does not know the client's key
    │   ├── Denied               denied             refused   the principal's role does not allow it
    │   ├── BadSignature         bad-signature      refused   not signed, or not as the gateway wants it
    │   ├── Replayed             replayed           refused   a signed request that came before
    │   ├── ClockSkew            clock-skew         refused   signed at another time than the gateway has
    │   ├── LimitExceeded        limit              refused   the guard's limits do not allow the order
    │   ├── Killed               killed             refused   the kill switch is on
    │   ├── Expired              expired            refused   reached the gateway after its deadline
    │   ├── StaleEpoch           stale-epoch        refused   addressed to an earlier gateway process
    │   ├── UnknownSymbol        unknown-symbol     refused   the terminal has no such symbol
    │   ├── Busy                 busy               refused   a queue is full
    │   ├── KeyConflict          key-conflict       refused   the key belongs to another request
    │   ├── NotExecuted          not-executed       refused   the key's request was not carried out
    │   ├── WrongAccount         wrong-account      refused   the terminal is logged in to another account
    │   ├── JournalUnusable      journal            refused   orders cannot be recorded
    │   ├── RecordUnusable       record             refused   trade events cannot be recorded or read
    │   └── SplitBrain           split-brain        refused   another journal's orders are on the account
    ├── TerminalMissing          terminal-missing   refused   no terminal can be reached on that machine
    ├── ArchiveError             archive            refused   an archive cannot be read or written
    │   └── DamagedFile          damaged-file       refused   a file of an archive is not as it was written
    └── GatewayFault             gateway-fault      unknown   a defect in the gateway

A trade that the terminal answered with a retcode is not here: as in MetaTrader 5 that is a result.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pathlib import Path


class Certainty(str, Enum):
    """How sure it is what became of the request."""

    REFUSED = "refused"
    """Nothing happened."""
    DONE = "done"
    """It was carried out."""
    UNKNOWN = "unknown"
    """It may have been carried out."""


class BridgeError(Exception):
    """The root of all failures of the bridge.

    Args:
        message: What happened, to what.
        hint: What to do next.
        certainty: What is known of the outcome; the class's own default without it.
    """

    code: ClassVar[str] = "bridge"
    certainty: Certainty = Certainty.REFUSED
    default_hint: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        BY_CODE[cls.code] = cls

    def __init__(self, message: str, *, hint: str = "", certainty: Certainty | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        if certainty is not None:
            self.certainty = certainty

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


BY_CODE: dict[str, type[BridgeError]] = {}
"""Each class by its wire code; classes enter by being defined."""


class SettingError(BridgeError, ValueError):
    """A setting has a value that cannot be used."""

    code = "setting"


class Unreachable(BridgeError, ConnectionError):
    """The request never left this machine: no connection to the gateway could be made in time."""

    code = "unreachable"


class ConnectionTimeout(Unreachable, TimeoutError):
    """The gateway did not answer in time; nothing that changes anything was sent."""

    code = "timeout"
    default_hint = "is the gateway running, is the port open, and does it want keys (MT5_KEYS)?"


class WrongGateway(Unreachable):
    """What answers at the gateway's address cannot prove that it is the gateway of the client's key file."""

    code = "wrong-gateway"
    default_hint = (
        "is the address right, and the key file that of this gateway? Do not go on if you are not sure"
    )


class OutcomeUnknown(BridgeError, TimeoutError):
    """A trade request was sent and no answer came: it may have been executed.

    Attributes:
        key: The idempotency key of the request.
        last_error: The terminal's own error, where it was the terminal that gave no answer.
    """

    code = "outcome-unknown"
    certainty = Certainty.UNKNOWN
    default_hint = (
        "ask outcome(key) until it is known, or send it again under the same key; never under another"
    )

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        certainty: Certainty | None = None,
        key: str = "",
        last_error: tuple[int, str] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, certainty=certainty)
        self.key = key
        self.last_error = last_error


class ProtocolError(BridgeError):
    """The bytes that came are not a message of this protocol."""

    code = "protocol"


class VersionMismatch(ProtocolError):
    """The two sides have no protocol version in common."""

    code = "version"


class TooLarge(ProtocolError):
    """A message is larger than the protocol allows."""

    code = "too-large"


class Refused(BridgeError):
    """The gateway understood the request and did not carry it out."""

    code = "refused"


class UnknownOperation(Refused):
    """The gateway has no operation of that name."""

    code = "unknown-operation"


class BadArguments(Refused):
    """The arguments on the wire do not fit the operation."""

    code = "bad-arguments"


class Denied(Refused):
    """The caller's role does not allow the operation."""

    code = "denied"


class KeyRefused(Refused):
    """The gateway does not know the client's key, or not any more."""

    code = "key-refused"
    default_hint = "`mt5crs keys list` on the gateway's machine shows which keys it knows"


class BadSignature(Refused):
    """The request has no signature of the client's key, or one of something else."""

    code = "bad-signature"


class Replayed(Refused):
    """A signed request that has come before."""

    code = "replayed"


class ClockSkew(Refused):
    """The request was signed at another time than the gateway has: the two clocks differ, or it is old."""

    code = "clock-skew"
    default_hint = "set both clocks by NTP"


class LimitExceeded(Refused):
    """The guard's limits do not allow the order; nothing was sent."""

    code = "limit"


class Killed(Refused):
    """The kill switch is on: only what reduces the risk is carried out."""

    code = "killed"
    default_hint = "an admin's `mt5crs resume` turns it off"


class Expired(Refused):
    """The request reached the gateway after its deadline and was dropped."""

    code = "expired"


class StaleEpoch(Refused):
    """The request was addressed to an earlier process of this gateway."""

    code = "stale-epoch"


class UnknownSymbol(Refused):
    """The terminal has no symbol of that name."""

    code = "unknown-symbol"
    default_hint = "names are case sensitive, and brokers add endings of their own: see symbols_get()"


class Busy(Refused):
    """The gateway has as much work of this caller as it will hold."""

    code = "busy"
    default_hint = "wait for some of the answers before asking for more"


class KeyConflict(Refused):
    """An idempotency key belongs to another request already."""

    code = "key-conflict"
    default_hint = "use each key for one request"


class NotExecuted(Refused):
    """The request of this key was not carried out, and will not be: that is its recorded outcome."""

    code = "not-executed"
    default_hint = "to send it after all, use a new key"


class WrongAccount(Refused):
    """The terminal is logged in to another account than the gateway is for, or to none."""

    code = "wrong-account"
    default_hint = "see that the terminal runs and is logged in to the gateway's account"


class JournalUnusable(Refused):
    """The gateway cannot record orders, so it sends none; reading goes on."""

    code = "journal"


class RecordUnusable(Refused):
    """The gateway cannot use its record of trade events; orders and everything else go on."""

    code = "record"


class SplitBrain(Refused):
    """Orders of another gateway's journal were found on the account, or another journal answers for it."""

    code = "split-brain"


class TerminalMissing(BridgeError):
    """The gateway's machine has no terminal that can be used."""

    code = "terminal-missing"


class ArchiveError(BridgeError):
    """An archive on the disk cannot be read, written or gone on with; it is as it was before."""

    code = "archive"


class DamagedFile(ArchiveError):
    """A file of an archive is not as it was written.

    Attributes:
        path: The file.
    """

    code = "damaged-file"
    default_hint = "`mt5crs archive repair` asks the terminal for its period again"

    def __init__(
        self, path: Path | str, problem: str = "", *, hint: str = "", certainty: Certainty | None = None
    ) -> None:
        super().__init__(f"{path} is damaged: {problem}", hint=hint, certainty=certainty)
        self.path = path


class GatewayFault(BridgeError):
    """The gateway failed by a defect of its own while it held the request."""

    code = "gateway-fault"
    certainty = Certainty.UNKNOWN
    default_hint = "the gateway's log has the details"


def from_wire(code: str, message: str, hint: str, certainty: str) -> BridgeError:
    """Return the error that the far side described; an unknown code becomes a `Refused`."""
    kind = BY_CODE.get(code, Refused)
    known = certainty in {each.value for each in Certainty}
    return kind(message, hint=hint, certainty=Certainty(certainty) if known else Certainty.UNKNOWN)
