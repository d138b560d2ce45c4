"""What came of an audit: as JSON that is signed, as Markdown, and the proof that it was not altered.

A signed report is JSON: `report`, `signature` (of the report's canonical bytes, by Ed25519) and `public`, the
key that it is by. Canonical bytes are those of JSON without blanks, keys sorted, in UTF-8; whatever is in
the file besides makes it invalid, too.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from mt5crs.checks import Result, Status
from mt5crs.errors import BadSignature, BridgeError

FORM = "mt5crs-audit-1"
LONGEST = 64 * 1024 * 1024
"""Bytes of the largest report that is read."""
NAMED = 3
"""Failed checks that are named behind their count."""
SHORT = 100
"""Characters of what each found there."""
MARKS = {Status.PASS: "✅", Status.WARN: "⚠️", Status.FAIL: "❌", Status.OFF: "➖"}  # noqa: RUF001
PLAIN = {Status.PASS: "[ok]  ", Status.WARN: "[warn]", Status.FAIL: "[FAIL]", Status.OFF: "[off] "}
"""The same where only ASCII can be written."""

Hex = Annotated[str, msgspec.Meta(pattern=r"^(?:[0-9a-f]{2})*$")]


class NotAReport(BridgeError):
    """A file is no report of an audit."""

    code = "not-a-report"


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    """A result of a check.

    Attributes:
        at: When the check was done, ISO 8601 in UTC.
        gate: 1 or 2.
        check: The check's id.
        title: What it holds.
        subject: What was looked at.
        status: What it came to.
        found: What was seen.
        remedy: What to do.
        reason: Why it matters.
    """

    at: str
    gate: Literal[1, 2]
    check: str
    title: str
    subject: str
    status: Status
    found: str
    remedy: str
    reason: str


class Gate(Struct, frozen=True, forbid_unknown_fields=True):
    """A gate.

    Attributes:
        number: 1, the project's folder; 2, the nodes.
        held: Whether its checks were done.
        why: Why not; "" where they were.
    """

    number: Literal[1, 2]
    held: bool
    why: str = ""


class Machine(Struct, frozen=True, forbid_unknown_fields=True):
    """A node.

    Attributes:
        name: Its name.
        role: What it is for.
        address: Where SSH finds it.
        path: The folder of its releases.
        current: The release that it has in use; "" for none, or where it was not seen.
        others: Other releases that it keeps, and can go back to.
    """

    name: str
    role: str
    address: str
    path: str
    current: str = ""
    others: tuple[str, ...] = ()


class Report(Struct, frozen=True, forbid_unknown_fields=True, tag_field="form", tag=FORM):
    """A report.

    Attributes:
        folder: The folder that was audited.
        version: The project's version.
        revision: The commit that was checked out; "" where it is not known.
        release: The id of the release: on a node its own, on HUB that of version and revision.
        changed: How many files were not as the commit has them.
        begun: When the audit began, ISO 8601 in UTC.
        ended: When it ended.
        by: Who held it, `user@machine`.
        gates: The gates.
        nodes: The nodes of the inventory.
        lines: The results.
        holds: Whether it holds.
    """

    folder: str
    version: str
    revision: str
    release: str
    changed: int
    begun: str
    ended: str
    by: str
    gates: tuple[Gate, ...]
    nodes: tuple[Machine, ...]
    lines: tuple[Line, ...]
    holds: bool


class Signed(Struct, frozen=True, forbid_unknown_fields=True):
    """A signed report.

    Attributes:
        report: The report.
        signature: Of its canonical bytes; 64 bytes in hexadecimal digits.
        public: The public key; 32 bytes in hexadecimal digits.
    """

    report: Report
    signature: Annotated[Hex, msgspec.Meta(min_length=128, max_length=128)]
    public: Annotated[Hex, msgspec.Meta(min_length=64, max_length=64)]


def lines(gate: Literal[1, 2], results: Iterable[Result], at: str) -> list[Line]:
    """Return the results of a gate as lines of a report."""
    return [
        Line(at, gate, check, title, written(subject), status, written(found), written(remedy), reason)
        for check, title, subject, status, found, remedy, reason in results
    ]


def written(value: str) -> str:
    """Return a text as a report can have it: bytes of a file's name that are no UTF-8 become escapes."""
    return value.encode("utf-8", "backslashreplace").decode()


def canonical(report: Report) -> bytes:
    """Return the bytes of a report that are signed."""
    return msgspec.json.encode(report, order="sorted")


def digest(report: Report) -> str:
    """Return SHA-256 of the canonical bytes, in hexadecimal digits."""
    return hashlib.sha256(canonical(report)).hexdigest()


def encode(signed: Signed) -> bytes:
    """Return the file of a signed report."""
    return msgspec.json.format(msgspec.json.encode(signed, order="sorted"), indent=1) + b"\n"


def decode(content: bytes) -> Signed:
    """Read the file of a signed report, which may still be altered: `verified` says.

    Raises:
        NotAReport: It is none, or not written as `encode` does, to the byte.
    """
    try:
        signed = msgspec.json.decode(content, type=Signed)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotAReport(f"this is not a signed report of an audit: {error}") from None
    if encode(signed) != content:
        raise NotAReport("this report was written again by another program", hint="use the original file")
    return signed


def signed(report: Report, seed: bytes) -> Signed:
    """Sign a report with the seed of a key."""
    from mt5crs.security.signing import SIGNATURE, Signer

    signer = Signer(seed)
    return Signed(report, signer.sign(canonical(report))[:SIGNATURE].hex(), signer.public.hex())


def verified(content: bytes, public: str = "") -> Signed:
    """Read a report, and prove that it is as it was signed.

    Args:
        content: The file.
        public: The key that it must be by, in hexadecimal digits; the one that it names without it.

    Raises:
        NotAReport: It is none.
        BadSignature: It was altered, or is by another key.
    """
    from mt5crs.security.signing import opened

    found = decode(content)
    if public and found.public != public:
        raise BadSignature(
            f"this report is signed by another key, {found.public}",
            hint=f"the key that was expected is {public}",
        )
    signature, key = bytes.fromhex(found.signature), bytes.fromhex(found.public)
    try:
        opened(signature + canonical(found.report), key)
    except BadSignature:
        raise BadSignature(
            "this report was altered after it was signed", hint="get the original, or audit again"
        ) from None
    return found


# ---- for people ----


def counted(found: Iterable[Line]) -> str:
    """Return how many lines came to what, in words."""
    counts = Counter(line.status for line in found)
    words = {Status.PASS: "passed", Status.WARN: "to look at", Status.FAIL: "failed", Status.OFF: "not held"}
    return ", ".join(f"{counts[status]} {word}" for status, word in words.items() if counts[status])


def wrong(found: Iterable[Line]) -> str:
    """Return which checks failed, as what comes behind their count: some of them, each cut short."""
    told = [
        f"{line.check} ({line.found if len(line.found) <= SHORT else f'{line.found[:SHORT]}...'})"
        for line in found
        if line.status is Status.FAIL
    ]
    more = f" and {len(told) - NAMED} more" if len(told) > NAMED else ""
    return one_line(f": {', '.join(told[:NAMED])}{more}") if told else ""


def text(line: Line, *, plain: bool = False) -> str:
    """Return a result as one line for people."""
    mark = (PLAIN if plain else MARKS)[line.status]
    subject = f"{line.subject}: " if line.subject else ""
    return one_line(f"{mark} {line.check}: {subject}{line.found}")


def markdown(report: Report, signature: Signed | None = None) -> str:
    """Return a report as a page."""
    parts = [
        f"# Audit of {one_line(report.release or report.folder)}",
        "",
        f"**{'It holds.' if report.holds else 'It does not hold.'}** {counted(report.lines)}.",
        "",
        *_facts(report, signature),
    ]
    for gate in report.gates:
        parts += ["", f"## {GATES[gate.number]}", ""]
        parts += [_table(gate, report.lines)] if gate.held else [f"Not held: {one_line(gate.why)}."]
    return "\n".join(parts) + "\n"


GATES = {1: "Gate 1: the project · 静态审查", 2: "Gate 2: the nodes · 节点验证"}


def _facts(report: Report, signature: Signed | None) -> list[str]:
    nodes = ", ".join(f"{each.name} ({each.role}, {each.address})" for each in report.nodes)
    changed = f", {report.changed} files changed since" if report.changed else ""
    rows = [
        ("folder", f"`{report.folder}`"),
        ("version", report.version or "not known"),
        ("commit", f"`{report.revision}`{changed}" if report.revision else "not known"),
        ("nodes", nodes or "no inventory"),
        ("time", f"{report.begun} to {report.ended}"),
        ("by", report.by),
        ("SHA-256 of the report", f"`{digest(report)}`"),
    ]
    if signature is not None:
        rows += [("signed by", f"`{signature.public}`"), ("signature", f"`{signature.signature}`")]
    return ["| | |", "| --- | --- |", *(f"| {name} | {cell(value)} |" for name, value in rows)]


def _table(gate: Gate, found: Iterable[Line]) -> str:
    rows = ["| | check | on | found | to do |", "| --- | --- | --- | --- | --- |"]
    rows += [
        f"| {MARKS[each.status]} | `{each.check}` {cell(each.title)} | {cell(each.subject)} "
        f"| {cell(each.found)} | {cell(each.remedy)} |"
        for each in found
        if each.gate == gate.number
    ]
    return "\n".join(rows)


def cell(value: str) -> str:
    """Return a text as a cell of a table: what is found may come from anywhere."""
    return one_line(value.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;"))


def one_line(value: str) -> str:
    """Return a text without what steers a terminal or begins another line."""
    return "".join(each if each.isprintable() else " " for each in value)
