"""Tying: which contact of which record stands for which element (rules 1, 2 and 6 of the package's header)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from syncd.core.children.roster import Contact, Roster, Tie, by_rank, whole_name
from syncd.core.model import UNKNOWN, Context, Kind, Value
from syncd.core.normalize import key, name_key


@dataclass(slots=True)
class Tied:
    """Every contact with its element. ties: record -> element -> tie. new: elements golden does not hold yet, in order.

    primary: the element that the primary contacts stand for. buried: elements that golden dropped.
    """

    ties: dict[tuple[str, str], dict[str, Tie]]
    new: list[str] = field(default_factory=list)
    primary: str | None = None
    buried: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Work:
    golden: Mapping[str, Contact]
    email: Value
    context: Context
    rosters: Sequence[Roster]
    tied: Tied

    def mail(self, value: Value) -> Hashable:
        return key(Kind.EMAIL, value, self.context) if value else None

    def person(self, contact: Contact) -> Hashable:
        """Name and phone, where there are both."""
        name, phone = whole_name(contact), contact.get("phone") or contact.get("mobile")
        return (name_key(name), key(Kind.PHONE, phone, self.context)) if name and phone else None

    def live(self, roster: Roster) -> dict[str, Tie]:
        """The ties of a record to contacts that were not removed."""
        return {element: tie for element, tie in self.tied.ties[roster.record].items() if not tie.gone}

    def untied(self, roster: Roster) -> list[Contact]:
        taken = {each.contact for each in self.tied.ties[roster.record].values()}
        return [each for each in roster.contacts or () if str(each["id"]) not in taken]


def tie(
    golden: Iterable[Contact], email: Value, rosters: Iterable[Roster], order: Sequence[str], context: Context
) -> Tied:
    """Find the element of every contact that is shown. email: the client's own, after its merge. order: of trust."""
    known = {str(each["id"]): each for each in golden}
    ranked = by_rank(rosters, order)
    buried = _buried(ranked, known)
    ties = {
        roster.record: {name: held for name, held in roster.ties.items() if name in known or name in buried}
        for roster in ranked
    }
    work = _Work(known, email, context, ranked, Tied(ties, buried=buried))
    _tie_primary(work)
    for roster in ranked:
        _tie_alike(work, roster)
        _tie_rest(work, roster)
    return work.tied


def _buried(rosters: Iterable[Roster], known: Collection[str]) -> frozenset[str]:
    """Elements that golden does not hold any more because somebody removed them."""
    return frozenset(
        element
        for roster in rosters
        for element, each in roster.ties.items()
        if (each.gone or each.buried) and element not in known
    )


def carrier(roster: Roster, email: Value, context: Context) -> Contact | None:
    """The contact that stands for the primary one: who carries the client's e-mail there, else the one the system says."""
    flagged = roster.flagged()
    wanted = key(Kind.EMAIL, email, context) if email else None
    if wanted is None:
        return flagged
    own = roster.email
    if flagged is not None and own is not UNKNOWN and own and key(Kind.EMAIL, own, context) == wanted:
        return flagged
    others = [
        each
        for each in roster.contacts or ()
        if each is not flagged and each.get("email") and key(Kind.EMAIL, each["email"], context) == wanted
    ]
    return others[0] if len(others) == 1 else flagged


def _tie_primary(work: _Work) -> None:
    """Rule 2. The element stays the primary one as long as any system's primary contact stands for it."""
    carriers = {roster.record: carrier(roster, work.email, work.context) for roster in work.rosters}
    had = next((element for element, each in work.golden.items() if each.get("primary") is True), None)
    for roster in work.rosters:
        found = carriers[roster.record]
        if found is not None and had is not None:
            _replaced(work, roster, found, had)
    told = [
        element
        for roster in work.rosters
        if (found := carriers[roster.record]) is not None and roster.flagged() is not None
        for element, each in work.live(roster).items()
        if each.contact == found["id"] and element in work.golden
    ]
    primary = had if had is not None and (had in told or not told) else next(iter(told), None)
    for roster in work.rosters:
        found = carriers[roster.record]
        if found is None or found not in work.untied(roster):
            continue
        if primary is None and roster.flagged() is not None:
            primary = _new(work, roster, found)
        elif primary is not None and primary not in work.live(roster):
            work.tied.ties[roster.record][primary] = Tie(str(found["id"]))
    work.tied.primary = primary


def _replaced(work: _Work, roster: Roster, found: Contact, primary: str) -> None:
    """Where the primary contact is another, unknown one, and the one before is no longer there: it was edited."""
    ties = work.tied.ties[roster.record]
    before = ties.get(primary)
    if before is None or before.gone or roster.by_id(before.contact) is not None or found not in work.untied(roster):
        return
    ties[primary] = replace(before, contact=str(found["id"]))


def _tie_alike(work: _Work, roster: Roster) -> None:
    """Rule 1, for one record: by e-mail, then by name and phone; only what is unique on both sides."""
    for by_mail in (True, False):
        untied = work.untied(roster)
        if not untied:
            return
        taken = work.tied.ties[roster.record]
        wanted: dict[Hashable, list[str]] = {}
        for element, parts in _values(work, roster).items():
            if element not in taken or (taken[element].gone and roster.by_id(taken[element].contact) is None):
                for mark in {work.mail(each.get("email")) if by_mail else work.person(each) for each in parts}:
                    wanted.setdefault(mark, []).append(element)
        shown: dict[Hashable, list[Contact]] = {}
        for each in untied:
            told = _in_full(roster, each)
            shown.setdefault(work.mail(told.get("email")) if by_mail else work.person(told), []).append(each)
        for mark, contacts in shown.items():
            found = wanted.get(mark, [])
            if mark is not None and len(contacts) == 1 and len(found) == 1:
                taken[found[0]] = Tie(str(contacts[0]["id"]))


def _values(work: _Work, roster: Roster) -> dict[str, list[Contact]]:
    """Element -> everything that tells it: golden, and the contacts of other records that stand for it."""
    told: dict[str, list[Contact]] = {}
    for element, each in work.golden.items():
        own = {**each, "email": work.email} if element == work.tied.primary else each
        told.setdefault(element, []).append(own)
    for other in work.rosters:
        if other is roster:
            continue
        for element, held in work.live(other).items():
            contact = other.by_id(held.contact)
            if contact is not None and (element in work.tied.new or element in work.tied.buried):
                told.setdefault(element, []).append(_in_full(other, contact))
    return told


def _in_full(roster: Roster, contact: Contact) -> Contact:
    """A contact with the e-mail that the client carries for it there."""
    carried = contact.get("primary") is True and "email" not in contact and roster.email is not UNKNOWN
    return {**contact, "email": roster.email} if carried and roster.email is not UNKNOWN else contact


def _tie_rest(work: _Work, roster: Roster) -> None:
    """Whom nobody knows is a new element."""
    for contact in work.untied(roster):
        _new(work, roster, contact)


def _new(work: _Work, roster: Roster, contact: Contact) -> str:
    """An element whose id follows from the contact that showed it first: the same facts give the same id."""
    used = {*work.golden, *(element for ties in work.tied.ties.values() for element in ties)}
    number = 0
    while True:
        told = "\0".join((roster.system, roster.external_id, str(contact["id"]), str(number)))
        element = f"e{hashlib.blake2b(told.encode('utf-8', 'replace'), digest_size=6).hexdigest()}"
        if element not in used:
            break
        number += 1
    work.tied.new.append(element)
    work.tied.ties[roster.record][element] = Tie(str(contact["id"]))
    return element
