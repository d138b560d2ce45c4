"""Who is granted something by a Windows access control list, as text (SDDL), the same in every language.

    D:PAI(A;;FA;;;S-1-5-21-1-2-3-1001)(A;;FA;;;SY)

An access control entry is `(type;flags;rights;object;inherited object;trustee)`. What is not understood
counts as granted to somebody: a list is safe only where every part of it is known to be.
"""

import re

SYSTEM, ADMINISTRATORS = "S-1-5-18", "S-1-5-32-544"
"""Who can read every file whatever its list says."""
ALIASES = {
    SYSTEM: "SY",
    "S-1-5-19": "LS",
    "S-1-5-20": "NS",
    ADMINISTRATORS: "BA",
}
"""How SDDL abbreviates well-known trustees."""
BUILT_IN_ADMINISTRATOR = re.compile(r"S-1-5-21(-[0-9]+){3}-500")
"""The account whose abbreviation is `LA`."""

DENIES = frozenset({"D", "OD", "XD"})
ENTRY = re.compile(r"\(([A-Z]+);([A-Z]*);(\w*);([\w-]*);([\w-]*);([\w-]+)\)")
LIST = re.compile(r"D:(?P<flags>[A-Z_]*)(?P<entries>(?:\([^()]*\))*)(?:S:.*)?", re.DOTALL)


def strangers(sddl: str, owner: str) -> list[str]:
    """Return who is granted something and is neither the owner nor the system nor an administrator.

    Args:
        sddl: The security descriptor of a file.
        owner: The SID of whose file it is.

    Returns:
        Their SIDs or abbreviations; the text of what cannot be understood stands for somebody. Empty where
        the list is safe.
    """
    known = {trustee for sid in (owner, SYSTEM, ADMINISTRATORS) for trustee in _names(sid)}
    _, found, rest = sddl.strip().partition("D:")
    match = LIST.fullmatch(found + rest)
    if match is None or match["flags"] not in {"", "P", "AI", "PAI", "AR", "PAR", "ARAI", "PARAI"}:
        return [sddl.strip() or "everybody"]  # no list at all grants everything to everybody
    others: list[str] = []
    for text in re.findall(r"\([^()]*\)", match["entries"]):
        entry = ENTRY.fullmatch(text)
        if entry is None:
            others.append(text)
        elif entry[1] not in DENIES and entry[6] not in known:
            others.append(entry[6])
    return others


def _names(sid: str) -> set[str]:
    alias = "LA" if BUILT_IN_ADMINISTRATOR.fullmatch(sid) else ALIASES.get(sid)
    return {sid, alias} if alias else {sid}
