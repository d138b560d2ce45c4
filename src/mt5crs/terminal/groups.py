"""Group masks: how `group=` selects symbols by name.

The rules are those of the official package: comma separated masks, blanks around them ignored; `*`
stands for any text wherever it is, `?` is an ordinary character, case matters, a mask without a star is
a whole name. `!` excludes, and an exclusion wins wherever it stands; exclusions alone select nothing.
"""

import re
from collections.abc import Callable
from functools import lru_cache


def _pattern(mask: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in mask.split("*")), re.DOTALL)


@lru_cache(maxsize=64)
def group_filter(group: str) -> Callable[[str], bool]:
    """Return what says whether a symbol name belongs to a group.

    Args:
        group: A mask such as `"*USD*,!EURUSD"`; empty selects everything.
    """
    masks = [mask.strip() for mask in group.split(",")]
    if not any(masks):
        return lambda _name: True
    wanted = [_pattern(mask) for mask in masks if mask and not mask.startswith("!")]
    unwanted = [_pattern(mask[1:].strip()) for mask in masks if mask.startswith("!")]

    def selects(name: str) -> bool:
        if any(pattern.fullmatch(name) for pattern in unwanted):
            return False
        return any(pattern.fullmatch(name) for pattern in wanted)

    return selects
