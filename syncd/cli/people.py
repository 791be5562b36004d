"""What people do in the simulated systems during the demo: one edit in each, two equal ones, two different ones, a new client, a contact.

Values are in each system's own words, as its app would store them; all of them are invented.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Act = tuple[str, str | None, dict[str, Any]]
"""(provider, record or None for a new one, values in the system's own names)"""

MOVED: Final = "b"
"""The deed whose client moves to the town where the newcomer is typed: the two turn out to be one."""

NEWCOMER: Final = "Atelier Beaurivage SARL"


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that people did. label: a letter to find it again. client: whose record it was, None for a new one."""

    label: str
    words: str
    client: str | None
    name: str
    acts: Sequence[Act] = field(default_factory=tuple)


def deeds(clients: Sequence[Mapping[str, Any]], records: Iterable[Mapping[str, Any]]) -> list[Deed]:
    """What people do to clients (documents as `syncd clients` gives them), each time to another one. records: as `syncd records` gives them."""
    cast = _Cast(clients)
    return [
        cast.edit("a", "a new phone number in books", ("books", "lsp", "erp"), books={"phone": "04 91 55 01 42"}),
        cast.edit(MOVED, "moved to Brest, typed in lsp", ("lsp", "erp"), lsp={"address": {"city": "Brest"}}),
        cast.edit(
            "c", "a new phone number in receipts", ("receipts", "lsp", "erp"), receipts={"phone": "+1 514 555 0147"}
        ),
        cast.edit("d", "moved to Tours, typed in erp", ("lsp", "erp"), erp={"addressCity": "Tours"}),
        cast.edit(
            "e",
            "moved to Annecy, typed in lsp and in erp alike",
            ("lsp", "erp"),
            lsp={"address": {"city": "Annecy"}},
            erp={"addressCity": "Annecy"},
        ),
        cast.edit(
            "f",
            "moved to Metz according to lsp, to Nancy according to erp",
            ("lsp", "erp"),
            lsp={"address": {"city": "Metz"}},
            erp={"addressCity": "Nancy"},
        ),
        Deed("g", f"a new client in lsp: {NEWCOMER}", None, NEWCOMER, (("lsp_expert", None, _newcomer()),)),
        cast.edit_contact("h", ("lsp", "erp"), "lsp", records, {"phone": "+48 22 555 01 77"}),
    ]


def _newcomer() -> dict[str, Any]:
    address = {
        "name": NEWCOMER,
        "line1": "3 quai des Fictions",
        "postalCode": "29200",
        "city": "Brest",
        "country": "FR",
    }
    return {"name": NEWCOMER, "address": address}


PROVIDERS: Final = {"books": "tiime", "lsp": "lsp_expert", "receipts": "smartbills", "erp": "flowtly"}


class _Cast:
    """Clients to whom nothing has happened yet."""

    def __init__(self, clients: Iterable[Mapping[str, Any]]) -> None:
        self._left = [client for client in clients if client["state"] == "active"]

    def edit(self, label: str, words: str, needed: Sequence[str], **edits: dict[str, Any]) -> Deed:
        """An edit of the first client that is held by all the needed systems."""
        for client in self._left:
            records = {link["system"]: link["external_id"] for link in client["links"] if link["state"] == "linked"}
            if all(system in records for system in needed):
                self._left.remove(client)
                name = str(client["fields"].get("name") or client["client"])
                acts = tuple((PROVIDERS[system], records[system], raw) for system, raw in edits.items())
                return Deed(label, f"{client['client']} {name}: {words}", client["client"], name, acts)
        return Deed(label, f"nobody to whom this could happen: {words}", None, "")

    def edit_contact(
        self,
        label: str,
        needed: Sequence[str],
        where: str,
        records: Iterable[Mapping[str, Any]],
        values: dict[str, Any],
    ) -> Deed:
        """An edit, in one system, of the first contact that is not the client's primary one, of a client held by all the needed systems."""
        known = {row["external_id"]: row["fields"].get("contacts") or () for row in records if row["system"] == where}
        what = f"a new {' and '.join(values)} number of a contact in {where}"
        for client in self._left:
            ids = {link["system"]: link["external_id"] for link in client["links"] if link["state"] == "linked"}
            contacts = known.get(ids.get(where), ())
            chosen = next((each["id"] for each in contacts if not each.get("primary")), None)
            if chosen is not None and all(system in ids for system in needed):
                self._left.remove(client)
                name = str(client["fields"].get("name") or client["client"])
                raw = [{"id": each["id"], **(values if each["id"] == chosen else {})} for each in contacts]
                act = (PROVIDERS[where], ids[where], {"contacts": raw})
                return Deed(label, f"{client['client']} {name}: {what}", client["client"], name, (act,))
        return Deed(label, f"nobody to whom this could happen: {what}", None, "")
