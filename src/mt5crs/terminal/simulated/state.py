"""The account in a file, so that it outlives the process.

One SQLite file. What an answer tells is in the file before the answer is given; a save is one transaction, so
that whatever happens the file holds the account before a change or after it. Only what is new is written:
history is appended to. The file is locked while a terminal uses it.
"""

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mt5crs.errors import SettingError
from mt5crs.model import TradeDeal, TradeOrder
from mt5crs.terminal.simulated.accounting.entities import Order, Position

log = logging.getLogger(__name__)

APPLICATION = 0x4D543543  # "MT5C": marks the file as ours
VERSION = 1
"""Of the tables and of what is in them; a file of another version is refused, never rewritten."""
TABLES = """
create table meta (name text primary key, value blob not null) without rowid;
create table positions (ticket integer primary key, body blob not null);
create table orders (ticket integer primary key, body blob not null);
create table history_orders (place integer primary key, body blob not null);
create table history_deals (place integer primary key, body blob not null);
"""
LOCKED_HINT = "another terminal uses it: stop that one, or give this one its own file"
DAMAGED_HINT = "it was left as it is: restore a copy, or start with another file"

Held = TypeVar("Held", Position, Order)


class Owner(msgspec.Struct, frozen=True):
    """Whose account a file holds, and of which kind; another's is refused."""

    login: int
    server: str
    currency: str
    margin_mode: str


class State(msgspec.Struct, kw_only=True):
    """An account, as it is kept.

    Attributes:
        seen_msc: Server time up to which the market has been followed.
        request_id: The last one that was given.
        order_ticket: The next one.
        deal_ticket: The next one.
        selected: The symbols in Market Watch.
        market: What its prices came from, in words.
        positions: By ticket, oldest first.
        orders: By ticket, oldest first.
        history_orders: In the order in which they were done.
        history_deals: In the order in which they were made.
    """

    balance: float
    credit: float
    seen_msc: int
    request_id: int
    order_ticket: int
    deal_ticket: int
    selected: list[str]
    market: str
    positions: Mapping[int, Position]
    orders: Mapping[int, Order]
    history_orders: Sequence[TradeOrder]
    history_deals: Sequence[TradeDeal]


VALUES = {kind: attrgetter(*(field.name for field in fields(kind))) for kind in (Position, Order)}
"""What tells whether one has changed since it was written."""
MARKS = ("balance", "credit", "seen_msc", "request_id", "order_ticket", "deal_ticket", "selected", "market")


class StateFile:
    """A state file that is in use.

    Args:
        path: The file; made if it is not there.
        owner: Whose account it must hold.

    Raises:
        SettingError: It cannot be used; it is left as it was.
    """

    def __init__(self, path: Path, owner: Owner) -> None:
        self._path = path
        self._values: dict[str, dict[int, tuple[Any, ...]]] = {"positions": {}, "orders": {}}
        self._lengths = {"history_orders": 0, "history_deals": 0}
        self._is_behind = False
        if not path.absolute().parent.is_dir():
            raise SettingError(f"state: there is no folder {path.absolute().parent}")
        if path.is_dir():
            raise SettingError(f"state: {path} is a folder", hint="name a file in it")
        try:
            self._database = sqlite3.connect(path, timeout=0.2, isolation_level=None, check_same_thread=False)
            try:
                self._open(owner)
            except BaseException:
                self._database.close()
                raise
        except sqlite3.Error as error:
            hint = LOCKED_HINT if "locked" in str(error) else DAMAGED_HINT
            raise SettingError(f"state: {path}: {error}", hint=hint) from error

    def _open(self, owner: Owner) -> None:
        self._database.execute("pragma locking_mode = exclusive")
        self._database.execute("pragma synchronous = full")
        with self._transaction("begin exclusive"):
            application, version = self._pragma("application_id"), self._pragma("user_version")
            if not application and not self._value("select count(*) from sqlite_master"):
                self._make(owner)
                return
            if application != APPLICATION:
                raise SettingError(f"state: {self._path} is not a state file", hint=DAMAGED_HINT)
            if version != VERSION:
                raise SettingError(
                    f"state: {self._path} is of version {version}, this program writes {VERSION}",
                    hint="use the release that made it, or start with another file",
                )
            held = msgspec.msgpack.decode(
                self._value("select value from meta where name = 'owner'"), type=Owner
            )
            if held != owner:
                raise SettingError(
                    f"state: {self._path} holds {_name(held)}, not {_name(owner)}",
                    hint="give each account its own file",
                )

    def _make(self, owner: Owner) -> None:
        for statement in TABLES.strip().split(";\n"):
            self._database.execute(statement)
        self._database.execute("insert into meta values ('owner', ?)", (msgspec.msgpack.encode(owner),))
        self._database.execute(f"pragma application_id = {APPLICATION}")
        self._database.execute(f"pragma user_version = {VERSION}")

    def load(self) -> State | None:
        """Return the account, None where nothing was saved yet.

        Raises:
            SettingError: What is in the file cannot be read.
        """
        try:
            marks = self._rows("select value from meta where name = 'marks'")
            if not marks:
                return None
            return self._state(msgspec.msgpack.decode(marks[0][0]))
        except (sqlite3.Error, msgspec.MsgspecError, TypeError, ValueError) as error:
            raise SettingError(f"state: {self._path} is damaged ({error})", hint=DAMAGED_HINT) from error

    def _state(self, marks: dict[str, Any]) -> State:
        return State(
            **marks,
            positions=self._living("positions", Position),
            orders=self._living("orders", Order),
            history_orders=[TradeOrder(body) for body in self._past("history_orders")],
            history_deals=[TradeDeal(body) for body in self._past("history_deals")],
        )

    def _living(self, table: str, kind: type[Held]) -> dict[int, Held]:
        bodies = dict(self._rows(f"select ticket, body from {table} order by ticket"))  # noqa: S608 - our names
        held = {ticket: kind(**msgspec.msgpack.decode(body)) for ticket, body in bodies.items()}
        self._values[table] = {ticket: VALUES[kind](thing) for ticket, thing in held.items()}
        return held

    def _past(self, table: str) -> list[list[Any]]:
        rows = self._rows(f"select body from {table} order by place")  # noqa: S608 - our names
        self._lengths[table] = len(rows)
        return [msgspec.msgpack.decode(body) for (body,) in rows]

    def save(self, state: State) -> None:
        """Write what is new; what cannot be written is said in the log, and written with the next save."""
        try:
            with self._transaction("begin"):
                values = {
                    "positions": self._write_living("positions", state.positions),
                    "orders": self._write_living("orders", state.orders),
                }
                self._write_past("history_orders", state.history_orders)
                self._write_past("history_deals", state.history_deals)
                marks = msgspec.msgpack.encode({name: getattr(state, name) for name in MARKS})
                self._database.execute("insert or replace into meta values ('marks', ?)", (marks,))
        except sqlite3.Error as error:
            self._is_behind = True
            log.error("state: %s cannot be written, the account is in memory alone: %s", self._path, error)
            return
        if self._is_behind:
            self._is_behind = False
            log.warning("state: %s is up to date again", self._path)
        self._values = values
        self._lengths = {
            "history_orders": len(state.history_orders),
            "history_deals": len(state.history_deals),
        }

    def _write_living(self, table: str, held: Mapping[int, Held]) -> dict[int, tuple[Any, ...]]:
        values = {ticket: VALUES[type(thing)](thing) for ticket, thing in held.items()}
        before = self._values[table]
        gone = [(ticket,) for ticket in before.keys() - values.keys()]
        new = [ticket for ticket, fields in values.items() if before.get(ticket) != fields]
        rows = [(ticket, msgspec.msgpack.encode(asdict(held[ticket]))) for ticket in new]
        self._database.executemany(f"delete from {table} where ticket = ?", gone)  # noqa: S608 - our names
        self._database.executemany(f"insert or replace into {table} values (?, ?)", rows)  # noqa: S608
        return values

    def _write_past(self, table: str, rows: Sequence[TradeOrder | TradeDeal]) -> None:
        start = self._lengths[table]
        new = [(place, msgspec.msgpack.encode(tuple(rows[place]))) for place in range(start, len(rows))]
        self._database.executemany(f"insert into {table} values (?, ?)", new)  # noqa: S608 - our names

    def close(self) -> None:
        """Let the file go."""
        self._database.close()

    def _transaction(self, begin: str) -> "_Transaction":
        return _Transaction(self._database, begin)

    def _rows(self, query: str) -> list[Any]:
        return self._database.execute(query).fetchall()

    def _value(self, query: str) -> Any:
        rows = self._rows(query)
        return rows[0][0] if rows else None

    def _pragma(self, name: str) -> int:
        return int(self._value(f"pragma {name}"))


class _Transaction:
    """All of a block's writes, or none of them."""

    def __init__(self, database: sqlite3.Connection, begin: str) -> None:
        self._database = database
        self._begin = begin

    def __enter__(self) -> None:
        self._database.execute(self._begin)

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        try:
            self._database.execute("commit" if kind is None else "rollback")
        except sqlite3.Error:
            if kind is None:
                self._database.execute("rollback")
                raise


def _name(owner: Owner) -> str:
    return f"{owner.login} on {owner.server} ({owner.margin_mode}, {owner.currency})"
