"""The policy file: who may connect, how often who may ask, what orders may do; checked as a whole."""

import ipaddress
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from mt5crs import private
from mt5crs.errors import SettingError
from mt5crs.guard import values
from mt5crs.guard.hours import Hours, zone_named
from mt5crs.guard.rules import LIMITS
from mt5crs.operation import Kind
from mt5crs.principals import OWN

ACCOUNT = "account"
TABLES = ("addresses", ACCOUNT, "keys")
LIMIT = 1 << 20
"""Bytes of a policy file."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Addresses:
    """From which addresses clients may connect.

    Args:
        allow: Only from there, where there are any.
        deny: Never from there.
    """

    def __init__(self, allow: tuple[Network, ...] = (), deny: tuple[Network, ...] = ()) -> None:
        self._allow = allow
        self._deny = deny

    def admits(self, ip: str) -> bool:
        """Whether an address may connect; what is no address may not, where there is a list at all."""
        if not self._allow and not self._deny:
            return True
        try:
            address = _plain(ipaddress.ip_address(ip))
        except ValueError:
            return False
        if any(address in network for network in self._deny):
            return False
        return not self._allow or any(address in network for network in self._allow)


class Policy:
    """What a policy file says.

    Attributes:
        where: The file's name, for messages.
        addresses: From where clients may connect.
        account: Limits for all orders together, by name.
        keys: Limits for one key's orders, by the key's name.
        written: What the file has, as names by table.
    """

    def __init__(
        self,
        where: str = "",
        addresses: Addresses | None = None,
        account: Mapping[str, Any] | None = None,
        keys: Mapping[str, Mapping[str, Any]] | None = None,
        rates: Mapping[str, Mapping[Kind, float]] | None = None,
        written: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self.where = where
        self.addresses = addresses or Addresses()
        self.account = account or {}
        self.keys = keys or {}
        self._rates = rates or {}
        self.written = written or {}

    def dropped(self, after: "Policy") -> list[str]:
        """Return the tables of which another policy has less; what is written there may still differ."""
        return [
            table
            for table, names in self.written.items()
            if table != "keys" and not names <= after.written.get(table, frozenset())
        ]

    def rates(self, name: str) -> Mapping[Kind, float]:
        """Return how many requests per second of each kind a key may ask; what is absent has no limit."""
        return self._rates.get(name, _NO_RATES)

    def setting(self, key: str = "") -> str:
        """Return where the limits of a key are written, "" for those of the account."""
        return f"[keys.{key}] in {self.where}" if key else f"[{ACCOUNT}] in {self.where}"


_NO_RATES: Mapping[Kind, float] = {}


def load(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        SettingError: It cannot be read, others than its owner can change it, or something in it cannot be
            used: with the table, the name and what would be right.
    """
    try:
        with path.open("rb") as file:
            private.check_unchangeable(path, os.fstat(file.fileno()))
            content = file.read(LIMIT + 1)
    except private.NotPrivate as error:
        raise SettingError(f"the policy {path} {error.strerror}", hint=error.hint) from None
    except OSError as error:
        raise SettingError(f"the policy {path} cannot be read: {error.strerror or error}") from None
    if len(content) > LIMIT:
        raise SettingError(f"the policy {path} has more than {LIMIT} bytes")
    return parse(content, path.name)


def parse(content: bytes, where: str) -> Policy:
    """Read the content of a policy file; as `load`."""
    try:
        tables: dict[str, Any] = msgspec.toml.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"the policy {where} is not TOML: {error}") from None
    reader = _Reader(where)
    for name in tables:
        if name not in TABLES:
            raise reader.wrong("", name, f"the tables are {', '.join(TABLES)}")
    addresses = reader.table(tables, "", "addresses")
    account = reader.limits(reader.table(tables, "", ACCOUNT), ACCOUNT)
    keys: dict[str, dict[str, Any]] = {}
    rates: dict[str, dict[Kind, float]] = {}
    entries = reader.table(tables, "", "keys")
    for name in entries:
        if name in OWN:
            raise reader.wrong(
                "keys", name, "the guard's own orders have that name: give the key another one"
            )
        entry = dict(reader.table(entries, "keys", name))
        table = f"keys.{name}"
        rates[name] = reader.rates(reader.table(entry, table, "rates"), f"{table}.rates")
        entry.pop("rates", None)
        keys[name] = reader.limits(entry, table)
    return Policy(where, reader.addresses(addresses), account, keys, rates, _written(tables))


def _written(tables: Mapping[str, Any], outer: str = "") -> dict[str, frozenset[str]]:
    """Return the names in each table and in those within it."""
    found: dict[str, frozenset[str]] = {}
    for name, table in tables.items():
        if isinstance(table, dict):
            entries, place = cast("dict[str, Any]", table), f"{outer}{name}"
            found[place] = frozenset(entries)
            found |= _written(entries, f"{place}.")
    return found


class _Reader:
    """Reads tables; what is wrong is said with its place.

    Args:
        where: The file's name.
    """

    def __init__(self, where: str) -> None:
        self._where = where

    def wrong(self, table: str, name: str, right: str) -> SettingError:
        """Return the refusal of a name or of its value."""
        place = f"[{table}] {name}" if table else f"[{name}]"
        return SettingError(f"the policy {self._where}: {place} cannot be used", hint=right)

    def table(self, tables: Mapping[str, Any], outer: str, name: str) -> Mapping[str, Any]:
        """Return an inner table; an empty one where there is none."""
        found = tables.get(name, {})
        if not isinstance(found, dict):
            raise self.wrong(outer, name, "it must be a table")
        return cast("dict[str, Any]", found)

    def limits(self, table: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Return the limits of a table, ready for use."""
        is_key = name != ACCOUNT
        known = [each for each, row in LIMITS.items() if is_key or not row.keys_only]
        found: dict[str, Any] = {}
        for each, value in table.items():
            if each not in known:
                right = "it is for keys alone" if each in LIMITS else f"the limits are {', '.join(known)}"
                raise self.wrong(name, each, right)
            try:
                found[each] = LIMITS[each].parse(value)
            except ValueError as error:
                raise self.wrong(name, f"{each} = {value!r}"[:120], f"it must be {error}") from None
        for setting, needed in (("zone", "hours"), ("dead_man_close", "dead_man")):
            if setting in found and needed not in found:
                raise self.wrong(name, setting, f"it goes with {needed}, which is not there")
        zone = found.pop("zone", "")
        if zone:
            try:
                hours: Hours = found["hours"]
                found["hours"] = hours.within(zone_named(zone))
            except ValueError as error:
                raise self.wrong(name, f"zone = {zone!r}"[:120], f"it must be {error}") from None
        return found

    def rates(self, table: Mapping[str, Any], name: str) -> dict[Kind, float]:
        """Return requests per second, by kind."""
        kinds = {kind.value: kind for kind in Kind}
        found: dict[Kind, float] = {}
        for each, value in table.items():
            if each not in kinds:
                raise self.wrong(name, each, f"the kinds of requests are {', '.join(kinds)}")
            try:
                found[kinds[each]] = values.more_than_none(value)
            except ValueError as error:
                raise self.wrong(name, f"{each} = {value!r}"[:120], f"it must be {error}") from None
        return found

    def addresses(self, table: Mapping[str, Any]) -> Addresses:
        """Return from where clients may connect."""
        for each in table:
            if each not in {"allow", "deny"}:
                raise self.wrong("addresses", each, "it has allow and deny")
        return Addresses(*(tuple(self._networks(table.get(each, []), each)) for each in ("allow", "deny")))

    def _networks(self, entries: Any, name: str) -> Iterator[Network]:
        right = 'a list of networks such as ["192.168.1.0/24", "10.0.0.7", "fd00::/8"]'
        if not isinstance(entries, list):
            raise self.wrong("addresses", name, f"it must be {right}")
        for entry in cast("list[object]", entries):
            try:
                if not isinstance(entry, str):
                    raise ValueError
                network = ipaddress.ip_network(entry)
            except ValueError as error:
                why = f"{right}; {error}" if str(error) else right
                raise self.wrong("addresses", f"{name} = {entry!r}"[:120], f"it must be {why}") from None
            yield _plain_network(network)


def _plain(address: Address) -> Address:
    """Return an address; an IPv4 one that was written as IPv6 as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _plain_network(network: Network) -> Network:
    mapped = _plain(network.network_address)
    if isinstance(mapped, ipaddress.IPv4Address) and isinstance(network, ipaddress.IPv6Network):
        return ipaddress.IPv4Network((mapped, max(0, network.prefixlen - 96)))
    return network
