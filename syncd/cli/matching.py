"""Which record belongs to whom: links, why, how people decided, the first run's report, and weights from the tenant's own records."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from syncd import report
from syncd.cli import output
from syncd.cli.frame import DONE, Call, Scene, opened, options, scene, usage
from syncd.cli.status import listed, print_listing, show_evidence, show_hold
from syncd.report import calibrating, matching
from syncd.store import HoldKind

_PERCENT = 100


@click.command()
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The links of at most so many clients.")
@click.option("--explain", is_flag=True, help="The score of every link today, field by field.")
@click.option("--stats", is_flag=True, help="How people decided per band of scores, and the expected error.")
@click.option("--report", "first", is_flag=True, help="The first run's report: linked, proposed, ambiguous, new.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="With --report: as JSON into a file."
)
@options
def links(call: Call, limit: int | None, out: Path | None, *, explain: bool, stats: bool, first: bool) -> int:
    r"""List which record belongs to which client and why, and the proposals that wait.

    A proposal is a hold: accept it with `syncd release HOLD`, refuse it for ever with `syncd refuse HOLD`.

    \b
    Example: syncd links --tenant acme
             syncd links --explain
             syncd links --stats
             syncd links --report
    """
    if explain + stats + first > 1:
        raise usage(fault="--explain, --stats and --report exclude each other", step="Ask for one of them.")
    if out is not None and not first:
        raise usage(fault="--out goes with --report", step="`syncd links --report --out FILE`")
    found = scene(call)
    if stats:
        return _stats(call, found)
    if first:
        return _report(call, found, out)
    return _links(call, found, limit, explain=explain)


def _links(call: Call, found: Scene, limit: int | None, *, explain: bool) -> int:
    policies = {tenant.name: tenant.policy for tenant in found.tenants}
    proposals: list[report.Document] = []
    for tenant in found.tenants:
        with opened(found.service, tenant) as store:
            proposals.extend(report.holds(store, tenant.name, kinds=(HoldKind.LINK, HoldKind.MERGE)))
    items = listed(
        found,
        lambda store, tenant: (
            matching.links(store, tenant, policies[tenant], limit=limit)
            if explain
            else report.links(store, tenant, limit=limit)
        ),
    )
    if call.json:
        rest = {"proposals": proposals, **({"problems": found.problems} if found.broken else {})}
        output.stream("links", items, rest)
        return found.exit(DONE)
    code = print_listing(call, found, "links", items, _show_explained if explain else _show_links)
    if proposals:
        output.say(
            f"{output.counted(len(proposals), 'proposal')}: accept with `syncd release HOLD`, refuse with `syncd refuse HOLD`"
        )
    for hold in proposals:
        show_hold(hold)
    return code


def _show_links(rows: Iterable[Mapping[str, Any]]) -> None:
    output.table(
        ("client", "tenant", "system", "record", "state", "matched by", "linked"),
        (
            (
                *(row[name] for name in ("client", "tenant", "system", "external_id", "state", "matched_by")),
                row["linked_at"],
            )
            for row in rows
        ),
    )


def _show_explained(rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        score = "alone" if row["score"] is None else f"score {row['score']}"
        beside = f" with {row['with']['system']} {row['with']['external_id']}" if row["with"] else ""
        output.say(
            f"{row['client']}  {row['tenant']}/{row['system']} {row['external_id']}  {row['state']}, "
            f"{output.matched(row['matched_by'])}; {score}{beside}"
        )
        show_evidence(row["evidence"], output.say)


# ---------------------------------------------------------------- how people decided


def _stats(call: Call, found: Scene) -> int:
    documents = []
    for tenant in found.tenants:
        with opened(found.service, tenant) as store:
            documents.append(matching.stats(store, tenant.name, tenant.policy))
    if call.json:
        output.document({"tenants": documents, **({"problems": found.problems} if found.broken else {})})
        return found.exit(DONE)
    for document in documents:
        _show_stats(document)
    return found.exit(DONE)


def _show_stats(document: Mapping[str, Any]) -> None:
    told = document["links"]
    output.say(f"{document['tenant']}: proposals from a score of {document['thresholds']['propose']} on")
    rows = [(f"{band['from']:g} to {band['to']:g}", band) for band in document["bands"]]
    output.table(
        ("score", "open#", "accepted#", "refused#", "wrong", "at 95 %", "scores expect"),
        (
            (
                name,
                *(band[key] for key in ("open", "accepted", "refused")),
                _share(band["error"]),
                _between(band),
                _share(band["predicted"]),
            )
            for name, band in (*rows, ("all", document["proposals"]), ("disputed", document["disputes"]))
        ),
    )
    evidence = ", ".join(f"{count} by {name}" for name, count in told["by"].items())
    output.say(f"links made by themselves: {told['automatic']}{f' ({evidence})' if evidence else ''}")
    output.say(
        f"  taken back by a person: {told['taken_back']}; wrong: {_share(told['error'])}, at 95 % {_between(told)}. "
        "Nobody looks at every link: this counts what was noticed."
    )
    if not told["complete"]:
        output.say(f"  (of the first {matching.STATS_CLIENTS_MAX} clients)")


def _share(share: float | None) -> str:
    return "not known" if share is None else f"{share * _PERCENT:.1f} %"


def _between(told: Mapping[str, Any]) -> str:
    return f"{told['error_low'] * _PERCENT:.1f} to {told['error_high'] * _PERCENT:.1f} %"


# ---------------------------------------------------------------- the first run


def _report(call: Call, found: Scene, out: Path | None) -> int:
    documents = []
    for tenant in found.tenants:
        with opened(found.service, tenant) as store:
            documents.append(matching.first_run(store, tenant.name))
    whole = {"tenants": documents, **({"problems": found.problems} if found.broken else {})}
    if out is not None:
        _write(out, output.encoded(whole))
    if call.json:
        output.document(whole)
        return found.exit(DONE)
    for document in documents:
        _show_report(document)
    return found.exit(DONE)


def _write(path: Path, text: bytes) -> None:
    """A file that only its owner reads."""
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise usage(fault=f"{path} cannot be written ({reason})", step="Choose another --out.") from error
    with os.fdopen(number, "wb") as file:
        os.fchmod(number, 0o600)
        file.write(text)


def _show_report(document: Mapping[str, Any]) -> None:
    release = f"; release it with `syncd release {document['hold']}`" if document["state"] == "waiting" else ""
    output.say(f"{document['tenant']}: first run {document['state']}{release}")
    if not document["systems"]:
        output.say("  no report yet: it is made when every system was read completely and one may be written")
        return
    output.table(
        ("system", "records#", "linked#", "proposed#", "ambiguous#", "new#", "linked by"),
        (
            (
                *(row.get(key, 0) for key in ("system", "records", "linked", "proposed", "ambiguous", "new")),
                ", ".join(f"{count} {name}" for name, count in row.get("matched_by", {}).items()),
            )
            for row in document["systems"]
        ),
    )
    for row in document["systems"]:
        for situation in ("proposed", "ambiguous"):
            shown = [f"{each['external_id']} ({each['client']})" for each in row["samples"].get(situation, [])]
            if shown:
                output.say(f"  {row['system']}, {situation}: {', '.join(shown)}")
    output.say("  `syncd links` lists every proposal with its reasons, `syncd plan` every write that would follow")


# ---------------------------------------------------------------- weights


@click.command()
@options
def calibrate(call: Call) -> int:
    r"""Propose weights for matching, estimated from the tenant's own records; changes nothing.

    Offline, from the mirror alone. Needs Splink: `pip install '.[calibrate]'` in the checkout. Prints a section for the tenant's file.

    \b
    Example: syncd calibrate --tenant acme
    """
    found = scene(call)
    documents: list[report.Document] = []
    for tenant in found.tenants:
        with opened(found.service, tenant) as store:
            learned = calibrating.calibrate(store, tenant.policy)
        text = calibrating.toml(tenant.name, learned)
        documents.append(
            {
                "tenant": tenant.name,
                "records": learned.records,
                "weights": dict(learned.weights),
                "untold": list(learned.untold),
                "toml": text,
            }
        )
        if not call.json:
            output.say(text.rstrip())
    if call.json:
        output.document({"tenants": documents, **({"problems": found.problems} if found.broken else {})})
    return found.exit(DONE)
