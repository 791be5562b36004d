"""`syncd db`: the schema of the tenants' stores."""

from __future__ import annotations

import click

from syncd.cli import output
from syncd.cli.frame import DONE, FAILED, Call, error_document, options, scene
from syncd.errors import StoreError
from syncd.report import Document
from syncd.store import Pool, current_revision, head_revision, upgrade
from syncd.store.cluster import Desk


@click.group()
def db() -> None:
    """The schema of the tenants' stores. It is brought up to date by itself when a store is opened.

    Example: syncd db current
    """


@db.command("current")
@options
def current_command(call: Call) -> int:
    r"""Tell the schema of each tenant's store; changes nothing. Exits 1 where one is not up to date.

    \b
    Example: syncd db current --json
    """
    found = scene(call, every=True)
    head = head_revision()
    rows: list[Document] = []
    for tenant in found.tenants:
        row: Document = {"tenant": tenant.name, "revision": None, "head": head, "current": False}
        try:
            row["revision"] = current_revision(found.service.database, tenant.name)
            row["current"] = row["revision"] == head
        except StoreError as error:
            row["error"] = error_document(error)
        rows.append(row)
    _print(call, rows)
    stale = [row for row in rows if row.get("error") or (row["revision"] is not None and not row["current"])]
    return found.exit(FAILED if stale else DONE)


@db.command("upgrade")
@options
def upgrade_command(call: Call) -> int:
    r"""Make each tenant's store, or bring its schema up to date; on PostgreSQL also what the workers of a cluster share.

    \b
    Example: syncd db upgrade --tenant acme
    """
    found = scene(call, every=True)
    head = head_revision()
    rows: list[Document] = []
    for tenant in found.tenants:
        row: Document = {"tenant": tenant.name, "revision": None, "head": head, "current": False}
        try:
            row["revision"] = upgrade(found.service.database, tenant.name)
            row["current"] = True
        except StoreError as error:
            row["error"] = error_document(error)
        rows.append(row)
    _print(call, rows)
    shared = True
    if found.service.database.startswith("postgresql"):
        shared = prepare_cluster(found.service.database)
    return found.exit(FAILED if any(row.get("error") for row in rows) or not shared else DONE)


def prepare_cluster(url: str) -> bool:
    """Make the tables that workers share, or bring them up to date; whether that went well."""
    from syncd.dispatch import queue  # noqa: PLC0415 - a quarter of a second that only PostgreSQL needs

    pool = Pool(url, 1)
    try:
        queue.prepare(Desk(pool))
    except StoreError as error:
        output.note(f"what workers share: {error}")
        return False
    finally:
        pool.close()
    return True


def _print(call: Call, rows: list[Document]) -> None:
    if call.json:
        output.document({"tenants": rows})
        return
    for row in rows:
        if row.get("error"):
            output.say(f"{row['tenant']}: {row['error']['message']}")
            output.say(f"  next: {row['error']['next']}")
        elif row["revision"] is None:
            output.say(f"{row['tenant']}: no store yet; it is made by the first cycle or by `syncd db upgrade`")
        else:
            state = "up to date" if row["current"] else f"not up to date, this syncd works with {row['head']}"
            output.say(f"{row['tenant']}: schema {row['revision']}, {state}")
