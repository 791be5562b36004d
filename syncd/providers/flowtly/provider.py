"""The translation between canonical fields and Flowtly's clients and contacts.

*   A client has no e-mail: it is its primary contact's, the one of lowest position at first sight and known by its id afterwards.
    The contact endpoint is authoritative, and the only place where contacts are written: a client is never patched with
    `clientContacts`, which would replace them all.
*   Clients cannot be deleted. Archived is the status that the tenant calls so.
*   What a new client must have and a person did not type (`country`, `currency`, `status`, `tinType`) comes from the tenant's `defaults`.
*   Absent means null here (documented for the framework): a documented key that is missing is empty.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from syncd.core.model import UNKNOWN, Fields, Kind, Maybe, Raw, Value, kind_of
from syncd.core.normalize import bare_language, clean, join_name
from syncd.errors import Malformed, Rejected, Stale, Unauthorised, UnknownOutcome
from syncd.providers import Capabilities, FieldSpec, Listed, Page, Reading, Settings
from syncd.providers.credentials import Bearer, Fixed, Token
from syncd.providers.decoding import identity, sift, unsound
from syncd.providers.flowtly import contacts as people
from syncd.providers.flowtly import counterparties
from syncd.providers.flowtly.calls import Calls, Leaf
from syncd.providers.flowtly.deeds import NAMED_AFTER, SPEC, Deed, deeds, is_placeholder
from syncd.providers.flowtly.deeds import shown as shown_contact
from syncd.providers.flowtly.fields import (
    NOT_CLEARABLE,
    PLAIN,
    REQUIRED_DEFAULTS,
    STREET,
    field_table,
    problems_with,
)
from syncd.providers.flowtly.iris import Iris
from syncd.providers.flowtly.notes import Notes, ordered, with_answers
from syncd.providers.flowtly.notes import shown as shown_notes
from syncd.providers.flowtly.street import Street, number_first, split, words
from syncd.seen import Seen

if TYPE_CHECKING:
    from syncd.providers.http import Http

_REMEMBERED_STREET: Final = "street"


class Flowtly:
    """One Flowtly organisation; see `syncd.providers.Provider` for the promises."""

    default_base_url: ClassVar[str] = "https://api.flowtly.eu"
    option_keys: ClassVar[Mapping[str, str]] = {
        "username": "The service account's user name, for the login call.",
        "password": "The service account's password.",
        "token": "A ready bearer token instead of user name and password.",
        "auth_url": "Where to log in; {base_url}/login if left out.",
        "instance": "Sent as the `instance` header, where the host serves several organisations.",
        "defaults": "What new clients get where nothing better is known: country, currency, status, tin_type, contact_type; "
        "and employee, in whose name notes are written.",
        "archived_status": "The status that means archived; without it Flowtly clients are never archived.",
        "counterparties": "keep (default) or merge: whether a merge of clients also has Flowtly join their counterparties, for ever.",
        "country_iris": "ISO code -> IRI of countries, where their IRIs do not end in the code.",
        "currency_iris": "ISO code -> IRI of currencies, where their IRIs do not end in the code.",
    }
    secret_keys: ClassVar[frozenset[str]] = frozenset({"username", "password", "token"})

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> list[str]:
        """What is wrong with the tenant's options, in words; empty if nothing is."""
        return problems_with(options)

    def __init__(self, settings: Settings, http: Http) -> None:
        options = settings.options
        self.settings = settings
        self.learned: dict[str, Any] = {}
        self._fields = field_table(options)
        self._archived_status = options.get("archived_status")
        archives = bool(self._archived_status)
        self._defaults: Mapping[str, Any] = options.get("defaults", {})
        self.capabilities = Capabilities(
            create=True,
            update=True,
            archive=archives,
            restore=archives and "status" in self._defaults,
            merge=archives and options.get("counterparties") == "merge",
            gathers=True,
            contacts=SPEC,
        )
        self._http = http
        instance = options.get("instance")
        named = {"instance": instance} if instance else {}
        self.calls = Calls(http, named, settings.page_size, settings.requests_at_once)
        self._countries = Iris(
            Kind.COUNTRY,
            options.get("country_iris", {}),
            self._defaults.get("country"),
            lambda: self._table("countries"),
        )
        self._currencies = Iris(
            Kind.CURRENCY,
            options.get("currency_iris", {}),
            self._defaults.get("currency"),
            lambda: self._table("currencies"),
        )
        self._contacts = people.Contacts(self.calls, lambda: self.learned)
        self._notes = Notes(self.calls, self._defaults.get("employee"))
        self._login_url = str(options.get("auth_url") or f"{http.base_url}/login")
        if token := options.get("token"):
            http.authorise_with(Fixed({"Authorization": f"Bearer {token}"}))
        else:
            http.authorise_with(Bearer(self._log_in), auth_url=self._login_url)

    def _table(self, name: str) -> dict[str, Any]:
        table: dict[str, Any] = self.learned.setdefault(name, {})
        return table

    def _log_in(self, _refresh: str | None) -> Token:
        """A token for user name and password; its lifetime is unpublished, so it serves until it is refused."""
        options = self.settings.options
        body = self.calls.login(self._login_url, str(options.get("username", "")), str(options.get("password", "")))
        token = body.get("token") if isinstance(body, dict) else None
        if not isinstance(token, str) or not token:
            message = "the login was answered without a token"
            raise Unauthorised(message, operation="login")
        return Token(token)

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """What can be done with each field; contacts are read only where their endpoint turned out not to be offered."""
        if self._contacts.embedded_only:
            return {**self._fields, "contacts": FieldSpec(note="read only: these credentials may not write contacts")}
        return self._fields

    @property
    def requests(self) -> int:
        """How many HTTP requests this connection has made so far."""
        return self._http.requests

    def account(self) -> str | None:
        """None: no documented call names the account behind a token."""
        return None

    def close(self) -> None:
        """Release connections."""
        self._http.close()

    # -- reading ---------------------------------------------------------------------------------------------------

    def pull(self) -> Iterator[Page]:
        """Every client with its contacts and notes; all contacts, and all notes, are listed first."""
        before = self.requests
        roll = self._contacts.roll()
        notes = self._notes.roll() if self._notes.offered else None
        faults = list(roll.loose_faults) if roll is not None else []
        seen = Seen()
        requests = self.requests - before
        for leaf in self.calls.list_clients():
            records, wrong = self._records(leaf, roll, notes, seen)
            yield Page(records, leaf.number, leaf.total, leaf.last, [*faults, *wrong], requests + leaf.requests)
            requests, faults = 0, []

    def _records(
        self, leaf: Leaf, roll: people.Roll | None, notes: Mapping[str, list[Raw]] | None, seen: Seen
    ) -> tuple[list[Listed], list[tuple[str, str]]]:
        """The new records of one page, and what is wrong with the others."""
        found, faults = sift(leaf.items, doubtful=True, position=leaf.position)
        records = []
        for external_id, raw in found:
            if external_id in seen:
                continue
            seen.add((external_id,))
            if roll is not None and external_id in roll.faults:
                faults.append((external_id, roll.faults[external_id]))
                continue
            self._learn(raw)
            contacts = self._contacts.of(external_id, raw, roll)
            listed = None if notes is None else ordered(notes.get(external_id, []))
            records.append(Listed(external_id, raw, _children(contacts, listed)))
        return records, faults

    def _learn(self, raw: Raw) -> None:
        self._countries.learn(raw.get("country"))
        self._countries.learn(raw.get("addressCountry"))
        self._currencies.learn(raw.get("currency"))
        self._contacts.notice(raw)

    def fetch(self, external_id: str, known: Collection[str] = ()) -> Listed:
        """One client with its contacts and notes."""
        raw = _client(self.calls.get_client(external_id), external_id)
        if raw is None:
            message = "the answer is not the client that was asked for"
            raise Malformed(message, operation="GET clients", external_id=external_id)
        self._learn(raw)
        contacts = self._contacts.fetch(external_id, raw, known)
        return Listed(
            external_id, raw, _children(contacts, self._notes.fetch(external_id) if self._notes.offered else None)
        )

    def read(self, listed: Listed, memory: Mapping[str, Any]) -> Reading:
        """The client in canonical words; remembers the primary contact and how a split street was typed."""
        raw = listed.raw
        remembered = {**memory, **listed.remember}
        shown: dict[str, Maybe] = {field: raw.get(key) for field, key in PLAIN.items()}
        shown["name"] = raw.get("name", UNKNOWN)
        shown["vat_number"] = raw.get("vatNumber")
        shown["country"] = _code(self._countries, raw.get("addressCountry"))
        shown["currency"] = _code(self._currencies, raw.get("currency"))
        shown["address_line1"] = _line(raw, shown["country"], remembered)
        if self._archived_status and isinstance(raw.get("status"), str):
            shown["archived"] = raw["status"] == self._archived_status
        contacts = people.known(raw, listed.children)
        if contacts is not None:
            first = people.primary(contacts, remembered)
            shown["email"] = first.get("email") if first else None
            nameless = first is not None and is_placeholder(first, raw, remembered)
            shown["contacts"] = [
                shown_contact(each, is_primary=each is first, nameless=nameless and each is first) for each in contacts
            ]
            remembered.pop("primary_contact", None)
            remembered.pop(NAMED_AFTER, None)
            if first is not None:
                remembered["primary_contact"] = identity(first.get("id"))
            if first is not None and nameless:
                remembered[NAMED_AFTER] = first.get("name")
        if (notes := shown_notes(listed.children)) is not None:
            shown["notes"] = notes
        return Reading(_cleaned(shown), remembered)

    def project(self, unit: str, value: Value, golden: Fields) -> Value:
        """A street is compared by its words, a language without its region, of a name only the whole; a country whose IRI is not known is not."""
        del golden
        if unit == "language" and isinstance(value, str):
            return bare_language(value)
        if not isinstance(value, dict):
            return value
        if unit == "name":
            if "name" in value:
                return {"name": value["name"]}
            given, family = value.get("given_name"), value.get("family_name")
            return {"name": join_name(given, family)} if isinstance(given, str) and isinstance(family, str) else {}
        if unit != "address":
            return value
        held = {part: each for part, each in value.items() if part in self.fields and self.fields[part].read}
        line = held.get("address_line1")
        if isinstance(line, str):
            held["address_line1"] = words(line) or None
        if held.get("country") is not None and self._countries.iri(held["country"]) is None:
            del held["country"]
        return held

    def objection(self, golden: Fields) -> str | None:
        """A client needs a name, and a country, currency, status and kind of tax number, its own or from `defaults`."""
        if not golden.get("name"):
            return "Flowtly needs a name"
        body = self._required(golden)
        missing = sorted(key for key, wire in REQUIRED_DEFAULTS.items() if not body.get(wire))
        return f"Flowtly needs defaults.{', defaults.'.join(missing)}" if missing else None

    # -- writing ---------------------------------------------------------------------------------------------------

    def _required(self, golden: Fields) -> Raw:
        return {
            "country": self._countries.iri(golden.get("country")) or self._defaults.get("country"),
            "currency": self._currencies.iri(golden.get("currency")) or self._defaults.get("currency"),
            "status": self._defaults.get("status"),
            "tinType": self._defaults.get("tin_type"),
        }

    def create(self, golden: Fields) -> Listed:
        """Create a client; the e-mail follows as an update, because it belongs to a contact."""
        if (reason := self.objection(golden)) is not None:
            raise Rejected(reason, operation="POST clients")
        wanted = {field: value for field, value in golden.items() if value is not None and self._creates(field)}
        changes, remember = self._changes({}, wanted, golden, {})
        body = self.calls.create_client({**changes, **self._required(golden)})
        raw = _client(body, None)
        if raw is None:
            message = "the answer to the creation is no client"
            raise UnknownOutcome(message, operation="POST clients")
        self._learn(raw)
        external_id = str(identity(raw.get("id")))
        fresh: Raw | None = None if self._contacts.embedded_only else {"contacts": []}
        if people.embedded_ids(raw):
            fresh = self._contacts.fetch(external_id, raw)
        return Listed(external_id, raw, _children(fresh, [] if self._notes.offered else None), remember=remember)

    def _creates(self, field: str) -> bool:
        return field in self.fields and self.fields[field].create

    def update(self, current: Listed, patch: Fields, golden: Fields, memory: Mapping[str, Any]) -> Listed:
        """Change what `patch` says: the client itself first, then its contacts, then its notes."""
        external_id = current.external_id
        contacts = people.known(current.raw, current.children) or []
        done = deeds(current.raw, contacts, people.primary(contacts, memory), patch, golden)
        calls = [self._completed(deed, current) for deed in done.calls]
        texts = patch.get("notes")
        notes = [text for text in texts if isinstance(text, str)] if isinstance(texts, list) else []
        changes, remember = self._changes(current.raw, patch, golden, memory)
        remember |= {"primary_contact": done.promoted} if done.promoted is not None else {}
        if not changes and not calls and not notes:
            if done.promoted is None:
                self._refuse_impossible(patch, external_id)
            return replace(current, remember=remember)
        answer = current
        if changes:
            raw = _client(self.calls.update_client(external_id, changes), external_id)
            if raw is None:
                message = "the answer to the change is not that client"
                raise UnknownOutcome(message, operation="PATCH clients", external_id=external_id)
            self._learn(raw)
            answer = Listed(external_id, raw, current.children)
        said = [(deed, self._do(external_id, deed)) for deed in calls]
        ids = [(deed, identity(body.get("id"))) for deed, body in said if isinstance(body, dict)]
        made = {deed.element: name for deed, name in ids if deed.element and name is not None}
        told = [self._notes.add(external_id, _client_iri(current), text) for text in notes]
        if calls or notes:
            known = [name for each in contacts if (name := identity(each.get("id"))) is not None]
            read = self.fetch(external_id, [*known, *(name for _, name in ids if name is not None)])
            children = with_answers(read.children, said, told)
            # The change of the client was answered before those of its contacts, which it shows, too.
            own = {key: value for key, value in answer.raw.items() if key != people.EMBEDDED} if changes else {}
            answer = replace(read, raw={**read.raw, **own}, children=children)
        return replace(answer, remember=remember, made=made)

    def merge(self, survivor: Listed, loser: Listed) -> Listed | None:
        """Have Flowtly join the counterparties of both clients, then give the loser the archived status: clients themselves stay."""
        counterparties.join(self.calls, survivor.raw.get("name"), loser.raw.get("name"))
        return self.update(loser, {"archived": True}, {}, {})

    def _changes(
        self, raw: Raw, patch: Fields, golden: Fields, memory: Mapping[str, Any]
    ) -> tuple[Raw, dict[str, Any]]:
        """The keys of the client that a patch changes, and what to remember about its street."""
        changes: Raw = {}
        remember: dict[str, Any] = {}
        for field, value in patch.items():
            if value is None and field in NOT_CLEARABLE:
                continue
            if field == "language" and isinstance(value, str):
                shown, alone = raw.get(PLAIN[field]), bare_language(value)
                if not isinstance(shown, str) or bare_language(shown) != alone:
                    changes[PLAIN[field]] = alone
            elif field in PLAIN:
                changes[PLAIN[field]] = value
            elif field == "country":
                iri = self._countries.iri(value)
                if value is None or iri is not None:
                    changes["addressCountry"] = iri
            elif field == "currency" and (iri := self._currencies.iri(value)) is not None:
                changes["currency"] = iri
            elif field == "archived" and self._archived_status:
                status = self._archived_status if value is True else self._defaults.get("status")
                changes |= {"status": status} if status else {}
        if "address_line1" in patch:
            country = patch.get("country", golden.get("country"))
            parts, remember = _split(raw, patch["address_line1"], country, memory)
            changes |= parts
        changes = {key: value for key, value in changes.items() if value != raw.get(key)}
        return changes, remember

    def _completed(self, deed: Deed, current: Listed) -> Deed:
        """A new contact with its client and type; other calls as they are."""
        if deed.contact is not None or deed.body is None:
            return deed
        kind = self._defaults.get("contact_type")
        if not kind or self._contacts.embedded_only:
            message = (
                "an e-mail needs a contact, and these credentials may not write contacts"
                if self._contacts.embedded_only
                else "an e-mail needs a contact: set defaults.contact_type"
            )
            raise Rejected(message, operation="POST client-contacts", external_id=current.external_id)
        return replace(deed, body={"client": _client_iri(current), "type": kind, **deed.body})

    def _do(self, external_id: str, deed: Deed) -> Value:
        """Carry out one call about a contact; the answer to it, which for a new contact has its id."""
        try:
            if deed.body is None:
                self.calls.delete_contact(str(deed.contact))
                return None
            if deed.contact is not None:
                return self.calls.update_contact(deed.contact, deed.body)
            made = self.calls.create_contact(deed.body)
        except Rejected as refusal:
            self.calls.get_client(external_id)  # raises Gone where the client itself is
            if deed.contact is None or refusal.status != people.NOT_FOUND:
                raise
            if deed.body is None:
                return None
            message = "the contact was deleted meanwhile"
            raise Stale(message, operation="PATCH client-contacts", external_id=external_id) from refusal
        if not isinstance(made, dict) or identity(made.get("id")) is None:
            message = "the answer to the creation is no contact"
            raise UnknownOutcome(message, operation="POST client-contacts", external_id=external_id)
        return made

    def _refuse_impossible(self, patch: Fields, external_id: str) -> None:
        """Raise where all that was wanted is what Flowtly cannot do, or cannot be told without its IRI."""
        empties = sorted(f for f, value in patch.items() if value is None and f in (NOT_CLEARABLE | {"email"}))
        reasons = [f"Flowtly cannot empty {', '.join(empties)}"] if empties else []
        if patch.get("currency") and self._currencies.iri(patch["currency"]) is None:
            reasons.append("the currency's IRI is not known: add it to currency_iris")
        if patch.get("archived") is False and not self._defaults.get("status"):
            reasons.append("restoring needs defaults.status")
        if reasons:
            raise Rejected("; ".join(reasons), operation="PATCH clients", external_id=external_id)

    def delete(self, current: Listed) -> None:
        """Impossible: Flowtly documents no call that deletes a client."""
        message = "Flowtly cannot delete clients"
        raise Rejected(message, operation="delete client", external_id=current.external_id)


def _client(body: Value, external_id: str | None) -> Raw | None:
    """The client in an answer (the one asked for, where an id is given), or None where it is none or cannot be kept."""
    found = identity(body.get("id")) if isinstance(body, dict) else None
    if not isinstance(body, dict) or found is None or external_id not in (None, found) or unsound(body) is not None:
        return None
    return people.without_context(body)


def _client_iri(current: Listed) -> str:
    """The client's own IRI; where it is not shown, in the style of its country's (`/api/countries/1` -> `/api/clients/7`)."""
    own, country = current.raw.get("@id"), current.raw.get("country")
    if isinstance(own, str) and own:
        return own
    prefix = country.rsplit("/", 2)[0] if isinstance(country, str) and country.count("/") > 1 else ""
    return f"{prefix}/clients/{current.external_id}"


def _code(iris: Iris, iri: Value) -> Maybe:
    """The code of an IRI: empty where there is none, unknown where the IRI says nothing."""
    if iri is None:
        return None
    code = iris.code(iri)
    return UNKNOWN if code is None else code


def _tidy(value: Value) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _line(raw: Raw, country: Maybe, remembered: dict[str, Any]) -> str | None:
    """The street as one line: as it was typed while the split of then still stands, else joined."""
    street, number, local = (_tidy(raw.get(key)) for key in STREET)
    kept = remembered.get(_REMEMBERED_STREET)
    if isinstance(kept, dict):
        if kept.get("parts") == [street, number, local]:
            return str(kept["typed"])
        return Street(street, number, local, bool(kept.get("number_first"))).text()
    return Street(street, number, local, number_first(country)).text()


def _split(raw: Raw, line: Value, country: Value, memory: Mapping[str, Any]) -> tuple[Raw, dict[str, Any]]:
    """The three keys for a line, and what to remember of how it was typed.

    What the record shows in the same words stays as it is, and a line that was split before is not split anew.
    """
    if not isinstance(line, str):
        return dict.fromkeys(STREET), {_REMEMBERED_STREET: None}
    kept = memory.get(_REMEMBERED_STREET)
    street, number, local = (_tidy(raw.get(key)) for key in STREET)
    shown = Street(street, number, local)
    if words(shown.text() or "") == words(line):
        parts = replace(shown, number_first=_is_number_first(line, shown))
    elif isinstance(kept, dict) and kept.get("typed") == line:
        parts = Street(kept["parts"][0], kept["parts"][1], kept["parts"][2], bool(kept["number_first"]))
    else:
        parts = split(line, country)
    values: list[Value] = [parts.street, parts.number, parts.local]
    note = {"typed": line, "parts": values, "number_first": parts.number_first}
    return dict(zip(STREET, values, strict=True)), {_REMEMBERED_STREET: note}


def _is_number_first(line: str, parts: Street) -> bool:
    return parts.number is not None and line.strip().startswith(parts.number)


def _children(contacts: Raw | None, notes: list[Raw] | None) -> Raw | None:
    """What was read about a client by other calls, or None where nothing was."""
    found: Raw = {**(contacts or {}), **({} if notes is None else {"notes": [*notes]})}
    return found if contacts is not None or notes is not None else None


def _cleaned(shown: Mapping[str, Maybe]) -> dict[str, Value]:
    """The known values in canonical form; what cannot be understood is left out, as unknown."""
    fields: dict[str, Value] = {}
    for field, value in shown.items():
        tidy = UNKNOWN if value is UNKNOWN else clean(kind_of(field), value)
        if tidy is not UNKNOWN:
            fields[field] = tidy
    return fields
