"""Correlation: which records are one client. Pure; the result never depends on the order of its input.

Three zones:

    link      strong evidence and no contradiction: equal registration numbers (a SIREN equals the SIREN inside a SIRET,
              or inside a valid French VAT number; a NIP the one inside a Polish VAT number), equal VAT numbers, or
              equal e-mail and agreeing names
    propose   a person decides: weaker evidence above the threshold, or strong evidence beside a contradiction
    reject    everything else

Contradictions are different registration numbers and different VAT numbers; two SIRETs of one SIREN are two
establishments, which is evidence and contradiction at once. Numbers that cannot be compared (a SIREN and a NIP, a KvK
number and a SIREN) are no contradiction and no evidence. An e-mail or phone of more than `SHARED_LIMIT_CLIENTS`
clients proves nothing, and neither does a registration number that is not valid and as common. Names agree if their
words do, in any order and without legal form; a word may be an initial, missing, or one letter off if it is long.
Different numbers in names ("Client 17", "Client 18") never agree, and neither do names that differ as Jean and Jeanne
do.

Reasons name fields and never show values.
"""

from syncd.core.correlate.evidence import (
    SHARED_LIMIT_CLIENTS,
    Commonness,
    Evidence,
    MatchKey,
    Verdict,
    Weights,
    Zone,
    compare,
    match_keys,
)
from syncd.core.correlate.grouping import Dispute, Grouping, Node, Proposal, Ref, group

__all__ = [
    "SHARED_LIMIT_CLIENTS",
    "Commonness",
    "Dispute",
    "Evidence",
    "Grouping",
    "MatchKey",
    "Node",
    "Proposal",
    "Ref",
    "Verdict",
    "Weights",
    "Zone",
    "compare",
    "group",
    "match_keys",
]
