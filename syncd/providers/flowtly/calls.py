"""Every documented call of Flowtly about clients, their contacts and notes, and counterparties; and how it pages.

Wire facts (the framework's own, where the vendor publishes nothing): collections are JSON-LD with or without the `hydra:` prefix, or bare
arrays; a page is the last if its view names no next one, or there is no view at all. Of a `next` link only its existence is taken:
the address of the next page is built here. `PATCH` is JSON Merge Patch only. Null values are left out of answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from syncd.core.model import Raw, Value
from syncd.errors import Malformed
from syncd.providers.ahead import Ahead, following
from syncd.providers.decoding import NOTHING, identity, segment
from syncd.providers.outcomes import Explained, Unread

if TYPE_CHECKING:
    from syncd.providers.http import Http

MAX_PAGES: Final = 50_000
"""A walk of more pages than this is no listing any more."""

JSON_LD: Final = {"Accept": "application/ld+json"}
_POST: Final = {**JSON_LD, "Content-Type": "application/ld+json"}
_PATCH: Final = {**JSON_LD, "Content-Type": "application/merge-patch+json"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One page of a collection. position: how many items came before. total: where the collection tells it. requests: it took so many."""

    items: list[Value]
    number: int
    position: int
    total: int | None
    last: bool
    requests: int = 1


def explain(status: int, body: Value) -> Explained:
    """A problem document (violations, detail) or the login's `{code, message}` in words."""
    if not isinstance(body, dict):
        return Explained(f"Flowtly answered {status}")
    violations = body.get("violations")
    if isinstance(violations, list):
        told = [
            f"{each.get('propertyPath') or 'record'}: {each.get('message')}"
            for each in violations
            if isinstance(each, dict)
        ]
        if told:
            return Explained("; ".join(told), "violations")
    for key in ("detail", "hydra:description", "message", "title", "hydra:title"):
        if isinstance(body.get(key), str):
            return Explained(str(body[key]))
    return Explained(f"Flowtly answered {status}")


class Calls:
    """The documented calls, one method each; answers as decoded JSON. Ids are text; bodies are JSON objects.

    Only a missing *client* is `Gone`; other missing things are `Rejected` (writes) or `Malformed` (reads) with status 404, so that they
    are never mistaken for a client that was deleted.
    """

    def __init__(self, http: Http, headers: Mapping[str, str], page_size: int | None, at_once: int = 1) -> None:
        self._http = http
        self._headers = headers
        self._page_size = page_size
        self._at_once = at_once

    def _send(
        self,
        method: str,
        path: str,
        body: Value = None,
        *,
        query: Mapping[str, str] = NOTHING,
        external_id: str | None = None,
    ) -> Value:
        fixed = {"POST": _POST, "PATCH": _PATCH}.get(method, JSON_LD)
        return self._http.send(
            method,
            path,
            query=query,
            headers={**fixed, **self._headers},
            json=body,
            explain=explain,
            operation=f"{method} {path.split('/')[1]}",
            external_id=external_id,
        ).body

    def login(self, url: str, username: str, password: str) -> Value:
        """`POST {base}/login`: an object with `token`. Raises `Unauthorised`."""
        return self._http.send(
            "POST",
            "",
            base=url,
            json={"username": username, "password": password},
            headers=self._headers,
            authorised=False,
            explain=explain,
            operation="login",
        ).body

    # -- collections -----------------------------------------------------------------------------------------------

    def _walk(self, path: str, query: Mapping[str, str] = NOTHING) -> Iterator[Leaf]:
        """All pages of a collection. Raises `Malformed` on another shape, an empty page before the end, or a repeated one."""
        with Ahead(partial(self._ask, path, query), self._at_once) as ahead:
            yield from _leaves(path, ahead)

    def _ask(self, path: str, query: Mapping[str, str], number: int) -> Unread:
        """The request for one page of a collection."""
        asked = {**query, "page": str(number)}
        if self._page_size is not None:
            asked["itemsPerPage"] = str(self._page_size)
        operation = f"GET {path.split('/')[1]}"
        headers = {**JSON_LD, **self._headers}
        return self._http.receive("GET", path, query=asked, headers=headers, explain=explain, operation=operation)

    def list_clients(self) -> Iterator[Leaf]:
        """`GET /clients`: all pages."""
        return self._walk("/clients")

    def search_clients(self, query: Mapping[str, str]) -> Iterator[Leaf]:
        """`GET /clients/search`: all pages. The names of the parameters are unpublished and the caller's business."""
        return self._walk("/clients/search", query)

    def list_contacts(self) -> Iterator[Leaf]:
        """`GET /client-contacts`: all pages, the contacts of all clients."""
        return self._walk("/client-contacts")

    def list_notes(self) -> Iterator[Leaf]:
        """`GET /client-notes`: all pages, the notes of all clients."""
        return self._walk("/client-notes")

    def list_counterparties(self) -> Iterator[Leaf]:
        """`GET /counterparties`: all pages."""
        return self._walk("/counterparties")

    # -- clients ---------------------------------------------------------------------------------------------------

    def create_client(self, body: Raw) -> Value:
        """`POST /clients`: the new client."""
        return self._send("POST", "/clients", body)

    def get_client(self, client_id: str) -> Value:
        """`GET /clients/{id}`. Raises `Gone`."""
        return self._send("GET", f"/clients/{segment(client_id)}", external_id=client_id)

    def update_client(self, client_id: str, body: Raw) -> Value:
        """`PATCH /clients/{id}`: changes what is given, null clears; the client in full. Raises `Gone`."""
        return self._send("PATCH", f"/clients/{segment(client_id)}", body, external_id=client_id)

    def client_documents(self, client_id: str) -> Value:
        """`GET /clients/{id}/documents`: documented as returning a client. Raises `Gone`."""
        return self._send("GET", f"/clients/{segment(client_id)}/documents", external_id=client_id)

    # -- contacts --------------------------------------------------------------------------------------------------

    def create_contact(self, body: Raw) -> Value:
        """`POST /client-contacts`: the new contact; type, name and e-mail are required."""
        return self._send("POST", "/client-contacts", body)

    def get_contact(self, contact_id: str) -> Value:
        """`GET /client-contacts/{id}`."""
        return self._send("GET", f"/client-contacts/{segment(contact_id)}")

    def update_contact(self, contact_id: str, body: Raw) -> Value:
        """`PATCH /client-contacts/{id}`: changes what is given; the contact in full."""
        return self._send("PATCH", f"/client-contacts/{segment(contact_id)}", body)

    def delete_contact(self, contact_id: str) -> None:
        """`DELETE /client-contacts/{id}`."""
        self._send("DELETE", f"/client-contacts/{segment(contact_id)}")

    # -- notes -----------------------------------------------------------------------------------------------------

    def create_note(self, body: Raw) -> Value:
        """`POST /client-notes`: the new note; client, employee (both IRIs) and note are required."""
        return self._send("POST", "/client-notes", body)

    def get_note(self, note_id: str) -> Value:
        """`GET /client-notes/{id}`."""
        return self._send("GET", f"/client-notes/{segment(note_id)}")

    def update_note(self, note_id: str, body: Raw) -> Value:
        """`PATCH /client-notes/{id}`: the note in full."""
        return self._send("PATCH", f"/client-notes/{segment(note_id)}", body)

    def delete_note(self, note_id: str) -> None:
        """`DELETE /client-notes/{id}`."""
        self._send("DELETE", f"/client-notes/{segment(note_id)}")

    # -- counterparties --------------------------------------------------------------------------------------------

    def create_counterparty(self, body: Raw) -> Value:
        """`POST /counterparties`: the new counterparty."""
        return self._send("POST", "/counterparties", body)

    def get_counterparty(self, counterparty_id: str) -> Value:
        """`GET /counterparties/{id}`."""
        return self._send("GET", f"/counterparties/{segment(counterparty_id)}")

    def update_counterparty(self, counterparty_id: str, body: Raw) -> Value:
        """`PATCH /counterparties/{id}`: the counterparty in full."""
        return self._send("PATCH", f"/counterparties/{segment(counterparty_id)}", body)

    def delete_counterparty(self, counterparty_id: str) -> None:
        """`DELETE /counterparties/{id}`."""
        self._send("DELETE", f"/counterparties/{segment(counterparty_id)}")

    def merge_counterparties(self, counterparty_id: str, body: Raw) -> Value:
        """`POST /counterparties/{id}/merge`; the body is unpublished and the caller's business."""
        return self._send("POST", f"/counterparties/{segment(counterparty_id)}/merge", body)

    def enrich_counterparty(self, counterparty_id: str) -> Value:
        """`POST /counterparties/{id}/enrich-branding-ai`: queues the enrichment of one."""
        return self._send("POST", f"/counterparties/{segment(counterparty_id)}/enrich-branding-ai", {})

    def enrich_counterparties(self, body: Raw) -> Value:
        """`POST /counterparties/enrich-branding-ai`: queues the enrichment of several."""
        return self._send("POST", "/counterparties/enrich-branding-ai", body)

    def create_party(self, body: Raw) -> Value:
        """`POST /counterparty` (singular): creates a supplier or client together with its counterparty, by type."""
        return self._send("POST", "/counterparty", body)

    def update_party(self, party_id: str, body: Raw) -> Value:
        """`PATCH /counterparty/{id}` (singular): updates a supplier or client together with its counterparty."""
        return self._send("PATCH", f"/counterparty/{segment(party_id)}", body)


def _leaves(path: str, ahead: Ahead[int]) -> Iterator[Leaf]:
    seen: set[str] = set()
    first_length = position = 0
    for number in range(1, MAX_PAGES + 1):
        answer = ahead.take(number).read()
        items, total, follows = _collection(answer.body, path)
        first_length = first_length or len(items)
        last = not items or len(items) < first_length if follows is None else not follows
        _check_progress(path, items, number, seen, last=last)
        if not last:
            ahead.expect(following(number, total, first_length))
        yield Leaf(items, number, position, total, last, answer.requests)
        position += len(items)
        if last:
            return
    message = f"{path} has more than {MAX_PAGES} pages"
    raise Malformed(message, operation=f"GET {path}")


def _collection(body: Value, path: str) -> tuple[list[Value], int | None, bool | None]:
    """Items, total where told, and whether a page follows (None: a bare array, which does not say)."""
    if isinstance(body, list):
        return body, None, None
    if isinstance(body, dict):
        for prefix in ("hydra:", ""):
            members = body.get(f"{prefix}member")
            if isinstance(members, list):
                total = body.get(f"{prefix}totalItems")
                view = body.get(f"{prefix}view")
                follows = isinstance(view, dict) and bool(view.get(f"{prefix}next"))
                return members, total if isinstance(total, int) and not isinstance(total, bool) else None, follows
    message = f"the answer to {path} is no collection"
    raise Malformed(message, operation=f"GET {path}")


def _check_progress(path: str, items: list[Value], number: int, seen: set[str], *, last: bool) -> None:
    """Raise where a page is empty though more follow, or shows only what earlier pages showed; notes what it shows."""
    ids = {identity(item.get("id")) for item in items if isinstance(item, dict)} - {None}
    reason = ""
    if not items and not last:
        reason = f"page {number} of {path} is empty and not the last"
    elif ids and ids <= seen:
        reason = f"page {number} of {path} only repeats earlier records"
    if reason:
        raise Malformed(reason, operation=f"GET {path}")
    seen.update(each for each in ids if each is not None)
