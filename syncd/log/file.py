"""The file that lines are kept in."""

from __future__ import annotations

import fcntl
import os
from logging import LogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final

MAX_FILE_BYTES: Final = 10 * 1024 * 1024
KEPT_FILES: Final = 5


class PrivateFile(RotatingFileHandler):
    """A rotated file only its owner can read, shared by all syncd processes of one machine.

    Another process may have rotated the file: then ours has another name by now, and the new one is opened.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().__init__(path, maxBytes=max_bytes, backupCount=KEPT_FILES, encoding="utf-8", errors="backslashreplace")

    def _open(self) -> Any:
        def private(path: str, flags: int) -> int:
            return os.open(path, flags | os.O_NOFOLLOW, 0o600)

        file = open(self.baseFilename, "a", encoding="utf-8", errors="backslashreplace", opener=private)  # noqa: SIM115
        os.fchmod(file.fileno(), 0o600)
        return file

    def emit(self, record: LogRecord) -> None:
        """Write one line to the file that has the name now."""
        self._follow()
        super().emit(record)

    def doRollover(self) -> None:  # noqa: N802 - the standard library's name
        """Turn the files, one process at a time; who comes second only follows."""
        lock = os.open(f"{self.baseFilename}.lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._follow():
                super().doRollover()
        finally:
            os.close(lock)

    def _follow(self) -> bool:
        """Open the file anew if its name means another one by now; says whether it did."""
        try:
            there = os.stat(self.baseFilename)  # noqa: PTH116 - the handler keeps its name as a text
        except FileNotFoundError:
            there = None
        if self.stream is None:
            return False
        ours = os.fstat(self.stream.fileno())
        if there is not None and (there.st_ino, there.st_dev) == (ours.st_ino, ours.st_dev):
            return False
        self.stream.close()
        self.stream = self._open()
        return True
