"""Make the table of limits in docs/guard.md from the limits themselves.

python docs/guard.py            write the document
python docs/guard.py --check    say whether it is current
"""

import re
from pathlib import Path

from page import make

from mt5crs.guard.rules import LIMITS

DOCUMENT = Path(__file__).resolve().parent / "guard.md"
BEGIN, END = "<!-- limits: made by docs/guard.py -->", "<!-- end of limits -->"


def table() -> str:
    """Return the table."""
    rows = [
        f"| `{name}` | {'keys' if row.keys_only else 'account, keys'} | {row.takes} | {row.help} |"
        for name, row in LIMITS.items()
    ]
    return "\n".join(["| name | for | value | what it does |", "| --- | --- | --- | --- |", *rows])


def document() -> str:
    """Return the whole document: as it is, with the table made anew."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n\n{table()}\n\n{END}", text, flags=re.DOTALL)


if __name__ == "__main__":
    raise SystemExit(make(DOCUMENT, document))
