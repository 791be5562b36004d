"""LSP.expert: project management and invoicing for translators and language agencies (docs.lsp.expert, API version 2).

Wire facts, as documented there:

*   HTTP Basic, the key as user name, no password. Bodies are form-urlencoded; answers are JSON.
*   Write names are flat (`addressLine1`), read names nested (`address.line1`). `PUT` is partial: what is not sent stays.
*   Unset values are left out of answers: a documented key that is missing inside its object is empty, not unknown.
    `address`, `invoice` and `contacts` themselves are always there; where one is missing, all in it is unknown.
*   A list item may show its children empty; the single record is authoritative.
*   A client has no e-mail and no phone: both are those of its primary contact, the first listed one at first sight and
    known by its id afterwards. The other contacts, and the notes, are read only.
*   `address.name` is filled with the name on create and lives on its own afterwards: it is no field of ours, and follows a
    rename only where it equalled the old name. The same goes for the full name of the primary contact.

Two things are undocumented and therefore verified by the answer: that an empty form value clears, and that a contact can be
changed by `PUT` like the other sub-resources. `currency` and `name` cannot be emptied.
"""

from __future__ import annotations

from syncd.providers.lsp_expert.provider import LspExpert

__all__ = ["LspExpert"]
