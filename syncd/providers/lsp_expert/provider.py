"""The translation between canonical fields and LSP.expert's clients and contacts; the package's header says by which facts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from syncd.core.model import UNKNOWN, Fields, Maybe, Raw, Value, kind_of
from syncd.core.normalize import clean, join_name
from syncd.errors import Gone, Malformed, Rejected, Stale, UnknownOutcome
from syncd.providers import ABSENT, Capabilities, FieldSpec, Listed, Page, Reading, Recall, Settings
from syncd.providers.ahead import Ahead, numbered
from syncd.providers.credentials import Fixed
from syncd.providers.decoding import identity, sift, unsound
from syncd.providers.lsp_expert import contacts as people
from syncd.providers.lsp_expert.calls import Calls
from syncd.providers.lsp_expert.contacts import ON_CONTACT
from syncd.providers.lsp_expert.fields import FIELDS, NOT_CLEARABLE, READ_PATHS, WRITE_NAMES
from syncd.seen import Seen

if TYPE_CHECKING:
    from syncd.providers.http import Answer, Http
    from syncd.providers.outcomes import Unread

MAX_PAGES: Final = 50_000
"""A walk of more pages than this (20 records each) is no listing any more."""


class LspExpert:
    """One LSP.expert account; see `syncd.providers.Provider` for the promises."""

    default_base_url: ClassVar[str] = "https://api.lsp.expert/v2"
    option_keys: ClassVar[Mapping[str, str]] = {
        "api_key": "The API key from LSP.expert's API settings.",
        "sort": "true (default): ask for lists in order of creation; false: send no sort parameters.",
        "children": "on_change (default): fetch a client singly when its list item changed; always: at every walk.",
    }
    secret_keys: ClassVar[frozenset[str]] = frozenset({"api_key"})

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> list[str]:
        """What is wrong with the tenant's options, in words; empty if nothing is."""
        problems = []
        if not isinstance(options.get("api_key"), str) or not options["api_key"]:
            problems.append("api_key: required, the API key of the account")
        if not isinstance(options.get("sort", True), bool):
            problems.append("sort: must be true or false")
        if options.get("children", "on_change") not in ("on_change", "always"):
            problems.append('children: must be "on_change" or "always"')
        return problems

    def __init__(self, settings: Settings, http: Http) -> None:
        self.settings = settings
        self.fields: Mapping[str, FieldSpec] = FIELDS
        self.learned: dict[str, Any] = {}
        self._always = settings.options.get("children") == "always"
        self._sort = settings.options.get("sort", True) is not False
        self.capabilities = Capabilities(
            create=True,
            update=True,
            archive=True,
            delete=True,
            restore=True,
            partial_list=not self._always,
            recall=not self._always,
            contacts=people.SPEC,
        )
        self._http = http
        key = b64encode(f"{settings.options.get('api_key', '')}:".encode()).decode("ascii")
        http.authorise_with(Fixed({"Authorization": f"Basic {key}"}))
        self.calls = Calls(http)

    @property
    def requests(self) -> int:
        """How many HTTP requests this connection has made so far."""
        return self._http.requests

    def account(self) -> str | None:
        """None: no documented call names the account behind a key."""
        return None

    def close(self) -> None:
        """Release connections."""
        self._http.close()

    # -- reading ---------------------------------------------------------------------------------------------------

    def pull(self, recall: Recall | None = None) -> Iterator[Page]:
        """Every client, 20 a page, each once, oldest first where the server takes the sort parameters."""
        with Ahead(self._ask(), self.settings.requests_at_once) as ahead:
            if (yield from numbered(ahead, recall, self._page, MAX_PAGES)):
                return
        message = f"the listing has more than {MAX_PAGES} pages"
        raise Malformed(message, operation="list clients")

    def _ask(self) -> Callable[[int], Unread]:
        """What asks for a page by its number: sorted, unless the server refuses that for the first page."""
        sort = self._sort

        def ask(number: int) -> Unread:
            nonlocal sort
            try:
                return self.calls.list_clients(number, sort=sort)
            except Rejected as refusal:
                if not (sort and number == 1 and refusal.status == 400):  # noqa: PLR2004 - Bad Request
                    raise
            sort = False
            return self.calls.list_clients(number, sort=sort)

        return ask

    def _page(self, answer: Answer, number: int, position: int, seen: Seen) -> tuple[Page, int]:
        """A page that has to be read, and how many items it shows. seen: what pages before it showed, to which its records are added."""
        body = answer.body
        items, last = _envelope(body, number)
        records, faults = self._records(items, position, seen)
        if not last and (reason := _cut_short(body, items)):
            faults.append((f"page {number}", reason))
        total = body.get("totalItems") if isinstance(body, dict) else None
        known_total = total if isinstance(total, int) and not isinstance(total, bool) else None
        digest = answer.digest if len(records) == len(items) else ""
        requests = answer.requests + (len(records) if self._always else 0)
        return Page(records, number, known_total, last, faults, requests, digest), len(items)

    def _records(self, items: list[Value], position: int, seen: Seen) -> tuple[list[Listed], list[tuple[str, str]]]:
        """The new records of one page and what is wrong with the others. Raises where the page only repeats."""
        records, faults = sift(items, doubtful=True, position=position)
        fresh = {external_id: raw for external_id, raw in records if external_id not in seen}
        if records and not fresh:
            message = "a page only repeats records of earlier pages"
            raise Malformed(message, operation="list clients")
        seen.add(fresh)
        return [self._item(external_id, raw) for external_id, raw in fresh.items()], faults

    def _item(self, external_id: str, item: Raw) -> Listed:
        """A list item as it is; or in full, where the tenant wants that and the client is still there."""
        if self._always:
            try:
                return self.fetch(external_id)
            except Gone:
                pass
        return Listed(external_id, item, complete=False)

    def fetch(self, external_id: str, known: Collection[str] = ()) -> Listed:
        """One client in full, with contacts and notes; the single record is authoritative for them."""
        del known
        listed = _listed(self.calls.get_client(external_id))
        if listed is None or listed.external_id != external_id:
            message = "the answer is not the client that was asked for"
            raise Malformed(message, operation="get client", external_id=external_id)
        return listed

    def read(self, listed: Listed, memory: Mapping[str, Any]) -> Reading:
        """The client in canonical words; remembers which contact is the primary one."""
        raw = listed.raw
        shown: dict[str, Maybe] = {key: raw.get(key, UNKNOWN) for key in ("name", "archived")}
        shown |= {field: _at(raw, path) for field, path in READ_PATHS.items()}
        remembered = {**memory, **listed.remember}
        if listed.complete and isinstance(raw.get("contacts"), list):
            contacts = people.listed(raw)
            first = people.primary(contacts, remembered)
            shown |= {field: first.get(key) if first else None for field, key in ON_CONTACT.items()}
            nameless = first is not None and people.is_placeholder(first, raw, remembered)
            shown["contacts"] = [
                people.shown(each, is_primary=each is first, nameless=nameless and each is first) for each in contacts
            ]
            remembered.pop("primary_contact", None)
            remembered.pop(people.NAMED_AFTER, None)
            if first is not None:
                remembered["primary_contact"] = identity(first.get("id"))
            if first is not None and nameless:
                remembered[people.NAMED_AFTER] = first.get("fullName")
        if listed.complete and (notes := people.notes(raw)) is not None:
            shown["notes"] = notes
        return Reading(_cleaned(shown), remembered)

    def project(self, unit: str, value: Value, golden: Fields) -> Value:
        """LSP.expert holds every text as it is; of a name it holds only the whole."""
        del golden
        if not isinstance(value, dict):
            return value
        if unit == "name":
            if "name" in value:
                return {"name": value["name"]}
            given, family = value.get("given_name"), value.get("family_name")
            return {"name": join_name(given, family)} if isinstance(given, str) and isinstance(family, str) else {}
        return {part: each for part, each in value.items() if self.fields.get(part, ABSENT).read}

    def objection(self, golden: Fields) -> str | None:
        """A client needs a name and nothing else."""
        return None if golden.get("name") else "LSP.expert needs a name"

    # -- writing ---------------------------------------------------------------------------------------------------

    def create(self, golden: Fields) -> Listed:
        """Create a client; e-mail, phone and the archived flag follow as updates. `addressName` is the server's."""
        form = {
            WRITE_NAMES[field]: _text(value)
            for field, value in golden.items()
            if value is not None and field in WRITE_NAMES and self.fields[field].create
        }
        return _answered(self.calls.create_client(form), "create client", None)

    def update(self, current: Listed, patch: Fields, golden: Fields, memory: Mapping[str, Any]) -> Listed:
        """Change what `patch` says: the client itself first, then its contacts, then its notes."""
        external_id = current.external_id
        form = _client_form(current.raw, patch)
        deeds = people.deeds(current.raw, patch, golden, memory)
        texts = patch.get("notes")
        notes = [text for text in texts if isinstance(text, str)] if isinstance(texts, list) else []
        remember = {"primary_contact": deeds.promoted} if deeds.promoted is not None else {}
        if not form and not deeds.calls and not notes:
            if not remember:
                _refuse_impossible(patch, external_id)
            return replace(current, remember=remember)
        answer = current
        if form:
            answer = _answered(self.calls.update_client(external_id, form), "update client", external_id)
        said = [(deed, self._do(external_id, deed)) for deed in deeds.calls]
        made = {
            deed.element: str(identity(body.get("id")))
            for deed, body in said
            if isinstance(body, dict) and deed.element
        }
        told = [self._add_note(external_id, text) for text in notes]
        if deeds.calls or notes:
            read = people.with_answers(self.fetch(external_id).raw, said, told)
            kept: Raw = {key: read[key] for key in ("contacts", "notes", "updatedAt") if key in read}
            answer = replace(answer, raw={**answer.raw, **kept} if form else read)
        answer = replace(answer, remember=remember, made=made)
        self._verify_cleared(answer, patch, memory)
        return answer

    def _add_note(self, external_id: str, text: str) -> Value:
        """Add one note; 404 means that the client is gone, or that the call is not offered, which reading it tells."""
        try:
            return self.calls.create_note(external_id, text)
        except Rejected as refusal:
            if refusal.status == 404:  # noqa: PLR2004 - Not Found
                self.fetch(external_id)
            raise

    def _do(self, external_id: str, deed: people.Deed) -> Value:
        """Carry out one call about a contact; the answer to it, which for a new contact has its id."""
        try:
            if deed.form is None:
                self.calls.delete_contact(external_id, str(deed.contact))
                return None
            if deed.contact is not None:
                return self.calls.update_contact(external_id, deed.contact, deed.form)
            made = self.calls.create_contact(external_id, deed.form)
        except Rejected as refusal:
            if refusal.status != 404:  # noqa: PLR2004 - Not Found: is it the client, the contact, or the call?
                raise
            contacts = people.listed(self.fetch(external_id).raw)
            there = any(identity(each.get("id")) == deed.contact for each in contacts)
            if deed.form is None and not there:
                return None
            if deed.contact is None or there:
                raise
            message = "the contact was deleted meanwhile"
            raise Stale(message, operation="update contact", external_id=external_id) from refusal
        if not isinstance(made, dict) or identity(made.get("id")) is None:
            message = "the answer to the creation is no contact"
            raise UnknownOutcome(message, operation="create contact", external_id=external_id)
        return made

    def _verify_cleared(self, answer: Listed, patch: Fields, memory: Mapping[str, Any]) -> None:
        """How to clear is undocumented: an empty form value that the answer does not confirm is a refusal."""
        shown = self.read(answer, memory).fields
        cleared = [field for field, value in patch.items() if value is None and field not in NOT_CLEARABLE]
        kept = [field for field in cleared if self.fields[field].update and shown.get(field) is not None]
        if kept:
            message = f"LSP.expert did not clear {', '.join(sorted(kept))}"
            raise Rejected(message, operation="update client", external_id=answer.external_id)

    def delete(self, current: Listed) -> None:
        """Delete the client for ever."""
        self.calls.delete_client(current.external_id)


def _envelope(body: Value, number: int) -> tuple[list[Value], bool]:
    """The items of a page, and whether it is the last. Raises `Malformed` unless it is the page that was asked for."""
    reason = ""
    if not isinstance(body, dict) or not isinstance(body.get("items"), list):
        reason = "the answer is no page of clients"
    elif not isinstance(body.get("hasNextPage"), bool):
        reason = "the answer does not say whether a page follows"
    elif body.get("page", number) != number:
        reason = f"page {number} was asked for and another came"
    elif body["hasNextPage"] and not body["items"]:
        reason = f"page {number} is empty and not the last"
    if reason or not isinstance(body, dict):
        raise Malformed(reason, operation="list clients")
    items = body["items"]
    return (items if isinstance(items, list) else []), body["hasNextPage"] is False


def _cut_short(body: Value, items: Sequence[Value]) -> str | None:
    """Why a page that is not the last may have lost records: it has fewer than the page size it tells."""
    size = body.get("pageSize") if isinstance(body, dict) else None
    return "fewer records than a full page, and not the last" if isinstance(size, int) and len(items) < size else None


ALWAYS_SHOWN: Final = ("object", "address", "archived", "contacts", "invoice")
"""Keys of which every client in an answer has at least one, and an error has none."""


def _listed(body: Value) -> Listed | None:
    """A client in full, or None where the body is none (or cannot be kept). An error has an id and a name, too, and nothing else."""
    external_id = identity(body.get("id")) if isinstance(body, dict) else None
    if not isinstance(body, dict) or external_id is None or unsound(body) is not None:
        return None
    if not any(key in body for key in ALWAYS_SHOWN):
        return None
    return Listed(external_id, body)


def _answered(body: Value, operation: str, external_id: str | None) -> Listed:
    """The client that a write returned; an answer that is none leaves open what happened."""
    listed = _listed(body)
    if listed is None or external_id not in (None, listed.external_id):
        message = "the answer to the write is not that client"
        raise UnknownOutcome(message, operation=operation, external_id=external_id)
    return listed


def _at(raw: Raw, path: tuple[str, ...]) -> Maybe:
    """The value at a path. A missing last key is empty (unset values are left out); a missing object is unknown."""
    here: Value = raw
    for key in path[:-1]:
        here = here.get(key) if isinstance(here, dict) else None
    if not isinstance(here, dict):
        return UNKNOWN
    value = here.get(path[-1])
    if isinstance(value, dict):
        return value.get("code", UNKNOWN)
    return value


def _cleaned(shown: Mapping[str, Maybe]) -> dict[str, Value]:
    """The known values in canonical form; what cannot be understood is left out, as unknown."""
    fields: dict[str, Value] = {}
    for field, value in shown.items():
        tidy = UNKNOWN if value is UNKNOWN else clean(kind_of(field), value)
        if tidy is not UNKNOWN:
            fields[field] = tidy
    return fields


def _text(value: Value) -> str:
    """A value as a form parameter: booleans as `true`/`false`, empty as the empty text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _client_form(raw: Raw, patch: Fields) -> dict[str, str]:
    """The parameters of the client that a patch changes; `addressName` follows a rename only if it was the name."""
    form = {
        WRITE_NAMES[field]: _text(value)
        for field, value in patch.items()
        if field in WRITE_NAMES and not (value is None and field in NOT_CLEARABLE)
    }
    address = raw.get("address")
    if "name" in form and isinstance(address, dict) and raw.get("name") and address.get("name") == raw.get("name"):
        form["addressName"] = form["name"]
    return form


def _refuse_impossible(patch: Fields, external_id: str) -> None:
    """Raise where all that was wanted is what the API cannot do."""
    stuck = sorted(field for field, value in patch.items() if value is None and field in NOT_CLEARABLE)
    if stuck:
        message = f"LSP.expert cannot empty {', '.join(stuck)}"
        raise Rejected(message, operation="update client", external_id=external_id)
