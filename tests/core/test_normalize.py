"""What values are kept as and when they are the same."""

from __future__ import annotations

import warnings
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import luhn

from syncd.core import normalize
from syncd.core.model import UNITS, UNKNOWN, Context, Kind, is_group, kind_of, parts_of
from syncd.core.normalize import (
    CONTACT_PARTS,
    bic_valid,
    clean,
    iban_valid,
    join_name,
    key,
    name_key,
    numbers,
    postal_code_valid,
    registration,
    same,
    split_name,
    vat,
)

FR = Context()
PL = Context("PL", "pl-PL")
NASTY = [
    "",
    " ",
    "\u00a0\u2003\t\n",
    "\0",
    "a\0b",
    "\ud800",
    "\u202eevil\u202c",
    "محمد علي",
    "😀 🏳️‍🌈",
    "e\u0301cole",
    "x" * 20_000,
    "<" * 500,
    "<p></p>",
    "<p>&nbsp;</p>",
    "<p>a &amp; b</p>",
    "<![CDATA[",
    "<!-- ",
    "<script>x",
    "<p",
    "&#xd800;",
    "+",
    "+33",
    "+" * 300,
    "1" * 300,
    "٠١٢٣٤٥٦٧٨",
    "a@",
    "@b",
    "a@b@c",
    "a@\u0130stanbul.example",
    "FR",
    "FR" + "9" * 500,
    "ß",
    "İ",
    "ﬁ",
    "fr-x-private",
    "zz_ZZ",
    "~123",
    "~+123",
    "SIREN",
    "RCS Paris B 732 829 320",
]
TEXTS = st.sampled_from(NASTY) | st.text(max_size=30) | st.text("0123456789 +-.()xFRPLfrpl@é", max_size=24)
CONTACTS = st.lists(st.dictionaries(st.sampled_from(sorted(CONTACT_PARTS)), st.none() | TEXTS, max_size=4), max_size=3)
ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.decimals(),
    st.floats(),
    TEXTS,
    st.lists(TEXTS, max_size=3),
    CONTACTS,
    st.dictionaries(TEXTS, TEXTS, max_size=2),
    st.just(UNKNOWN),
    st.just(object),
)
CONTEXTS = st.sampled_from([FR, PL, Context("US", "en-US"), Context("", ""), Context("zz", "x")])


@pytest.mark.parametrize(
    "kind, value, kept",
    [
        (Kind.TEXT, "  Caf\u0065\u0301\u00a0 de  la\nGare ", "Café de la Gare"),
        (Kind.TEXT, "", None),
        (Kind.TEXT, 75001, "75001"),
        (Kind.TEXT, {}, UNKNOWN),
        (Kind.EMAIL, " Ada@Engine.Example ", "Ada@Engine.Example"),
        (Kind.EMAIL, {}, UNKNOWN),
        (Kind.PHONE, "06 12 34 56 78", "06 12 34 56 78"),
        (Kind.CHOICE, "Company", "company"),
        (Kind.COUNTRY, "fr", "FR"),
        (Kind.COUNTRY, "FRA", "FR"),
        (Kind.COUNTRY, "250", "FR"),
        (Kind.COUNTRY, "Allemagne", "DE"),
        (Kind.COUNTRY, "Royaume Uni", "GB"),
        (Kind.COUNTRY, "UK", "GB"),
        (Kind.COUNTRY, "Polska", "PL"),
        (Kind.COUNTRY, "États-Unis", "US"),
        (Kind.COUNTRY, "Absurdistan", UNKNOWN),
        (Kind.CURRENCY, "eur", "EUR"),
        (Kind.CURRENCY, "€", UNKNOWN),
        (Kind.LANGUAGE, "fr_FR", "fr-FR"),
        (Kind.LANGUAGE, "PL", "pl"),
        (Kind.LANGUAGE, "fre", "fr"),
        (Kind.LANGUAGE, "zh-hant-tw", "zh-Hant-TW"),
        (Kind.LANGUAGE, "French, please", UNKNOWN),
        (Kind.FLAG, True, True),
        (Kind.FLAG, 0, False),
        (Kind.FLAG, "perhaps", UNKNOWN),
        (Kind.DAYS, 30, 30),
        (Kind.DAYS, "30", 30),
        (Kind.DAYS, Decimal("30.0"), 30),
        (Kind.DAYS, Decimal("30.5"), UNKNOWN),
        (Kind.DAYS, -1, UNKNOWN),
        (Kind.DAYS, True, UNKNOWN),
        (Kind.HTML, " <p>a\n b</p> ", "<p>a\n b</p>"),
        (Kind.HTML, "<p></p>", None),
        (Kind.NOTES, ["a", "<p></p>", None], ["a"]),
        (Kind.NOTES, [], None),
        (Kind.NOTES, "a", UNKNOWN),
        (Kind.CONTACTS, [{"email": " A@b.c "}, {"email": ""}, {}], [{"email": "A@b.c"}]),
        (Kind.CONTACTS, [{"id": 7, "email": "a@b.c"}], [{"id": "7", "email": "a@b.c"}]),
        (Kind.CONTACTS, ["x"], UNKNOWN),
    ],
)
def test_clean(kind: Kind, value: object, kept: object) -> None:
    """The typed text is kept, codes become standard codes, and the impossible is unknown."""
    assert clean(kind, value) == kept
    assert type(clean(kind, value)) is type(kept)


@pytest.mark.parametrize(
    "unit, a, b, context",
    [
        ("email", "Ada@Engine.Example", "ada@ENGINE.example", FR),
        ("email", "a@münchen.de", "A@xn--mnchen-3ya.de", FR),
        ("phone", "06 12 34 56 78", "+33 (0)6 12.34.56.78", FR),
        ("phone", "0033612345678", "tel:+33-6-12-34-56-78", PL),
        ("phone", "22 123 45 67", "+48221234567", PL),
        ("phone", "12 34", "12-34", FR),
        ("registration_number", "732 829 320", "732829320", FR),
        ("registration_number", "526-025-02-74", "5260250274", PL),
        ("vat_number", "FR 40 303 265 045", "fr40303265045", FR),
        ("vat_number", "40303265045", "FR40303265045", FR),
        ("vat_number", "526-025-02-74", "PL5260250274", PL),
        ("vat_number", "GR094259216", "EL 094259216", FR),
        ("details", "<p>x &amp; y</p>", "x & y", FR),
        ("details", "<p>a</p><p>b</p>", "a\nb", FR),
        ("details", "<p></p>", None, FR),
        ("notes", ["<p>a</p>", "b"], ["b", "a"], FR),
        ("language", "fr_fr", "fr-FR", FR),
        ("bic", "AGRIFRPP", "agrifrppxxx", FR),
        ("iban", "FR76 3000 6000 0112 3456 7890 189", "FR7630006000011234567890189", FR),
        ("custom.segment", "", None, FR),
        ("address", None, {"city": None, "country": None}, FR),
        ("address", {"city": "Lyon", "region": "Rhône"}, {"city": "Lyon", "country": "FR"}, FR),
        ("name", {"name": "Ada Lovelace"}, {"given_name": "Ada", "family_name": "Lovelace"}, FR),
        (
            "name",
            {"name": "Ada Lovelace", "given_name": None, "family_name": None},
            {"name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace"},
            FR,
        ),
        ("contacts", [{"email": "A@b.c", "role": "boss"}], [{"email": "a@b.c", "mobile": "1"}], FR),
        ("contacts", None, [], FR),
    ],
)
def test_same(unit: str, a: Any, b: Any, context: Context) -> None:
    """These are the same, whichever comes first."""
    assert same(unit, a, b, context)
    assert same(unit, b, a, context)


@pytest.mark.parametrize(
    "unit, a, b",
    [
        ("custom.segment", "Gold", "gold"),
        ("name", {"name": "Ada"}, {"name": "ada"}),
        ("name", {"name": "Ada B C"}, {"given_name": "Ada", "family_name": "C"}),
        (
            "name",
            {"name": "A B C", "given_name": "A", "family_name": "B C"},
            {"name": "A B C", "given_name": "A B", "family_name": "C"},
        ),
        ("name", None, {"given_name": "Ada", "family_name": None}),
        ("address", {"city": "Lyon", "country": "FR"}, {"city": "Lyon", "country": "BE"}),
        ("address", None, {"city": "Lyon"}),
        ("phone", "06 12 34 56 78", "06 12 34 56 79"),
        ("phone", "06 12 34 56 78", "06 12 34 56 78 ext 4"),
        ("email", None, "a@b.c"),
        ("tax_exempt", None, False),
        ("payment_terms_days", 0, None),
        ("details", "<b>x</b>", "x"),
        ("details", '<a href="/1">x</a>', '<a href="/2">x</a>'),
        ("details", "<p", None),
        ("notes", ["a"], ["a", "a"]),
        ("contacts", [{"email": "a@b.c"}], [{"email": "a@b.c"}, {"email": "d@e.f"}]),
        ("contacts", [{"email": "a@b.c"}], None),
    ],
)
def test_not_same(unit: str, a: Any, b: Any) -> None:
    """These differ, whichever comes first."""
    assert not same(unit, a, b, FR)
    assert not same(unit, b, a, FR)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(Kind), ANYTHING, CONTEXTS)
def test_clean_and_key_are_total_and_idempotent(kind: Kind, value: object, context: Context) -> None:
    """Nothing raises; cleaning twice changes nothing; value and clean form share a key; a key (not HTML) is its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = clean(kind, value)
        assert clean(kind, kept) == kept
        found = key(kind, value, context)
        hash(found)
        if kept is not UNKNOWN:
            assert key(kind, kept, context) == found
        if isinstance(found, str) and kind is not Kind.HTML:
            assert key(kind, found, context) == found


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_nasty_texts_are_borne(kind: Kind, text: str) -> None:
    """Every nasty text is cleaned and compared in every kind, alone and in a list."""
    for value in (text, [text], [{"name": text, "email": text, "phone": text}]):
        kept = clean(kind, value)
        assert clean(kind, kept) == kept
        assert key(kind, value, FR) == key(kind, value, FR)
    split_name(text)
    name_key(text)
    registration(text, FR)
    vat(text, FR)
    iban_valid(text)
    bic_valid(text)
    postal_code_valid(text, text)


@st.composite
def _units(draw: st.DrawFn) -> tuple[str, Any, Any]:
    unit = draw(st.sampled_from([*UNITS, "custom.x"]))

    def value() -> Any:
        if not is_group(unit):
            kept = clean(kind_of(unit), draw(ANYTHING))
            return None if kept is UNKNOWN else kept
        parts = draw(st.dictionaries(st.sampled_from(parts_of(unit)), st.none() | st.sampled_from(["a", "b", "FR"])))
        return draw(st.sampled_from([None, parts])) if parts else None

    first = value()
    return unit, first, draw(st.sampled_from([first, value()]))


@settings(max_examples=300, deadline=None)
@given(_units(), CONTEXTS)
def test_same_is_reflexive_and_symmetric(case: tuple[str, Any, Any], context: Context) -> None:
    """A value is the same as itself (and as its copy), and sameness has no direction."""
    unit, a, b = case
    copy = dict(a) if isinstance(a, dict) else a
    assert same(unit, a, copy, context)
    assert same(unit, a, b, context) == same(unit, b, a, context)


@pytest.mark.parametrize(
    "text, parts",
    [
        ("Jean Dupont", ("Jean", "Dupont")),
        ("JEAN DUPONT", ("JEAN", "DUPONT")),
        ("Jean DUPONT-MARTIN", ("Jean", "DUPONT-MARTIN")),
        ("M. Jean-Pierre DE LA FONTAINE", ("M. Jean-Pierre", "DE LA FONTAINE")),
        ("Mme Anne Marie Le Goff", ("Mme Anne Marie", "Le Goff")),
        ("Me Paul Durand", ("Me Paul", "Durand")),
        ("Dr Jan Kowalski Jr.", ("Dr Jan", "Kowalski Jr.")),
        ("Ludwig van Beethoven", ("Ludwig", "van Beethoven")),
        ("José María García López", ("José María García", "López")),
        ('John "Jack" Smith', ('John "Jack"', "Smith")),
        ("JP Martin", ("JP", "Martin")),
        ("محمد علي", ("محمد", "علي")),
    ],
)
def test_split_keeps_order(text: str, parts: tuple[str, str]) -> None:
    """A name in the usual order is split at one place, so that joining gives it back."""
    assert split_name(text) == parts
    assert join_name(*parts) == text


@pytest.mark.parametrize(
    "text, parts",
    [
        ("DUPONT Jean", ("Jean", "DUPONT")),
        ("M. DUPONT Jean", ("M. Jean", "DUPONT")),
        ("van der Berg, Jan", ("Jan", "van der Berg")),
        ("山田 太郎", ("太郎", "山田")),
    ],
)
def test_split_of_family_first(text: str, parts: tuple[str, str]) -> None:
    """A name with the family name first is read as such."""
    assert split_name(text) == parts


@pytest.mark.parametrize("text", ["", "Jean", "M. Dupont", "M. et Mme Dupont", "김민준", "x " * 500])
def test_no_split(text: str) -> None:
    """Where a text does not give both a given and a family name, it is not split."""
    assert split_name(text) is None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "Jean",
                "DUPONT",
                "de",
                "la",
                "van",
                "M.",
                "Mme",
                "Dr",
                "Jr.",
                "III",
                "O'Neil",
                "J.",
                "😀",
                '"Jo"',
                "(née",
                "X)",
                "et",
                "Li",
            ]
        )
        | st.text(max_size=6),
        max_size=6,
    ).map(" ".join),
)
def test_split_loses_no_word(text: str) -> None:
    """Joined again, a split name has exactly the words it had (a comma that marked the order aside)."""
    parts = split_name(text)
    if parts is not None:
        given_name, family_name = parts
        assert given_name
        assert family_name
        joined = join_name(given_name, family_name)
        assert sorted(word.rstrip(",") for word in joined.split()) == sorted(
            word.rstrip(",")
            for word in clean(Kind.TEXT, text).split()  # type: ignore[union-attr]
        )


@pytest.mark.parametrize(
    "spellings",
    [
        ["Acme SARL", "SAS Acme", "ACME", "Acme sp. z o.o.", "acme, Inc.", "Acme Ltée", "Acme S.A.S.", "Acmé"],
        ["Boulangerie Durand SELARL", "durand boulangerie"],
        ["M. Jean Dupont", "DUPONT Jean", "dupont  jean"],
        ["Dupont & Fils", "Dupont et Fils"],
        ["Łódź Spółka Akcyjna", "lodz s.a."],
        ["L'Oréal", "L\u2019Oréal", "loreal"],
        ["Acme GmbH & Co. KG", "acme"],
    ],
)
def test_name_key(spellings: list[str]) -> None:
    """All spellings of one name have one key."""
    assert len({name_key(spelling) for spelling in spellings}) == 1


def test_name_key_keeps_names() -> None:
    """A legal form that is all there is stays, and words that only look like one stay too."""
    assert name_key("SA") == "sa"
    assert name_key("Société Générale") == "generale societe"
    assert name_key("!!!") == "!!!"
    assert name_key("Client 17") != name_key("Client 18")


def test_registration_numbers() -> None:
    """SIREN, SIRET (with the exception for La Poste) and NIP are known by form, country and check digits."""
    siren = registration("732 829 320", FR)
    siret = registration("732 829 320 00074", FR)
    poste = registration("35600000049837", FR)
    assert siren is not None
    assert siret is not None
    assert poste is not None
    assert (siren.scheme, siren.valid, siren.siren) == ("siren", True, "732829320")
    assert (siret.scheme, siret.valid, siret.siren) == ("siret", True, "732829320")
    assert (poste.scheme, poste.valid) == ("siret", True)
    wrong = registration("732829321", FR)
    assert wrong is not None
    assert (wrong.scheme, wrong.valid, wrong.siren) == ("siren", False, None)
    nip = registration("526-025-02-74", PL)
    assert nip is not None
    assert (nip.number, nip.scheme, nip.valid) == ("5260250274", "nip", True)
    assert registration("RCS Nancy B 323 159 715", FR) == registration("SIREN 323159715", FR)
    kvk = registration("KvK 12345678", Context("NL"))
    assert kvk is not None
    assert (kvk.number, kvk.scheme) == ("12345678", "other")
    assert registration("none", FR) is None
    assert registration(None, FR) is None


def test_vat_numbers() -> None:
    """A valid VAT number tells the company number inside it; an invalid one stays as it is."""
    french = vat("FR40303265045", FR)
    assert french is not None
    assert (french.valid, french.scheme, french.embedded) == (True, "siren", "303265045")
    polish = vat("5260250274", PL)
    assert polish is not None
    assert (polish.number, polish.embedded) == ("PL5260250274", "5260250274")
    wrong = vat("FR00 000", FR)
    assert wrong is not None
    assert (wrong.number, wrong.valid) == ("FR00000", False)


def test_bank_and_post() -> None:
    """Check digits of accounts and forms of postal codes are verified."""
    assert iban_valid("FR76 3000 6000 0112 3456 7890 189")
    assert not iban_valid("FR76 3000 6000 0112 3456 7890 188")
    assert bic_valid("AGRIFRPP")
    assert not bic_valid(None)
    assert postal_code_valid("75001", "FR")
    assert not postal_code_valid("7500", "FR")
    assert postal_code_valid("anything", "nowhere")


@given(
    st.sampled_from(["+33", "0", "0033"]),
    st.text("0123456789", min_size=9, max_size=9).filter(lambda digits: digits[0] != "0"),
    st.lists(st.integers(1, 8), max_size=5),
)
def test_a_french_phone_is_one_however_it_is_typed(prefix: str, digits: str, blanks: list[int]) -> None:
    """Nine digits behind +33, 0033 or 0 are one number, wherever blanks are."""
    typed = digits
    for at in blanks:
        typed = f"{typed[:at]} {typed[at:]}"
    assert numbers.phone_key(prefix + typed, "FR") == f"+33{digits}"


@given(st.text("0123456789", min_size=9, max_size=9))
def test_a_siren_is_valid_by_its_check_digit(digits: str) -> None:
    """Nine digits in France are a SIREN, valid where Luhn's sum says so, and then behind its VAT number, too."""
    found = registration(digits, FR)
    assert found is not None
    assert (found.scheme, found.valid) == ("siren", luhn.is_valid(digits))
    if found.valid and not digits.startswith("000"):
        number = f"FR{int(f'{digits}12') % 97:02}{digits}"
        assert vat(number, FR) == numbers.Vat(number, valid=True, scheme="siren", embedded=digits)


@pytest.mark.parametrize(
    "tag, own, locale",
    [
        ("pl", "fr-FR", "pl-PL"),
        ("fr", "fr-CA", "fr-CA"),
        ("fr-CA", "fr-FR", "fr-CA"),
        ("en", "fr-FR", "en-US"),
        ("zh-Hant", "zh-Hans-CN", "zh-TW"),
        ("zh", "zh-Hant-HK", "zh-HK"),
        ("sr-Latn-RS", "fr-FR", "sr-RS"),
        ("es-419", "es-ES", "es-419"),
        ("eo", "fr", "eo"),
        ("?", "?", "?"),
    ],
)
def test_a_locale_is_a_language_with_its_region(tag: str, own: str, locale: str) -> None:
    """A missing region is the tenant's own for its language, else the likely one, and missing where nobody can tell; once is for ever."""
    assert normalize.locale_of(tag, own) == locale
    assert normalize.locale_of(locale, own) == locale
    assert normalize.bare_language(locale) == locale.partition("-")[0]
