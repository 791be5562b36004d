"""Taking a person out of the log files: lines about them go, and what others say of them is masked."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Final

from syncd.log.file import KEPT_FILES

MASK: Final = "[erased]"
_NEVER_MASKED: Final = frozenset({"at", "level", "event", "logger", "tenant", "system", "cycle"})


def erase(
    path: Path, tenant: str, clients: Collection[str], records: Collection[tuple[str, str]], texts: Collection[str]
) -> int:
    """Rewrite the log file and its rotated ones; returns how many lines were removed or masked.

    Lines of this tenant about the clients or their records (system, external id) are removed; the texts are masked in all
    others. Other processes go on with the new file. Raises OSError.
    """
    files = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, KEPT_FILES + 1))]
    there = [file for file in files if file.exists()]
    if not there:
        return 0
    judge = _Judge(tenant, frozenset(clients), frozenset(records), sorted(texts, key=len, reverse=True))
    lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # nobody turns the files meanwhile
        return sum(_rewrite(file, judge) for file in there)
    finally:
        os.close(lock)


def _rewrite(path: Path, judge: _Judge) -> int:
    before = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines(keepends=True)
    after = [judge.line(text) for text in before]
    touched = sum(old != new for old, new in zip(before, after, strict=True))
    if touched:
        new = path.with_name(f"{path.name}.new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(after)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    return touched


class _Judge:
    """What becomes of a line."""

    def __init__(
        self, tenant: str, clients: frozenset[str], records: frozenset[tuple[str, str]], texts: Iterable[str]
    ) -> None:
        self.tenant = tenant
        self.clients = clients
        self.records = records
        self.texts = tuple(texts)

    def line(self, text: str) -> str:
        """The line as it may stay, "" where it goes."""
        try:
            line = json.loads(text)
        except ValueError:
            return self._masked(text)
        if not isinstance(line, dict):
            return self._masked(text)
        if line.get("tenant") == self.tenant and self._is_about(line):
            return ""
        masked = {key: value if key in _NEVER_MASKED else self._clean(value) for key, value in line.items()}
        return text if masked == line else json.dumps(masked, ensure_ascii=False) + "\n"

    def _is_about(self, line: dict[str, Any]) -> bool:
        if line.get("client") in self.clients:
            return True
        ids = {str(line[key]) for key in ("record", "external_id") if line.get(key) is not None}
        return any((str(line.get("system")), external_id) in self.records for external_id in ids)

    def _clean(self, value: Any) -> Any:
        match value:
            case str():
                return self._masked(value)
            case list():
                return [self._clean(each) for each in value]
            case dict():
                return {key: self._clean(each) for key, each in value.items()}
            case _:
                return value

    def _masked(self, text: str) -> str:
        for known in self.texts:
            text = text.replace(known, MASK)
        return text
