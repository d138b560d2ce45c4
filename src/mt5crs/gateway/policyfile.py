"""The policy file of a gateway that runs: read again where it changes, and never half."""

import logging
from pathlib import Path

from mt5crs.errors import SettingError
from mt5crs.guard.policy import Policy, load

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks whether the file is another one."""
NO_LIMITS = "an empty table [account] says that there are to be no limits"

_Signature = tuple[int, int, int, int]


class PolicyFile:
    """A policy and the file that it is from.

    Args:
        path: The file; None where there is no policy.

    Attributes:
        policy: What the file said when it could be used last.
        dropped: The tables of which the policy before had more.
        fault: What is wrong with the file as it is now; "" where nothing is.

    Raises:
        SettingError: It cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.policy = Policy() if path is None else load(path)
        self.fault = ""
        self.dropped: list[str] = []
        self._read = self._seen = self._signature()
        self._next_look = 0.0

    def pass_time(self, now: float) -> bool:
        """See whether the file has changed; say whether there is another policy now."""
        if self.path is None or now < self._next_look:
            return False
        self._next_look = now + LOOK
        before, self._seen = self._seen, self._signature()
        # What is still being written is left until it stays as it is.
        if (self._seen == self._read and not self.fault) or self._seen != before:
            return False
        return self._read_again(self.path)

    def _read_again(self, path: Path) -> bool:
        self._read = self._seen
        try:
            policy = load(path)
            if self.policy.written and not policy.written:
                raise SettingError(f"the policy {path} is empty, and was not", hint=NO_LIMITS)
        except SettingError as error:  # read again in any case: it may be the system that is in need
            if str(error) != self.fault:
                self.fault = str(error)
                log.error("the limits stay as they were: %s", self.fault)
            return False
        if self._signature() != self._seen:
            self._read = None
            return False
        self.dropped = self.policy.dropped(policy)
        self.policy, self.fault = policy, ""
        log.warning("the policy %s was read again: its limits hold from now on", path)
        if self.dropped:
            log.warning("the policy %s has less than before in %s", path, self.told_dropped)
        return True

    @property
    def told_dropped(self) -> str:
        """The tables of `dropped`, in words."""
        return ", ".join(f"[{table}]" for table in self.dropped)

    def _signature(self) -> _Signature | None:
        """Return what tells the file from what it was; None where it cannot be found."""
        if self.path is None:
            return None
        try:
            status = self.path.stat()
        except OSError:
            return 0, 0, 0, 0
        return status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode
