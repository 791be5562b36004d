"""The two ways in which the shipped providers prove who they are; what a provider hands to `Http.authorise_with`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from syncd.errors import Unauthorised

EARLY_SECONDS: Final = 60.0
"""A token counts as expired this long before it is (half its life before, if it lives for less than two minutes)."""
REFUSAL_SECONDS: Final = 5.0
"""A refused login is not repeated for this long: ten threads that meet one wrong password try it once."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Headers that never change (an API key, a ready token); `renew` cannot help."""

    values: Mapping[str, str] = field(repr=False)

    def headers(self) -> Mapping[str, str]:
        """The headers, as given."""
        return self.values

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Nothing can be renewed."""
        del refused
        return False


@dataclass(frozen=True, slots=True)
class Token:
    """What a login returned. lifetime_seconds: None where the system did not say. refresh: for the next login only."""

    access: str = field(repr=False)
    lifetime_seconds: float | None = None
    refresh: str | None = field(default=None, repr=False)


class Bearer:
    """A bearer token from a login, asked for when first needed, renewed early, by one thread for all.

    `login` makes the call (`Http.send(..., authorised=False, operation="login")`); it is given the refresh token of
    the token before, or None. A refresh token is forgotten before it is used, and the rotated one kept before the
    access token is: it works once, and a second use would end the whole family.
    """

    def __init__(self, login: Callable[[str | None], Token]) -> None:
        self._login = login
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._fresh_until = 0.0
        self._refresh: str | None = None
        self._refusal: tuple[float, Unauthorised] | None = None

    def headers(self) -> Mapping[str, str]:
        """The current credentials; logs in first where there are none or they are about to expire."""
        with self._lock:
            if self._token is None or time.monotonic() >= self._fresh_until:
                self._renew()
            return self._current()

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Log in again unless another thread has done so since `refused` was sent; True: there is something new."""
        with self._lock:
            if self._token is None or dict(refused) == self._current():
                self._renew()
            return dict(refused) != self._current()

    def _current(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token.access}"} if self._token else {}

    def _renew(self) -> None:
        """Log in; the lock is held. A refusal is remembered for a moment."""
        if self._refusal is not None and time.monotonic() < self._refusal[0]:
            message, before = str(self._refusal[1]), self._refusal[1]
            raise Unauthorised(message, operation="login", status=before.status, words=before.words)
        refresh, self._refresh = self._refresh, None
        self._token = None
        token = self._refreshed(refresh) if refresh else None
        if token is None:
            try:
                token = self._login(None)
            except Unauthorised as refusal:
                self._refusal = (time.monotonic() + REFUSAL_SECONDS, refusal)
                raise
        self._refresh, self._token, self._refusal = token.refresh, token, None
        life = token.lifetime_seconds
        early = 0.0 if life is None else min(EARLY_SECONDS, life / 2)
        self._fresh_until = float("inf") if life is None else time.monotonic() + life - early

    def _refreshed(self, refresh: str) -> Token | None:
        """A token for a refresh token, or None where it is no longer taken (then the first credentials are used)."""
        try:
            return self._login(refresh)
        except Unauthorised:
            return None
