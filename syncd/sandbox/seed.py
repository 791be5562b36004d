"""The seed data: who is in which of the four systems, under which spelling.

The same company is spelt a little differently from system to system, but always with a number or an e-mail that proves it is the same;
some are in one system only, some are archived, some lack things. `adversarial` adds the pairs that a matcher gets wrong.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from syncd.sandbox.people import CURRENCIES, LANGUAGES, Maker, Party, plain
from syncd.sandbox.wire import Row

START = datetime(2024, 1, 8, 8, 0, tzinfo=UTC)
TIIME_COUNTRY = {"FR": 75, "CA": 40, "PL": 175}
MIX = ("FR", "FR", "PL", "fr", "ca", "FR", "CA", "ca", "PL", "FR", "fr", "ca")
"""Capitals are companies, small letters persons."""
PRESENCE = {
    "FR": (
        ("tiime", "lsp_expert", "flowtly"),
        ("tiime", "lsp_expert"),
        ("tiime",),
        ("lsp_expert", "flowtly"),
        ("tiime", "flowtly"),
    ),
    "PL": (("lsp_expert", "flowtly"), ("flowtly",), ("lsp_expert",), ("tiime", "lsp_expert", "flowtly")),
    "CA": (("lsp_expert", "flowtly"), ("lsp_expert",), ("flowtly",)),
    "fr": (("tiime", "smartbills"), ("tiime",), ("tiime", "lsp_expert", "smartbills")),
    "ca": (("smartbills",), ("smartbills", "lsp_expert"), ("smartbills", "lsp_expert", "flowtly")),
}


@dataclass(frozen=True, slots=True)
class Seeded:
    """What to plant: seed, number of real parties, and whether the misleading ones come on top."""

    seed: int
    clients: int
    adversarial: bool = False


def plant(wanted: Seeded, put: Callable[[str, Row], str]) -> list[dict[str, Any]]:
    """Create every record through `put(provider, raw) -> id`; returns the truth: which records are one party."""
    maker = Maker(wanted.seed)
    parties = [_party(maker, index) for index in range(wanted.clients)]
    if wanted.adversarial:
        parties += misleading(maker)
    draw = random.Random(f"spelling {wanted.seed}")
    truth: dict[str, dict[str, Any]] = {}
    for index, party in enumerate(parties):
        label = party.label or f"p{index + 1}"
        known = truth.setdefault(label, {"party": label, "name": party.name, "records": {}})
        for place, provider in enumerate(party.systems):
            spelt = _spelt(party, draw) if place else party
            at = START + timedelta(hours=7 * index + place, minutes=draw.randrange(60))
            known["records"].setdefault(provider, []).append(put(provider, RAW[provider](spelt, at)))
    return list(truth.values())


def _party(maker: Maker, index: int) -> Party:
    kind = MIX[index % len(MIX)]
    party = maker.company(kind) if kind.isupper() else maker.person(kind.upper())
    party.systems = PRESENCE[kind][(index // len(MIX) + index) % len(PRESENCE[kind])]
    party.archived = index % 17 == 16
    if index % 9 == 5:
        party.phone = ""
    if index % 8 == 3:
        party.house, party.street, party.postal_code, party.city, party.region = "", "", "", "", ""
    if index % 6 == 1:
        party.note = "Préfère être appelé le matin — facture par e-mail."
    return party


def _spelt(party: Party, draw: random.Random) -> Party:
    """The same party as somebody else typed it: never so that it could be taken for another one."""
    spelt = replace(party)
    chance = draw.random()
    if party.company:
        forms = (
            party.name.upper(),
            party.name.rsplit(" ", 1)[0],
            party.name.replace("Sp. z o.o.", "sp. z o.o."),
            plain(party.name),
        )
        spelt.name = forms[int(chance * len(forms))]
    elif chance < 0.3:
        spelt.name, spelt.given, spelt.family = plain(party.name), plain(party.given), plain(party.family)
    if party.email and draw.random() < 0.3:
        spelt.email = party.email[0].upper() + party.email[1:]
    if draw.random() < 0.2:
        spelt.phone = ""
    if party.street and draw.random() < 0.2:
        spelt.street = party.street.replace("avenue", "av.").replace("boulevard", "bd")
    if draw.random() < 0.25:
        spelt.days = None
    return spelt


def _phone(party: Party, style: int) -> str:
    """The number as people write it in that country."""
    digits = party.phone
    if not digits or style == 0:
        return digits
    if party.country == "FR":
        national = "0" + digits[3:]
        return " ".join(national[start : start + 2] for start in range(0, 10, 2))
    if party.country == "PL":
        return f"+48 {digits[3:6]} {digits[6:9]} {digits[9:]}"
    return f"({digits[2:5]}) {digits[5:8]}-{digits[8:]}"


def _line(party: Party) -> str:
    if not party.street:
        return ""
    return f"{party.street} {party.house}" if party.country == "PL" else f"{party.house} {party.street}"


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.034Z")


def tiime(party: Party, _at: datetime) -> Row:
    """A party as Tiime holds it."""
    french = party.country == "FR"
    raw: Row = {
        "name": party.name, "email": party.email or None, "phone": _phone(party, 1) or None, "address": _line(party),
        "postal_code": party.postal_code, "city": party.city, "country_id": TIIME_COUNTRY[party.country],
        "siren_or_siret": party.number if french else "", "intracom_vat_number": party.vat or None, "professional": party.company,
        "iban": party.iban or None, "bic": party.bic or None, "note": party.note or None,
        "billed_including_taxes": 120 * (len(party.name) % 7),
    }  # fmt: skip
    if party.contact:
        given, _, family = party.contact.partition(" ")
        raw["contacts"] = [
            {"firstname": given, "lastname": family, "email": party.email, "phone": None, "job": "Gérance"}
        ]
    return {**raw, "archived": True, "archived_at": "2024-06-01 09:30:00"} if party.archived else raw


def lsp_expert(party: Party, at: datetime) -> Row:
    """A party as LSP.expert holds it; e-mail and phone sit on the first contact."""
    address = {
        "name": party.name, "line1": _line(party), "city": party.city, "postalCode": party.postal_code, "state": party.region,
        "country": party.country,
    }  # fmt: skip
    number = (
        party.number if party.country != "FR" else f"{party.number[:3]} {party.number[3:6]} {party.number[6:9]}".strip()
    )
    symbol = {"EUR": "€", "PLN": "zł", "CAD": "$"}[CURRENCIES[party.country]]
    raw: Row = {
        "name": party.name, "address": {key: value or None for key, value in address.items()}, "archived": party.archived,
        "nationalIdentificationNumber": number or None, "vatNumber": party.vat or None, "createdAt": _iso(at),
        "invoice": {"currency": {"code": CURRENCIES[party.country], "symbol": symbol}, "paymentTerms": party.days},
        "updatedAt": _iso(at + timedelta(days=3)),
    }  # fmt: skip
    if party.email or party.phone:
        who = party.contact or party.name
        first = {"fullName": who, "email": party.email or None, "phone": _phone(party, 0) or None}
        raw["contacts"] = [first, *([{"fullName": party.second[0], "email": party.second[1]}] if party.second else [])]
    if party.note:
        raw["notes"] = [{"content": f"<p>{party.note}</p>", "createdAt": _iso(at)}]
    return raw


def smartbills(party: Party, at: datetime) -> Row:
    """A party as Smartbills holds it: a person."""
    address = None
    if party.street:
        address = {"line1": _line(party), "line2": None, "city": party.city, "state": party.region or None,
                   "stateCode": party.region or None, "country": {"CA": "Canada", "FR": "France", "PL": "Polska"}[party.country],
                   "countryCode": party.country, "postalCode": party.postal_code}  # fmt: skip
    return {
        "firstName": party.given, "lastName": party.family, "email": party.email or None, "phone": _phone(party, 1) or None,
        "locale": "fr-CA" if party.country == "CA" else "fr-FR", "acceptsMarketing": len(party.name) % 3 == 0,
        "tags": ["fidèle"] if len(party.name) % 5 == 0 else [], "address": address, "metadata": {},
        "createdAt": _iso(at), "updatedAt": _iso(at + timedelta(days=1)),
    }  # fmt: skip


def flowtly(party: Party, at: datetime) -> Row:
    """A party as Flowtly holds it; the e-mail sits on a contact, the phone in the address block."""
    polish = party.country == "PL"
    kind = ("nip" if polish else "other") if party.number else "none"
    raw: Row = {
        "name": party.name, "country": party.country, "currency": CURRENCIES[party.country],
        "status": "inactive" if party.archived else "active", "tinType": kind,
        "tin": (party.number if party.country != "FR" else party.number[:9]) or None,
        "tinCountry": party.country if party.number else None, "dueDays": party.days, "documentsLanguage": LANGUAGES[party.country][:2],
        "addressStreetLine": party.street or None, "addressBuildingNumber": party.house or None,
        "addressPostCode": party.postal_code or None, "addressCity": party.city or None,
        "addressPhoneNumber": _phone(party, 0) or None, "addressCountry": party.country if party.street else None,
    }  # fmt: skip
    if party.email:
        times = {"createdAt": _iso(at), "updatedAt": _iso(at)}
        raw["clientContacts"] = [
            {"type": "billing", "email": party.email, "name": party.contact or party.name, "position": 0, **times}
        ]
    return raw


RAW: dict[str, Callable[[Party, datetime], Row]] = {
    "tiime": tiime, "lsp_expert": lsp_expert, "smartbills": smartbills, "flowtly": flowtly,
}  # fmt: skip


def misleading(maker: Maker) -> list[Party]:
    """Pairs that look alike and are not, or look different and are one. Equal labels are one party."""
    pairs: list[Party] = []

    def person(label: str, given: str, family: str, systems: tuple[str, ...], **more: Any) -> Party:
        party = maker.person("FR")
        changed = replace(
            party, name=f"{given} {family}", given=given, family=family, systems=systems, label=label, **more
        )
        pairs.append(changed)
        return changed

    def company(label: str, country: str, systems: tuple[str, ...], **more: Any) -> Party:
        party = replace(maker.company(country), systems=systems, label=label, **more)
        pairs.append(party)
        return party

    home: dict[str, Any] = {"house": "4", "street": "rue des Lilas", "postal_code": "35000", "city": "Rennes"}
    person("twin-lea", "Léa", "Quintin", ("tiime", "smartbills"), email="l.quintin@courriel.example", **home)
    person("twin-leo", "Léo", "Quintin", ("lsp_expert", "smartbills"), email="leo.quintin@courriel.example", **home)
    person("father", "Jean", "Kerbrat", ("tiime", "lsp_expert"), email="jean.kerbrat@courriel.example", **home)
    person("son", "Jean", "Kerbrat", ("smartbills",), email="jean.kerbrat.fils@courriel.example", **home)
    for index, country in enumerate(("FR", "FR", "PL", "CA")):
        company(f"office-{index}", country, ("tiime",) if country == "FR" else ("lsp_expert", "flowtly"),
                phone="+33199001234", email="accueil@pepiniere.example")  # fmt: skip
    old = company("renamed", "FR", ("tiime",), name="Boulangerie Kerlouan SARL")
    pairs.append(
        replace(old, name="Les Fournils d'Armor SAS", email="bonjour@fournils-armor.example", systems=("lsp_expert",))
    )
    polish = company("transliterated", "PL", ("flowtly",), name="Zażółć Gęślą Jaźń Sp. z o.o.")
    pairs.append(replace(polish, name="Zazolc Gesla Jazn spolka z o.o.", systems=("lsp_expert",)))
    first = company("site-a", "FR", ("tiime", "lsp_expert"), name="Granit Moëlan SAS")
    pairs.append(replace(first, number=maker.siret(first.number[:9]), systems=("tiime",), label="site-b", city="Brest",
                         postal_code="29200", email="brest@granit-moelan.example"))  # fmt: skip
    twice = person("twice", "Maïté", "Ferrand", ("smartbills",), email="maite.ferrand@courriel.example")
    pairs.append(
        replace(twice, name="Maite FERRAND", given="Maite", family="FERRAND", email="", systems=("smartbills",))
    )
    pairs.append(replace(twice, systems=("tiime",)))
    namesake = company("namesake-company", "FR", ("tiime",), name="Paul Guivarc'h")
    person("namesake-person", "Paul", "Guivarc'h", ("smartbills",), email=f"paul.{namesake.email}")
    return pairs
