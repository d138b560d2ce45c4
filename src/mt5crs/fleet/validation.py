"""What must be right in an inventory, and what to say where it is not: the table, the key, what would be."""

import difflib
import posixpath
import re
import types
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any, Literal, NoReturn, cast, get_args, get_origin

import msgspec

from mt5crs import settings
from mt5crs.errors import SettingError
from mt5crs.fleet.hostkeys import fingerprint
from mt5crs.fleet.inventory import STAGES, Fleet, Needs, Node, Role, Service, Source

KNOWN_EXTRAS = ("archive", "cli", "fleet", "frames", "official", "plot", "secure", "zstd")
"""All extras of the package."""
HIDDEN = {"name", "folder"}
"""Fields that no file has."""
OF_ONE_NODE = {"role", "address", "host_key", "through", "gateway"}
"""What `[defaults]` cannot have."""
OF_LINUX = {"path", "python"}
"""What `[defaults]` says for nodes with Linux alone."""
ON_WINDOWS = {"path": "C:/mt5-crs", "python": "python"}
WORDS: dict[Any, str] = {
    str: "a text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple[str, ...]: 'a list of texts, such as ["a", "b"]',
    dict[str, str]: 'a table of texts, such as { MT5_TIMEOUT = "10" }',
    str | tuple[str, ...]: "a text, or a list of them",
    tuple[str, ...] | None: 'a list of texts, such as ["a", "b"]',
}
"""How values of a type are written."""
SECRET = re.compile("PASSWORD|PASSPHRASE|SECRET|TOKEN")
NAME = r"[a-z0-9][a-z0-9_-]{0,31}"
OF_SHELLS = {"|", "||", "&", "&&", ";", ">", ">>", "<", "2>", "2>&1"}
LOCAL = "127.0.0.1"
ONE_KEY = "what has the same host key is one machine: give a copied one a key of its own"


class _Table:
    """A table of the file, and the words for what is wrong in it."""

    def __init__(self, path: Path, name: str, content: Any) -> None:
        self.path = path
        self.name = name
        if not isinstance(content, dict):
            raise SettingError(
                f"{path}: {name or 'it'} is no table", hint=f"[{name}], and its keys below that"
            )
        self.content = cast("dict[str, Any]", content)

    def wrong(self, what: str, hint: str) -> NoReturn:
        raise SettingError(f"{self.path}{f', [{self.name}]' if self.name else ''}: {what}", hint=hint)

    def wrong_value(self, key: str, why: str) -> NoReturn:
        self.wrong(f"{key} is {_told(self.content[key])}", why)

    def table(self, key: str) -> "_Table":
        return _Table(self.path, f"{self.name}.{key}" if self.name else key, self.content.get(key, {}))

    def tables(self, key: str) -> dict[str, "_Table"]:
        """Return the tables of a table of tables, by name."""
        each = self.table(key)
        for name in each.content:
            if re.fullmatch(f"{NAME}(?:@{NAME})?" if key == "services" else NAME, name) is None:
                each.wrong(f"the name {name!r}", "a name is small letters and digits, - and _, such as inf2")
        return {name: each.table(name) for name in each.content}

    def only(self, keys: Iterable[str]) -> None:
        """Refuse keys that there are not."""
        known = sorted(keys)
        for key in self.content:
            if key not in known:
                self.wrong(f"there is no key {key!r}", nearest(key, known, "keys are"))

    def made(self, kind: type[Any], content: Mapping[str, Any] | None = None) -> Any:
        """Return a structure of the table's values."""
        content = self.content if content is None else content
        values: dict[str, Any] = {}
        for each in msgspec.structs.fields(kind):
            if each.name in content:
                values[each.name] = self._value(each.name, content[each.name], each.type)
            elif each.required:
                self.wrong(f"there is no {each.name}", f"{each.name} = {_words(each.type)}")
        return kind(**values)

    def _value(self, key: str, value: Any, kind: Any) -> Any:
        if kind == dict[str, str] and isinstance(value, dict):
            value = {name: _plain(each) for name, each in cast("dict[str, Any]", value).items()}
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError:
            self.wrong(f"{key} is {_told(value)}", f"{key} is {_words(kind)}")


def fleet_of(path: Path, content: bytes) -> Fleet:
    """Return the inventory that a file has.

    Raises:
        SettingError: It is not right; says where and what would be.
    """
    try:
        top = _Table(path, "", msgspec.toml.decode(content))
    except msgspec.DecodeError as error:
        raise SettingError(f"{path} is no TOML: {error}", hint="docs/fleet.md has an example") from None
    top.only((_fields(Fleet) | {"defaults"}) - HIDDEN)
    services = {name: _service(each) for name, each in top.tables("services").items()}
    roles = {_role(top, name): _needs(each, services) for name, each in top.tables("roles").items()}
    nodes = _nodes(top, services)
    rest = {key: value for key, value in top.content.items() if key in {"on_failure", "keep", "checks"}}
    source = _source(top.table("source"))
    fleet: Fleet = top.made(Fleet, {"nodes": {}, **rest})
    if not 1 <= fleet.keep <= 1000:
        top.wrong_value("keep", "it is how many earlier releases stay on a node, from 1 to 1000")
    fleet = msgspec.structs.replace(
        fleet, nodes=nodes, source=source, roles=roles, services=services, folder=str(path.parent)
    )
    for role in (Role.HUB, Role.GTW):
        having = [name for name, node in nodes.items() if node.role is role]
        if len(having) != 1:
            found = " and ".join(having) or "none"
            top.wrong(f"nodes of the role {role.value}: {found}", f"a fleet has exactly one {role.value}")
    return fleet


# --- the tables -------------------------------------------------------------------------------------------


def _nodes(top: _Table, services: Mapping[str, Service]) -> dict[str, Node]:
    defaults = top.table("defaults")
    defaults.only(_fields(Node) - HIDDEN - OF_ONE_NODE)
    nodes = [_node(name, each, defaults, services) for name, each in top.tables("nodes").items()]
    for number, node in enumerate(nodes):
        for other in nodes[:number]:
            _keep_apart(top, other, node)
    _check_ways(top, {node.name: node for node in nodes})
    return {node.name: node for node in sorted(nodes, key=lambda node: STAGES.index(node.role))}


def _check_ways(top: _Table, nodes: Mapping[str, Node]) -> None:
    """Refuse a way to a node that begins nowhere: through no node, or through the node itself in the end."""
    for node in nodes.values():
        passed, last = [node.name], node
        while last.through:
            if last.through not in nodes:
                top.table("nodes").table(last.name).wrong(
                    f"through is {last.through!r}, and there is no such node",
                    nearest(last.through, nodes, "there are"),
                )
            if last.through in passed:
                circle = " -> ".join([*passed, last.through])
                top.wrong(
                    f"the way to {node.name} leads in a circle: {circle}", "one of them needs no `through`"
                )
            last = nodes[last.through]
            passed.append(last.name)


def _keep_apart(top: _Table, one: Node, other: Node) -> None:
    """Refuse two nodes of one folder, and one whose folder is inside another's."""
    if not _machine(one) & _machine(other):
        return
    inner, outer = sorted((one, other), key=lambda node: len(_folder(node)), reverse=True)
    if _folder(inner)[: len(_folder(outer))] != _folder(outer):
        return
    if _folder(inner) == _folder(outer):
        top.wrong(
            f"{one.name} and {other.name} are the same folder of the same machine",
            f"give one of them another address, port or path; {ONE_KEY}",
        )
    top.wrong(
        f"{inner.name} is inside the folder of {outer.name}: {inner.path} is below {outer.path}",
        f"give one of them another path, beside the other's; {ONE_KEY}",
    )


def _machine(node: Node) -> set[str]:
    """Return what tells a machine: its address, and its host keys by whatever address it is reached."""
    keys = (node.host_key,) if isinstance(node.host_key, str) else node.host_key
    return {
        f"{node.through}/{_plain_address(node.address)}:{node.port}",
        *(" ".join(key.split()[:2]) for key in keys if key.strip()),
    }


def _plain_address(text: str) -> str:
    """Return an address in its one plain form, a name in small letters; this machine has several of them."""
    name = text.lower().rstrip(".")
    try:
        found = ip_address(name)
    except ValueError:
        plain = name
    else:
        plain = str((found.ipv4_mapped if isinstance(found, IPv6Address) else None) or found)
    return LOCAL if plain in {"localhost", "::1"} else plain


def _folder(node: Node) -> tuple[str, ...]:
    path = node.path.lower() if node.os == "windows" else node.path
    return tuple(posixpath.normpath(path.replace("\\", "/")).split("/"))


def _node(name: str, table: _Table, defaults: _Table, services: Mapping[str, Service]) -> Node:
    table.only(_fields(Node) - HIDDEN)
    content = {**defaults.content, **table.content}
    if content.get("os") == "windows":
        own = {key: table.content[key] for key in OF_LINUX & table.content.keys()}
        content = {**content, **ON_WINDOWS, **own}
    table = _Table(table.path, table.name, content)  # what is wrong may be a default's
    node: Node = table.made(Node)
    for key in RULES.keys() & content.keys():
        _check_value(table, node, key)
    _check_needs(table, node.extras, node.env, node.services or (), services)
    if node.role is Role.HUB and node.optional:
        table.wrong_value("optional", "the hub has the releases: nothing goes on without it")
    return msgspec.structs.replace(
        node,
        name=name,
        path=node.path.replace("\\", "/") if node.os == "windows" else node.path,
        ssh_key=str(Path(table.path.parent, Path(node.ssh_key).expanduser())) if node.ssh_key else "",
    )


def _needs(table: _Table, services: Mapping[str, Service]) -> Needs:
    table.only(_fields(Needs))
    needs: Needs = table.made(Needs)
    _check_needs(table, needs.extras or (), needs.env, needs.services, services)
    return needs


def _check_needs(
    table: _Table,
    extras: Iterable[str],
    env: Mapping[str, str],
    names: Iterable[str],
    services: Mapping[str, Service],
) -> None:
    for extra in extras:
        if extra not in KNOWN_EXTRAS:
            table.wrong(f"extras: there is no extra {extra!r}", nearest(extra, KNOWN_EXTRAS, "there are"))
    for name in names:
        if name not in services:
            hint = nearest(name, services, "there are") if services else f"[services.{name}] says what it is"
            table.wrong(f"services: there is no service {name!r}", hint)
    for variable, value in env.items():
        _check_variable(table, variable, value)


def _check_variable(table: _Table, variable: str, value: str) -> None:
    if SECRET.search(variable):
        table.wrong(
            f"env: {variable} is a secret",
            "an inventory is shared and kept: put it on the node, where `mt5crs` reads it (docs/settings.md)",
        )
    try:
        settings.checked(variable, value)
    except KeyError:
        known = [setting.variable for setting in settings.TABLE]
        table.wrong(f"env: {variable} is none of our settings", nearest(variable, known, "there are"))
    except ValueError as error:
        table.wrong(f"env: {variable} is {value!r:.100}", str(error))
    if not value.strip() or not value.isprintable():
        table.wrong(
            f"env: {variable} is {value!r:.100}", "a value is one line of text; leave out what is not set"
        )


def _service(table: _Table) -> Service:
    table.only(_fields(Service))
    service: Service = table.made(Service)
    if not service.command and service.manager == "keeper":
        table.wrong(
            "there is no command", 'command = "mt5crs gateway", or manager = "systemd" for a unit of its own'
        )
    if "@" in table.name and service.manager != "systemd":
        table.wrong("a name with @ is an instance of a systemd unit", 'manager = "systemd", or another name')
    if not service.command.isprintable():
        table.wrong_value("command", "a command is one line")
    if shell := OF_SHELLS & {*service.command.split()}:
        table.wrong_value("command", f"it is no shell line, and {min(shell)} means nothing: name a script")
    if not 0 <= service.drain <= 3600:
        table.wrong_value("drain", "it is seconds, from 0 to 3600")
    return service


def _source(table: _Table) -> Source:
    table.only(_fields(Source))
    source: Source = table.made(Source)
    for key in ("repository", "revision"):
        value = cast("str", getattr(source, key))
        if not value or value.startswith("-") or not value.isprintable():
            table.wrong_value(
                key, "it is the name of a branch, a tag or a commit" if key == "revision" else "a folder"
            )
    if source.wheel and not source.wheel.endswith(".whl"):
        table.wrong_value("wheel", "it is the path of a .whl file on the hub")
    return source


def _role(top: _Table, name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        known = [role.value for role in Role]
        top.wrong(f"[roles.{name}]: there is no role {name!r}", nearest(name, known, "there are"))


# --- what each value of a node must be --------------------------------------------------------------------


def _check_value(table: _Table, node: Node, key: str) -> None:
    try:
        check(node, key)
    except ValueError as error:
        table.wrong_value(key, str(error))


def check(node: Node, key: str) -> None:
    """Check one value of a node.

    Raises:
        ValueError: It cannot be used; says what would be right.
    """
    if key in RULES:
        RULES[key](node)


def _is_address(node: Node) -> object:
    return settings.checked("MT5_HOST", node.address)


def _is_port(node: Node) -> object:
    return settings.checked("MT5_PORT", str(node.port))


def _are_keys(node: Node) -> None:
    for key in (node.host_key,) if isinstance(node.host_key, str) else node.host_key:
        if key.strip():
            fingerprint(key)


def _is_user(node: Node) -> None:
    if re.search(r"\s|[@:]", node.user) or node.user.startswith("-") or not node.user.isprintable():
        raise ValueError("a user is a name alone; the address has a key of its own")


def _is_path(node: Node) -> None:
    if node.os == "windows":
        if not re.fullmatch(r"[A-Za-z]:([/\\](?!\.\.?(?:[/\\]|$))[A-Za-z0-9._-]+)+", node.path):
            raise ValueError(
                "on Windows it is a drive and folders of letters, digits, . _ and -, such as C:/mt5-crs: "
                "its two shells have no way of quoting in common"
            )
    elif not re.fullmatch(r"(/(?!\.\.?(?:/|$))[^/]+)+", node.path) or not node.path.isprintable():
        raise ValueError("it is the whole path of a folder, such as /opt/mt5-crs")


def _is_python(node: Node) -> None:
    if node.os == "windows" and not re.fullmatch(r"[A-Za-z0-9._:/\\-]+", node.python):
        raise ValueError(
            "on Windows it is a name or a path without blanks and quotes, such as C:/Python312/python.exe"
        )
    if not node.python or node.python.startswith("-") or not node.python.isprintable():
        raise ValueError("it is a program's name or path, such as python3.12")


def _is_gateway(node: Node) -> object:
    if node.role is not Role.GTW:
        raise ValueError("where the gateway is reached is said at the node of the role gtw")
    return settings.checked("MT5_HOST", node.gateway)


RULES: dict[str, Callable[[Node], object]] = {
    "address": _is_address,
    "port": _is_port,
    "host_key": _are_keys,
    "user": _is_user,
    "path": _is_path,
    "python": _is_python,
    "gateway": _is_gateway,
}
"""What is checked besides a value's type, by key; raises ValueError with what would be right."""


def _told(value: Any) -> str:
    """Return a value for people, as a file has it where that differs from Python's way."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else f"{value!r:.100}"


# --- words ------------------------------------------------------------------------------------------------


def nearest(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return which known word may have been meant, or all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1)
    return f"perhaps {close[0]}" if close else f"{otherwise} {', '.join(known)}"


def _fields(kind: type[msgspec.Struct]) -> set[str]:
    return set(kind.__struct_fields__)


def _words(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum) and not isinstance(kind, types.GenericAlias):
        return "one of " + ", ".join(str(each.value) for each in kind)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    return WORDS[kind]


def _plain(value: Any) -> Any:
    """Return a number as the text that it is in `.env`."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
