"""What faults do to an answer: other statuses, other bodies, bent pages, bent records."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache

from syncd.sandbox.faults import Rule
from syncd.sandbox.wire import JSON, Answer, Json, Nothing, Row, Tilt, encode

MEMBERS = ("items", "data", "hydra:member", "member")
HTML = b"<!doctype html><html><head><title>Maintenance</title></head><body><h1>We will be back soon</h1></body></html>"
BOMB_BYTES = 64 * 1024 * 1024
DEPTH_LEVELS = 100_000
DIGITS = 100_000


def tilt(rule: Rule, tilted: Tilt, now: float) -> None:
    """Bend how the next listing is cut."""
    if rule.effect == "duplicate_page":
        tilted.shift -= 1
    elif rule.effect == "skip_page":
        tilted.shift += 1
    elif rule.effect == "short_page":
        tilted.drop += rule.count or 1
    elif rule.effect == "empty_page":
        tilted.empty = True
    elif rule.effect == "wrong_total":
        tilted.extra_total += rule.count or 7
    elif rule.effect == "changed_total":
        tilted.extra_total += (rule.count or 1) * rule.struck
    elif rule.effect == "endless":
        tilted.endless = True
    else:
        tilted.as_of = now - rule.seconds


def replaced(rule: Rule, problem: Callable[[int], Answer], now: float, elsewhere: str) -> Answer:
    """The answer of a replacing effect. problem: the system's own error body; elsewhere: a URL on the second host."""
    if rule.effect == "status":
        answer = problem(rule.status) if rule.status >= 400 else Answer(rule.status, {})
        if rule.retry_after is not None:
            date = formatdate(now + rule.retry_after, usegmt=True)
            answer.headers["Retry-After"] = date if rule.retry_form == "date" else str(rule.retry_after)
        return answer
    status = rule.status or (302 if rule.effect == "redirect" else 200)
    if rule.effect == "html":
        return Answer(status, headers={"Content-Type": "text/html; charset=utf-8"}, body=HTML)
    if rule.effect == "empty":
        return Answer(status, body=b"")
    if rule.effect == "redirect":
        return Answer(status, headers={"Location": elsewhere}, body=b"")
    if rule.effect == "error_200":
        return Answer(status, problem(500).json)
    if rule.effect == "bomb":
        return Answer(
            status, headers={"Content-Encoding": "gzip", "Content-Type": JSON}, body=_bomb(rule.size or BOMB_BYTES)
        )
    levels = rule.size or DEPTH_LEVELS
    bodies = {
        "depth": lambda: b"[" * levels + b"]" * levels,
        "digits": lambda: b'{"id":' + b"9" * (rule.size or DIGITS) + b"}",
        "body": lambda: str(rule.value or "").encode("utf-8", "surrogatepass"),
    }
    return Answer(status, headers={"Content-Type": JSON}, body=bodies[rule.effect]())


@lru_cache(maxsize=2)
def _bomb(size: int) -> bytes:
    squeezer = zlib.compressobj(9, wbits=31)
    blanks = b" " * 1_048_576
    parts = [squeezer.compress(b"[")]
    parts += [squeezer.compress(blanks[: min(len(blanks), size - done)]) for done in range(0, size, len(blanks))]
    return b"".join([*parts, squeezer.compress(b"]"), squeezer.flush()])


def mangled(rule: Rule, answer: Answer, elsewhere: str) -> Answer:
    """The good answer with one thing wrong. The stored records behind it are left alone."""
    value = None if isinstance(answer.json, Nothing) else copy.deepcopy(answer.json)
    if rule.effect.endswith("_field"):
        for record in records(value):
            if not rule.record or str(record.get("id")) == rule.record:
                _bend(record, rule.field.split("."), rule)
    elif rule.effect in {"null", "missing"}:
        value = _without_list(value, gone=rule.effect == "missing")
    elif rule.effect == "next_host":
        _divert(value, elsewhere)
    changed = Answer(answer.status, value, dict(answer.headers), answer.body if answer.body is not None else None)
    if rule.effect == "content_type":
        changed.headers["Content-Type"] = str(rule.value or "text/plain")
    elif rule.effect == "invalid_utf8":
        changed.body = encode(value) + b"\xff\xfe"
        changed.body = changed.body.replace(b'":"', b'":"\xc3\x28', 1)
    elif rule.effect == "bom":
        changed.body = b"\xef\xbb\xbf" + encode(value)
    elif rule.effect == "duplicate_keys" and isinstance(value, dict) and value:
        first = next(iter(value))
        changed.body = b"{" + encode({first: None})[1:-1] + b"," + encode(value)[1:]
    return changed


def records(value: Json) -> list[Row]:
    """The records in a body: a bare list, the list of an envelope, or the body itself."""
    if isinstance(value, dict):
        inner = next((value[name] for name in MEMBERS if isinstance(value.get(name), list)), [value])
    else:
        inner = value if isinstance(value, list) else []
    return [item for item in inner if isinstance(item, dict)]


def _bend(record: Row, path: list[str], rule: Rule) -> None:
    for name in path[:-1]:
        inner = record.get(name)
        if not isinstance(inner, dict):
            return
        record = inner
    last = path[-1]
    if rule.effect == "hide_field":
        record.pop(last, None)
    elif rule.effect == "null_field":
        record[last] = None
    elif rule.effect == "set_field":
        record[last] = rule.value
    elif last in record:
        record[last] = str(record[last])


def _without_list(value: Json, *, gone: bool) -> Json:
    if isinstance(value, dict):
        for name in MEMBERS:
            if name in value:
                rest = {key: member for key, member in value.items() if key != name}
                return rest if gone else {**value, name: None}
    return {} if gone else None


def _divert(value: Json, elsewhere: str) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            if name.endswith("next") and isinstance(member, str):
                value[name] = elsewhere
            else:
                _divert(member, elsewhere)
