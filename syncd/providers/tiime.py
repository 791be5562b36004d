"""Tiime, invoicing and accounting in France: everything that its API offers about clients, which is reading and creating.

Wire facts come from the community SDK `tiime-sdk` (its "Clients" page is the contract) and from two other public clients;
the vendor documents nothing. Nobody outside knows how to change, archive or delete a client, so none of it is tried: what
Tiime cannot be told is drift. Everything lives under `/companies/{company_id}/clients`.

    list      GET .../clients[?archived=true|false]   array, in ranges: `Range: items=0-99` (last included), answered with
              206 and `Content-Range: items 0-99/*` while more may follow, a number for `*` once the end is known, or 200
    search    GET .../clients?search=TEXT             array, archived ones too, by name
    get       GET .../clients/{id}
    create    POST .../clients
    contacts  GET .../clients/{id}/contacts           array, read only; asked for with `contacts = true` only

The whole listing is read without the `archived` filter: with it an archived client would look deleted. No record carries a
time of change or a foreign id. The country is written as `country_id`; there is no list of countries, so their ids are
learned from the records that were read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from syncd.core.children import ContactSpec
from syncd.core.model import UNKNOWN, Fields, Raw, Value, kind_of
from syncd.core.normalize import clean, join_name, registration
from syncd.errors import Malformed, Rejected, UnknownOutcome
from syncd.providers import ABSENT, Capabilities, FieldSpec, Listed, Page, Reading, Recall, Settings
from syncd.providers.ahead import Ahead
from syncd.providers.credentials import Bearer, Fixed, Token
from syncd.providers.decoding import identity, segment, sift, unsound
from syncd.seen import Seen

if TYPE_CHECKING:
    from syncd.providers.http import Answer, Http
    from syncd.providers.outcomes import Unread

AUTH_URL: Final = "https://auth0.tiime.fr/oauth/token"
CLIENT_ID: Final = "iEbsbe3o66gcTBfGRa012kj1Rb6vjAND"
"""The public id of Tiime's own web application."""
AUDIENCE: Final = "https://chronos/"
SCOPE: Final = "openid email"
HEADERS: Final = {"tiime-app": "tiime", "tiime-app-version": "4.30.3", "tiime-app-platform": "cli"}
LIST_MEDIA_TYPE: Final = "application/vnd.tiime.timeline.v2+json"
PAGE_SIZE: Final = 100
MAX_PAGES: Final = 20_000
OK: Final = 200
RANGE_NOT_SATISFIABLE: Final = 416
LIST_STATUSES: Final = frozenset({OK, 206, RANGE_NOT_SATISFIABLE})
COUNTRY_IDS: Final[Mapping[str, int]] = {"FR": 75}
"""The one country whose id is known from public sources."""
_CONTENT_RANGE: Final = re.compile(r"items (?:(?P<first>\d{1,12})-(?P<last>\d{1,12})|\*)/(?P<total>\d{1,12}|\*)")
_NUMBER: Final = re.compile(r"[0-9]{9}(?:[0-9]{5})?")

TEXTS: Final[Mapping[str, str]] = {
    "name": "name",
    "email": "email",
    "phone": "phone",
    "address_line1": "address",
    "address_line2": "address_complement",
    "postal_code": "postal_code",
    "city": "city",
    "registration_number": "siren_or_siret",
    "vat_number": "intracom_vat_number",
    "details": "note",
    "iban": "iban",
    "bic": "bic",
    "archived": "archived",
}
"""Canonical field -> key in a client. `kind` and `country` are translated apart."""

_SENT: Final = FieldSpec(create=True)
_CONTACTS: Final = ContactSpec(frozenset({"name", "given_name", "family_name", "email", "phone", "role"}))
_SHOWN: Final = FieldSpec(note="shown by Tiime, and nowhere to be written")

FIELDS: Final[Mapping[str, FieldSpec]] = {
    "name": FieldSpec(create=True, required=True),
    "given_name": ABSENT,
    "family_name": ABSENT,
    "kind": FieldSpec(create=True, note="`professional`: true is a company"),
    "email": _SENT,
    "phone": _SENT,
    "address_line1": _SENT,
    "address_line2": _SHOWN,
    "postal_code": _SENT,
    "city": _SENT,
    "region": ABSENT,
    "country": FieldSpec(create=True, note="sent where its id is known from another client; France always is"),
    "registration_number": FieldSpec(
        create=True, note="a SIREN or SIRET, 9 or 14 digits; any other number is left out"
    ),
    "vat_number": _SHOWN,
    "currency": ABSENT,
    "payment_terms_days": ABSENT,
    "language": ABSENT,
    "tax_exempt": ABSENT,
    "marketing_consent": ABSENT,
    "details": _SHOWN,
    "iban": _SHOWN,
    "bic": _SHOWN,
    "archived": _SHOWN,
    "contacts": ABSENT,
    "notes": ABSENT,
}


class Tiime:
    """The clients of one company in Tiime. Its account is the company id in the path; no call is needed to know it."""

    default_base_url: ClassVar[str] = "https://chronos-api.tiime-apps.com/v1"
    option_keys: ClassVar[Mapping[str, str]] = {
        "company_id": "Number of the company, as in the web application's address; required.",
        "username": "E-mail address of the user who logs in; with `password`, unless there is a `token`.",
        "password": "That user's password, as a reference.",
        "token": "A ready bearer token instead of a login, as a reference.",
        "auth_url": f"Where to log in; {AUTH_URL} unless given.",
        "client_id": "The application's id at the login; that of Tiime's web application unless given.",
        "audience": f"What the token is for; {AUDIENCE} unless given.",
        "scope": f"What the token may do; `{SCOPE}` unless given.",
        "contacts": "true: also read each client's contacts, one more request per changed client; false unless given.",
    }
    secret_keys: ClassVar[frozenset[str]] = frozenset({"password", "token"})
    capabilities: Capabilities

    def __init__(self, settings: Settings, http: Http) -> None:
        """Log in with what the options say, when first needed."""
        self.settings = settings
        self.learned: dict[str, Any] = {}
        self._http = http
        options = settings.options
        self._path = f"/companies/{segment(options['company_id'])}/clients"
        self._contacts = bool(options.get("contacts", False))
        self.fields: Mapping[str, FieldSpec] = {**FIELDS, "contacts": _SHOWN} if self._contacts else FIELDS
        self.capabilities = Capabilities(
            create=True, recall=True, partial_list=self._contacts, contacts=_CONTACTS if self._contacts else None
        )
        if options.get("token"):
            http.authorise_with(Fixed({"Authorization": f"Bearer {options['token']}"}))
        else:
            self._auth_url = str(options.get("auth_url") or AUTH_URL)
            http.authorise_with(Bearer(self._log_in), auth_url=self._auth_url)

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> list[str]:
        """What is wrong with the options of a tenant's file, each as `key: problem`."""
        problems = []
        company = options.get("company_id")
        if isinstance(company, bool) or not re.fullmatch(r"[1-9][0-9]{0,17}", str(company or "")):
            problems.append("company_id: required, the number of the company")
        if not options.get("token") and not (options.get("username") and options.get("password")):
            problems.append("username: needed together with password, unless there is a token")
        if options.get("token") and options.get("password"):
            problems.append("token: either a token or a password, not both")
        problems += [
            f"{key}: must be a text that is not empty"
            for key in ("username", "password", "token", "auth_url", "client_id", "audience", "scope")
            if key in options and not (isinstance(options[key], str) and options[key])
        ]
        if not isinstance(options.get("contacts", False), bool):
            problems.append("contacts: must be true or false")
        return problems

    @property
    def requests(self) -> int:
        """How many HTTP requests this connection has made so far."""
        return self._http.requests

    def account(self) -> str | None:
        """Not to be told: the company is part of every address, and nothing documented names the user."""
        return None

    def close(self) -> None:
        """Release connections."""
        self._http.close()

    # ---- calls

    def pull(self, recall: Recall | None = None) -> Iterator[Page]:
        """Every client, archived ones too, range by range."""
        yield from self.listing(recall=recall)

    def listing(
        self, *, archived: bool | None = None, search: str | None = None, recall: Recall | None = None
    ) -> Iterator[Page]:
        """The clients in ranges: all, only (not) archived ones, or those whose name matches `search`.

        A record that an overlapping range shows again is left out. Raises `Malformed` for anything that is no listing.
        """
        query = {} if archived is None else {"archived": str(archived).lower()}
        if search is not None:
            query["search"] = search
        with Ahead(partial(self._ask, query), self.settings.requests_at_once) as ahead:
            yield from self._pages(ahead, recall)

    def _ask(self, query: Mapping[str, str], first: int) -> Unread:
        """The request for the range that starts at `first`."""
        asked = f"items={first}-{first + (self.settings.page_size or PAGE_SIZE) - 1}"
        headers = {**HEADERS, "Accept": LIST_MEDIA_TYPE, "Range": asked}
        return self._http.receive("GET", self._path, query=query, headers=headers, good=LIST_STATUSES, operation="list")

    def _pages(self, ahead: Ahead[int], recall: Recall | None) -> Iterator[Page]:
        seen = Seen()
        first = 0
        for number in range(1, MAX_PAGES + 1):
            known = () if recall is None else (partial(recall.whole, number), partial(recall.slices, number))
            answer = ahead.take(first).read(*known)
            if answer.known is not None:
                ids = answer.known.ids
                after, total, last = _after(answer, first, len(ids))
                seen.add(ids)
                page = Page((), number, total=total, last=last, requests=answer.requests, known=ids)
            else:
                page, after = self._page(answer, number, first, seen)
            if not page.last:
                told = page.total is not None and after > first
                ahead.expect(range(after, page.total or 0, after - first) if told else [after])
            yield page
            if page.last:
                return
            first = after
        message = f"{self.settings.system}: list: more than {MAX_PAGES} ranges"
        raise Malformed(message, operation="list")

    def _page(self, answer: Answer, number: int, first: int, seen: Seen) -> tuple[Page, int]:
        """A range that has to be read, and where the next one starts. seen: what was shown before, to which its records are added."""
        past_the_end = answer.status == RANGE_NOT_SATISFIABLE
        items: Value = [] if past_the_end else answer.body
        if not isinstance(items, list):
            message = f"{self.settings.system}: list: the answer is no array of clients"
            raise Malformed(message, operation="list", status=answer.status)
        known = answer.slices.known if answer.slices is not None else {}
        count = len(items) + len(known)
        after, total, last = _after(answer, first, count)
        if not last and after <= first:
            message = f"{self.settings.system}: list: a range is empty before the end"
            raise Malformed(message, operation="list", status=answer.status)
        records, faults = sift(items, doubtful=answer.doubtful, position=first)
        fresh = {external_id: raw for external_id, raw in records if external_id not in seen}
        if records and not fresh and not known and not last:
            message = f"{self.settings.system}: list: a range shows only what an earlier one has shown"
            raise Malformed(message, operation="list", status=answer.status)
        seen.add([*known, *fresh])
        listed = [self._listed(external_id, raw) for external_id, raw in fresh.items()]
        whole = len(fresh) == len(items)
        digest = answer.digest if whole else ""
        slices = answer.slices.named(list(fresh)) if whole and answer.slices is not None else known
        return Page(listed, number, total, last, faults, answer.requests, digest, list(known), slices), after

    def fetch(self, external_id: str, known: Collection[str] = ()) -> Listed:
        """One client, with its contacts where they are asked for."""
        del known
        answer = self._call("GET", f"{self._path}/{segment(external_id)}", operation="get", external_id=external_id)
        raw = answer.body
        if not isinstance(raw, dict) or identity(raw.get("id")) != external_id or (answer.doubtful and unsound(raw)):
            message = f"{self.settings.system}: get: the answer is not the client that was asked for"
            raise Malformed(message, operation="get", external_id=external_id, status=answer.status)
        listed = self._listed(external_id, raw)
        if not self._contacts:
            return listed
        return Listed(external_id, raw, children={"contacts": list(self.contacts(external_id))})

    def contacts(self, external_id: str) -> list[Value]:
        """The contacts of one client, as Tiime shows them."""
        path = f"{self._path}/{segment(external_id)}/contacts"
        answer = self._call("GET", path, operation="contacts", external_id=external_id)
        if not isinstance(answer.body, list) or (answer.doubtful and unsound(answer.body)):
            message = f"{self.settings.system}: contacts: the answer is no array of contacts"
            raise Malformed(message, operation="contacts", external_id=external_id, status=answer.status)
        return answer.body

    def create(self, golden: Fields) -> Listed:
        """Create a client from what Tiime takes. A country whose id was never seen is left out, and so is a number of no such length."""
        body: Raw = {key: golden[field] for field, key in TEXTS.items() if FIELDS[field].create and golden.get(field)}
        number = self._number(golden.get("registration_number"))
        if number is None:
            body.pop(TEXTS["registration_number"], None)
        else:
            body[TEXTS["registration_number"]] = number
        body["name"] = _name(golden)
        if golden.get("kind") in ("company", "person"):
            body["professional"] = golden["kind"] == "company"
        country_id = self._country_id(golden.get("country"))
        if country_id is not None:
            body["country_id"] = country_id
        answer = self._call("POST", self._path, json=body, operation="create")
        raw = answer.body
        external_id = identity(raw.get("id")) if isinstance(raw, dict) else None
        if not isinstance(raw, dict) or external_id is None:
            message = f"{self.settings.system}: create: the answer is no client"
            raise UnknownOutcome(message, operation="create", status=answer.status)
        return self._listed(external_id, raw)

    def update(self, current: Listed, patch: Fields, golden: Fields, memory: Mapping[str, Any]) -> Listed:
        """Impossible: always raises `Rejected` and sends nothing."""
        del patch, golden, memory
        message = f"{self.settings.system}: update: Tiime offers no way to change a client"
        raise Rejected(message, operation="update", external_id=current.external_id)

    def delete(self, current: Listed) -> None:
        """Impossible: always raises `Rejected` and sends nothing."""
        message = f"{self.settings.system}: delete: Tiime offers no way to delete a client"
        raise Rejected(message, operation="delete", external_id=current.external_id)

    # ---- translation

    def read(self, listed: Listed, memory: Mapping[str, Any]) -> Reading:
        """A missing key is unknown; null and the empty text are empty."""
        raw = listed.raw
        fields: dict[str, Value] = {}
        for field, key in TEXTS.items():
            value = clean(kind_of(field), raw[key]) if key in raw else UNKNOWN
            if value is not UNKNOWN:
                fields[field] = value
        if isinstance(raw.get("professional"), bool):
            fields["kind"] = "company" if raw["professional"] else "person"
        country = _country(raw)
        if country is not UNKNOWN:
            fields["country"] = country
        contacts = (listed.children or {}).get("contacts")
        if isinstance(contacts, list):
            fields["contacts"] = [_contact(contact) for contact in contacts if isinstance(contact, dict)] or None
        return Reading({field: fields[field] for field in FIELDS if field in fields}, dict(memory))

    def project(self, unit: str, value: Value, golden: Fields) -> Value:
        """A name is one text here, a SIREN or SIRET its digits, and an address has no region; all else is shown as it was sent."""
        del golden
        if unit == "registration_number":
            return self._number(value) or value
        if not isinstance(value, dict):
            return value
        if unit == "name":
            return {"name": _name(value)} if value else {}
        return {part: held for part, held in value.items() if FIELDS.get(part, ABSENT).read}

    def objection(self, golden: Fields) -> str | None:
        """A client needs a name."""
        return None if _name(golden) else "a client in Tiime needs a name"

    # ---- within

    def _call(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **how: Any) -> Answer:
        """One call with the headers of Tiime's own applications."""
        return self._http.send(method, path, headers={**HEADERS, **(headers or {})}, **how)

    def _log_in(self, refresh: str | None) -> Token:
        """Auth0's password grant; the login that is always possible is to do it again, so no refresh token is asked for."""
        del refresh
        options = self.settings.options
        body = self._http.send(
            "POST",
            "",
            base=self._auth_url,
            json={
                "grant_type": "password",
                "client_id": str(options.get("client_id") or CLIENT_ID),
                "audience": str(options.get("audience") or AUDIENCE),
                "scope": str(options.get("scope") or SCOPE),
                "username": str(options["username"]),
                "password": str(options["password"]),
            },
            authorised=False,
            operation="login",
        ).body
        access = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(body, dict) or not isinstance(access, str) or not access:
            message = f"{self.settings.system}: login: the answer holds no token"
            raise Malformed(message, operation="login")
        life = body.get("expires_in")
        return Token(access, float(life) if isinstance(life, int | Decimal) and not isinstance(life, bool) else None)

    def _listed(self, external_id: str, raw: Raw) -> Listed:
        """A record, and what it teaches about the ids of countries."""
        country = raw.get("country")
        if isinstance(country, dict):
            code, number = country.get("code"), country.get("id")
            if isinstance(code, str) and isinstance(number, int) and not isinstance(number, bool):
                self.learned.setdefault("countries", {})[code.upper()] = number
        return Listed(external_id, raw, complete=not self._contacts)

    def _number(self, value: Value) -> str | None:
        """The digits of a company number that Tiime can hold, None for any other."""
        found = registration(value, self.settings.context)
        return found.number if found is not None and _NUMBER.fullmatch(found.number) else None

    def _country_id(self, country: Value) -> int | None:
        known: Mapping[str, int] = {**COUNTRY_IDS, **self.learned.get("countries", {})}
        return known.get(country) if isinstance(country, str) else None


def _after(answer: Answer, first: int, count: int) -> tuple[int, int | None, bool]:
    """(where the next range starts, the total where it is known, whether this was the end) after `count` items from `first`.

    A short range with an open total is no end: a system may give less than it was asked for. Only 200, 416, an empty range
    and a total that is reached are.
    """
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", "").strip())
    total = int(found["total"]) if found and found["total"] != "*" else None
    following = max(first + count, int(found["last"]) + 1 if found and found["last"] else 0)
    if answer.status == RANGE_NOT_SATISFIABLE or not count:
        return following, total, total is None or total <= first
    if total is not None:
        return following, total, following >= total
    return following, None, answer.status == OK


def _name(parts: Fields) -> str | None:
    """The name as one text; a person's joined from its parts where there is no other."""
    whole = parts.get("name") or join_name(*(str(parts.get(part) or "") for part in ("given_name", "family_name")))
    return str(whole) or None


def _country(raw: Raw) -> Any:
    """ISO code of the country: of the object, or else of its flat duplicate; empty where they say so, else UNKNOWN."""
    country = raw.get("country")
    code = country.get("code") if isinstance(country, dict) else None
    code = code or raw.get("country_code")
    if code:
        return clean(kind_of("country"), code)
    return None if "country" in raw or "country_code" in raw else UNKNOWN


def _contact(contact: Raw) -> Value:
    """One contact in canonical words; its `job` is the role."""
    keys = {"given_name": "firstname", "family_name": "lastname", "email": "email", "phone": "phone", "role": "job"}
    shown: dict[str, Value] = {part: contact[key] or None for part, key in keys.items() if key in contact}
    whole = join_name(*(str(shown.get(part) or "") for part in ("given_name", "family_name")))
    return {"id": identity(contact.get("id")), "name": whole or None, **shown}
