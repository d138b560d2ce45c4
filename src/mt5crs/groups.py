"""Group masks: how `group=` selects symbols by name.

The rules are those of the official package: comma separated masks, blanks around them ignored; `*`
stands for any text wherever it is, `?` is an ordinary character, case matters, a mask without a star is
a whole name. `!` excludes, and an exclusion wins wherever it stands; exclusions alone select nothing.
"""

from collections.abc import Callable
from functools import lru_cache


def _matches(parts: list[str], name: str) -> bool:
    """Say whether a name is these parts with any text between them; in one pass, whatever the mask."""
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return name == first
    if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
        return False
    place, end = len(first), len(name) - len(last)
    for part in parts[1:-1]:
        found = name.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


@lru_cache(maxsize=64)
def group_filter(group: str) -> Callable[[str], bool]:
    """Return what says whether a symbol name belongs to a group.

    Args:
        group: A mask such as `"*USD*,!EURUSD"`; empty selects everything.
    """
    masks = [mask.strip() for mask in group.split(",")]
    if not any(masks):
        return lambda _name: True
    wanted = [mask.split("*") for mask in masks if mask and not mask.startswith("!")]
    unwanted = [mask[1:].strip().split("*") for mask in masks if mask.startswith("!")]

    def selects(name: str) -> bool:
        if any(_matches(parts, name) for parts in unwanted):
            return False
        return any(_matches(parts, name) for parts in wanted)

    return selects
