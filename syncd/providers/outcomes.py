"""What an answer means for the one who asked: status and body in, nothing or the right `ProviderError` out. No network here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypedDict
from urllib.parse import unquote

from syncd.errors import (
    Duplicate,
    Gone,
    Malformed,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
    Unauthorised,
    UnknownOutcome,
)
from syncd.providers import decoding
from syncd.providers.slices import Slices, cut

if TYPE_CHECKING:
    from syncd.core.model import Value
    from syncd.providers import Known

NO_PAUSE_GIVEN_SECONDS: Final = 5.0
LONGEST_PAUSE_SECONDS: Final = 24 * 3600.0
_READS: Final = frozenset({"GET", "HEAD"})
_LOST: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, *range(500, 600)})
_ABSENT: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_MOVED: Final = frozenset({HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.PERMANENT_REDIRECT})
_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_MESSAGES: Final = ("message", "detail", "error_description", "title", "error", "hydra:description", "name")
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}")
_JSON: Final = re.compile(r"application/(?:[a-z0-9.-]+\+)?json")


@dataclass(frozen=True, slots=True)
class Explained:
    """A system's error body in our words. message and code are the system's own: they go to `words`, never to a log.

    existing_id: the record that stands in the way, where a refusal names it.
    """

    message: str
    code: str = ""
    existing_id: str | None = None


def explain_plainly(status: int, body: Value) -> Explained:
    """The words of an error body of no particular dialect: the first telling text, and a code where there is one."""
    del status
    if isinstance(body, str):
        return Explained(body)
    if not isinstance(body, dict):
        return Explained("")
    inner = body.get("error")
    source = inner if isinstance(inner, dict) else body
    message = next((text for key in _MESSAGES if isinstance(text := source.get(key), str) and text), "")
    code = source.get("code") or source.get("error_code") or ""
    return Explained(message, code if isinstance(code, str) else "")


class How(TypedDict, total=False):
    """The named arguments of `Http.receive`, which says what they are."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    json: Value
    form: Mapping[str, str] | None
    good: Container[int]
    base: str | None
    authorised: bool
    explain: Callable[[int, Value], Explained]
    operation: str
    external_id: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, as far as it decides what an answer means.

    who: the system's name. operation: what it is, in a word. external_id: the record it is about. path: where. good: statuses that
    are an answer. authorised: False for a login, which may be repeated like a read and whose refusal is about credentials.
    """

    who: str
    method: str
    operation: str
    external_id: str | None
    authorised: bool
    good: Container[int]
    explain: Callable[[int, Value], Explained]
    path: str = field(default="", repr=False)

    @property
    def repeatable(self) -> bool:
        """Sending it twice does no more than sending it once."""
        return self.method in _READS or not self.authorised

    def context(self, status: int | None = None, words: str = "") -> dict[str, Any]:
        """The keyword arguments that every `ProviderError` takes."""
        return {"operation": self.operation, "external_id": self.external_id, "status": status, "words": words}

    def says(self, what: str) -> str:
        """A message that names system and operation."""
        return f"{self.who}: {self.operation}: {what}"

    def lost(self, what: str, status: int | None = None, words: str = "") -> ProviderError:
        """The error for an answer that did not come, or says nothing about the effect."""
        kind = Transient if self.repeatable else UnknownOutcome
        return kind(self.says(what), **self.context(status, words))

    def unreadable(self, what: str, status: int | None = None) -> ProviderError:
        """The error for an answer that came and is not what is documented."""
        kind = Malformed if self.repeatable else UnknownOutcome
        return kind(self.says(what), **self.context(status))


@dataclass(frozen=True, slots=True)
class Received:
    """A whole response: lower-cased header names, and the body unpacked but not decoded."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def media_type(self) -> str:
        """The content type without parameters; "" where it is missing or no media type."""
        essence = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return essence if _MEDIA_TYPE.fullmatch(essence) else ""

    @property
    def is_json(self) -> bool:
        """Whether it says that it is JSON."""
        return _JSON.fullmatch(self.media_type) is not None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a system said, with a status that the caller counts as good.

    headers: names in lower case. body: decoded JSON, None where it is empty. requests: HTTP requests this call took.
    doubtful: some text in the body may be unfit for keeping; the caller asks `decoding.unsound` about each record.
    digest: of the body's bytes, where `recall` was given. known: what it knew of them; the body is then not decoded, and None.
    slices: the body is an array and was cut into its items, of which it holds those alone that had to be decoded; the others, if any, differ
    from these in their ids, and nothing is wrong with any of them.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: Value = field(repr=False)
    requests: int
    doubtful: bool = False
    digest: str = ""
    known: Known | None = None
    slices: Slices | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """A good answer as it came. requests: HTTP requests that it took."""

    question: Question
    received: Received
    requests: int

    def read(
        self,
        recall: Callable[[str], Known | None] | None = None,
        slices: Callable[[], Mapping[bytes, str]] | None = None,
    ) -> Answer:
        """The answer, decoded unless its bytes are known to `recall`; raises what an unreadable one means.

        slices: asked where they are not for the items that are known (digest of an item's bytes -> id), which are then not decoded.
        """
        received, requests = self.received, self.requests
        digest, known = _recalled(received, recall)
        if known is not None:
            return Answer(received.status, received.headers, None, requests, digest=digest, known=known)
        items = cut(received.body) if digest and slices is not None else None
        if items is not None and slices is not None and (part := items.without(slices())) is not None:
            return Answer(
                received.status, received.headers, part.body, requests, part.doubtful, digest, slices=part.slices
            )
        body = decoded(self.question, received)
        doubtful, whole = decoding.doubtful(received.body), None if items is None else items.whole
        return Answer(received.status, received.headers, body, requests, doubtful, digest, slices=whole)


def pause_seconds(headers: Mapping[str, str], now: float) -> float:
    """How long a 429 asks to wait: Retry-After in seconds or as a date; `NO_PAUSE_GIVEN_SECONDS` where it does not say.

    A date is held against the system's own clock (its Date header) where it sends one, else against `now` (epoch seconds).
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text):
        return min(float(text), LONGEST_PAUSE_SECONDS)
    until = _epoch(text)
    if until is None:
        return NO_PAUSE_GIVEN_SECONDS
    theirs = _epoch(headers.get("date", ""))
    return min(max(until - (now if theirs is None else theirs), 0.0), LONGEST_PAUSE_SECONDS)


def ahead_seconds(received: Received, now: float) -> float | None:
    """How far a clock that shows `now` (epoch seconds) is ahead of the system's, by the answer's Date; None where it has none."""
    theirs = _epoch(received.headers.get("date", ""))
    return None if theirs is None else now - theirs


def _epoch(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def judge(question: Question, received: Received, now: float) -> None:
    """Return if the answer is good; raise what it means otherwise (the table in the header of `syncd.providers.http`)."""
    status = received.status
    if status in question.good:
        return
    explained = question.explain(status, _error_body(received))
    words = _UNPRINTABLE.sub(" ", ": ".join(part for part in (explained.code, explained.message) if part)).strip()
    context = question.context(status, words)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        message = question.says("the system asks for a pause (HTTP 429)")
        raise RateLimited(message, retry_after_seconds=pause_seconds(received.headers, now), **context)
    if status in _LOST:
        what = f"the system answered HTTP {status}"
        raise question.lost(what, status, words)
    if status in range(400, 500):
        raise _refusal(question, received, explained, context)
    if status in _MOVED and (moved_to := _moved_to(question, received.headers.get("location", ""))) is not None:
        message = question.says(f"the record has another id now (HTTP {status})")
        raise Gone(message, moved_to=moved_to, **context)
    if status in range(300, 400):
        raise question.unreadable(f"the system answered with a redirect, which is not followed (HTTP {status})", status)
    what = f"the system answered HTTP {status}"
    raise question.unreadable(what, status)


def _moved_to(question: Question, location: str) -> str | None:
    """The id that stands in the place of the one that was asked for, where a redirect differs in nothing else. It is not followed."""
    asked = [part for part in question.path.split("/") if part]
    if question.method != "GET" or not question.external_id or not asked or unquote(asked[-1]) != question.external_id:
        return None
    named = [part for part in location.partition("?")[0].partition("#")[0].split("/") if part]
    here = len(named) > 1 and named[-len(asked) : -1] == asked[:-1]
    moved_to = unquote(named[-1]) if here else ""
    return moved_to if _ID.fullmatch(moved_to) and moved_to != question.external_id else None


def _refusal(question: Question, received: Received, explained: Explained, context: dict[str, Any]) -> ProviderError:
    """The error for a 4xx that is neither 408 nor 429."""
    status = received.status
    refused = question.says(f"refused (HTTP {status})")
    if not question.authorised or status == HTTPStatus.UNAUTHORIZED:
        return Unauthorised(refused, **context)
    if status == HTTPStatus.FORBIDDEN and question.repeatable:
        return Unauthorised(refused, **context)
    if status in _ABSENT and received.media_type not in {"text/html", "application/xhtml+xml"} and question.external_id:
        return Gone(question.says(f"there is no such record (HTTP {status})"), **context)
    if status in _ABSENT and question.repeatable:
        # A listing, or a page of some proxy: no word about any record.
        return Malformed(question.says(f"the address does not exist (HTTP {status})"), **context)
    if explained.existing_id is not None:
        message = question.says(f"the system holds such a client already (HTTP {status})")
        return Duplicate(message, existing_id=explained.existing_id, **context)
    return Rejected(refused, **context)


def _error_body(received: Received) -> Value:
    """The body of a refusal: JSON, a short plain text, or None for anything else (an HTML page says nothing)."""
    if received.is_json:
        try:
            return decoding.parse(received.body)
        except decoding.Unreadable:
            return None
    if received.media_type == "text/plain":
        return received.body[:500].decode("utf-8", "replace")
    return None


def _recalled(received: Received, recall: Callable[[str], Known | None] | None) -> tuple[str, Known | None]:
    """The digest of a good answer of JSON, and what is known of it; empty and None for anything else, which has to be read."""
    if recall is None or not received.body or not received.is_json or received.status not in range(200, 300):
        return "", None
    digest = hashlib.blake2b(received.body, digest_size=16).hexdigest()
    return digest, recall(digest)


def decoded(question: Question, received: Received) -> Value:
    """The JSON of a good answer, None where it is empty; raises what an unreadable one means."""
    if not received.body or received.status in {HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT}:
        return None
    successful = received.status in range(200, 300)
    if not received.is_json:
        if not successful:
            return None
        what = f"the answer is {received.media_type or 'of no known type'}, not JSON"
        raise question.unreadable(what, received.status)
    try:
        return decoding.parse(received.body)
    except decoding.Unreadable as error:
        if not successful:
            return None
        what = f"the answer cannot be read: {error}"
        raise question.unreadable(what, received.status) from None
