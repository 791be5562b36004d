"""Smartbills, receipts and billing in Canada: customers, who are persons.

    list      GET    .../customers?page=1&pageSize=100      {data, metadata | pagination}, oldest first
    retrieve  GET    .../customers/{id}
    create    POST   .../customers                          first and last name, locale, e-mail or phone are required
    update    PUT    .../customers/{id}                     replaces the whole customer
    delete    DELETE .../customers/{id}                     for ever; there is no archive and no merge

`...` is the base URL (dialect `v1`, the documented contract) or `{base}/businesses/{business_id}` (dialect `business`, that of
the current SDKs, which calls some things differently: see `dialects`). Which one a host serves cannot be told from outside, so
the tenant's file says it. Wire facts: the vendor's "Customers" page, the pages after it, and its two SDKs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlsplit

from syncd.core.model import Fields, Raw, Value
from syncd.errors import Malformed, Rejected, UnknownOutcome
from syncd.providers import Capabilities, FieldSpec, Listed, Page, Reading, Recall, Settings
from syncd.providers.ahead import Ahead, numbered
from syncd.providers.credentials import Bearer, Fixed, Token
from syncd.providers.decoding import identity, segment, sift, unsound
from syncd.providers.smartbills import customers
from syncd.providers.smartbills.dialects import ADDRESS, ADDRESS_PARTS, DIALECTS, explain
from syncd.seen import Seen

if TYPE_CHECKING:
    from syncd.providers.http import Answer, Http
    from syncd.providers.outcomes import Unread

PAGE_SIZE: Final = 100
MAX_PAGES: Final = 20_000
_NAME_PARTS: Final = ("name", "given_name", "family_name")


class Smartbills:
    """The customers of one Smartbills account, or of one business in it."""

    default_base_url: ClassVar[str] = "https://api.smartbills.io/v1"
    requests_per_second: ClassVar[float] = 20.0
    """What the vendor publishes: 100 per 5 seconds and token."""
    option_keys: ClassVar[Mapping[str, str]] = {
        "dialect": "`v1` (/customers, unless given) or `business` (/businesses/{business_id}/customers).",
        "business_id": "The business, sent as x-tenant-id; required by the dialect `business`.",
        "token": "API key or ready bearer token, as a reference; or else client_id and client_secret.",
        "client_id": "For the client-credentials login.",
        "client_secret": "For the client-credentials login, as a reference.",
        "scope": "What the token of the login may do, such as `customers.read customers.write`; the server's default unless given.",
        "auth_url": "Where to log in; the origin of base_url with /connect/token unless given.",
        "companies": "`contact`: create companies in the name of their primary contact; persons only unless given.",
    }
    secret_keys: ClassVar[frozenset[str]] = frozenset({"token", "client_secret"})
    capabilities = Capabilities(create=True, update=True, delete=True, recall=True)

    def __init__(self, settings: Settings, http: Http) -> None:
        """Log in with what the options say, when first needed."""
        self.settings = settings
        self.learned: dict[str, Any] = {}
        self._http = http
        options = settings.options
        self._dialect = DIALECTS[str(options.get("dialect") or "v1")]
        self._companies_by_contact = options.get("companies") == "contact"
        business = options.get("business_id")
        self._headers = {"x-tenant-id": str(business)} if business else {}
        self._path = "/customers"
        if self._dialect.name == "business":
            self._path = f"/businesses/{segment(business)}/customers"
        if options.get("token"):
            http.authorise_with(Fixed({"Authorization": f"Bearer {options['token']}"}))
        else:
            base = urlsplit(http.base_url)
            self._auth_url = str(options.get("auth_url") or f"{base.scheme}://{base.netloc}/connect/token")
            http.authorise_with(Bearer(self._log_in), auth_url=self._auth_url)

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> list[str]:
        """What is wrong with the options of a tenant's file, each as `key: problem`."""
        problems = []
        dialect = options.get("dialect", "v1")
        if dialect not in DIALECTS:
            problems.append(f"dialect: must be one of {', '.join(DIALECTS)}")
        business = options.get("business_id")
        if "business_id" in options and identity(business) is None:
            problems.append("business_id: must be the id of a business, a text or a number")
        if dialect == "business" and not business:
            problems.append("business_id: required by the dialect `business`")
        login = bool(options.get("client_id") and options.get("client_secret"))
        if not options.get("token") and not login:
            problems.append("token: required, or client_id and client_secret together")
        if options.get("token") and options.get("client_secret"):
            problems.append("token: either a token or a client_secret, not both")
        problems += [
            f"{key}: must be a text that is not empty"
            for key in ("token", "client_id", "client_secret", "scope", "auth_url")
            if key in options and not (isinstance(options[key], str) and options[key])
        ]
        if options.get("companies", "contact") != "contact":
            problems.append("companies: must be `contact` or left out")
        return problems

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """What this dialect takes; in `v1` with the address once a customer that has one was seen."""
        if self._dialect.locale_shown and self.learned.get("address"):
            return {**self._dialect.fields, **ADDRESS}
        return self._dialect.fields

    @property
    def requests(self) -> int:
        """How many HTTP requests this connection has made so far."""
        return self._http.requests

    def account(self) -> str | None:
        """Not to be told: no documented call names the account of a token."""
        return None

    def close(self) -> None:
        """Release connections."""
        self._http.close()

    # ---- calls

    def pull(self, recall: Recall | None = None) -> Iterator[Page]:
        """Every customer, oldest first, so that a new one lands behind what was read.

        A record that moved onto a later page is given once. Raises `Malformed` for anything that is no such page.
        """
        with Ahead(self._ask, self.settings.requests_at_once) as ahead:
            if (yield from numbered(ahead, recall, self._page, MAX_PAGES)):
                return
        message = f"{self.settings.system}: list: more than {MAX_PAGES} pages"
        raise Malformed(message, operation="list")

    def _ask(self, number: int) -> Unread:
        size = min(self.settings.page_size or PAGE_SIZE, self._dialect.max_page_size)
        query = {"page": str(number), "pageSize": str(size), **self._dialect.order}
        return self._http.receive(
            "GET", self._path, query=query, headers=self._headers, explain=explain, operation="list"
        )

    def _page(self, answer: Answer, number: int, position: int, seen: Seen) -> tuple[Page, int]:
        """A page that has to be read, and how many items it shows. seen: what pages before it showed, to which its records are added."""
        items, total, last = self._envelope(answer, number)
        records, faults = sift(items, doubtful=answer.doubtful, position=position)
        fresh = {external_id: raw for external_id, raw in records if external_id not in seen}
        if records and not fresh:
            raise self._malformed("list", f"page {number} shows only what an earlier page has shown", answer)
        seen.add(fresh)
        listed = [self._listed(external_id, raw) for external_id, raw in fresh.items()]
        digest = answer.digest if len(fresh) == len(items) else ""
        return Page(listed, number, total, last, faults, answer.requests, digest), len(items)

    def fetch(self, external_id: str, known: Collection[str] = ()) -> Listed:
        """One customer."""
        del known
        answer = self._call("GET", f"{self._path}/{segment(external_id)}", operation="get", external_id=external_id)
        raw = answer.body
        if not isinstance(raw, dict) or identity(raw.get("id")) != external_id or (answer.doubtful and unsound(raw)):
            raise self._malformed("get", "the answer is not the customer that was asked for", answer)
        return self._listed(external_id, raw)

    def create(self, golden: Fields) -> Listed:
        """Create a customer: a person, or a company in the name of its primary contact where the tenant's file says so."""
        by_contact = self._by_contact(golden)
        person = customers.names(customers.primary_contact(golden) if by_contact else golden)
        objection = self.objection(golden)
        if objection is not None or person is None:
            message = f"{self.settings.system}: create: {objection}"
            raise Rejected(message, operation="create")
        company = golden.get("name") if by_contact else None
        own = self.settings.context.language
        body = customers.create_body(golden, self._dialect, person, own, company=company)
        parts = {part: golden[part] for part in ADDRESS_PARTS if golden.get(part)}
        if parts and self.fields["address_line1"].create:
            body["address"] = customers.write_address(None, parts)
        answer = self._call("POST", self._path, json=body, operation="create")
        created = self._written(answer, "create", None)
        return Listed(created.external_id, created.raw, children={"contact": True}) if by_contact else created

    def update(self, current: Listed, patch: Fields, golden: Fields, memory: Mapping[str, Any]) -> Listed:
        """Replace the customer by what was just read with the fields of `patch` changed."""
        del golden
        changes = dict(patch)
        named = [part for part in _NAME_PARTS if part in changes]
        person = customers.names(changes)
        for part in named:
            del changes[part]
        if named and not memory.get("contact"):
            if person is None:
                raise self._refusal("a customer needs a first and a last name", current)
            changes |= {"given_name": person[0], "family_name": person[1]}
        if not changes:
            return current
        own = self.settings.context.language
        body = customers.update_body(current.raw, changes, self._dialect, memory.get("written") or {}, own)
        if not body.get("email") and not body.get(self._dialect.phone):
            raise self._refusal("a customer needs an e-mail or a phone", current)
        path = f"{self._path}/{segment(current.external_id)}"
        answer = self._call("PUT", path, json=body, operation="update", external_id=current.external_id)
        return self._written(answer, "update", current.external_id)

    def delete(self, current: Listed) -> None:
        """Delete the customer for ever."""
        path = f"{self._path}/{segment(current.external_id)}"
        self._call("DELETE", path, operation="delete", external_id=current.external_id)

    # ---- translation

    def read(self, listed: Listed, memory: Mapping[str, Any]) -> Reading:
        """What the customer says, and what syncd wrote last where Smartbills never says it.

        A customer that was created in a contact's name is remembered as such: its name and kind are not the client's.
        """
        kept = dict(memory)
        if (listed.children or {}).get("contact") is True:
            kept["contact"] = True
        by_contact = bool(kept.get("contact"))
        fields = customers.read(listed.raw, self._dialect, kept.get("written") or {}, by_contact=by_contact)
        return Reading(fields, kept)

    def project(self, unit: str, value: Value, golden: Fields) -> Value:
        """Names are compared in two parts, languages with a region; names of companies, under their contact's, are not compared at all."""
        own = self.settings.context.language
        return customers.project(unit, value, own=own, by_contact=self._by_contact(golden))

    def objection(self, golden: Fields) -> str | None:
        """Only persons with both names and an e-mail or a phone; companies only by their contact, where allowed."""
        by_contact = self._by_contact(golden)
        if golden.get("kind") != "person" and not by_contact:
            return "Smartbills takes persons only, and this client is not known to be one"
        if not golden.get("email") and not golden.get("phone"):
            return "Smartbills needs an e-mail or a phone"
        if customers.names(customers.primary_contact(golden) if by_contact else golden) is None:
            whose = "of the primary contact" if by_contact else "of the person"
            return f"Smartbills needs the first and the last name {whose}"
        return None

    # ---- within

    def _by_contact(self, golden: Fields) -> bool:
        """Whether this client stands in Smartbills under the name of its primary contact."""
        return self._companies_by_contact and golden.get("kind") != "person"

    def _call(self, method: str, path: str, **how: Any) -> Answer:
        return self._http.send(method, path, headers=self._headers, explain=explain, **how)

    def _envelope(self, answer: Answer, number: int) -> tuple[list[Value], int | None, bool]:
        """(items, total where it is told, whether this is the end) of either envelope."""
        body = answer.body if isinstance(answer.body, dict) else {}
        items = body.get("data")
        meta = body.get("metadata") if isinstance(body.get("metadata"), dict) else body.get("pagination")
        if not isinstance(items, list) or not isinstance(meta, dict):
            raise self._malformed("list", "the answer is no page of customers", answer)
        current = _count(meta, "page", "currentPage")
        if current is not None and current != number:
            raise self._malformed("list", f"the answer is page {current}, not page {number}", answer)
        total = _count(meta, "totalCount", "count")
        pages = _count(meta, "totalPages", "pageCount")
        if pages is None and not isinstance(meta.get("hasNext"), bool):
            raise self._malformed("list", "the page does not tell how many there are", answer)
        last = number >= pages if pages is not None else not meta["hasNext"]
        if not items and not last:
            raise self._malformed("list", f"page {number} is empty before the end", answer)
        return items, total, last

    def _written(self, answer: Answer, operation: str, external_id: str | None) -> Listed:
        """The customer that a write answered with; one that cannot be read leaves the write in doubt."""
        raw = answer.body
        found = identity(raw.get("id")) if isinstance(raw, dict) else None
        if not isinstance(raw, dict) or found is None or external_id not in (None, found):
            message = f"{self.settings.system}: {operation}: the answer is not the customer that was written"
            raise UnknownOutcome(message, operation=operation, external_id=external_id, status=answer.status)
        return self._listed(found, raw)

    def _listed(self, external_id: str, raw: Raw) -> Listed:
        """A record; the first one with an address teaches that this server holds addresses."""
        if "address" in raw and self._dialect.locale_shown:
            self.learned["address"] = True
        return Listed(external_id, raw)

    def _malformed(self, operation: str, what: str, answer: Answer) -> Malformed:
        return Malformed(f"{self.settings.system}: {operation}: {what}", operation=operation, status=answer.status)

    def _refusal(self, what: str, current: Listed) -> Rejected:
        message = f"{self.settings.system}: update: {what}"
        return Rejected(message, operation="update", external_id=current.external_id)

    def _log_in(self, refresh: str | None) -> Token:
        """Client credentials, or the refresh token of the login before (which dies with this use)."""
        options = self.settings.options
        form = {"client_id": str(options["client_id"]), "client_secret": str(options["client_secret"])}
        if refresh is None:
            form["grant_type"] = "client_credentials"
            form |= {"scope": str(options["scope"])} if options.get("scope") else {}
        else:
            form |= {"grant_type": "refresh_token", "refresh_token": refresh}
        answer = self._http.send(
            "POST", "", base=self._auth_url, form=form, authorised=False, explain=explain, operation="login"
        )
        body = answer.body if isinstance(answer.body, dict) else {}
        access, life, rotated = body.get("access_token"), body.get("expires_in"), body.get("refresh_token")
        if not isinstance(access, str) or not access:
            raise self._malformed("login", "the answer holds no token", answer)
        seconds = float(life) if isinstance(life, int | Decimal) and not isinstance(life, bool) else None
        return Token(access, seconds, rotated if isinstance(rotated, str) and rotated else None)


def _count(meta: Raw, *keys: str) -> int | None:
    """The first of these keys that holds a number of things."""
    for key in keys:
        value = meta.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None
