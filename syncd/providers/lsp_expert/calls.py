"""Every documented call of LSP.expert about clients and what hangs on them, and its error body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from syncd.core.model import Value
from syncd.providers.decoding import segment
from syncd.providers.outcomes import Explained

if TYPE_CHECKING:
    from syncd.providers.http import Http
    from syncd.providers.outcomes import Unread


def explain(status: int, body: Value) -> Explained:
    """The documented error body `{message, name, code, id}` in words."""
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        code = body.get("code")
        return Explained(str(body["message"]), code if isinstance(code, str) else "")
    return Explained(f"LSP.expert answered {status}")


class Calls:
    """Every documented call about clients and what hangs on them, one method each; answers as decoded JSON.

    Forms are flat parameters by their write name. Sub-resource ids that do not exist end as `Rejected` (404), so that
    they are never mistaken for a client that is gone.
    """

    def __init__(self, http: Http) -> None:
        self._http = http

    def _client(
        self, method: str, external_id: str, rest: str = "", form: Mapping[str, str] | None = None, *, own: bool = False
    ) -> Value:
        """One call below `/clients/:id`; own: the path names the client itself, so 404 means that it is gone."""
        return self._http.send(
            method,
            f"/clients/{segment(external_id)}{rest}",
            form=form,
            explain=explain,
            operation=f"{method} client {rest.split('/')[1] if rest else ''}".strip(),
            external_id=external_id if own else None,
        ).body

    def list_clients(self, page: int, *, sort: bool) -> Unread:
        """`GET /clients`: 20 clients in the paged envelope, oldest first if `sort`."""
        query = {"page": str(page)}
        if sort:
            query |= {"sort": "createdAt", "direction": "asc"}
        return self._http.receive("GET", "/clients", query=query, explain=explain, operation="list clients")

    def create_client(self, form: Mapping[str, str]) -> Value:
        """`POST /clients`: the new client in full."""
        return self._http.send("POST", "/clients", form=form, explain=explain, operation="create client").body

    def get_client(self, external_id: str) -> Value:
        """`GET /clients/:id`: the client in full. Raises `Gone`."""
        return self._client("GET", external_id, own=True)

    def update_client(self, external_id: str, form: Mapping[str, str]) -> Value:
        """`PUT /clients/:id`: changes what is given; the client in full. Raises `Gone`."""
        return self._client("PUT", external_id, form=form, own=True)

    def delete_client(self, external_id: str) -> None:
        """`DELETE /clients/:id`; the body of the answer is undocumented and ignored. Raises `Gone`."""
        self._client("DELETE", external_id, own=True)

    def list_contacts(self, external_id: str) -> Value:
        """`GET /clients/:id/contacts`: all contacts, a bare array."""
        return self._client("GET", external_id, "/contacts")

    def get_contact(self, external_id: str, contact_id: str) -> Value:
        """`GET /clients/:id/contacts/:contactId` (shown in the documentation for suppliers)."""
        return self._client("GET", external_id, f"/contacts/{segment(contact_id)}")

    def create_contact(self, external_id: str, form: Mapping[str, str]) -> Value:
        """`POST /clients/:id/contacts`: the new contact; `fullName` is required."""
        return self._client("POST", external_id, "/contacts", form)

    def update_contact(self, external_id: str, contact_id: str, form: Mapping[str, str]) -> Value:
        """`PUT /clients/:id/contacts/:contactId` (by the pattern of the other sub-resources): changes what is given."""
        return self._client("PUT", external_id, f"/contacts/{segment(contact_id)}", form)

    def delete_contact(self, external_id: str, contact_id: str) -> None:
        """`DELETE /clients/:id/contacts/:contactId` (by the pattern of the other sub-resources)."""
        self._client("DELETE", external_id, f"/contacts/{segment(contact_id)}")

    def create_note(self, external_id: str, content: str) -> Value:
        """`POST /clients/:id/notes`: the whole client, not the note."""
        return self._client("POST", external_id, "/notes", {"content": content})

    def update_note(self, external_id: str, note_id: str, content: str) -> Value:
        """`PUT /clients/:id/notes/:noteId`: the whole client, not the note."""
        return self._client("PUT", external_id, f"/notes/{segment(note_id)}", {"content": content})

    def add_label(self, external_id: str, label_id: str) -> Value:
        """`POST /clients/:id/labels/:labelId`: the client (by the pattern of suppliers, groups and quotes)."""
        return self._client("POST", external_id, f"/labels/{segment(label_id)}")

    def remove_label(self, external_id: str, label_id: str) -> Value:
        """`DELETE /clients/:id/labels/:labelId`: the client (by the pattern of suppliers, groups and quotes)."""
        return self._client("DELETE", external_id, f"/labels/{segment(label_id)}")
