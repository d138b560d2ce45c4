"""Which keys have come before, of however many: in a file without a name, of which little is in memory."""

import sqlite3


class Seen:
    """Remembers bytes."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("create table seen (key blob primary key) without rowid")
        self._database.execute("begin")

    def is_new(self, key: bytes) -> bool:
        """Whether it did not come before."""
        return self._database.execute("insert or ignore into seen values (?)", (key,)).rowcount == 1

    def close(self) -> None:
        """Forget all of them."""
        self._database.close()
