"""Smartbills' webhooks: registration, signed deliveries, retries after failures of the receiver.

Customer events are named only in the constants of one SDK, so they are off unless the switch `customer_webhooks` is on. A delivery
is one POST with `x-smartbills-signature`, the hexadecimal HMAC-SHA256 of the body; 5xx and connection errors are tried again.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import queue
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from syncd.sandbox.switches import SmartbillsSwitches
from syncd.sandbox.tables import hexadecimal, stamp
from syncd.sandbox.wire import JSON, Answer, Json, Refused, Request, Route, Row, Write, encode

RETRIES_SECONDS = (60, 300, 900, 3600, 21_600, 86_400)
ANSWER_SECONDS = 5.0
IDLE_SECONDS = 0.2
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Webhooks:
    """The registered receivers and what is on its way to them. read: a request's JSON body; problem: an error body."""

    def __init__(
        self,
        switches: SmartbillsSwitches,
        clock: Callable[[], float],
        read: Callable[[Request], Json],
        problem: Callable[[int, str], Answer],
    ) -> None:
        self._switches = switches
        self._clock = clock
        self._read = read
        self._problem = problem
        self._number = 0
        self.receivers: dict[str, Row] = {}
        self.deliveries: list[Row] = []
        self._waiting: queue.Queue[tuple[float, int, str, bytes]] = queue.Queue()
        self._courier: threading.Thread | None = None

    def routes(self) -> list[Route]:
        """The documented calls."""
        one = "/webhooks/{id}"
        return [
            Route(
                "GET", "/webhooks", lambda _: Answer(200, {"data": [_public(row) for row in self.receivers.values()]})
            ),
            Route("POST", "/webhooks", self._register),
            Route("GET", one, lambda request: Answer(200, _public(self._found(request)))),
            Route("PATCH", one, self._change),
            Route("DELETE", one, self._remove),
            Route("POST", f"{one}/test", self._test),
        ]

    def _found(self, request: Request) -> Row:
        request.external_id = request.params["id"]
        row = self.receivers.get(request.params["id"])
        if row is None:
            raise Refused(self._problem(404, "Webhook not found"))
        return row

    def _checked(self, request: Request) -> Row:
        body = self._read(request)
        url = body.get("url") if isinstance(body, dict) else None
        if url is not None and (not isinstance(url, str) or urlsplit(url).hostname not in LOOPBACK):
            raise Refused(self._problem(400, "url must be on loopback in this simulation"), "webhook url")
        return body if isinstance(body, dict) else {}

    def _register(self, request: Request) -> Write:
        body = self._checked(request)
        if not body.get("url"):
            raise Refused(self._problem(400, "url is required"), "url is missing")

        def commit() -> Answer:
            self._number += 1
            row = {"id": f"wh_{self._number}", "url": body["url"], "events": body.get("events", ["*"]), "active": True}
            row["secret"] = f"whsec_{hexadecimal(self._number, 'webhook')}"
            self.receivers[row["id"]] = row
            request.external_id = row["id"]
            return Answer(201, row)

        return Write(commit)

    def _change(self, request: Request) -> Write:
        row, body = self._found(request), self._checked(request)

        def commit() -> Answer:
            row.update({name: body[name] for name in ("url", "events", "active") if name in body})
            return Answer(200, _public(row))

        return Write(commit)

    def _remove(self, request: Request) -> Write:
        row = self._found(request)

        def commit() -> Answer:
            self.receivers.pop(row["id"], None)
            return Answer(204)

        return Write(commit)

    def _test(self, request: Request) -> Answer:
        self._send(self._found(request), "webhook.test", {})
        return Answer(200, {"success": True})

    def happened(self, what: str, customer: Row) -> None:
        """Tell every receiver that a customer was created, updated or deleted, if the switch is on."""
        if not self._switches.customer_webhooks:
            return
        event = f"business.customer.{what}"
        for row in self.receivers.values():
            if row["active"] and ("*" in row["events"] or event in row["events"]):
                self._send(row, event, customer)

    def _send(self, receiver: Row, event: str, data: Row) -> None:
        self._number += 1
        now = stamp(self._clock())
        body = encode({"id": f"evt_{self._number}", "type": event, "createdAt": now, "data": data})
        self._waiting.put((0.0, 0, receiver["id"], body))
        if self._courier is None:
            self._courier = threading.Thread(target=self._carry, name="smartbills-webhooks", daemon=True)
            self._courier.start()

    def _carry(self) -> None:
        """Deliver what is due, for ever; the thread dies with the process."""
        while True:
            due, tries, receiver_id, body = self._waiting.get()
            receiver = self.receivers.get(receiver_id)
            if receiver is None:
                continue
            if due > time.monotonic():
                time.sleep(IDLE_SECONDS)
                self._waiting.put((due, tries, receiver_id, body))
                continue
            status = _post(receiver["url"], receiver["secret"], body)
            self.deliveries.append({"webhook": receiver_id, "status": status, "tries": tries + 1})
            if (status is None or status >= 500) and tries < len(RETRIES_SECONDS):
                self._waiting.put((time.monotonic() + RETRIES_SECONDS[tries], tries + 1, receiver_id, body))


def _public(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "secret"}


def _post(url: str, secret: str, body: bytes) -> int | None:
    """The status of one delivery, or None where nobody answered in time."""
    place = urlsplit(url)
    seal = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    line = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=ANSWER_SECONDS)
    try:
        line.request("POST", place.path or "/", body, {"Content-Type": JSON, "x-smartbills-signature": seal})
        return line.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        line.close()
