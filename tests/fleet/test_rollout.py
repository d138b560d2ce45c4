"""A release comes to real machines, by the command line that a user types."""

import pytest

from tests.fleet.rollouts import NODES, Fleet, results
from tests.fleet.test_asking import OTHER

pytestmark = pytest.mark.long


def test_a_release_comes_to_all_nodes_and_then_nothing_is_left_to_do(fleet: Fleet) -> None:
    done = fleet.world.sync("1.0.0")
    assert done.code == 0, done
    assert results(done) == {"hub": "done", "gtw": "done", "inf": "done", "gpu": "off"}
    assert fleet.here() == dict.fromkeys(NODES, fleet.ids["1.0.0"])
    assert "next: mt5crs fleet verify" in done.err
    # A node without an index has its packages from HUB.
    inf = fleet.world.machines["inf"].root
    assert (inf / "current" / ".venv" / "bin" / "python").exists()
    assert "fetch packages: 1 of 1" in done.err or "python_dotenv" in done.err
    assert (inf / ".env").read_text().endswith("MT5_HOST=127.0.0.1\nMT5_PORT=5555\n")
    before = fleet.world.digests()
    again = fleet.world.sync("1.0.0")
    assert again.code == 0, again
    assert results(again) == {"hub": "unchanged", "gtw": "unchanged", "inf": "unchanged", "gpu": "off"}
    assert "nothing to do" in again.err
    assert fleet.world.digests() == before


def test_a_dry_run_changes_nothing(fleet: Fleet) -> None:
    fleet.at("1.0.0")
    before = fleet.world.digests()
    done = fleet.world.run("fleet", "sync", "--to", "1.2.0", "--dry-run", "--json")
    assert done.code == 0, done
    plan = {row["node"]: row for row in done.json["nodes"]}
    assert plan["inf"]["steps"] == ["wheelhouse", "send", "build", "deploy"]
    assert plan["gtw"]["release"] == fleet.ids["1.2.0"]
    assert plan["gtw"]["restarts"] == ["serve"]
    assert plan["gpu"]["action"] == "off"
    assert fleet.world.digests() == before


def test_there_must_be_somebody_to_ask_or_a_yes(fleet: Fleet) -> None:
    fleet.at("1.0.0")
    done = fleet.world.run("fleet", "sync", "--to", "1.2.0")
    assert done.code == 2
    assert "--yes" in done.err
    done = fleet.world.run("fleet", "sync", "--to", "1.0.0")
    assert done.code == 0, done
    assert "nothing to do" in done.err


def test_status_tells_how_each_node_is_and_drift_is_put_right(fleet: Fleet) -> None:
    fleet.at("1.0.0")
    assert fleet.world.run("fleet", "status").code == 0
    inf = fleet.world.machines["inf"].root
    note = inf / "current" / "scripts" / "note.txt"
    note.write_text("This is another.\n")
    (inf / ".env").write_text((inf / ".env").read_text().replace("5555", "5556"))
    done = fleet.world.run("fleet", "status", "--json")
    assert done.code == 1
    node = {row["node"]: row for row in done.json}["inf"]
    assert node["drift"] == ["scripts/note.txt is changed", "MT5_PORT=5556 -> 5555"]
    assert node["release"] == fleet.ids["1.0.0"]
    assert "inf" in done.err
    mended = fleet.world.sync("1.0.0")
    assert results(mended)["inf"] == "done", mended
    assert results(mended)["gtw"] == "unchanged"
    assert note.read_text() == "This is 1.0.0.\n"
    assert fleet.world.run("fleet", "status").code == 0


def test_a_needed_node_that_is_down_stops_it_before_it_begins(fleet: Fleet) -> None:
    fleet.at("1.0.0")
    inf = fleet.world.machines["inf"]
    away = fleet.world.text.replace(f"port = {inf.port}\n", "port = 9\n")
    before = fleet.world.digests()
    done = fleet.world.sync("1.2.0", text=away)
    assert done.code == 1, done
    assert "nothing was begun, for inf" in done.err
    assert results(done) == {"hub": "skipped", "gtw": "skipped", "inf": "failed", "gpu": "off"}
    after = fleet.world.digests()
    assert {name: after[name] for name in ("gtw", "inf")} == {name: before[name] for name in ("gtw", "inf")}


def test_another_host_key_is_refused_also_of_an_optional_node(fleet: Fleet) -> None:
    fleet.at("1.0.0")
    text = fleet.world.text.replace("[nodes.inf]\n", "[nodes.inf]\noptional = true\n")
    text = text.replace(fleet.world.machines["inf"].host_key, OTHER)
    done = fleet.world.sync("1.2.0", text=text)
    assert done.code == 1, done
    assert "host key" in done.err
    assert fleet.here() == dict.fromkeys(NODES, fleet.ids["1.0.0"])
