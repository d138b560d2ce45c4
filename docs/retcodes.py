"""Make docs/retcodes.md from the return codes' table and from the cases that the tests hold it to.

python docs/retcodes.py            write the document
python docs/retcodes.py --check    say whether it is current
"""

import sys
from collections import defaultdict
from pathlib import Path

from page import make

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from mt5crs import constants  # noqa: E402
from mt5crs.terminal.simulated.trading.retcodes import HEDGE_PROHIBITED, RETCODES  # noqa: E402
from tests.terminal.retcode_cases import CASES  # noqa: E402

DOCUMENT = ROOT / "docs" / "retcodes.md"

HEAD = """# Return codes of the simulated terminal

<!-- Made by docs/retcodes.py from the tests' table: change that, then run it. -->

What answers which mistake. Every case of the right column is a test (`tests/terminal/retcode_cases.py`): it sends
the request to a fresh account and compares the return code and the comment, of `order_check` too. The checks run in
the order in which servers run them: the fields of the request, permission to trade, the symbol's mode, volume,
filling and expiration, price, stops, money; the first that objects answers.

`by` says whose answer it is. The terminal refuses some requests by itself: they get no `request_id`, and all numbers
are zero. A fault is one that was asked for with `--fault`.

| code | constant | comment | by | when | tested cases |
| --- | --- | --- | --- | --- | --- |
"""


def document() -> str:
    """Return the whole document."""
    names = {value: name for name, value in vars(constants).items() if name.startswith("TRADE_RETCODE_")} | {
        HEDGE_PROHIBITED: "TRADE_RETCODE_HEDGE_PROHIBITED (MQL5)",
        0: "",
    }
    cases: defaultdict[int, list[str]] = defaultdict(list)
    for case in CASES:
        cases[case.retcode].append(case.name)
    rows = [
        f"| {code} | {f'`{names[code]}`' if names[code] else ''} | {retcode.comment} | {retcode.by} | {retcode.when} "
        f"| {'; '.join(cases[code])} |"
        for code, retcode in sorted(RETCODES.items())
    ]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    raise SystemExit(make(DOCUMENT, document))
