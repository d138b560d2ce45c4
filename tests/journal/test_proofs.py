"""What a journal proves: against who edits it, who makes its chain anew, and who has the gateway's key."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mt5crs.cli import main
from mt5crs.heads import Head
from mt5crs.journal import chain
from mt5crs.journal.chain import Event
from mt5crs.journal.entries import encode
from mt5crs.journal.proofs import Pins, prove
from mt5crs.journal.states import NoticeKind, Step
from mt5crs.journal.store import KEEP, Begin, Journal, Notice, Told
from tests.journal.forgery import (
    ACCOUNT,
    BUY,
    CLIENTS,
    FORGER,
    GATEWAY,
    KEY_ID,
    PINS,
    REJECTED,
    Clock,
    asked,
    forged,
    found,
    into_export,
    into_file,
    opening,
    proof,
    recorded,
    rewritten,
    signed,
    traded,
)

AGE = int(KEEP * 1e9)
Events = list[Event]
Verify = Callable[..., tuple[int, str, str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def made(path: Path) -> tuple[str, Events, list[Head]]:
    return recorded(path)


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    """Run the command."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main(["journal", "verify", *arguments])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        return (code, *capsys.readouterr())

    return run


PINNED = (
    *("--gateway-key", GATEWAY.public.hex()),
    *("--signer", f"inf:{KEY_ID}:{CLIENTS['inf'].public.hex()}"),
    *("--signer", f"gpu:{KEY_ID}:{CLIENTS['gpu'].public.hex()}"),
)


def number_of(events: Events, step: str, count: int = 1) -> int:
    """Return the place of an event: that many of its kind, counted from the start."""
    return [place for place, event in enumerate(events) if event.step == step][count - 1]


# ---- a journal that is whole ------------------------------------------------------------------------


def test_what_is_proved_and_what_is_not_is_said(
    path: Path, made: Any, verify: Verify, tmp_path: Path
) -> None:
    journal, events, heads = made
    kept = tmp_path / "heads"
    kept.write_text("".join(f"{head}\n" for head in heads), encoding="utf-8")
    code, out, err = verify("--journal", str(path), *PINNED, "--head", str(kept), "--head", str(heads[0]))
    assert (code, err) == (0, "")
    last = Head(journal, events[-1].number, events[-1].link)
    assert out.splitlines() == [
        f"whole: {len(events)} events, its head is {last}",
        f"checkpoints: 3 signed by {GATEWAY.public.hex()}: the gateway's key",
        "requests: 4 are what their clients signed",
        "requests: 1 of the gateway's own, which nobody signs",
        f"heads: 4 hold, up to event {heads[-1].events}",
    ]


def test_without_keys_and_heads_that_is_said(path: Path, made: Any, verify: Verify) -> None:
    code, out, _ = verify("--journal", str(path))
    assert code == 0
    assert "not checked against a pinned key" in out
    assert "requests: 3 of inf by the key 1 not checked" in out
    assert "heads: none was given" in out


def test_events_behind_the_last_checkpoint_are_told(path: Path, made: Any) -> None:
    journal, events, _ = made
    cut = proof(journal, events[:-2])
    assert cut.faults == []
    assert cut.chain.number - cut.covered > 0


def test_a_copy_is_verified_where_the_journal_is_not(made: Any, tmp_path: Path, verify: Verify) -> None:
    journal, events, heads = made
    copy = tmp_path / "copy.jsonl"
    into_export(copy, journal, events)
    code, out, err = verify(str(copy), *PINNED, "--head", str(heads[-1]))
    assert (code, err) == (0, "")
    assert "requests: 4 are what their clients signed" in out


def test_a_head_of_another_journal_proves_nothing_and_says_so(made: Any) -> None:
    journal, events, heads = made
    foreign = proof(journal, events, heads=[heads[0]._replace(journal="f" * 32)])
    assert (foreign.faults, foreign.heads, foreign.foreign) == ([], 0, 1)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--head", "nonsense", "is no head of a journal"),
        ("--head", "-:1:00", "is no head of a journal"),
        ("--gateway-key", "ab", "64 hexadecimal digits"),
        ("--signer", "ab", "say ID:HEX"),
        ("--signer", "a:b:c:" + "0" * 64, "say ID:HEX"),
        ("--signer", "1:zz", "64 hexadecimal digits"),
    ],
)
def test_what_is_no_key_or_head_is_refused(
    path: Path, made: Any, verify: Verify, option: str, value: str, told: str
) -> None:
    code, _, err = verify("--journal", str(path), option, value)
    assert code == 2
    assert told in " ".join(err.replace("│", " ").split())


# ---- edits ------------------------------------------------------------------------------------------


def changed(events: Events) -> Events:
    return [*events[:2], msgspec.structs.replace(events[2], at=1), *events[3:]]


def other_body(events: Events) -> Events:
    return [*events[:2], msgspec.structs.replace(events[2], body=b"\x80"), *events[3:]]


def removed(events: Events) -> Events:
    return [*events[:4], *events[5:]]


def inserted(events: Events) -> Events:
    later = [
        msgspec.structs.replace(event, number=event.number + 1, entry=event.entry + (event.entry > 4))
        for event in events[4:]
    ]
    extra = msgspec.structs.replace(events[2], number=5, entry=5, key="extra")
    return [*events[:4], extra, *later]


def reordered(events: Events) -> Events:
    one, other = (
        msgspec.structs.replace(events[place], number=5 - number) for place, number in ((2, 0), (4, 2))
    )
    return [*events[:2], other, events[3], one, *events[5:]]


EDITS: dict[Callable[[Events], Events], str] = {
    changed: "event 3 (begin of entry 3) was altered",
    other_body: "the body of event 3 (begin of entry 3) was altered",
    removed: "event 5 missing before event 6",
    inserted: "event 5 (begin of entry 5) was altered",
    reordered: "event 3 (begin of entry 5) was altered",
}


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("medium", ["file", "export"])
def test_an_edit_is_found_where_it_is(
    path: Path, made: Any, tmp_path: Path, verify: Verify, medium: str, edit: Callable[[Events], Events]
) -> None:
    journal, events, _ = made
    copy = tmp_path / "copy.jsonl"
    if medium == "file":
        into_file(path, edit(events))
        code, _, err = verify("--journal", str(path))
    else:
        into_export(copy, journal, edit(events))
        code, _, err = verify(str(copy))
    assert code == 1
    assert EDITS[edit] in err


@pytest.mark.parametrize("medium", ["file", "export"])
def test_a_tail_that_was_cut_off_shows_against_a_head_alone(
    path: Path, made: Any, tmp_path: Path, verify: Verify, medium: str
) -> None:
    journal, events, heads = made
    last = heads[-1]
    cut = events[: last.events - 3]
    copy = tmp_path / "copy.jsonl"
    into_file(path, cut)
    into_export(copy, journal, cut)
    where = ("--journal", str(path)) if medium == "file" else (str(copy),)
    assert verify(*where, *PINNED)[0] == 0  # a shorter journal is a journal
    code, _, err = verify(*where, "--head", str(last))
    assert code == 1
    assert f"3 events that a kept head knows were cut off after event {len(cut)}" in err


def test_an_export_that_ends_in_a_line_is_no_proof(made: Any, tmp_path: Path, verify: Verify) -> None:
    journal, events, _ = made
    copy = tmp_path / "copy.jsonl"
    into_export(copy, journal, events)
    copy.write_bytes(copy.read_bytes()[:-20])
    code, _, err = verify(str(copy))
    assert code == 1
    assert f"line {len(events) + 1} is not of an exported journal" in err


def test_a_journal_in_place_of_a_copy_is_told_how_it_is_named(tmp_path: Path, verify: Verify) -> None:
    path = tmp_path / "journal.db"
    Journal(path, ACCOUNT).close()
    code, _, err = verify(str(path))
    assert code == 2
    assert "is named with --journal" in " ".join(err.split())


VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("number", "entry", "at"), st.integers(-(2**63), 2**63 - 1)),
    "step": st.sampled_from([*(s.value for s in Step), *(k.value for k in NoticeKind), "x"]),
    **dict.fromkeys(("account", "principal", "key"), st.none() | st.text(max_size=5)),
    **dict.fromkeys(("note", "digest", "link"), st.binary(max_size=40)),
    "body": st.none() | st.binary(max_size=40),
}
WRONG = st.none() | st.text(max_size=3) | st.floats() | st.integers(0, 9) | st.binary(max_size=3)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Events, list[Head]]:
    return recorded(tmp_path_factory.mktemp("journal") / "journal.db")


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_edit_of_any_field_of_any_event_is_found(record: Any, data: st.DataObject) -> None:
    journal, events, _ = record
    place = data.draw(st.integers(0, len(events) - 1))
    name = data.draw(st.sampled_from(list(VALUES)))
    before = getattr(events[place], name)
    value = data.draw(VALUES[name] | WRONG)
    edited = [*events]
    edited[place] = msgspec.structs.replace(events[place], **{name: value})
    is_other = type(value) is not type(before) or value != before
    for pins in (PINS, Pins()):
        assert bool(found(journal, edited, pins)) is is_other


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_events_in_any_other_order_are_found(record: Any, data: st.DataObject) -> None:
    journal, events, heads = record
    places = data.draw(st.lists(st.integers(0, len(events) - 1), max_size=2 * len(events)))
    shuffled = [events[place] for place in places]
    kept = [*heads, Head(journal, events[-1].number, events[-1].link)]
    assert bool(found(journal, shuffled, PINS, kept)) is (shuffled != events)


# ---- a forger without the gateway's key -------------------------------------------------------------


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_a_chain_that_was_made_anew_is_not_what_its_checkpoints_sign(
    made: Any, edit: Callable[[Events], Events]
) -> None:
    journal, events, _ = made
    if edit is other_body:
        edited = [*events[:2], rewritten(events[2], {**BUY, "volume": 9.0}), *events[3:]]
    elif edit is inserted:
        edited = [*events[:4], rewritten(msgspec.structs.replace(events[2], key="x", number=-1, entry=-1))]
        edited += events[4:]
    elif edit is reordered:
        edited = [*events[:2], *events[4:6], *events[2:4], *events[6:]]
    else:
        edited = edit(events)
    if edit is removed:
        edited = [event for event in edited if event.entry != events[4].number]
    remade = forged(journal, edited)
    assert chain.faults(journal, remade) == []
    assert any("something was changed since event 2" in fault for fault in found(journal, remade))
    assert found(journal, remade, Pins())  # this needs no key from elsewhere


def test_checkpoints_of_another_key_are_none_of_the_gateways(made: Any) -> None:
    journal, events, _ = made
    remade = forged(journal, events, FORGER)
    faults = found(journal, remade)
    assert f"the checkpoint of event 2 is signed by {FORGER.public.hex()}, not the gateway" in faults
    assert "no checkpoint is signed by the gateway's key" in faults


def test_without_its_checkpoints_a_journal_is_no_journal_of_that_gateway(made: Any) -> None:
    journal, events, _ = made
    bare = [event for event in events if event.step != "checkpoint"]
    assert found(journal, forged(journal, bare)) == ["no checkpoint is signed by the gateway's key"]
    assert found(journal, forged(journal, bare), Pins()) == []  # unless nobody knows that it had a key


def test_a_checkpoint_holds_for_its_own_journal_alone(made: Any) -> None:
    _, events, _ = made
    other = forged("0" * 32, events)
    assert "the checkpoint of event 2" in found("0" * 32, other)[0]


# ---- a forger who has the gateway's key -------------------------------------------------------------


def remade_with(made: Any, edit: Callable[[Events], Events]) -> Events:
    journal, events, _ = made
    return forged(journal, edit([*events]), GATEWAY)


def test_a_changed_request_is_not_what_its_client_signed(made: Any) -> None:
    journal, events, _ = made
    place = number_of(events, "begin")
    for request in ({**BUY, "volume": 9.0}, {**BUY, "symbol": "GBPUSD"}, {"action": 1}):
        edited = [*events]
        edited[place] = rewritten(events[place], request)
        assert found(journal, forged(journal, edited, GATEWAY)) == [
            f"the request of event {place + 1} is not what its client signed: other arguments"
        ]


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({"key": "z"}, "is not what its client signed: other key"),
        ({"account": "1@Elsewhere"}, "is not what its client signed: other account"),
        ({"principal": "gpu"}, "is not signed by the key 1 of gpu"),
    ],
)
def test_whose_request_it_is_was_signed_too(made: Any, others: dict[str, str], told: str) -> None:
    journal, events, _ = made
    place = number_of(events, "begin")
    edited = [*events]
    edited[place] = msgspec.structs.replace(events[place], **others)
    assert found(journal, forged(journal, edited, GATEWAY)) == [f"the request of event {place + 1} {told}"]


@pytest.mark.parametrize(
    ("by", "told"),
    [
        (b"", "was made up, or its signature was taken away"),
        (signed("x", BUY, FORGER), "is not signed by the key 1 of inf"),
        (signed("x", BUY, FORGER, signer="2"), "is signed by a key 2, which is none of those given for inf"),
        (signed("x", BUY, CLIENTS["inf"], gateway=FORGER), "is not what its client signed: other gateway"),
        (signed("x", BUY, CLIENTS["inf"], op="kill"), "is not what its client signed: other operation"),
        (signed("y", BUY, CLIENTS["inf"]), "is not what its client signed: other key"),
        (CLIENTS["inf"].sign(b"no statement"), "is not what its client signed: that is no order"),
        (signed("x", {"volume": "?"}, CLIENTS["inf"]), "is not what its client signed: that is no order"),
        (b"short", "is not what its client signed: that is no order"),
    ],
)
def test_an_inserted_request_has_no_signature_of_its_client(made: Any, by: bytes, told: str) -> None:
    journal, events, _ = made
    extra = rewritten(msgspec.structs.replace(events[2], number=-1, entry=-1, key="x"), by=by)
    remade = forged(journal, [*events[:4], extra, *events[4:]], GATEWAY)
    (fault,) = found(journal, remade)
    assert fault.startswith(f"the request of event 5 {told}")


def test_a_request_that_is_there_twice_is_found(made: Any) -> None:
    """What its client did sign, once."""
    journal, events, _ = made
    extra = msgspec.structs.replace(events[2], number=-1, entry=-1)
    remade = forged(journal, [*events[:4], extra, *events[4:]], GATEWAY)
    assert found(journal, remade) == ["the request of event 5 has the key of an earlier one"]


def test_a_removed_request_shows_against_a_head_that_its_client_kept(made: Any) -> None:
    journal, events, heads = made
    remade = forged(journal, [*events[:4], *events[6:]], GATEWAY)  # the order "b" and its outcome
    assert found(journal, remade) == []  # nobody kept a head: it was never there
    assert found(journal, remade, heads=heads) == [
        f"the journal was rewritten before event {heads[1].events}, as a kept head shows;"
        f" up to event {heads[0].events} it is as it was kept"
    ]


def test_a_made_up_outcome_shows_against_a_head_alone(made: Any) -> None:
    """Outcomes are the terminal's word, as the gateway tells it: no client signs them."""
    journal, events, heads = made
    place = number_of(events, "finish")
    edited = [*events]
    edited[place] = msgspec.structs.replace(events[place], note=encode(REJECTED), body=None, digest=b"")
    remade = forged(journal, edited, GATEWAY)
    assert found(journal, remade) == []
    assert "rewritten before event 4" in found(journal, remade, heads=heads[:1])[0]


def test_a_made_up_refusal_is_not_found(made: Any) -> None:
    journal, events, _ = made
    denied = next(event for event in events if event.step == "denied")
    extra = msgspec.structs.replace(denied, number=-1, entry=-1, principal="inf")
    assert found(journal, forged(journal, [*events[:4], extra, *events[4:]], GATEWAY)) == []


def test_a_request_under_the_guards_name_is_counted_apart(made: Any) -> None:
    journal, events, _ = made
    extra = rewritten(msgspec.structs.replace(events[2], number=-1, entry=-1, principal="guard"), by=b"")
    remade = forged(journal, [*events[:4], extra, *events[4:]], GATEWAY)
    forgery = proof(journal, remade)
    assert (forgery.faults, forgery.own) == ([], 2)


# ---- keys that come and go --------------------------------------------------------------------------


def test_requests_from_before_there_were_keys_need_no_signature(path: Path) -> None:
    plain = Journal(path, ACCOUNT, Clock())
    plain.begin([Begin("anonymous", "k", BUY, {"tagged": True})])
    plain.close()
    journal = opening(path, Clock())
    journal.checkpoint()
    traded(journal, "a")
    events = list(journal.events())
    whole = proof(journal.id, events)
    assert (whole.faults, whole.unsigned, whole.signed) == ([], 1, 1)
    journal.begin([Begin("inf", "unsigned", BUY, {"tagged": True})])
    assert "made up" in found(journal.id, list(journal.events()))[0]
    journal.close()


def test_keys_that_are_not_given_are_named(made: Any) -> None:
    journal, events, _ = made
    some = Pins(PINS.gateways, {("gpu", KEY_ID): CLIENTS["gpu"].public})
    partly = proof(journal, events, some)
    assert (partly.faults, partly.signed, partly.unchecked) == ([], 1, {("inf", KEY_ID): 3})


def test_signatures_that_cannot_be_checked_are_not_taken_for_good(made: Any) -> None:
    journal, events, _ = made
    unable = prove(journal, events, signatures=None, pins=Pins(), heads=[], is_new=lambda _: True)
    assert (unable.faults, unable.signed, sum(unable.unchecked.values())) == ([], 0, 4)


def test_many_faults_are_counted_and_some_are_named(made: Any) -> None:
    journal, events, _ = made
    altered = [msgspec.structs.replace(event, at=1) for event in events * 3]
    faults = proof(journal, altered)
    assert len(faults.faults) == 20 < faults.wrong


# ---- pruning ----------------------------------------------------------------------------------------


def test_a_pruned_journal_says_so_and_its_checkpoint_holds_what_was_dropped(path: Path) -> None:
    clock = Clock()
    journal = opening(path, clock)
    journal.notify([Notice(NoticeKind.STARTED, "gateway")])
    journal.checkpoint()
    heads = traded(journal, "a", "b")
    journal.begin([asked("open")])
    number, before = journal.head
    clock.now += AGE
    assert journal.prune() == 4
    events = list(journal.events())
    assert [event.step for event in events[number:]] == ["pruned", "checkpoint"]
    pruned = proof(journal.id, events, heads=heads)
    assert (pruned.faults, pruned.dropped, pruned.signed, pruned.covered) == ([], 4, 1, len(events))
    assert pruned.checkpoints == 2
    assert journal.prune() == 0
    assert journal.head[0] == len(events)
    assert before == events[number - 1].link
    journal.close()


def test_bodies_that_are_gone_without_a_notice_are_found(path: Path, made: Any) -> None:
    journal, events, _ = made
    place = number_of(events, "begin", 2)
    bare = [*events]
    bare[place] = msgspec.structs.replace(events[place], body=None)
    assert found(journal, bare) == [f"the body of event {place + 1} was dropped, and no notice says so"]
    later_on = Clock()
    later_on.now = events[-1].at + AGE
    opened = opening(path, later_on)
    opened.prune()
    (entry,) = opened.begin([asked("later")])
    opened.record([Told(entry.number, Step.FINISH, REJECTED)])
    opened.close()
    reader = Journal(path, ACCOUNT, writes=False)
    later = list(reader.events())
    reader.close()
    assert found(journal, later) == []
    guards = number_of(later, "begin", 5)  # still open, so nothing of it was dropped
    later[guards] = msgspec.structs.replace(later[guards], body=None)
    assert found(journal, later) == ["9 bodies were dropped, and notices tell of 8"]


def bare(events: Events) -> Events:
    return [msgspec.structs.replace(event, body=None) for event in events]


def telling(events: Events, at: int, before: int) -> Event:
    """Return a notice that all bodies were dropped, for the end of a journal."""
    count = sum(event.body is not None for event in events)
    note = encode({"bodies": count, "first": 1, "last": len(events), "before": before})
    number = len(events) + 1
    return Event(number, number, "pruned", at, ACCOUNT, "gateway", None, note, b"", None)


def test_a_notice_that_the_gateway_did_not_sign_drops_nothing(made: Any) -> None:
    journal, events, heads = made
    at = events[-1].at + 2 * AGE
    remade = forged(journal, [*bare(events), telling(events, at, at - AGE)])
    faults = found(journal, remade, heads=heads)
    assert f"event {len(remade)} says that bodies were dropped, and the gateway did not sign it" in faults
    assert "no notice says so" in faults[-1]
    assert found(journal, remade, Pins())  # this needs no key from elsewhere


def test_the_gateways_next_checkpoint_does_not_sign_it_either(path: Path, made: Any) -> None:
    """Neither where it is written directly behind, nor where the gateway says first that it has started."""
    journal, events, _ = made
    clock = Clock()
    clock.now = events[-1].at + 2 * AGE
    into_file(path, forged(journal, [*bare(events), telling(events, clock.now, clock.now - AGE)]))
    for notices in ([], [Notice(NoticeKind.STARTED, "gateway")]):
        opened = opening(path, clock)
        if notices:
            opened.notify(notices)
        opened.checkpoint()
        faults = found(journal, list(opened.events()))
        opened.close()
        assert (
            f"event {len(events) + 1} says that bodies were dropped, and the gateway did not sign it"
            in faults
        )


def test_bodies_that_were_dropped_too_early_are_found(path: Path) -> None:
    journal = opening(path, Clock())
    journal.notify([Notice(NoticeKind.STARTED, "gateway")])
    journal.checkpoint()
    traded(journal, "a")
    assert journal.prune(keep=KEEP - 1.0) == 0
    assert journal.prune(keep=-1.0) == 2
    number = journal.head[0] - 1
    assert f"event {number} says that bodies were dropped before they were old enough" in found(
        journal.id, list(journal.events())
    )
    journal.close()


# ---- behind the last checkpoint ---------------------------------------------------------------------


def appended(made: Any) -> Events:
    """Put an order of the guard with its outcome, and a notice, behind the last checkpoint: without a key."""
    journal, events, _ = made
    begun, ended, denied = (
        next(event for event in events if event.step == step) for step in ("begin", "finish", "denied")
    )
    number = len(events) + 1
    order = rewritten(msgspec.structs.replace(begun, principal="guard", key="1-2-3"), by=b"")
    extra = [
        msgspec.structs.replace(order, number=number, entry=number),
        msgspec.structs.replace(ended, number=number + 1, entry=number),
        msgspec.structs.replace(denied, number=number + 2, entry=number + 2, step="resume", note=b"\x80"),
    ]
    return forged(journal, [*events, *extra])


def test_what_nobody_signed_behind_the_last_checkpoint_is_told_and_strictly_refused(
    path: Path, made: Any, verify: Verify
) -> None:
    journal, _, _ = made
    assert verify("--journal", str(path), *PINNED, "--strict")[0] == 0
    remade = appended(made)
    into_file(path, remade)
    code, out, err = verify("--journal", str(path), *PINNED)
    assert code == 0
    assert "checkpoints: 3 events after the last one, 3 of them not proved" in out
    assert "3 events behind the last checkpoint: NOT PROVED" in err
    code, _, err = verify("--journal", str(path), *PINNED, "--strict")
    assert code == 1
    assert "error: 3 events not proved" in err
    kept = str(Head(journal, remade[-1].number, remade[-1].link))
    assert verify("--journal", str(path), *PINNED, "--strict", "--head", kept)[::2] == (0, "")


def test_what_a_client_signed_is_proved_there_and_its_outcome_is_not(made: Any) -> None:
    journal, events, _ = made
    cut = proof(journal, events[:-3])
    assert [event.step for event in events[cut.covered : -3]] == ["begin", "finish"] * 2
    assert (cut.faults, cut.unproved) == ([], 2)
    assert proof(journal, events[:-3], Pins(PINS.gateways)).unproved == 4  # nobody checked the signatures


def test_strictly_needs_the_gateways_key(path: Path, made: Any, verify: Verify) -> None:
    code, _, err = verify("--journal", str(path), "--strict")
    assert (code, "--strict needs the gateway's key" in " ".join(err.split())) == (2, True)
