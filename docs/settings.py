"""Make docs/settings.md from what the settings of the simulated terminal say of themselves.

python docs/settings.py            write the document
python docs/settings.py --check    say whether it is current
"""

import inspect
import re
from pathlib import Path
from typing import Any

import msgspec
from page import make

from mt5crs.model import SymbolInfo
from mt5crs.terminal.simulated.config import SimulatedConfig
from mt5crs.terminal.simulated.faults.plan import Fault
from mt5crs.terminal.simulated.instruments.broker import OTHER_WAYS, PREFIX
from mt5crs.terminal.simulated.instruments.catalogue import Commission, Instrument, Leg

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "settings.md"

HEAD = """# The settings of the simulated terminal

<!-- Made by docs/settings.py from the settings themselves: change those, then run it. -->

Every setting, with its default and the values that it takes. [simulated.md](simulated.md) says what they are for.
"""

SECTIONS: tuple[tuple[str, type[msgspec.Struct], str], ...] = (
    (
        "The terminal",
        SimulatedConfig,
        "`SimulatedConfig(name=value)`. On a command line they are flags of `mt5crs gateway`, or `--set NAME=VALUE`.",
    ),
    (
        "Instruments",
        Instrument,
        "`[symbols.NAME]` and `[kinds.NAME]` of an instruments file. A symbol is changed in the fields that are named; "
        "a new one has those of its `kind` (`forex` without it), then these defaults.",
    ),
    (
        "Legs",
        Leg,
        "`[legs.NAME]` of an instruments file: what one unit of a currency or good is worth.",
    ),
    (
        "Commissions",
        Commission,
        'The `commission` of a symbol or kind, as in `commission = {per = "lot", value = 3.5}`.',
    ),
    (
        "Faults",
        Fault,
        "`--fault KIND:name=value,...`, `[[fault]]` of a faults file, or `Fault(kind=...)`.",
    ),
)

TABLE = "| name | default | values | what it is |\n| --- | --- | --- | --- |\n"
ATTRIBUTE = re.compile(r"(\w+): (.*)")


def told(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return what the Attributes section of a docstring says, by attribute.

    A line that is indented further belongs to the one before.
    """
    section = (inspect.getdoc(kind) or "").partition("\nAttributes:\n")[2].partition("\n\n")[0]
    attributes: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        match = ATTRIBUTE.fullmatch(line[4:])
        if match:
            name = match[1]
            attributes[name] = match[2]
        else:
            attributes[name] += " " + line.strip()
    return attributes


def values(kind: msgspec.inspect.Type) -> str:
    """Return which values a type takes, in words."""
    if isinstance(kind, msgspec.inspect.LiteralType):
        return ", ".join(f"`{value}`" for value in kind.values)
    if isinstance(kind, msgspec.inspect.Metadata):
        return values(kind.type)
    if isinstance(kind, msgspec.inspect.UnionType):
        return ", ".join(filter(None, map(values, kind.types)))
    if isinstance(kind, msgspec.inspect.VarTupleType):
        return f"any number: {values(kind.item_type)}"
    if isinstance(kind, msgspec.inspect.DictType):
        return f"a table: {values(kind.value_type)}"
    if isinstance(kind, msgspec.inspect.StructType):
        return f"a {kind.cls.__name__.lower()}"
    if isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        return number(kind)
    return {"BoolType": "true, false", "StrType": "text", "NoneType": ""}.get(type(kind).__name__, "a path")


def number(kind: "msgspec.inspect.IntType | msgspec.inspect.FloatType") -> str:
    """Return what a number has to be."""
    word = "a whole number" if isinstance(kind, msgspec.inspect.IntType) else "a number"
    if kind.ge is not None and kind.le is not None:
        return f"{word}, {kind.ge:g} to {kind.le:g}"
    if kind.ge is not None:
        return f"{word}, {kind.ge:g} or more"
    return word if kind.gt is None else f"{word} above {kind.gt:g}"


def default(field: msgspec.inspect.Field) -> str:
    """Return the default of a field, as it is written."""
    if field.required:
        return "needed"
    value: Any = field.default
    if value is msgspec.NODEFAULT or value is None or value in ("", ()):
        return ""  # what is made anew for each is empty here
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def meaning(name: str, attributes: dict[str, str]) -> str:
    """Return what a field is; what the docstring leaves out is a field of `SymbolInfo`."""
    if name in attributes:
        return attributes[name].replace("|", "\\|")
    source = OTHER_WAYS.get(name) or (PREFIX + name if PREFIX + name in SymbolInfo.__annotations__ else name)
    if source not in SymbolInfo.__annotations__:
        raise SystemExit(f"nothing says what {name} is: add it to the Attributes of its class")
    return f"`{source}` of `symbol_info`."


def fields(kind: type[msgspec.Struct]) -> tuple[msgspec.inspect.Field, ...]:
    """Return the fields of a class of settings."""
    described = msgspec.inspect.type_info(kind)
    return described.fields if isinstance(described, msgspec.inspect.StructType) else ()


def section(title: str, kind: type[msgspec.Struct], what: str) -> str:
    """Return one part of the document."""
    attributes = told(kind)
    rows = [
        f"| `{field.name}` | {default(field)} | {values(field.type)} | {meaning(field.name, attributes)} |\n"
        for field in fields(kind)
    ]
    return f"\n## {title}\n\n{what}\n\n{TABLE}{''.join(rows)}"


def document() -> str:
    """Return the whole document."""
    return HEAD + "".join(section(*part) for part in SECTIONS)


if __name__ == "__main__":
    raise SystemExit(make(DOCUMENT, document))
