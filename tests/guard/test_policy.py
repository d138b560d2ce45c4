"""The policy file: what it may say, and what is said of what it may not."""

import os
from pathlib import Path
from typing import Any

import pytest

from mt5crs.errors import SettingError
from mt5crs.guard.hours import Hours, zone_named
from mt5crs.guard.kills import Kill, kills_of
from mt5crs.guard.policy import Policy, load, parse
from mt5crs.guard.rules import LIMITS
from mt5crs.operation import Kind

EVERYTHING = """
[addresses]
allow = ["192.168.1.0/24", "fd00::/8"]
deny = ["192.168.1.66"]

[account]
max_order_volume = 5
max_symbol_volume = 10.5
max_exposure = 1e6
max_orders_per_minute = 60
max_price_distance = 2
max_daily_loss = 500
symbols = "*USD*, !XAU*"
magic = [0, [100, 199]]
hours = ["mon-fri 07:00-22:00", "sun 23:00-24:00"]
zone = "Europe/Berlin"

[keys.tim]
max_order_volume = 0
dead_man = 30
dead_man_close = true
[keys.tim.rates]
read = 100
trade = 0.5
"""


def policy(text: str) -> Policy:
    return parse(text.encode(), "limits.toml")


def test_everything_that_can_be_said() -> None:
    read = policy(EVERYTHING)
    assert read.account["max_order_volume"] == 5.0
    assert read.keys["tim"] == {"max_order_volume": 0.0, "dead_man": 30.0, "dead_man_close": True}
    assert read.rates("tim") == {Kind.READ: 100.0, Kind.TRADE: 0.5}
    assert read.rates("nobody") == {}
    assert set(read.account) | set(read.keys["tim"]) | {"zone"} == set(LIMITS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[acount]", r"\[acount\] cannot be used \(the tables are addresses, account, keys\)"),
        (
            "[account]\nmax_volume = 1",
            r"\[account\] max_volume cannot be used \(the limits are symbols, magic",
        ),
        ("[account]\nmax_order_volume = -1", r"\[account\] max_order_volume = -1 .*a number, 0 or more"),
        ("[account]\nmax_order_volume = nan", "a number, 0 or more"),
        ("[account]\nmax_exposure = inf", "a number, 0 or more"),
        ("[account]\nmax_order_volume = true", "a number, 0 or more"),
        ('[account]\nmax_order_volume = "2"', "a number, 0 or more"),
        ("[account]\nmax_orders_per_minute = 1.5", "a whole number, 0 or more"),
        ("[account]\nmax_daily_loss = 0", "a number above 0"),
        ('[account]\nsymbols = ""', "group masks, none of them empty"),
        ('[account]\nsymbols = "EURUSD,,GBPUSD"', "group masks, none of them empty"),
        ('[account]\nsymbols = "!XAU*"', "select something"),
        ('[account]\nsymbols = ["EURUSD"]', "group masks"),
        ("[account]\nmagic = 7", "a list of magic numbers"),
        ("[account]\nmagic = []", "a list of magic numbers"),
        ("[account]\nmagic = [[9, 1]]", "begins with its lower number"),
        ("[account]\nmagic = [[1, 2, 3]]", "a list of magic numbers"),
        ("[account]\nmagic = [true]", "a list of magic numbers"),
        ('[account]\nhours = ["mon 22:00-02:00"]', "a night is two entries"),
        ('[account]\nhours = ["mun 07:00-08:00"]', "a list such as"),
        ('[account]\nhours = ["mon 07:61-08:00"]', "a list such as"),
        ('[account]\nhours = ["mon 07:00-24:01"]', "a list such as"),
        ("[account]\nhours = []", "a list such as"),
        ('[account]\nzone = "UTC"', "goes with hours"),
        ('[account]\nhours = ["mon 07:00-08:00"]\nzone = "Mars/Olympus"', "zone = 'Mars/Olympus'.*tzdata"),
        ("[account]\ndead_man = 5", r"\[account\] dead_man cannot be used \(it is for keys alone\)"),
        ("[keys.tim]\ndead_man_close = true", "goes with dead_man"),
        ("[keys.tim]\ndead_man = 0", "above 0"),
        ("[keys.guard]\ndead_man = 1", "the guard's own orders have that name"),
        ("[keys.tim.rates]\nreads = 1", r"\[keys.tim.rates\] reads .*read, watch, session, trade, admin"),
        ("[keys.tim.rates]\nread = 0", "above 0"),
        ("[keys]\ntim = 5", r"\[keys\] tim cannot be used \(it must be a table"),
        ("account = 5", "it must be a table"),
        ("[addresses]\nblock = []", "it has allow and deny"),
        ('[addresses]\nallow = "10.0.0.0/8"', "a list of networks"),
        ('[addresses]\nallow = ["10.0.0.1/8"]', "has host bits set"),
        ('[addresses]\ndeny = ["gateway"]', "a list of networks"),
        ("[account", "is not TOML"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(SettingError, match=said) as caught:
        policy(text)
    assert "limits.toml" in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read: No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingError, match="is not TOML"):
        load(tmp_path / "binary.toml")


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps others out by the folder")
@pytest.mark.parametrize(
    ("mode", "is_refused"), [(0o600, False), (0o644, False), (0o664, True), (0o646, True)]
)
def test_a_file_that_others_can_change(tmp_path: Path, mode: int, is_refused: bool) -> None:
    path = tmp_path / "limits.toml"
    path.write_text("[account]")
    path.chmod(mode)
    if is_refused:
        with pytest.raises(SettingError, match="can be changed by others.*chmod go-w"):
            load(path)
    else:
        assert load(path).written == {"account": frozenset()}


@pytest.mark.parametrize(
    ("allow", "deny", "ip", "admitted"),
    [
        ([], [], "8.8.8.8", True),
        ([], [], "", True),
        (["10.0.0.0/8"], [], "10.1.2.3", True),
        (["10.0.0.0/8"], [], "11.1.2.3", False),
        (["10.0.0.0/8"], [], "::ffff:10.1.2.3", True),
        (["10.0.0.0/8"], [], "", False),
        (["10.0.0.0/8"], [], "a name", False),
        (["10.0.0.0/8"], ["10.1.0.0/16"], "10.1.2.3", False),
        (["10.0.0.0/8"], ["10.1.0.0/16"], "10.2.2.3", True),
        ([], ["10.0.0.0/8"], "10.1.2.3", False),
        ([], ["10.0.0.0/8"], "::ffff:10.1.2.3", False),
        ([], ["::ffff:10.0.0.0/104"], "10.1.2.3", False),
        ([], ["10.0.0.0/8"], "fd00::1", True),
        (["fd00::/8"], [], "fd00::1", True),
        (["fd00::/8"], [], "127.0.0.1", False),
        (["127.0.0.1"], [], "127.0.0.1", True),
    ],
)
def test_who_may_connect(allow: list[str], deny: list[str], ip: str, admitted: bool) -> None:
    read = policy(f"[addresses]\nallow = {allow}\ndeny = {deny}")
    assert read.addresses.admits(ip) is admitted


MONDAY = 1_763_942_400.0  # 2025-11-24 00:00 UTC


@pytest.mark.parametrize(
    ("entry", "zone", "hour", "is_open"),
    [
        ("mon-fri 07:00-22:00", "UTC", 7.0, True),
        ("mon-fri 07:00-22:00", "UTC", 6.99, False),
        ("mon-fri 07:00-22:00", "UTC", 21.99, True),
        ("mon-fri 07:00-22:00", "UTC", 22.0, False),
        ("mon-fri 07:00-22:00", "UTC", 5 * 24 + 12.0, False),
        ("sun 23:00-24:00", "UTC", 6 * 24 + 23.5, True),
        ("sun 23:00-24:00", "UTC", 7 * 24.0, False),
        ("sat-mon 00:00-01:00", "UTC", 0.5, True),
        ("sat-mon 00:00-01:00", "UTC", 24.5, False),
        ("mon 00:00-24:00", "Asia/Tokyo", 15.0, False),
        ("tue 00:00-24:00", "Asia/Tokyo", 15.0, True),
        ("mon 08:00-09:00", "Europe/Berlin", 7.5, True),
        ("MON 08:00-09:00", "UTC", 8.5, True),
    ],
)
def test_hours(entry: str, zone: str, hour: float, is_open: bool) -> None:
    assert Hours([entry]).within(zone_named(zone)).is_open(MONDAY + hour * 3600) is is_open


def test_the_mark_of_a_kill_switch() -> None:
    kill = Kill(1, "tim", "a reason", "closing")
    assert kills_of({"kill:tom": kill.mark()}) == {"tom": kill}
    damaged: dict[str, Any] = {"kill:": "nonsense", "kill:a": 5}
    assert set(kills_of(damaged)) == {"", "a"}  # what cannot be read is taken for one that is on
