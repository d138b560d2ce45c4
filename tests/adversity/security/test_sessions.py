"""What attacks on one client leave of the others' sessions; what a changed policy means for old orders."""

import time
from collections.abc import Iterator

import pytest

from mt5crs import Client
from mt5crs.errors import LimitExceeded, Replayed
from mt5crs.security.keys import revoke_client
from mt5crs.security.policy import Role
from mt5crs.streams import Gap, TickBatch
from tests.adversity.security.scene import BUY, POLICY, Scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    scene = Scene(tmp_path_factory.mktemp("scene"))
    yield scene
    scene.end()


def test_an_honest_subscriber_goes_on_when_another_is_shut_out(scene: Scene) -> None:
    thief = scene.key_file(Role.OBSERVER)
    with scene.owner() as honest:
        ticks = honest.ticks("EURUSD")
        next(ticks)
        revoke_client(scene.keys, thief.stem)
        until = time.monotonic() + 2.0
        events = [next(ticks)]
        while time.monotonic() < until:
            events.append(next(ticks))
        assert isinstance(events[-1], TickBatch)
        assert sum(isinstance(event, Gap) for event in events) <= 1


def test_a_traders_shutdown_leaves_the_terminal_to_the_others(scene: Scene) -> None:
    with scene.client(scene.key_file(Role.TRADER)) as trader, scene.owner() as honest:
        assert honest.market_book_add("EURUSD")
        assert trader.market_book_add("EURUSD")
        assert trader.shutdown()
        assert honest.account_info()
        assert honest.market_book_get("EURUSD") is not None
        assert honest.order_send(BUY)


def _wait_for_policy(owner: Client, fault: str) -> None:
    """Wait until the gateway has taken the policy in, or found that it cannot."""
    give_up = time.monotonic() + 10.0
    while time.monotonic() < give_up:
        if fault and fault in owner.ping().pong.state["guard"]["fault"]:
            return
        if not fault and any(
            row.limit == "max_order_volume" and row.value == 9.0 for row in owner.limits() or ()
        ):
            return
        time.sleep(0.1)
    raise AssertionError("the policy was not looked at")


def test_limits_hold_until_a_good_policy_comes_and_what_they_refused_stays_refused(scene: Scene) -> None:
    key = scene.key_file(Role.TRADER)
    with scene.owner() as owner, scene.peer(key) as peer:
        recorded = peer.signed("order_send", {**BUY, "volume": 3.0}, key="large")
        with pytest.raises(LimitExceeded, match="max_order_volume"):
            peer.say(recorded)
        scene.policy.write_text("[account]\nmax_order_volume = 'as much as you like'\n")
        _wait_for_policy(owner, "max_order_volume")
        with pytest.raises(LimitExceeded):  # the bad one has changed nothing
            peer.say(peer.signed("order_send", {**BUY, "volume": 3.0}, key="larger"))
        scene.policy.write_text(
            POLICY.replace("[account]\nmax_order_volume = 2", "[account]\nmax_order_volume = 9")
        )
        _wait_for_policy(owner, "")
        before = scene.state()
        with pytest.raises(Replayed):
            peer.say(recorded)
        assert scene.state() == before
        assert peer.say(peer.signed("order_send", {**BUY, "volume": 3.0}, key="large")).value[0] == 10009
