"""Contacts and notes of a client: which of them are one across systems, and what becomes of each. This header is the specification.

A contact of a client is an *element* of its golden record, with an id of its own (`id` in golden `contacts`). A *tie* says which contact
of a record stands for it, with the last values seen and agreed, unit by unit, as a base does for a field.

    1.  Tying. A contact that is tied stays tied by its id, whatever becomes of its values and its place in the list.
        A contact that is not tied finds its element by equal e-mail, else by equal name and phone; only where both sides have exactly
        one such. What is ambiguous is an element of its own: nothing is guessed together.
    2.  The primary contacts of all systems are one element, and the fields of the client that they carry (`email`, in some systems
        `phone`) are no parts of it. Where another contact of a record shows the client's e-mail and the primary one does not, that one
        stands for it. A primary contact that was replaced by an unknown one was edited, not removed.
    3.  Units of an element (its name, and each other part) are merged one by one by `syncd.core.merge`, with the rule of `contacts`.
    4.  Unknown is not empty: a record that does not say anything about its contacts adds, changes and removes nothing.
    5.  A tied contact that is not in the list any more was removed there. If no other system edited the element since, golden drops it:
        it is *buried*, and no system is given it again. An edit wins against a removal, and that is a conflict of kind `delete`; where it
        was removed it stays away until a person says otherwise.
    6.  A tie to an element that golden does not hold and nobody removed is no tie: the contact is seen for the first time.
    7.  The order of contacts means nothing, and neither does the order in which systems were asked.
    8.  A system that holds a record of the client, and says what contacts it has, is told every element that it can hold and is not tied
        to. An element is removed where the tenant's policy says `delete`, and stays as drift elsewhere.

Notes are only ever added: a text that one system shows is golden for ever, whatever is edited or removed later, and each system is told
it once. What a note is known by is its id there, tied to the text that it had at first.

Nothing here knows of time, network or storage.
"""

from __future__ import annotations

from syncd.core.children.joining import join_contacts
from syncd.core.children.merging import Children, Removal, merge_contacts
from syncd.core.children.notes import Notes, Told, mark, merge_notes
from syncd.core.children.roster import (
    PREFIX,
    UNITS,
    Contact,
    ContactSpec,
    Roster,
    Tie,
    element_of,
    elements,
    held,
    same_as_shown,
    with_value,
)
from syncd.core.children.telling import Steps, steps
from syncd.core.children.tying import Tied, tie

__all__ = [
    "PREFIX",
    "UNITS",
    "Children",
    "Contact",
    "ContactSpec",
    "Notes",
    "Removal",
    "Roster",
    "Steps",
    "Tie",
    "Tied",
    "Told",
    "element_of",
    "elements",
    "held",
    "join_contacts",
    "mark",
    "merge_contacts",
    "merge_notes",
    "same_as_shown",
    "steps",
    "tie",
    "with_value",
]
