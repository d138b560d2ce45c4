"""Each attack fails against a gateway, with the right error, and succeeds without its defence."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mt5crs.errors import BridgeError
from tests.adversity.security.attacks import ATTACKS, Attack
from tests.adversity.security.defences import DEFENCES
from tests.adversity.security.scene import Scene

SPECIAL = {"few complaints": "test_flood.py", "private files": "test_secrets.py"}
"""Defences whose attacks are in modules of their own."""

Scenes = Callable[..., Scene]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenes]:
    """Gateways by what they do without; each serves all attacks that are made against it."""
    made: dict[tuple[str, ...], Scene] = {}

    def scene(*without: str) -> Scene:
        if without not in made:
            made[without] = Scene(tmp_path_factory.mktemp("scene"), *without)
        return made[without]

    yield scene
    for each in made.values():
        each.end()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_fails(attack: Attack, scenes: Scenes) -> None:
    scene = scenes()
    scene.mark()
    if attack.error is None:
        assert not attack.run(scene)
    else:
        with pytest.raises(attack.error) as caught:
            attack.run(scene)
        assert isinstance(caught.value, BridgeError)
        assert caught.value.message
    assert scene.state() == scene.before, "something of it has reached the terminal or the journal"


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_it_succeeds_without_its_defence(attack: Attack, scenes: Scenes) -> None:
    assert attack.run(scenes(attack.defence))


def test_each_defence_is_taken_away_somewhere() -> None:
    used = {attack.defence for attack in ATTACKS}
    assert used | SPECIAL.keys() == DEFENCES.keys()
    for name, module in SPECIAL.items():
        assert re.search(f'"{name}"', (Path(__file__).parent / module).read_text())
