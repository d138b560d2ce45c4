"""Reports: what they say, their signature, and that no byte of them can be changed."""

import json
import stat
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from mt5crs.checks import Status
from mt5crs.errors import BadSignature, BridgeError, SettingError
from mt5crs.fleet.audit import documents, signing
from mt5crs.fleet.audit.report import (
    Gate,
    Line,
    Machine,
    NotAReport,
    Report,
    canonical,
    digest,
    encode,
    markdown,
    signed,
    verified,
    wrong,
)

SEED = bytes(range(32))


def report(holds: bool = True, second: bool = True) -> Report:
    def line(gate: Literal[1, 2], status: Status, found: str, subject: str = "") -> Line:
        at = "2026-01-02T03:04:05.678Z"
        return Line(at, gate, f"a.check{gate}", "it is so", subject, status, found, "mend it", "it matters")

    return Report(
        folder="/opt/mt5-crs",
        version="1.0",
        revision="ab" * 20,
        release="1.0-abababababab",
        changed=0,
        begun="2026-01-02T03:04:05.000Z",
        ended="2026-01-02T03:04:06.000Z",
        by="ops@hub",
        gates=(Gate(1, held=True), Gate(2, held=second, why="" if second else "there is no fleet.toml")),
        nodes=(
            Machine("hub", "hub", "10.0.0.2", "/opt/mt5-crs"),
            Machine("gtw", "gtw", "10.0.0.5", "C:/mt5-crs", "1.0-abababababab", ("0.9-000000000000",)),
            Machine("inf", "inf", "10.0.0.3", "/opt/mt5 crs", "1.0-abababababab"),
        ),
        lines=(
            line(1, Status.PASS, "a | pipe, <b>markup</b> and ü"),
            line(2, Status.PASS if holds else Status.FAIL, "two\nlines", "gtw"),
        ),
        holds=holds,
    )


def test_a_report_is_proven_with_and_without_the_expected_key() -> None:
    proof = signed(report(), SEED)
    content = encode(proof)
    assert verified(content) == verified(content, proof.public) == proof
    assert encode(signed(report(), SEED)) == content
    with pytest.raises(BadSignature, match="signed by another key"):
        verified(content, signed(report(), bytes(32)).public)


def test_no_byte_can_be_changed() -> None:
    content = encode(signed(report(), SEED))
    for place in range(len(content)):
        for flip in (0x01, 0x20):
            altered = content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :]
            with pytest.raises((BadSignature, NotAReport)):
                verified(altered)


def test_nothing_can_be_added_or_left_out() -> None:
    content = encode(signed(report(), SEED))
    for altered in (
        *(content + b" ", b" " + content, content[:-1], content[: len(content) // 2], b"", b"null", b"\xff"),
        *(
            content.replace(b'"mend it"', b'"mend it" ', 1),
            content.replace(b'"holds"', b'"holds":1,"holds"', 1),
        ),
    ):
        with pytest.raises((BadSignature, NotAReport)):
            verified(altered)
    known = json.loads(content)
    known["report"]["lines"].pop()
    with pytest.raises((BadSignature, NotAReport)):
        verified(json.dumps(known).encode())


def test_another_verdict_under_the_old_signature_is_noticed() -> None:
    bad, good = signed(report(holds=False), SEED), report(holds=True)
    forged = encode(type(bad)(good, bad.signature, bad.public))
    with pytest.raises(BadSignature, match="altered"):
        verified(forged)


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "audit.key"
    first = signing.seed(path)
    assert signing.seed(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert signing.public(tmp_path / "audit.pub") == signed(report(), first).public
    path.chmod(0o644)
    with pytest.raises(SettingError, match="can be read by others"):
        signing.seed(path)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"form":"mt5crs-audit-key-1","seed":"x","public":"y"}', b"\xff"]
)
def test_what_is_no_key_is_refused_without_showing_it(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "audit.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SettingError, match="is not a key of audits"):
        signing.seed(path)
    with pytest.raises(SettingError, match="holds no public key"):
        signing.public(path)
    with pytest.raises(SettingError):
        signing.public(tmp_path / "nowhere.pub")
    with pytest.raises(SettingError, match="No such file"):
        signing.seed(tmp_path / "nowhere" / "audit.key")


def test_the_page_names_what_the_json_says() -> None:
    proof = signed(report(holds=False), SEED)
    page = markdown(proof.report, proof)
    for part in ("It does not hold.", "1.0-abababababab", "ops@hub", "inf (inf, 10.0.0.3)", "ab" * 20):
        assert part in page
    assert digest(proof.report) in page
    assert proof.signature in page
    row = next(each for each in page.splitlines() if "pipe" in each)
    assert "a \\| pipe, &lt;b>markup&lt;/b> and ü" in row
    assert "| gtw | two lines | mend it |" in page
    assert canonical(proof.report).startswith(b'{"begun":')


def test_what_failed_is_named_behind_the_count_and_cut_short() -> None:
    bad = report(holds=False).lines[1]
    assert wrong(report().lines) == ""
    assert wrong([bad]) == ": a.check2 (two lines)"
    long = [msgspec.structs.replace(bad, check=f"a.check{n}", found="x" * 500) for n in range(9)]
    told = wrong(long)
    assert told.startswith(f": a.check0 ({'x' * 100}...), a.check1 (")
    assert told.endswith(" and 6 more")


def test_the_pages_are_about_these_nodes(tmp_path: Path) -> None:
    proof = signed(report(), SEED)
    pages = documents.pages(proof, "fleets/my fleet.toml")
    assert set(pages) == {
        *("COMPLETION_REPORT.md", "QUICK_START.md", "VERIFY_LOG.log", "SYNC_GUIDE.md", "AUDIT_REPORT.json")
    }
    start, guide, log = (
        pages[name].decode() for name in ("QUICK_START.md", "SYNC_GUIDE.md", "VERIFY_LOG.log")
    )
    assert "cd '/opt/mt5 crs/current'" in start
    assert "The gateway is gtw, 10.0.0.5." in start
    assert "--inventory 'fleets/my fleet.toml'" in guide
    assert "gtw has `1.0-abababababab` and keeps `0.9-000000000000`" in guide
    assert "2026-01-02T03:04:05.678Z gate 2 [ok]   a.check2: gtw: two lines" in log
    assert not any("Not proven" in page.decode() for page in pages.values())
    documents.write(tmp_path / "a" / "b", pages, tmp_path)
    assert verified((tmp_path / "a/b/AUDIT_REPORT.json").read_bytes()) == proof
    assert len(log.splitlines()) == 4
    (tmp_path / "file").touch()
    with pytest.raises(BridgeError, match="--documents"):
        documents.write(tmp_path / "file" / "b", pages, tmp_path)


def test_pages_of_one_gate_say_what_they_do_not_prove() -> None:
    pages = documents.pages(signed(report(second=False), SEED), "fleet.toml")
    for name in ("COMPLETION_REPORT.md", "QUICK_START.md", "SYNC_GUIDE.md"):
        assert "> Not proven: gate 2 was not held: there is no fleet.toml." in pages[name].decode()
    assert "gate 2 not held: there is no fleet.toml" in pages["VERIFY_LOG.log"].decode()
