"""Countries and currencies: ISO codes in syncd, IRIs such as `/countries/FR` or `/api/countries/12` in Flowtly.

The form of these IRIs is unpublished. So they are taken from what was seen: from the tenant's table, from records already read, or
in the style of one already seen whose last segment is the code itself. Nothing is ever made up from a fixed prefix.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from syncd.core.model import UNKNOWN, Kind, Value
from syncd.core.normalize import clean

_IRI: Final = re.compile(r"^(?P<prefix>.*/)(?P<key>[^/]+)$")


class Iris:
    """One table of codes and IRIs. `table`: from the tenant's file; `learned`: grows as records are read, code -> IRI."""

    def __init__(
        self, kind: Kind, table: Mapping[str, str], default: object, learned: Callable[[], dict[str, Any]]
    ) -> None:
        self._kind = kind
        self._table = {code.upper(): iri for code, iri in table.items()}
        self._codes = {iri: code for code, iri in self._table.items()}
        self._default = default
        self._learned = learned

    def learn(self, iri: Value) -> None:
        """Remember an IRI that was seen, if its code can be told."""
        code = self.code(iri)
        if code is not None:
            self._learned()[code] = _name(iri)

    def code(self, iri: Value) -> str | None:
        """The ISO code an IRI stands for; None where it cannot be told (an unknown integer key)."""
        text = _name(iri)
        if text is None:
            return None
        if text in self._codes:
            return self._codes[text]
        found = _IRI.match(text)
        return self._iso(found["key"]) if found else None

    def iri(self, code: Value) -> str | None:
        """The IRI of an ISO code; None where none was seen and none can be told in the style of one that was."""
        if not isinstance(code, str):
            return None
        learned = self._learned()
        if known := self._table.get(code) or learned.get(code):
            return str(known)
        for seen in [*(learned[key] for key in sorted(learned)), self._default]:
            found = _IRI.match(seen) if isinstance(seen, str) else None
            if found is not None and self._iso(found["key"]) is not None and seen not in self._codes:
                return found["prefix"] + (code.lower() if found["key"].islower() else code)
        return None

    def _iso(self, key: str) -> str | None:
        code = clean(self._kind, key)
        return code if code is not UNKNOWN and isinstance(code, str) and code == key.upper() else None


def _name(iri: Value) -> str | None:
    """The IRI of a relation, which may also come embedded as an object with `@id`."""
    name = iri.get("@id") if isinstance(iri, dict) else iri
    return name if isinstance(name, str) else None
