"""The companies and persons behind the seed data: invented, reproducible, with valid numbers and no two alike.

Numbers carry correct check digits (SIREN, SIRET, French VAT, NIP, Canadian business number, IBAN). French landlines are of the ranges
that the regulator keeps for fiction.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from stdnum import iban as iban_numbers
from stdnum import luhn
from stdnum.fr import siren as siren_numbers

FIRST = {
    "FR": ("Élodie", "François", "Chloé", "Jérôme", "Anaïs", "Loïc", "Hélène", "Benoît", "Maëlle", "Rémi", "Zoé", "Gaël", "Inès", "Théo",
           "Aurélie", "Cédric", "Noémie", "Raphaël", "Solène", "Grégoire"),
    "CA": ("Geneviève", "Étienne", "Maude", "Frédéric", "Océane", "Mathieu", "Josée", "Sébastien", "Laurence", "Olivier", "Rosalie",
           "Guillaume", "Béatrice", "Xavier", "Noël", "Amélie", "Thomas", "Véronique", "Philippe", "Catherine"),
    "PL": ("Łukasz", "Małgorzata", "Paweł", "Agnieszka", "Michał", "Żaneta", "Wojciech", "Bożena", "Stanisław", "Józef"),
}  # fmt: skip
LAST = {
    "FR": ("Mercier", "Lefèvre", "Garnier", "Béranger", "Chevallier", "Dufrêne", "Guérin", "Hébert", "Jacquemin", "Keller", "Laîné",
           "Marchand", "Noël", "Ollivier", "Périn", "Quémener", "Rousseau", "Sénéchal", "Tessier", "Vasseur", "Weiss", "Yvon", "Zeller",
           "Arnoux", "Bonnefoy", "Castaing", "Delaunay", "Étienne", "Fauconnier", "Gauthier"),
    "CA": ("Tremblay", "Bélanger", "Côté", "Gagnon", "Lavoie", "Pelletier", "Ouellet", "Thériault", "Desrosiers", "Leclerc", "Fortin",
           "Beaulieu", "Cloutier", "Dubé", "Gélinas", "Huard", "Jobin", "Lévesque", "Morissette", "Nadeau", "Paquette", "Rivard",
           "Savard", "Turcotte", "Vaillancourt", "Bergeron", "Charbonneau", "Duguay", "Filion", "Grenier"),
    "PL": ("Wiśniewski", "Wójcik", "Kowalczyk", "Zieliński", "Szymański", "Woźniak", "Dąbrowski", "Kozłowski", "Jabłoński", "Mazur"),
}  # fmt: skip
ONSETS = (
    "b",
    "br",
    "c",
    "cl",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gr",
    "l",
    "m",
    "n",
    "p",
    "pl",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
    "z",
)
VOWELS = {
    "FR": ("a", "é", "i", "o", "ou", "au", "è"),
    "CA": ("a", "e", "i", "o", "ô", "y"),
    "PL": ("a", "e", "i", "o", "ó", "y", "ą"),
}
TAILS = {
    "FR": ("lle", "rois", "tin", "val", "mont", "sson", "gnac"),
    "CA": ("bec", "ton", "dale", "rive", "mont"),
    "PL": ("owski", "ex", "pol", "mir", "bud"),
}
TRADES = {
    "FR": (
        "Traductions",
        "Boulangerie",
        "Menuiserie",
        "Conseil",
        "Architectes",
        "Imprimerie",
        "Logistique",
        "Énergies",
        "Pâtisserie",
    ),
    "CA": ("Plomberie", "Brasserie", "Foresterie", "Traiteur", "Solutions", "Équipements", "Café"),
    "PL": ("Usługi", "Budowa", "Tłumaczenia", "Piekarnia", "Logistyka", "Systemy", "Książki"),
}
FORMS = {
    "FR": ("SARL", "SAS", "SA", "EURL"),
    "CA": ("inc.", "ltée", "S.E.N.C."),
    "PL": ("Sp. z o.o.", "S.A.", "Sp. k."),
}
STREETS = {
    "FR": (
        "rue de l'Église",
        "avenue Jean-Jaurès",
        "boulevard Gambetta",
        "place du Marché",
        "rue des Écoles",
        "chemin des Prés",
    ),
    "CA": (
        "rue Saint-Denis",
        "avenue du Mont-Royal",
        "boulevard René-Lévesque",
        "chemin Sainte-Foy",
        "rue Sherbrooke Ouest",
    ),
    "PL": ("ul. Długa", "ul. Świętojańska", "al. Jerozolimskie", "ul. Mickiewicza", "ul. Piłsudskiego"),
}
TOWNS = {
    "FR": (("75011", "Paris", ""), ("69003", "Lyon", ""), ("35000", "Rennes", ""), ("13006", "Marseille", ""), ("44000", "Nantes", ""),
           ("42000", "Saint-Étienne", ""), ("29200", "Brest", "")),
    "CA": (("H2X 1Y4", "Montréal", "QC"), ("G1R 4P5", "Québec", "QC"), ("J8X 2K1", "Gatineau", "QC"), ("J1H 5N1", "Sherbrooke", "QC"),
           ("K1N 6N5", "Ottawa", "ON")),
    "PL": (("00-001", "Warszawa", ""), ("30-001", "Kraków", ""), ("90-001", "Łódź", ""), ("80-001", "Gdańsk", ""), ("50-001", "Wrocław", "")),
}  # fmt: skip
FICTIONAL_FRENCH = ("019900", "026191", "035301", "046571", "053649")
CANADIAN_AREAS = ("514", "418", "438", "450", "581", "819")
LANGUAGES = {"FR": "fr", "CA": "fr-CA", "PL": "pl"}
CURRENCIES = {"FR": "EUR", "CA": "CAD", "PL": "PLN"}


@dataclass(slots=True)
class Party:
    """One real company or person. phone: E.164; number: SIRET, NIP or business number; vat: with its country; empty = has none."""

    name: str
    country: str
    company: bool
    given: str = ""
    family: str = ""
    email: str = ""
    phone: str = ""
    house: str = ""
    street: str = ""
    postal_code: str = ""
    city: str = ""
    region: str = ""
    number: str = ""
    vat: str = ""
    iban: str = ""
    bic: str = ""
    days: int | None = None
    archived: bool = False
    contact: str = ""
    second: tuple[str, str] | None = None
    note: str = ""
    systems: tuple[str, ...] = ()
    label: str = ""


def plain(text: str) -> str:
    """Text without accents, as somebody types it on another keyboard."""
    table = str.maketrans("łŁøØ", "lLoO")
    return unicodedata.normalize("NFKD", text.translate(table)).encode("ascii", "ignore").decode()


def word(text: str) -> str:
    """Text as part of a domain or mailbox name."""
    return "".join(sign for sign in plain(text).lower() if sign.isalnum())


class Maker:
    """Makes parties from a seed; everything that identifies is used once."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(f"people {seed}")
        self._used: set[str] = set()
        self._persons = dict.fromkeys(FIRST, 0)

    def _once(self, make: Callable[[], str]) -> str:
        while True:
            text = make()
            if text not in self._used:
                self._used.add(text)
                return text

    def siret(self, siren: str = "") -> str:
        """A SIRET with valid check digits, of a given SIREN or a new one."""

        def fresh() -> str:
            base = siren or self._luhn(f"{self.draw.randrange(30_000_000, 99_000_000)}")
            return self._luhn(f"{base}{self.draw.randrange(1, 99):04d}")

        return self._once(fresh)

    def _luhn(self, digits: str) -> str:
        return digits + luhn.calc_check_digit(digits)

    def nip(self) -> str:
        """A Polish tax number with a valid check digit."""

        def fresh() -> str:
            while True:
                digits = f"{self.draw.randrange(101, 998)}{self.draw.randrange(100_000, 999_999)}"
                check = (
                    sum(weight * int(digit) for weight, digit in zip((6, 5, 7, 2, 3, 4, 5, 6, 7), digits, strict=True))
                    % 11
                )
                if check != 10:
                    return f"{digits}{check}"

        return self._once(fresh)

    def phone(self, country: str) -> str:
        """A valid number of that country in E.164."""

        def fresh() -> str:
            if country == "FR":
                return f"+33{self.draw.choice(FICTIONAL_FRENCH)[1:]}{self.draw.randrange(10_000):04d}"
            if country == "PL":
                return f"+48{self.draw.choice(('501', '512', '601', '660'))}{self.draw.randrange(1_000_000):06d}"
            return (
                f"+1{self.draw.choice(CANADIAN_AREAS)}{self.draw.randrange(200, 999)}{self.draw.randrange(10_000):04d}"
            )

        return self._once(fresh)

    def _brand(self, country: str) -> str:
        def fresh() -> str:
            core = "".join(self.draw.choice(ONSETS) + self.draw.choice(VOWELS[country]) for _ in range(2))
            return (core + self.draw.choice(TAILS[country])).capitalize()

        return self._once(fresh)

    def placed(self, party: Party) -> Party:
        """The party with an address of its country."""
        party.postal_code, party.city, party.region = self.draw.choice(TOWNS[party.country])
        party.house, party.street = str(self.draw.randrange(1, 180)), self.draw.choice(STREETS[party.country])
        return party

    def company(self, country: str) -> Party:
        """A company with number, VAT, address, phone, mailbox and a contact person."""
        brand = self._brand(country)
        name = f"{brand} {self.draw.choice(TRADES[country])} {self.draw.choice(FORMS[country])}"
        party = self.placed(
            Party(name, country, company=True, phone=self.phone(country), email=f"contact@{word(brand)}.example")
        )
        party.contact = f"{self.draw.choice(FIRST[country])} {self.draw.choice(LAST[country])}"
        party.days = self.draw.choice((None, 14, 30, 45))
        if country == "FR":
            party.number = self.siret()
            party.vat = f"FR{siren_numbers.to_tva(party.number[:9]).replace(' ', '')}"
            base = f"30004{self.draw.randrange(100_000):05d}{self.draw.randrange(10**11):011d}01"
            party.iban, party.bic = f"FR{iban_numbers.calc_check_digits(f'FR00{base}')}{base}", "BNPAFRPPXXX"
        elif country == "PL":
            party.number = self.nip()
            party.vat = f"PL{party.number}"
        else:
            party.number = self._once(lambda: self._luhn(f"{self.draw.randrange(10_000_000, 89_000_000)}"))
        if self.draw.random() < 0.2:
            party.second = (
                f"{self.draw.choice(FIRST[country])} {self.draw.choice(LAST[country])}",
                f"compta@{word(brand)}.example",
            )
        return party

    def person(self, country: str) -> Party:
        """A person with e-mail, phone and address; no two share both names."""
        index = self._persons[country]
        self._persons[country] += 1
        lasts, firsts = LAST[country], FIRST[country]
        family = lasts[index % len(lasts)]
        given = firsts[(index // len(lasts) + index * 7) % len(firsts)]
        name = f"{given} {family}"
        if name in self._used:
            family = f"{family}-{self._brand(country)}"
            name = f"{given} {family}"
        self._used.add(name)
        party = self.placed(Party(name, country, company=False, given=given, family=family, phone=self.phone(country)))
        party.email = self._once(
            lambda: f"{word(given)}.{word(family)}{self.draw.choice(('', '1', '7', '42', '83'))}@courriel.example"
        )
        return party
