"""The people who use the systems: what they type, when and where, and never what syncd makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from syncd.providers.memory import World
from tests.simulation.oracle import Oracle
from tests.simulation.plan import Plan, Typist
from tests.simulation.systems import ADDRESS, parts_held

POISON = "\ud800"
"""A lone surrogate: no database can hold it."""

TYPED = ("name", "email", "phone", "address", "details", "payment_terms_days")


class Users:
    """All people of all systems. Every act is told to the oracle."""

    def __init__(
        self, worlds: dict[str, World], oracle: Oracle, typist: Typist, plan: Plan, tell: Callable[[str], None]
    ) -> None:
        self.worlds = worlds
        self.oracle = oracle
        self.typist = typist
        self.rng = typist.rng
        self.plan = plan
        self.tell = tell
        self.clients = 0
        self.cut: list[tuple[str, str]] = []
        self.poisoned: set[tuple[str, str]] = set()

    # -- what they do ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A client that is there before syncd: in one system, or in several of them with the same company number."""
        systems = [name for name in self.worlds if self.plan.characters[name] != "create_only"] or list(self.worlds)
        first = self.rng.choice(systems)
        client = self.create(first)
        if self.plan.has("twins") and self.rng.random() < 0.4 and len(systems) > 1:  # noqa: PLR2004
            other = self.rng.choice([name for name in systems if name != first])
            number = self._siren()
            self.worlds[first].edit(self.worlds[first].ids()[-1], registration_number=number)
            self.create(other, client, registration_number=number)

    def _siren(self) -> str:
        digits = [self.rng.randrange(1, 10) for _ in range(8)]
        total = sum(d if i % 2 == 0 else sum(divmod(d * 2, 10)) for i, d in enumerate(digits))
        return "".join(map(str, digits)) + str(-total % 10)

    def act(self, system: str | None = None, external_id: str | None = None) -> None:
        """One act of one person, preferably on the given record."""
        refs = self._refs(system, external_id)
        if not refs:
            refs = self._refs()
        if not refs or (external_id is None and self.rng.random() < 0.06):  # noqa: PLR2004
            self.create(self.rng.choice(list(self.worlds)))
            return
        where, record = self.rng.choice(refs)
        chances = [
            (10, lambda: self.edit(where, record)),
            (2, lambda: self.clear(where, record)),
            (2, lambda: self.edit_both(where, record, same=True)),
            (4, lambda: self.edit_both(where, record, same=False)),
            (2, lambda: self.back(where, record)),
            (1, lambda: self.touch(where, record)),
            (3, lambda: self.consent(where, record)),
        ]
        if self.plan.has("deletes"):
            chances.append((6 if self.plan.has("purges") else 1, lambda: self.remove(where, record)))
        if self.plan.has("archives"):
            chances.append((1, lambda: self.archive(where, record)))
        if self.plan.has("hiding"):
            chances.append((1, lambda: self.hide(where, record)))
        if self.plan.has("poison"):
            chances.append((1, lambda: self.poison(where, record)))
        if self.plan.has("shortened"):
            chances.append((3, lambda: self.shorten(where, record)))
        self.rng.choices([act for _, act in chances], [weight for weight, _ in chances])[0]()

    def between(self) -> None:
        """What mends by itself between cycles."""
        for ref in sorted(self.poisoned):
            if self.rng.random() < 0.5:  # noqa: PLR2004
                self._cure(ref)

    def mend(self) -> None:
        """Nothing is broken any more."""
        for ref in sorted(self.poisoned):
            self._cure(ref)

    def create(self, system: str, client: int | None = None, **more: Any) -> int:
        """A person types a client."""
        number = client if client is not None else self.clients
        self.clients = max(self.clients, number + 1)
        units = ["name", *(unit for unit in TYPED[1:] if self.rng.random() < 0.7)]  # noqa: PLR2004
        world = self.worlds[system]
        fields = self.fields_of(system, {unit: self.typist.value(unit) for unit in units})
        external_id = world.add(**{**fields, **more}, x_note=self.typist.word())
        self.tell(f"{system}: a person types client {number} as {external_id}: {fields} {more or ''}")
        self.oracle.typed_records.add((system, external_id))
        self.oracle.touched(system, external_id, world.record(external_id)["x_note"])
        self.oracle.typed(number, system, external_id, world.record(external_id), units)
        return number

    def edit(self, system: str, external_id: str) -> None:
        """One to three units get new values."""
        there = self._units(system, external_id)
        units = self.rng.sample(there, min(self.rng.choice((1, 1, 1, 2, 3)), len(there)))
        self.types(system, external_id, {unit: self.typist.value(unit) for unit in units})

    def clear(self, system: str, external_id: str) -> None:
        """A unit is emptied; the name never is."""
        units = [unit for unit in self._units(system, external_id) if unit != "name"]
        units = [unit for unit in units if self._shown(system, external_id, unit) is not None]
        if units:
            unit = self.rng.choice(units)
            empty = dict.fromkeys(ADDRESS) if unit == "address" else None
            self.types(system, external_id, {unit: empty})

    def edit_both(self, system: str, external_id: str, *, same: bool) -> None:
        """Two people in two systems type into the same cell, the same value or two different ones."""
        client = self.oracle.owner[(system, external_id)]
        others = [ref for ref in self._refs() if self.oracle.owner[ref] == client and ref[0] != system]
        unit = self.rng.choice(self._units(system, external_id) or ["email"])
        value = self.typist.value(unit)
        self.types(system, external_id, {unit: value})
        if others:
            other = self.rng.choice(others)
            if unit in self._units(*other):
                self.types(*other, {unit: value if same else self.typist.value(unit)})

    def back(self, system: str, external_id: str) -> None:
        """A unit gets a value again that somebody typed for it before, anywhere."""
        client = self.oracle.owner[(system, external_id)]
        unit = self.rng.choice(self._units(system, external_id) or ["email"])
        former = self.oracle.cells[(client, unit)]
        if former:
            value = self.rng.choice(former).value
            if unit == "address":
                value = {part: (value or {}).get(part) for part in ADDRESS}
            if unit != "name" or value is not None:
                self.types(system, external_id, {unit: value})

    def shorten(self, system: str, external_id: str) -> None:
        """The end of a text is taken off; where a system shows a cut one, it is that."""
        unit = self.rng.choice(["name", "details"])
        cut = [ref for ref in self._refs() if self._is_cut(*ref, unit)]
        system, external_id = self.rng.choice(cut) if cut else (system, external_id)
        if "name" not in self._units(system, external_id):
            return
        shown = self._shown(system, external_id, unit)
        if unit in self._units(system, external_id) and isinstance(shown, str) and len(shown) > 6:  # noqa: PLR2004
            text = shown[:-2].strip()
            if cut:
                self.cut.append((unit, text))
            self.types(system, external_id, {unit: text})

    def _is_cut(self, system: str, external_id: str, unit: str) -> bool:
        """Whether a record shows less of a text than was typed elsewhere."""
        shown, source = self._shown(system, external_id, unit), self.oracle.shown.get((system, external_id, unit))
        full = self.oracle.edits[source].value if source is not None else None
        return isinstance(full, str) and isinstance(shown, str) and len(full) > len(shown)

    def touch(self, system: str, external_id: str) -> None:
        """Something is typed that no field maps."""
        word = self.typist.word()
        self.worlds[system].edit(external_id, x_note=word)
        self.oracle.touched(system, external_id, word)
        self.tell(f"{system}: {external_id} has the note {word}")

    def consent(self, system: str, external_id: str) -> None:
        """An opt-in or an opt-out; not of a record that syncd cannot tell from one that it has just made."""
        if "name" not in self._units(system, external_id):
            return
        self.types(system, external_id, {"marketing_consent": self.rng.random() < 0.5})  # noqa: PLR2004

    def archive(self, system: str, external_id: str) -> None:
        """A client is archived, or taken back."""
        if parts_held(self.worlds[system].profile, "archived"):
            now = bool(self.worlds[system].record(external_id)["archived"])
            self.types(system, external_id, {"archived": not now})

    def remove(self, system: str, external_id: str) -> None:
        """A record is deleted for ever; never the last one, for an empty list is not believed."""
        if len(self.worlds[system].ids()) < 2:  # noqa: PLR2004
            return
        self.worlds[system].remove(external_id)
        self.poisoned.discard((system, external_id))
        self.oracle.deleted_by_person(system, external_id)
        self.tell(f"{system}: a person deletes {external_id}")

    def hide(self, system: str, external_id: str) -> None:
        """From now on the system says nothing of a unit of this record."""
        unit = self.rng.choice(["email", "phone", "details"])
        if self.plan.characters[system] != "unique_email":
            self.worlds[system].hide(external_id, unit)
            self.oracle.hidden.add((system, external_id, unit))
            self.tell(f"{system}: {external_id} does not show {unit} any more")

    def poison(self, system: str, external_id: str) -> None:
        """A record shows something that nobody can store; before syncd knows the record, it could not tell whose it is."""
        if (system, external_id) not in self.oracle.first_known:
            return
        self.worlds[system].edit(external_id, x_note=POISON)
        self.oracle.touched(system, external_id, POISON)
        self.poisoned.add((system, external_id))
        self.tell(f"{system}: {external_id} is poisoned")

    def _cure(self, ref: tuple[str, str]) -> None:
        if ref[1] not in self.worlds[ref[0]].ids():  # merged away inside its system
            self.poisoned.discard(ref)
            return
        self.worlds[ref[0]].edit(ref[1], x_note="cured")
        self.oracle.touched(*ref, "cured")
        self.poisoned.discard(ref)
        self.tell(f"{ref[0]}: {ref[1]} is cured")

    # -- how -------------------------------------------------------------------------------------------------------

    def _refs(self, system: str | None = None, external_id: str | None = None) -> list[tuple[str, str]]:
        return [
            (name, each)
            for name, world in self.worlds.items()
            if system in (None, name)
            for each in world.ids()
            if external_id in (None, each) and (name, each) in self.oracle.owner
        ]

    def _units(self, system: str, external_id: str) -> list[str]:
        """What may be typed there: of a record that syncd may not know to be its own not everything that tells whose it is."""
        profile = self.worlds[system].profile
        ref = (system, external_id)
        doubtful = ref not in self.oracle.typed_records and ref not in self.oracle.first_known
        units = TYPED if not doubtful else ("email", "details", "payment_terms_days")
        if ref in self.oracle.renamed and ref not in self.oracle.first_known:
            units = ("details", "payment_terms_days")
        return [
            unit
            for unit in units
            if parts_held(profile, unit) and (system, external_id, unit) not in self.oracle.hidden
        ]

    def _shown(self, system: str, external_id: str, unit: str) -> Any:
        return self.oracle.shape(system, unit, self.worlds[system].record(external_id))

    def fields_of(self, system: str, values: dict[str, Any]) -> dict[str, Any]:
        """Units as the fields that a system has; an address that it cannot hold in full is typed without the rest."""
        profile = self.worlds[system].profile
        fields: dict[str, Any] = {}
        for unit, value in values.items():
            if unit == "address":
                fields.update({part: value[part] for part in parts_held(profile, unit)})
            elif parts_held(profile, unit):
                fields[unit] = value
        return fields

    def types(self, system: str, external_id: str, values: dict[str, Any]) -> None:
        """What changes what is shown is an edit; typing again what is there is none."""
        world = self.worlds[system]
        fields = self.fields_of(system, values)
        if "email" in fields and self._taken(world, external_id, fields["email"]):
            return
        before = world.record(external_id)
        world.edit(external_id, **fields)
        after = world.record(external_id)
        shape = self.oracle.shape
        units = [unit for unit in values if shape(system, unit, before) != shape(system, unit, after)]
        if units:
            client = self.oracle.owner[(system, external_id)]
            made = self.oracle.typed(client, system, external_id, after, units)
            self.tell(f"{system}: a person types into {external_id}: {', '.join(str(edit) for edit in made)}")

    def _taken(self, world: World, external_id: str, email: Any) -> bool:
        if "email" not in world.profile.unique or email is None:
            return False
        return any(world.record(each).get("email") == email for each in world.ids() if each != external_id)
