"""The judge: what must be true of a tenant at rest, checked from outside.

It takes the sandbox's records and journal on one side and what the command line tells on the other, and knows nothing of how syncd decides.
Every function returns sentences, one per violation; none is good.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any

from tests.system import shapes
from tests.system.place import PROVIDER, SYSTEM, Look, Place, Raw
from tests.system.sights import HOLDS, NEVER_EMPTIED, alike, seen, unit

OPEN = ("waiting", "sending", "in_doubt", "parked")
MOVING = {"billed_including_taxes"}
Takes = Callable[[str, Raw], bool]


def everybody(_system: str, _client: Raw) -> bool:
    """Every client takes part in every system that can hold it."""
    return True


def judge(place: Place, look: Look | None = None, *, takes: Takes = everybody, quiet: bool = True, rest: bool = True,
          cut: Container[int] = ()) -> list[str]:  # fmt: skip
    """Every violation. takes: which clients take part in a system. quiet: also run one more cycle. rest: nothing may be pending.

    cut: numbers of requests whose sender was killed, so that the systems may have got half of them.
    """
    look = look or place.look()
    found = [*told(look), *counted(look), *mirrored(place, look), *linked(place, look), *converged(place, look, takes)]
    found += [*created_once(place, look), *logged_once(look), *behaved(place, cut), *intended(place, look)]
    if rest:
        found += at_rest(look)
    if quiet:
        found += still(place, look)
    return found


def told(look: Look) -> Iterator[str]:
    """The promised shapes."""
    for name, shape, value in (
        ("status", shapes.STATUS, look.status), ("clients", [shapes.CLIENT], look.clients), ("records", [shapes.RECORD], look.records),
        ("conflicts", [shapes.CONFLICT], look.conflicts), ("holds", [shapes.HOLD], look.holds), ("outbox", [shapes.WRITE], look.outbox),
    ):  # fmt: skip
        yield from (f"shape: {name}: {fault}" for fault in shapes.faults(shape, value))


def counted(look: Look) -> Iterator[str]:
    """In sync + pending + held + excluded + failing = clients, per system and for the tenant."""
    tenant = look.tenant
    total = tenant["clients"]["total"]
    alive = [client for client in look.clients if client["state"] in ("active", "archived")]
    if total != len(alive):
        yield f"counts: status tells {total} clients, {len(alive)} are listed as active or archived"
    for name, counts in [
        ("tenant", tenant["clients"]),
        *((each["system"], each["counts"]) for each in tenant["systems"]),
    ]:
        if sum(counts[key] for key in shapes.FIVE) != total:
            yield f"counts: {name}: {counts} do not sum to {total}"
    for each in tenant["systems"]:
        records = sum(row["state"] == "present" for row in look.records if row["system"] == each["system"])
        if each["records"] != records:
            yield f"counts: {each['system']}: status tells {each['records']} records, {records} are listed as present"
    held = sum(hold.get("state", "open") == "open" for hold in look.holds)
    undecided = sum(row["status"] == "open" for row in look.conflicts)
    if (tenant["holds_open"], tenant["conflicts_open"]) != (held, undecided):
        yield f"counts: status tells {tenant['holds_open']} holds and {tenant['conflicts_open']} conflicts, not {held} and {undecided}"


def at_rest(look: Look) -> Iterator[str]:
    """Nothing is pending, and nobody is asked."""
    if not look.tenant["quiescent"]:
        yield f"rest: not quiescent: {look.tenant.get('reasons')}"
    for row in look.outbox:
        if row["state"] in OPEN:
            yield f"rest: {row['write']} ({row['action']} in {row['system']}) is {row['state']}: {row['error']}"
    for hold in look.holds:
        if hold.get("state", "open") == "open":
            yield f"rest: {hold['hold']} ({hold['kind']}) is open: {hold['reason']}"
    for each in look.tenant["systems"]:
        if each["counts"]["failing"] or each["counts"]["pending"] or each["state"] != "ok":
            yield f"rest: {each['system']} is {each['state']}: {each['counts']}"


# ---------------------------------------------------------------- mirror and links


def mirrored(place: Place, look: Look) -> Iterator[str]:
    """After a complete walk the mirror is what the systems hold, unmapped keys too."""
    for system, provider in PROVIDER.items():
        own = {row["external_id"]: row for row in look.records if row["system"] == system and row["state"] == "present"}
        real = {str(row["id"]): row for row in place.sandbox.records(provider)}
        for external_id in sorted(real.keys() ^ own.keys()):
            yield f"mirror: {system} {external_id} is only {'there' if external_id in real else 'in the mirror'}"
        for external_id in sorted(real.keys() & own.keys()):
            mirror, raw = _bare(own[external_id]["raw"]), _bare(real[external_id])
            plain = not any(key.startswith("@") for key in mirror)
            raw = _plain(raw) if plain else raw
            keys = sorted(key for key in mirror.keys() | raw.keys() if mirror.get(key, ...) != raw.get(key, ...))
            if keys:
                yield f"mirror: {system} {external_id} differs in {', '.join(f'{k}: {mirror.get(k)!r} / {raw.get(k)!r}' for k in keys)}"


def _bare(raw: Raw) -> Raw:
    return {key: value for key, value in raw.items() if key not in MOVING and key not in ("@context", "object")}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: _plain(inner) for key, inner in value.items() if not key.startswith("@")}


def linked(place: Place, look: Look) -> Iterator[str]:
    """Links partition the records; one live record per client and system; no client is two parties of the truth."""
    owners: dict[tuple[str, str], list[str]] = defaultdict(list)
    disputed = _held_clients(look)
    for client in look.clients:
        live = Counter(link["system"] for link in client["links"] if link["state"] == "linked")
        for link in client["links"]:
            owners[link["system"], link["external_id"]].append(client["client"])
        if client["state"] == "merged" and client["links"]:
            yield f"links: {client['client']} is merged and has links"
        for system, count in live.items():
            if count > 1 and client["client"] not in disputed:
                yield f"links: {client['client']} has {count} live records in {system}"
    for ref, clients in owners.items():
        if len(clients) > 1:
            yield f"links: {ref} belongs to {clients}"
    for row in look.records:
        if row["state"] == "present" and not owners.get((row["system"], row["external_id"])):
            yield f"links: {row['system']} {row['external_id']} belongs to nobody"
    parties = {
        (SYSTEM[provider], str(external_id)): party["party"]
        for party in place.sandbox.truth for provider, ids in party["records"].items() for external_id in ids
    }  # fmt: skip
    for client in look.clients:
        names = {parties[key] for link in client["links"] if (key := (link["system"], link["external_id"])) in parties}
        if len(names) > 1:
            yield f"links: {client['client']} joins {sorted(names)}, which are not one"


# ---------------------------------------------------------------- values


def converged(place: Place, look: Look, takes: Takes) -> Iterator[str]:
    """Every record shows golden, field by field, and every client is wherever it can be; each exception has a row."""
    drift: defaultdict[str, list[str]] = defaultdict(list)
    raws = {(system, str(raw["id"])): raw for system in PROVIDER for raw in place.records(system)}
    modes = {each["system"]: each["mode"] for each in look.tenant["systems"]}
    for client in look.clients:
        if client["state"] not in ("active", "archived"):
            continue
        for system, mode in modes.items():
            links = [link for link in client["links"] if link["system"] == system]
            live = [link for link in links if link["state"] == "linked" and (system, link["external_id"]) in raws]
            if not takes(system, client):
                continue
            if not links:
                yield from _absent(look, client, system, mode)
            for link in live:
                raw = raws[system, link["external_id"]]
                differs = list(_differences(place, client, system, raw))
                once = HOLDS[PROVIDER[system]]
                hard = [each for each in differs if once[each] == "always" and mode in ("sync", "update-only")]
                if differs and not hard:
                    drift[system].append(f"{client['client']} {differs}")
                yield from (
                    f"converge: {client['client']} {field} in {system} {link['external_id']}: golden {client['fields'].get(field)!r},"
                    f" shown {differs_value(place, system, raw, field)!r}"
                    for field in hard if not _excused(look, client["client"], system, field)
                )  # fmt: skip
    for each in look.tenant["systems"]:
        if len(drift[each["system"]]) > each.get("drift", 0):
            yield f"converge: {each['system']}: these drift, {each.get('drift')} are told: {drift[each['system']]}"


def _children(place: Place, system: str, raw: Raw) -> Raw | None:
    if system != "erp":
        return None
    contacts = [
        row for row in place.sandbox.records("flowtly", "client-contacts") if _last(row["client"]) == str(raw["id"])
    ]
    return {"contacts": contacts}


def _last(iri: str) -> str:
    return iri.rpartition("/")[2]


def differs_value(place: Place, system: str, raw: Raw, field: str) -> Any:
    """What a record shows of a field."""
    return seen(PROVIDER[system], raw, _children(place, system, raw)).get(field)


def _differences(place: Place, client: Raw, system: str, raw: Raw) -> Iterator[str]:
    provider = PROVIDER[system]
    golden = client["fields"]
    shown = seen(provider, raw, _children(place, system, raw))
    for field in HOLDS[provider]:
        if field not in shown or (shown[field] is None and golden.get(field) is None):
            continue
        if golden.get(field) is None and (field == "kind" or field in NEVER_EMPTIED[provider]):
            continue  # a default of the system's own
        if not alike(provider, field, golden.get(field), shown[field], golden.get("country")):
            yield field


def _excused(look: Look, client: str, system: str, field: str) -> bool:
    """Whether there is a row that says why a value is not there: an open conflict, a hold, a write that is parked or on its way."""
    name = unit(field)
    conflict = any(
        (row["client"], row["field"], row["status"]) == (client, name, "open") for row in look.conflicts
    )  # fmt: skip
    hold = any(
        item.get("client") == client and item.get("field") in (None, name)
        for row in look.holds if row.get("state", "open") == "open" for item in row["items"]
    )  # fmt: skip
    frozen = any(row["kind"] == "first_run" and row.get("state", "open") == "open" for row in look.holds)
    write = any((row["client"], row["system"]) == (client, system) and row["state"] in OPEN for row in look.outbox)
    return conflict or hold or frozen or write


def _absent(look: Look, client: Raw, system: str, mode: str) -> Iterator[str]:
    """A client without a record somewhere: because nothing is created there, the provider cannot hold it, or a row says why."""
    fields = client["fields"]
    if (
        client["state"] == "archived"
        or mode in ("observe", "update-only")
        or _excused(look, client["client"], system, "name")
    ):
        return
    if system == "receipts" and not (
        fields.get("kind") == "person" and fields.get("given_name") and fields.get("family_name")
        and (fields.get("email") or fields.get("phone"))
    ):  # fmt: skip
        return
    if fields.get("name"):
        yield f"converge: {client['client']} is not in {system}, and nothing says why"


# ---------------------------------------------------------------- what was done


def created_once(place: Place, look: Look) -> Iterator[str]:
    """Every record that syncd created belongs to a client, and there is one per client and system, and per client it has taken in."""
    into = {client["client"]: client["merged_into"] for client in look.clients}
    taken_in = Counter(into[each] for each in into if into[each] is not None)
    owner = {
        (link["system"], link["external_id"]): client["client"] for client in look.clients for link in client["links"]
    }
    made: Counter[tuple[str, str]] = Counter()
    for entry in place.sandbox.journal(writes=True):
        if entry["method"] == "POST" and _is_main(entry):
            system = SYSTEM[entry["provider"]]
            client = owner.get((system, str(entry["external_id"])))
            if client is None:
                yield f"create: {system} {entry['external_id']} was created and belongs to nobody"
            else:
                made[client, system] += 1
    for (client, system), count in made.items():
        if count > 1 + taken_in[client]:
            yield f"create: {count} records of {client} were created in {system}"


def _is_main(entry: Mapping[str, Any]) -> bool:
    """Whether a request was about the clients themselves, not their contacts or a login."""
    return bool(entry["path"].rstrip("/").endswith(("/clients", "/customers")))


def logged_once(look: Look) -> Iterator[str]:
    """Each conflict has one row, complete: several different candidates, a decision and who made it where there is one."""
    known: Counter[str] = Counter()
    for row in look.conflicts:
        values = [str(each["value"]) for each in row["candidates"]]
        key = f"{row['client']} {row['field']} {row['kind']} base {row['base']} {sorted(zip([c['system'] for c in row['candidates']], values, strict=True))}"
        known[key] += 1
        if len(set(values)) < 2:
            yield f"conflict: {row['conflict']} has no two different candidates: {values}"
        if row["status"] == "decided" and not (row["decided_by"] and row["rule"]):
            yield f"conflict: {row['conflict']} does not say by what it was decided"
    yield from (f"conflict: {count} rows say the same: {key}" for key, count in known.items() if count > 1)


def behaved(place: Place, cut: Container[int]) -> Iterator[str]:
    """No call that the provider does not document, and none to the second host."""
    for entry in place.sandbox.violations():
        if entry["seq"] in cut:
            continue
        yield f"violation: {entry['provider']} {entry['method']} {entry['path']}: {entry['violation']}"


def intended(place: Place, look: Look) -> Iterator[str]:
    """Every change that a system saw has its intent in the outbox."""
    intents = {(row["system"], str(row["external_id"])) for row in look.outbox if row["external_id"]}
    tables = ("client-contacts", "client-notes")
    children = [row for table in tables for row in place.sandbox.records("flowtly", table)]
    clients = {str(row["id"]): _last(row["client"]) for row in children}
    for entry in place.sandbox.journal(writes=True):
        system, external_id = SYSTEM[entry["provider"]], str(entry["external_id"])
        if "/contacts" in entry["path"]:
            external_id = entry["path"].split("/")[2]
        elif entry["path"].startswith(("/client-contacts", "/client-notes")):
            external_id = clients.get(external_id, "")
        if external_id and (system, external_id) not in intents:
            yield f"intent: {entry['method']} {entry['path']} in {system} has no row in the outbox"


def still(place: Place, before: Look) -> Iterator[str]:
    """One more cycle with nothing new: no write, no row."""
    number = place.now
    place.cycle(code=None)
    for entry in place.writes(after=number):
        yield f"quiet: a second cycle sent {entry['method']} {entry['path']} to {entry['provider']}: {entry['sent']}"
    after = place.look()
    for name in ("conflicts", "holds", "outbox"):
        if getattr(before, name) != getattr(after, name):
            yield f"quiet: a second cycle changed the {name}"
    timeless = [
        [_without_times(row) for row in rows] for rows in (before.clients, after.clients, before.records, after.records)
    ]
    if timeless[0] != timeless[1] or timeless[2] != timeless[3]:
        yield "quiet: a second cycle changed clients or records"
    counts = [[each["counts"] for each in look.tenant["systems"]] for look in (before, after)]
    if counts[0] != counts[1]:
        yield f"quiet: a second cycle changed the counts: {counts}"


def _without_times(row: Raw) -> Raw:
    kept = {key: value for key, value in row.items() if key not in ("seen_at", "changed_at")}
    return {**kept, "raw": _bare(kept["raw"])} if "raw" in kept else kept


def _held_clients(look: Look) -> set[str]:
    return {
        str(item["client"])
        for hold in look.holds if hold.get("state", "open") == "open" for item in hold["items"] if item.get("client")
    }  # fmt: skip
