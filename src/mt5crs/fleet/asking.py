"""An inventory from answers: what is asked for, and the commented file that is made of it."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from mt5crs.fleet.inventory import Node, Role
from mt5crs.fleet.login import key_trouble
from mt5crs.fleet.pinning import MISSING
from mt5crs.fleet.validation import ON_WINDOWS, check

Check = Callable[[str], object]
"""Raises ValueError with what would be right."""
Ask = Callable[[str, str, Check], str]
"""Asks a question, with what an empty answer means, until the answer passes; returns that."""

NO_MORE = "-"
BACK = "<"
"""The answer that goes back a question."""
SEVERAL = frozenset({Role.INF, Role.GPU})
"""Roles of which there may be any number."""
PURPOSE = {
    Role.HUB: "the code and the releases",
    Role.GTW: "the terminal and the gateway",
    Role.INF: "strategies and models, which use the gateway",
    Role.GPU: "training; may be off",
}
HEAD = """\
# The nodes of a fleet, for `mt5crs fleet`. docs/fleet.md says what else there may be.
# Nothing in here is secret: passwords and keys stay on the nodes.

[source]
repository = {repository}  # on the hub, relative to its path
revision = {revision}  # the branch, tag or commit of record
"""
COMMAND = "mt5crs gateway --terminal {terminal} --keys keys --journal journal.db --host 0.0.0.0"
SERVICE = """\
[roles.gtw]
services = ["gateway"]  # names of what is kept running there; each has a table [services.NAME]

[services.gateway]      # `sync` starts it, and restarts it for each release
{keys}command = {command}
drain = 30              # seconds in which it ends what it has begun
"""
KEYS = """\
# The keys of the gateway and of each client are there before the first `sync`: docs/deploy.md says how.
"""
NO_SERVICE = """\
# Nothing keeps a gateway running on GTW: docs/fleet.md has [roles.gtw] and [services.gateway], which do.
"""


class Answers(NamedTuple):
    """What was answered.

    Attributes:
        repository: Where the releases come from, on the hub.
        revision: The revision of record.
        nodes: The nodes, without host keys.
        gateway: The command of GTW's gateway; "" where nothing is to keep it running.
    """

    repository: str
    revision: str
    nodes: list[Node]
    gateway: str = ""

    @property
    def has_keys(self) -> bool:
        """Whether the gateway has keys, so that each client needs one."""
        return any(word.partition("=")[0] == "--keys" for word in self.gateway.split())


class _GoBack(Exception):
    """The question before is to be asked again."""


def interview(ask: Ask, say: Callable[[str], None], user: str, ssh_key: str) -> Answers:
    """Ask for all that an inventory needs; the answer `<` asks the question before again.

    Args:
        ask: Asks a question.
        say: Tells something between the questions.
        user: Whom we log in as where nobody says another.
        ssh_key: The private key to log in with, likewise; "" for those of an agent.
    """
    given: list[str] = []
    while True:
        left = list(given)  # what was answered before is taken as it was, and what was said is not repeated

        def again(question: str, default: str, check_: Check, left: list[str] = left) -> str:
            if left:
                return left.pop(0)
            answer = ask(question, default, lambda text: None if text == BACK else check_(text))
            if answer == BACK:
                raise _GoBack
            given.append(answer)
            return answer

        def told(text: str, left: list[str] = left) -> None:
            if not left:
                say(text)

        try:
            return _interview(again, told, user, ssh_key)
        except _GoBack:
            del given[-1:]


def _interview(ask: Ask, say: Callable[[str], None], user: str, ssh_key: str) -> Answers:
    ssh_key = ask("private key to log in with (- for those of an SSH agent)", ssh_key or "-", _is_key)
    nodes: list[Node] = []
    gateway = ""
    for role in Role:
        say(f"{role.value}: {PURPOSE[role]}")
        while node := _node(ask, role, nodes, user, "" if ssh_key == "-" else ssh_key):
            nodes.append(node)
            user = node.user if node.os == "linux" else user
            if role is Role.GTW:
                gateway = _gateway(ask, node)
            if role not in SEVERAL:
                break
    say("source: where releases come from, on the hub")
    repository = ask("git repository (. is the hub's own folder)", ".", _anything)
    return Answers(repository, ask("revision of record", "main", _anything), nodes, gateway)


def _gateway(ask: Ask, node: Node) -> str:
    """Ask what runs on GTW."""
    usual = COMMAND.format(terminal="official" if node.os == "windows" else "simulated")
    answer = ask(f"{node.name} command that is kept running (- for none)", usual, _is_command)
    return "" if answer == NO_MORE else answer


def _node(ask: Ask, role: Role, before: list[Node], user: str, ssh_key: str) -> Node | None:
    """Ask for a node; return None where there is no more of that role."""
    number = sum(node.role is role for node in before) + 1
    name = role.value if number == 1 else f"{role.value}{number}"
    given: dict[str, Any] = {"role": role, "address": "localhost", "name": name, "ssh_key": ssh_key}

    def question(key: str, text: str, default: str, convert: Callable[[str], Any] = str) -> Any:
        def passes(answer: str) -> None:
            if key == "address" and answer == NO_MORE and role in SEVERAL:
                return
            node = Node(**{**given, key: convert(answer)})
            check(node, key)
            if key == "path" and any(_place(node) == _place(each) for each in before):
                raise ValueError("another node is in that folder of that machine")

        given[key] = convert(ask(f"{name} {text}", default, passes))
        return given[key]

    if role in SEVERAL:
        question("address", "address (- for no more)", NO_MORE)
        if given["address"] == NO_MORE:
            return None
    else:
        question("address", "address", "")
    if role is Role.GTW:
        question("os", "operating system, windows or linux", "windows", _os)
    windows = given.get("os") == "windows"
    question("port", "SSH port", "22", _port)
    question("user", "user", user)
    question("path", "folder of the releases", ON_WINDOWS["path"] if windows else "/opt/mt5-crs")
    question("python", "Python", ON_WINDOWS["python"] if windows else "python3")
    if role is Role.GTW:
        question("gateway", "address at which the others reach the gateway", given["address"])
    if role is not Role.HUB:
        question("index", "reaches a package index, yes or no", "yes", yes)
    if role is Role.GPU:
        question("optional", "may be off, yes or no", "yes", yes)
    return Node(**given)


def text_of(answers: Answers, host_keys: dict[str, str]) -> str:
    """Return the file: the answers, and the host key of each node that has one, with comments."""
    head = HEAD.format(repository=_toml(answers.repository), revision=_toml(answers.revision))
    keys = KEYS if answers.has_keys else ""
    service = SERVICE.format(command=_toml(answers.gateway), keys=keys) if answers.gateway else NO_SERVICE
    tables = (_table(node, host_keys.get(node.name, ""), keyed=answers.has_keys) for node in answers.nodes)
    return "\n".join([head, service, *tables])


def _table(node: Node, host_key: str, *, keyed: bool) -> str:
    pinned = (
        f"host_key = {_toml(host_key)}"
        if host_key
        else f"{MISSING}  # without it nobody is believed: mt5crs fleet pin {node.name}"
    )
    lines = [
        f"[nodes.{node.name}]  # {PURPOSE[node.role]}",
        *_lines(node, ("role", "address")),
        pinned,
        *_lines(node, ("port", "user", "ssh_key", "os", "path", "python")),
    ]
    if node.gateway and node.gateway != node.address:
        lines += _lines(node, ("gateway",))
    if keyed and node.role is not Role.GTW:
        lines.append(f'env = {{ MT5_KEYS = "keys/{node.name}.key" }}  # its key, in its folder')
    if not node.index:
        lines.append("index = false  # its packages come from the hub")
    if node.optional:
        lines.append("optional = true  # being off is no error")
    return "\n".join(lines) + "\n"


def _lines(node: Node, keys: Iterable[str]) -> list[str]:
    return [f"{key} = {_toml(getattr(node, key))}" for key in keys if getattr(node, key) != ""]


def _toml(value: Any) -> str:
    return json.dumps(value.value if isinstance(value, Role) else value, ensure_ascii=False)


def yes(answer: str) -> bool:
    """Return what yes or no means.

    Raises:
        ValueError: It is neither.
    """
    known = {"y": True, "yes": True, "n": False, "no": False}
    if answer.lower() not in known:
        raise ValueError("yes or no")
    return known[answer.lower()]


def _place(node: Node) -> tuple[str, int, str]:
    return node.address, node.port, node.path


def _is_key(answer: str) -> None:
    if answer == NO_MORE:
        return
    wrong, todo = key_trouble(Path(answer).expanduser())
    if wrong:
        raise ValueError(f"{wrong}; {todo.replace('ssh_key = ...', 'its path')}")


def _is_command(answer: str) -> None:
    if not answer or not answer.isprintable():
        raise ValueError("a command is one line")


def _anything(answer: str) -> None:
    if not answer or answer.startswith("-") or not answer.isprintable():
        raise ValueError("it is a name or a path")


def _os(answer: str) -> str:
    if answer not in {"windows", "linux"}:
        raise ValueError("windows or linux")
    return answer


def _port(answer: str) -> int:
    if not answer.isascii() or not answer.isdigit():
        raise ValueError("a port is a number from 1 to 65535")
    return int(answer)
