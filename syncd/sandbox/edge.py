"""The HTTP edge: from a socket to a system and back, with the faults in between.

An ASGI application. Endpoints run on the event loop under the world's lock (they only touch memory); pauses never hold it. Faults of
the connection need the transport, which `Protocol` puts into the request's scope.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from typing import Any, cast
from urllib.parse import parse_qsl

from uvicorn.protocols.http.h11_impl import H11Protocol

from syncd.sandbox import door
from syncd.sandbox.distort import mangled, replaced, tilt
from syncd.sandbox.faults import ACTING, MANGLING, PAGING, TERMINAL, Rule
from syncd.sandbox.wire import BODY_LIMIT_BYTES, JSON, Answer, Refused, Request, Route, Write
from syncd.sandbox.world import Entry, System, World

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

DRIPS = 20
RETRY_AFTER_SECONDS = 5
AUTH = "auth"
API = "api"


class Protocol(H11Protocol):
    """uvicorn's protocol, with the transport within reach of the application."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by asyncio for each connection."""
        super().connection_made(transport)
        # Head and body are two writes; without this the second waits 40 ms for the client's delayed acknowledgement.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, "transport": transport}


class Edge:
    """The ASGI application. trap: port of the second host; elsewhere: its URL."""

    def __init__(self, world: World, trap: int, elsewhere: str) -> None:
        self.world = world
        self._trap = trap
        self._elsewhere = elsewhere
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self.closing = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body = await _body(receive)
        path = scope["raw_path"].decode("ascii", "replace")
        line = _Line(scope, receive, send)
        if body is None:
            await line.say(Answer(413, {"error": "body too large"}), [], self.closing)
        elif path.startswith("/_sandbox/"):
            query = dict(parse_qsl(scope["query_string"].decode("utf-8", "replace"), keep_blank_values=True))
            await line.say(door.answer(self.world, scope["method"], path, query, body), [], self.closing)
        elif scope["server"] and scope["server"][1] == self._trap:
            self._trapped(self._request(scope, "trap", path, body))
            await line.say(Answer(200, {}), [], self.closing)
        else:
            await self._serve(scope, path, body, line)

    def close(self) -> None:
        """Let no pause hold up the end; from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.closing.set)

    async def _serve(self, scope: Scope, path: str, body: bytes, line: _Line) -> None:
        found = self._locate(path)
        if found is None:
            request = self._request(scope, "none", path, body)
            entry = self.world.open_entry(request, request.query)
            entry.violation, entry.status = "no system at this path", 404
            await line.say(Answer(404, {"error": "no system at this path"}), [], self.closing)
            return
        system, relative, area = found
        request = self._request(scope, system.name, relative, body)
        entry = self.world.open_entry(request, request.query)
        with self.world.lock:
            rules = self.world.plan.strike(request)
        entry.faults = [rule.rule for rule in rules]
        answer = await _Exchange(self, system, request, entry, rules).run(area)
        if isinstance(answer, Rule):
            await line.cut(reset=answer.effect == "reset")
            return
        entry.status = answer.status
        date = formatdate(self.world.now(system.name), usegmt=True)
        answer.headers.setdefault("Date", date)
        if system.name == "smartbills":
            answer.headers.setdefault("X-API-Version", "v1")
        await line.say(answer, rules, self.closing)

    def _locate(self, path: str) -> tuple[System, str, str] | None:
        """The system of a path, the path below its base, and whether it is the place where tokens are issued."""
        systems = self.world.systems
        if path == "/connect/token":
            return systems["smartbills"], path, AUTH
        if path.startswith("/auth/"):
            return systems["tiime"], path.removeprefix("/auth"), AUTH
        for system in systems.values():
            if path.startswith(f"{system.mount}/"):
                return system, path.removeprefix(system.mount), API
        return None

    def _request(self, scope: Scope, provider: str, path: str, body: bytes) -> Request:
        headers: dict[str, str] = {}
        repeated = set()
        for raw_name, raw_value in scope["headers"]:
            name = raw_name.decode("latin-1").lower()
            if name in headers:
                repeated.add(name)
            headers[name] = raw_value.decode("latin-1")
        query = dict(parse_qsl(scope["query_string"].decode("utf-8", "replace"), keep_blank_values=True))
        request = Request(
            self.world.next_seq(), provider, scope["method"], path, query, headers, body, frozenset(repeated)
        )
        request.at = self.world.now(provider)
        return request

    def _trapped(self, request: Request) -> None:
        entry = self.world.open_entry(request, request.query)
        entry.status = 200
        entry.violation = "request to the second host" + (
            " with credentials" if "authorization" in request.headers else ""
        )

    def handle(self, system: System, request: Request, entry: Entry, area: str) -> Answer | Write:
        """What the system says, or would do: route, credentials, rate, endpoint."""

        def offered(route: Route) -> bool:
            here = route.open == (area == AUTH) or system.name == "flowtly"
            return here and system.offered(route)

        route, params, allowed = system.router.find(request.method, request.path, offered)
        request.params = params
        try:
            outcome = self._endpoint(system, request, entry, route, allowed)
        except Refused as refused:
            outcome = refused.answer
            request.violations += [refused.violation] if refused.violation else []
        entry.credential, entry.external_id = request.credential, request.external_id
        entry.sent, entry.ignored = None if route and route.open else request.sent, request.ignored
        entry.violation = "; ".join(request.violations) or None
        return outcome

    def _endpoint(
        self, system: System, request: Request, entry: Entry, route: Route | None, allowed: list[str]
    ) -> Answer | Write:
        """Runs the endpoint of a route once everything before it is in order. Raises Refused."""
        if route is None:
            refusal = system.problem(405 if allowed else 404)
            if allowed:
                refusal.headers["Allow"] = ", ".join(sorted(set(allowed)))
            raise Refused(refusal, "the method is not offered here" if allowed else "no such path")
        entry.operation = f"{route.method} {route.path}"
        if "authorization" in request.repeated:
            raise Refused(system.problem(400, "Two Authorization headers"), "two Authorization headers")
        if not route.open:
            system.authenticate(request)
            self._meter(system, request)
        request.ignored += [f"query {name}" for name in request.query if name not in route.query]
        return route.endpoint(request)

    def _meter(self, system: System, request: Request) -> None:
        burst, rate = system.switches.rate_burst, system.switches.rate_per_second
        if not burst:
            return
        key = (system.name, request.credential)
        left, at = self._buckets.get(key, (float(burst), request.at))
        left = min(float(burst), left + (request.at - at) * rate)
        if left < 1:
            self._buckets[key] = (left, request.at)
            wait = RETRY_AFTER_SECONDS if system.name == "smartbills" or not rate else math.ceil((1 - left) / rate)
            refusal = system.problem(429)
            refusal.headers["Retry-After"] = str(wait)
            raise Refused(refusal)
        self._buckets[key] = (left - 1, request.at)

    def elsewhere(self, path: str) -> str:
        """A URL on the second host."""
        return f"{self._elsewhere}{path}"

    async def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the sandbox."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.closing.wait(), seconds)


class _Exchange:
    """One request and its answer, struck by the rules that matched."""

    def __init__(self, edge: Edge, system: System, request: Request, entry: Entry, rules: list[Rule]) -> None:
        self._edge = edge
        self._world = edge.world
        self._system = system
        self._request = request
        self._entry = entry
        self._rules = rules

    async def run(self, area: str) -> Answer | Rule:
        """The answer to send, or the rule that cuts the connection at once."""
        world, request = self._world, self._request
        for rule in self._rules:
            if rule.effect in PAGING:
                tilt(rule, request.tilt, request.at)
        if (latency := self._system.switches.latency_seconds) > 0:
            await self._edge.pause(latency)
        struck = await self._phase("before_parse")
        if struck is not None:
            return struck
        with world.lock:
            outcome = self._edge.handle(self._system, request, self._entry, area)
        if world.before_commit is not None:
            world.before_commit(request.seq)
        struck = await self._phase("before_commit")
        if struck is not None:
            return struck
        late = next((rule for rule in self._rules if rule.phase == "late_commit"), None)
        if late is not None:
            return self._later(late, outcome)
        answer = self._commit(outcome) if isinstance(outcome, Write) else outcome
        if world.after_commit is not None:
            world.after_commit(request.seq)
        struck = await self._phase("after_commit") or await self._phase("mid_answer", slow=False)
        if struck is not None:
            return struck
        for rule in self._rules:
            if rule.effect in MANGLING:
                answer = mangled(rule, answer, self._edge.elsewhere(request.path))
        return answer

    async def _phase(self, phase: str, *, slow: bool = True) -> Answer | Rule | None:
        """What the rules of one phase make of the request; None lets it go on."""
        for rule in self._rules:
            if rule.phase != phase:
                continue
            if rule.effect == "stall" and slow:
                await self._edge.pause(rule.seconds)
            elif rule.effect in ACTING and rule.effect != "ignored_write":
                self._act(rule)
            elif rule.effect in TERMINAL and not (rule.effect in {"reset", "close"} and phase == "mid_answer"):
                return self._struck(rule)
        return None

    def _struck(self, rule: Rule) -> Answer | Rule:
        if rule.effect in {"reset", "close"}:
            return rule
        return replaced(rule, self._system.problem, self._request.at, self._edge.elsewhere(self._request.path))

    def _act(self, rule: Rule) -> None:
        with self._world.lock:
            if rule.effect == "revoke":
                self._system.revoke()
            else:
                acts = rule.act if isinstance(rule.act, list) else [rule.act]
                for act in acts:
                    self._world.act(act.get("provider", self._system.name), act)

    def _commit(self, write: Write) -> Answer:
        world, system = self._world, self._system
        with world.lock:
            if any(rule.effect == "ignored_write" for rule in self._rules):
                tables = {name: table.snapshot() for name, table in system.tables.items()}
                counters = dict(system.counters)
                answer = self._guarded(write)
                for name, table in system.tables.items():
                    table.restore(tables[name], forget=False)
                system.counters.update(counters)
                return answer
            answer = self._guarded(write)
            if answer.status < 400:
                world.committed(self._entry, self._request)
            return answer

    @staticmethod
    def _guarded(write: Write) -> Answer:
        """The record may have gone between the check and the commit: then the system says so."""
        try:
            return write.commit()
        except Refused as refused:
            return refused.answer

    def _later(self, rule: Rule, outcome: Answer | Write) -> Answer | Rule:
        """Answer by the rule at once; the change follows after its delay."""
        if isinstance(outcome, Write):
            self._world.late += 1

            def follow() -> None:
                self._commit(outcome)
                self._world.late -= 1

            asyncio.get_running_loop().call_later(rule.delay, follow)
        if rule.effect in TERMINAL:
            return self._struck(rule)
        return Rule("reset")


class _Line:
    """One HTTP exchange on its connection: says an answer, or breaks off."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._transport = cast("asyncio.Transport", scope["state"]["transport"])
        self._receive = receive
        self._send = send

    async def say(self, answer: Answer, rules: list[Rule], closing: asyncio.Event) -> None:
        """Send an answer the way the rules want it."""
        body = answer.encoded()
        headers = {"Content-Type": JSON, **answer.headers}
        if answer.status == 204:
            headers.pop("Content-Type")
        else:
            headers["Content-Length"] = str(len(body))
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": answer.status, "headers": raw})
        breaking = next((rule for rule in rules if _breaks(rule)), None)
        slow = next(
            (rule for rule in rules if rule.effect == "drip" or (rule.effect, rule.phase) == ("stall", "mid_answer")),
            None,
        )
        if breaking is not None:
            await self._send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            await self.cut(reset=breaking.effect == "reset" or breaking.reset)
        elif slow is not None:
            await self._slowly(body, slow, closing)
        else:
            await self._send({"type": "http.response.body", "body": body})

    async def _slowly(self, body: bytes, rule: Rule, closing: asyncio.Event) -> None:
        pieces = min(DRIPS, max(len(body), 1)) if rule.effect == "drip" else 2
        size = -(-len(body) // pieces)
        for piece in range(pieces):
            if piece:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(closing.wait(), rule.seconds / (pieces - 1))
            part = body[piece * size : (piece + 1) * size]
            await self._send({"type": "http.response.body", "body": part, "more_body": piece < pieces - 1})

    async def cut(self, *, reset: bool) -> None:
        """Close the connection in the middle of things: by FIN, or by RST."""
        if reset:
            raw = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _breaks(rule: Rule) -> bool:
    return rule.effect == "truncate" or (rule.phase == "mid_answer" and rule.effect in {"reset", "close"})


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or None where it is larger than the limit."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        part = message.get("body", b"")
        size += len(part)
        if size <= BODY_LIMIT_BYTES:
            parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts) if size <= BODY_LIMIT_BYTES else None
