"""What Flowtly takes in a body: types, relations, constraints, and the embedded contacts as a whole new collection."""

from __future__ import annotations

from syncd.sandbox.flowtly_parts import RESOURCES, TEXT_LIMIT_CHARACTERS, Manners, Member
from syncd.sandbox.switches import FlowtlySwitches, normalised
from syncd.sandbox.tables import Table
from syncd.sandbox.wire import Json, Refused, Request, Row


class Bodies:
    """Reads a body into stored values, or refuses it the way API Platform does."""

    def __init__(self, manners: Manners, switches: FlowtlySwitches, tables: dict[str, Table]) -> None:
        self._manners = manners
        self._switches = switches
        self._tables = tables

    def known(self) -> dict[str, Row]:
        """The items that an IRI may point to, where they are records of this system."""
        return {"clients": self._tables["clients"].rows, "costs": {}, "attribute-sets": {}}

    def values(self, request: Request, resource: str, body: Row, *, create: bool) -> Row:
        """The stored values of a body; unknown members are ignored (or refused, by the switch), as are read-only ones."""
        members = RESOURCES[resource][1]
        extra = {"clientContacts"} if resource == "clients" else set()
        unknown = [
            name
            for name in body
            if name not in members and name not in extra and not name.startswith("@") and name != "id"
        ]
        if unknown and self._switches.forbid_unknown:
            raise Refused(
                self._manners.problem(400, f'Extra attributes are not allowed ("{unknown[0]}" is unknown).'),
                f"unknown {unknown[0]}",
            )
        request.violations += [f"unknown member {name}" for name in unknown]
        request.ignored += unknown + [name for name in body if name in members and members[name].readonly]
        values: Row = {}
        for name, member in members.items():
            if name in body and not member.readonly:
                value = self._manners.typed(name, member, body[name], self.known())
                values[name] = normalised(self._switches, name, value)
        self._validate(resource, members, values, create=create)
        if "clientContacts" in body and resource == "clients":
            request.violations.append("clientContacts is written through the client")
            values["_contacts"] = self._contact_keys(body["clientContacts"])
        return values

    def _contact_keys(self, given: Json) -> list[str]:
        """The array stands for the whole new collection: only contacts named by IRI (or `@id`) stay."""
        if not isinstance(given, list):
            raise Refused(self._manners.problem(400, 'The type of the "clientContacts" attribute must be "array".'))
        keys = []
        for item in given:
            iri = item.get("@id") if isinstance(item, dict) else item
            if not isinstance(iri, str):
                text = 'Nested documents for attribute "clientContacts" are not allowed. Use IRIs instead.'
                raise Refused(self._manners.problem(400, text), "nested contact")
            keys.append(self._manners.key("client-contacts", iri, self._tables["client-contacts"].rows))
        return keys

    def _validate(self, resource: str, members: dict[str, Member], values: Row, *, create: bool) -> None:
        found: list[Row] = []
        for name, member in members.items():
            value = values.get(name)
            if member.required and (create or name in values) and (value is None or not str(value).strip()):
                found.append(
                    {"propertyPath": name, "message": "This value should not be blank.", "code": "c1051bb4-blank"}
                )
            elif isinstance(value, str) and len(value) > TEXT_LIMIT_CHARACTERS and member.kind != "long":
                found.append({"propertyPath": name, "message": "This value is too long.", "code": "d94b19cc-length"})
            elif member.kind == "email" and value and ("@" not in value or " " in value.strip()):
                found.append(
                    {
                        "propertyPath": name,
                        "message": "This value is not a valid email address.",
                        "code": "bd79c0ab-email",
                    }
                )
        choices = (
            {"status": self._switches.statuses, "tinType": self._switches.tin_types} if resource == "clients" else {}
        )
        choices |= {"type": self._switches.contact_types} if resource == "client-contacts" else {}
        for name, allowed in choices.items():
            if values.get(name) is not None and values[name] not in allowed:
                found.append(
                    {
                        "propertyPath": name,
                        "message": "The value you selected is not a valid choice.",
                        "code": "8e179f1b-choice",
                    }
                )
        if found:
            text = "\n".join(f"{one['propertyPath']}: {one['message']}" for one in found)
            blank = [one["propertyPath"] for one in found if one["code"] == "c1051bb4-blank"]
            raise Refused(self._manners.problem(422, text, found), f"{blank[0]} is missing" if blank else None)
