"""What the commands of a fleet begin with: the inventory, and the extra that they need."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import typer

from mt5crs.cli.report import Failure

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from mt5crs.fleet.inventory import Fleet

T = TypeVar("T")
NEEDS = ("asyncssh", "packaging")
"""What the extra `fleet` brings."""

InventoryFile: TypeAlias = Annotated[
    Path, typer.Option("--inventory", "-i", metavar="FILE", help="The inventory.", rich_help_panel="Fleet")
]
DEFAULT = Path("fleet.toml")


def opened(path: Path) -> "Fleet":
    """Return the inventory.

    Raises:
        SettingError: The inventory is not there, or not right.
    """
    from mt5crs.fleet.inventory import Fleet

    return Fleet.read(path)


def require(*more: str) -> None:
    """Refuse to go on without what the extra `fleet` brings, and perhaps packages of the extra `secure`.

    Raises:
        Failure: Something is missing.
    """
    missing = [name for name in (*NEEDS, *more) if find_spec(name) is None]
    if missing:
        raise Failure(
            f"{' and '.join(missing)} not found", hint="pip install 'mt5crs[cli,fleet,secure]'", code=2
        )


def run_async(coroutine: "Coroutine[Any, Any, T]") -> T:
    """Run what talks to nodes; asyncio is loaded here, so that no other command loads it."""
    import asyncio

    return asyncio.run(coroutine)
