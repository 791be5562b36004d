"""Who may look, and who may act: tokens at rest, sessions in memory, and a brake on guessing.

A token is shown once, by `syncd web token`; the file keeps its salt and its scrypt digest, which lead back to nothing. It is exchanged
for a session, whose key lives in a cookie of the browser and, as a digest, in the memory of this process: a restart logs everybody out,
and so does a revoked token.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from syncd.errors import UsageError

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
"""Names of people, matched whole: they stand in the audit trail."""

PREFIX: Final = "syncd"
SECRET_BYTES: Final = 32
SCRYPT_COST: Final = 2**14
SCRYPT_BLOCK: Final = 8
SCRYPT_LANES: Final = 1

SESSION_SECONDS: Final = 12 * 3600.0
IDLE_SECONDS: Final = 2 * 3600.0
MAX_SESSIONS: Final = 1000

FREE_FAILURES: Final = 5
"""Of one address, before it has to wait."""
MAX_WAIT_SECONDS: Final = 900.0
ALL_FAILURES: Final = 30
"""Of all addresses together within `WINDOW_SECONDS`, before everybody has to wait."""
WINDOW_SECONDS: Final = 60.0
MAX_ADDRESSES: Final = 10_000


class Role(StrEnum):
    """viewer: sees everything and changes nothing. operator: decides as well."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Token:
    """A person's token as it is kept. digest: scrypt of the secret with `salt`, both in hexadecimal."""

    id: str
    name: str
    role: Role
    made_at: str
    salt: str
    digest: str


class Tokens:
    """The file of all tokens, private to its owner; read again whenever it changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.Lock()
        self._hashing = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._known: dict[str, Token] = {}

    def make(self, name: str, role: Role, now: datetime) -> str:
        """A new token for a person; its text is told here and never again. UsageError for an unfit name, OSError of the file."""
        if NAME.fullmatch(name) is None:
            raise UsageError(f"{name!r} is no name: letters, digits and . _ @ -, at most 63, a letter or digit first")
        secret = secrets.token_urlsafe(SECRET_BYTES)
        salt = secrets.token_bytes(16)
        with self._changing() as tokens:
            identifier = secrets.token_hex(4)
            while identifier in tokens:
                identifier = secrets.token_hex(4)
            at = now.astimezone(UTC).isoformat(timespec="seconds")
            tokens[identifier] = Token(identifier, name, role, at, salt.hex(), self._hashed(secret, salt))
        return f"{PREFIX}_{identifier}_{secret}"

    def revoke(self, identifier: str) -> Token:
        """Take a token back; its sessions end with it. UsageError where there is none."""
        with self._changing() as tokens:
            token = tokens.pop(identifier, None)
        if token is None:
            raise UsageError(f"there is no token {identifier}")
        return token

    def all(self) -> list[Token]:
        """Every token, oldest first."""
        return sorted(self._read().values(), key=lambda token: (token.made_at, token.id))

    def get(self, identifier: str) -> Token | None:
        """The token of an id, as it is now."""
        return self._read().get(identifier)

    def known(self, text: str) -> Token | None:
        """The token that a text is, or None. Takes the same time whether or not there is one of its id."""
        prefix, _, rest = text.strip().partition("_")
        identifier, _, secret = rest.partition("_")
        token = self._read().get(identifier) if prefix == PREFIX else None
        salt = bytes.fromhex(token.salt) if token is not None else b"0" * 16
        right = hmac.compare_digest(self._hashed(secret, salt), token.digest if token is not None else "")
        return token if right else None

    def _hashed(self, secret: str, salt: bytes) -> str:
        with self._hashing:  # one at a time: guessing must not take the machine away from syncing
            found = hashlib.scrypt(
                secret.encode(errors="surrogatepass"), salt=salt, n=SCRYPT_COST, r=SCRYPT_BLOCK, p=SCRYPT_LANES
            )
        return found.hex()

    def _read(self) -> dict[str, Token]:
        with self._guard:
            try:
                there = self.path.stat()
            except OSError:
                self._stamp, self._known = None, {}
                return self._known
            stamp = (there.st_ino, there.st_mtime_ns, there.st_size)
            if stamp != self._stamp:
                self._known = self._parsed()
                self._stamp = stamp
            return self._known

    def _parsed(self) -> dict[str, Token]:
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
            tokens = [Token(**{**each, "role": Role(each["role"])}) for each in document["tokens"]]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{self.path} is no file of tokens ({type(error).__name__})") from None
        return {token.id: token for token in tokens}

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Token]]:
        """The tokens, to be changed; written as a whole at the end, one process at a time."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            tokens = self._parsed() if self.path.exists() else {}
            yield tokens
            content = json.dumps({"tokens": [asdict(token) for token in tokens.values()]}, indent=1)
            fresh = self.path.with_name(f"{self.path.name}.new")
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        finally:
            os.close(lock)


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is logged in. csrf: what their forms have to carry. began, seen: seconds of a clock that only rises."""

    token: str
    name: str
    role: Role
    csrf: str
    began: float
    seen: float

    @property
    def may_act(self) -> bool:
        """Whether they may change anything."""
        return self.role is Role.OPERATOR

    @property
    def actor(self) -> str:
        """Their name in the audit trail."""
        return f"operator {self.name}"


class Sessions:
    """Who is logged in, in the memory of this process."""

    def __init__(self, tokens: Tokens, clock: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._clock = clock
        self._guard = threading.Lock()
        self._open: dict[str, Session] = {}

    def begin(self, token: Token) -> str:
        """Log somebody in; the key for their cookie. Beyond `MAX_SESSIONS` the oldest ends."""
        key = secrets.token_urlsafe(SECRET_BYTES)
        now = self._clock()
        session = Session(token.id, token.name, token.role, secrets.token_urlsafe(SECRET_BYTES), now, now)
        with self._guard:
            while len(self._open) >= MAX_SESSIONS:
                del self._open[min(self._open, key=lambda name: self._open[name].seen)]
            self._open[_digest(key)] = session
        return key

    def find(self, key: str) -> Session | None:
        """The session of a cookie, while it lasts and its token is neither revoked nor changed."""
        if not key:
            return None
        name, now = _digest(key), self._clock()
        with self._guard:
            session = self._open.get(name)
        if session is None:
            return None
        token = self._tokens.get(session.token)
        over = now - session.began > SESSION_SECONDS or now - session.seen > IDLE_SECONDS
        if over or token is None or (token.name, token.role) != (session.name, session.role):
            self.end(key)
            return None
        with self._guard:
            if name in self._open:
                self._open[name] = replace(session, seen=now)
        return session

    def end(self, key: str) -> None:
        """Log out."""
        with self._guard:
            self._open.pop(_digest(key), None)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


class Throttle:
    """Slows down whoever tries tokens: each address after `FREE_FAILURES`, everybody after `ALL_FAILURES` a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._failures: dict[str, tuple[int, float]] = {}
        self._recent: list[float] = []

    def admit(self, address: str) -> float:
        """0 where an address may try now: that counts as a failure until `succeeded`. Else the seconds it has to wait."""
        now = self._clock()
        with self._guard:
            count, last = self._failures.get(address, (0, now))
            own = min(2.0 ** (count - FREE_FAILURES), MAX_WAIT_SECONDS) if count >= FREE_FAILURES else 0.0
            self._recent = [at for at in self._recent if now - at < WINDOW_SECONDS]
            common = WINDOW_SECONDS - (now - self._recent[0]) if len(self._recent) >= ALL_FAILURES else 0.0
            wait = max(own - (now - last), common, 0.0)
            if not wait:
                self._count(address, 0 if now - last > MAX_WAIT_SECONDS else count, now)
        return wait

    def _count(self, address: str, count: int, now: float) -> None:
        self._failures[address] = (min(count + 1, 100), now)
        while len(self._failures) > MAX_ADDRESSES:
            del self._failures[min(self._failures, key=lambda name: self._failures[name][1])]
        self._recent.append(now)

    def succeeded(self, address: str) -> None:
        """The right token was shown: nothing is held against this address any more."""
        with self._guard:
            self._failures.pop(address, None)
            if self._recent:
                self._recent.pop()
