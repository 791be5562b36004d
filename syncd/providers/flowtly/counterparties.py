"""Counterparties: the other face of a client in Flowtly, and the only one that Flowtly itself can merge.

No published field links a counterparty to its client, so they are known by name only, and joined only where a name leaves no choice. The path of
the merge is documented, its body is not: `{"counterparties": [IRI, ...]}` names those that go up in the one of the path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from syncd.core.model import Raw, Value
from syncd.providers.decoding import identity

if TYPE_CHECKING:
    from syncd.providers.flowtly.calls import Calls

PAIR: Final = 2
"""Counterparties of one name where both clients bear it."""


def join(calls: Calls, winner: Value, loser: Value) -> bool:
    """Have Flowtly join the counterparty of one client's name into that of another's. Returns whether there was one of each.

    Where both clients have the same name, two counterparties of it are joined, the younger into the older. Asked again it finds nothing left.
    """
    parties = [item for leaf in calls.list_counterparties() for item in leaf.items if isinstance(item, dict)]
    kept, lost = _named(parties, winner), _named(parties, loser)
    if kept == lost and len(kept) == PAIR:
        kept, lost = kept[:1], kept[1:]
    if len(kept) != 1 or len(lost) != 1 or kept == lost:
        return False
    iri = lost[0].get("@id") or f"/counterparties/{identity(lost[0].get('id'))}"
    calls.merge_counterparties(str(identity(kept[0].get("id"))), {"counterparties": [iri]})
    return True


def _named(parties: list[Raw], name: Value) -> list[Raw]:
    """The counterparties of a name, oldest first."""
    wanted = _plain(name)
    found = [party for party in parties if wanted and _plain(party.get("displayName")) == wanted]
    return sorted(found, key=lambda party: (len(str(party.get("id"))), str(party.get("id"))))


def _plain(name: Value) -> str:
    return " ".join(name.split()).casefold() if isinstance(name, str) else ""
