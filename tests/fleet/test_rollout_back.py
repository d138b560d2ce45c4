"""Releases of real machines are taken back, and what is told of it later."""

import shutil

import pytest

from tests.fleet.rollouts import NODES, Fleet, results

pytestmark = pytest.mark.long
BARE = ("--no-verify",)
"""The made-up releases have no client to measure; rollbacks of real ones are verified by the demo."""


def test_a_release_that_is_not_there_is_no_way_back(fleet: Fleet) -> None:
    fleet.at("1.0.0")
    done = fleet.world.run("fleet", "rollback", "--to", "0.9.0", "--yes")
    assert done.code == 1, done
    assert "no node has or had a release 0.9.0" in done.err
    assert fleet.ids["1.0.0"] in done.err


def test_nodes_go_back_to_what_they_had(fleet: Fleet) -> None:
    fleet.at("1.0.0")
    fleet.at("1.1.0")
    one = fleet.world.run("fleet", "rollback", "--only", "inf", "--yes", "--json", *BARE)
    assert one.code == 0, one
    assert fleet.here() == {name: fleet.ids["1.0.0" if name == "inf" else "1.1.0"] for name in NODES}
    rest = fleet.world.run("fleet", "rollback", "--yes", "--json", *BARE)
    assert rest.code == 0, rest
    assert results(rest) == {"hub": "done", "gtw": "done", "inf": "unchanged", "gpu": "off"}
    assert fleet.here() == dict.fromkeys(NODES, fleet.ids["1.0.0"])
    history = fleet.world.run("fleet", "history", "--last", "3", "--json")
    assert history.code == 0, history
    assert [(row["node"], row["what"]) for row in history.json] == [
        ("inf", "rollback"),
        ("gtw", "rollback"),
        ("hub", "rollback"),
    ]
    assert {row["who"].partition("@")[0] for row in history.json} == {"root"}


def test_a_wheel_alone_is_a_release(fleet: Fleet) -> None:
    fleet.at("1.0.0")
    hub = fleet.world.machines["hub"].root
    bundle = hub / ".fleet" / "bundles" / fleet.ids["1.0.0"]
    wheel = next(bundle.glob("*.whl"))
    shutil.copyfile(wheel, hub / wheel.name)
    arguments = ("fleet", "sync", "--wheel", wheel.name, "--only", "gtw", "--json")
    planned = fleet.world.run(*arguments, "--dry-run")
    assert planned.code == 0, planned
    id_ = planned.json["release"]
    assert id_.startswith("1.0.0-w")
    done = fleet.world.run(*arguments, "--yes")
    assert done.code == 0, done
    assert fleet.here()["gtw"] == id_
    assert fleet.here()["inf"] == fleet.ids["1.0.0"]


def test_a_release_is_taken_back_on_hub_as_well(fleet: Fleet) -> None:
    fleet.at("1.0.0")
    repository = fleet.repository
    assert fleet.world.sync("1.2.0", "--only", "gtw").code == 0
    reverted = fleet.world.run("fleet", "rollback", "--only", "gtw", "--git", "revert", "--yes", *BARE)
    assert reverted.code == 0, reverted
    assert fleet.here()["gtw"] == fleet.ids["1.0.0"]
    assert repository.git("log", "--format=%s", "1.2.0..main").splitlines() == [
        'Revert "Release 1.1.0"',
        'Revert "Release 1.2.0"',
    ]
    assert repository.git("diff", "--stat", "1.0.0", "main") == ""
    back = ("fleet", "rollback", "--to", fleet.ids["1.0.0"], "--git", "reset")
    told = fleet.world.run(*back, "--dry-run")
    assert told.code == 0, told
    assert "main would lose" in told.err
    words = told.err.partition("to do it, say: ")[2].splitlines()[0]
    assert words.startswith("lose 4 commits of main")
    refused = fleet.world.run(*back, "--yes")
    assert refused.code == 2, refused
    assert "nothing was done" in refused.err
    assert repository.git("rev-parse", "main") != repository.git("rev-parse", "1.0.0")
    done = fleet.world.run(*back, "--yes", "--confirm", words, *BARE)
    assert done.code == 0, done
    assert repository.git("rev-parse", "main") == repository.git("rev-parse", "1.0.0")


def test_a_record_that_somebody_changed_is_told(fleet: Fleet) -> None:
    fleet.at("1.0.0")
    record = fleet.world.machines["gtw"].root / ".fleet" / "record.jsonl"
    written = record.read_text()
    try:
        record.write_text(written.replace('"who": "root@', '"who": "boot@', 1))
        done = fleet.world.run("fleet", "history")
        assert done.code == 1, done
        assert "gtw: line" in done.err
    finally:
        record.write_text(written)
