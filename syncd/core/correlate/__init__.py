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
clients proves nothing, and neither does a number that is not valid and as common; below that a value
proves less the more clients share it. A number that is not valid links no two names that differ: it may be a remark
("TVA non applicable, art. 293 B") or made up. Names agree if their
words do, in any order and without legal form; a word may be an initial, missing, or one letter off if it is long.
Different numbers in names ("Client 17", "Client 18") never agree, and neither do names that differ as Jean and Jeanne
do.

Every verdict is a sum: the tenant's prior and a weight per observation (`syncd.core.matching`). Its evidence says
field by field what was seen and what it added; it names fields and never shows values. A link needs strong evidence
*and* a score above the tenant's threshold for links.

Read on in this order: `identity` (what is compared, and by which keys candidates are found), `likeness` (how two values
stand to each other), `evidence` (the verdict), `pairing` (which pairs are judged), `grouping` (the partition).
"""

from syncd.core.correlate.certainty import are_certain
from syncd.core.correlate.evidence import (
    SHARED_LIMIT_CLIENTS,
    Commonness,
    Evidence,
    Verdict,
    Zone,
    compare,
    compare_extra,
    judge,
    likelihood,
    log_odds,
)
from syncd.core.correlate.grouping import Dispute, Grouping, Node, Proposal, Ref, group
from syncd.core.correlate.identity import STRONG_KEYS, Identity, MatchKey, identity, keys_of, keys_signature, match_keys
from syncd.core.correlate.likeness import Names, Numbers, compare_names, compare_numbers
from syncd.core.correlate.pairing import (
    SHARERS_MAX,
    STRONG_SHARERS_MAX,
    candidate_pairs,
    cluster,
    match,
    one_to_one,
    sharers_max,
)

__all__ = [
    "SHARED_LIMIT_CLIENTS",
    "SHARERS_MAX",
    "STRONG_KEYS",
    "STRONG_SHARERS_MAX",
    "Commonness",
    "Dispute",
    "Evidence",
    "Grouping",
    "Identity",
    "MatchKey",
    "Names",
    "Node",
    "Numbers",
    "Proposal",
    "Ref",
    "Verdict",
    "Zone",
    "are_certain",
    "candidate_pairs",
    "cluster",
    "compare",
    "compare_extra",
    "compare_names",
    "compare_numbers",
    "group",
    "identity",
    "judge",
    "keys_of",
    "keys_signature",
    "likelihood",
    "log_odds",
    "match",
    "match_keys",
    "one_to_one",
    "sharers_max",
]
