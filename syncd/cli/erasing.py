"""Forgetting a person: erase."""

from __future__ import annotations

import json
import mmap
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import click

from syncd import log
from syncd.cli import output
from syncd.cli.frame import DONE, FAILED, Call, actor, consent, locate, now, opened, options, scene
from syncd.config import ServiceConfig
from syncd.engine.erasing import Erased, erase, preview
from syncd.engine.witness import Witness, notice
from syncd.store import Store

PLAN_LIMIT_BYTES: Final = 256 * 1024 * 1024
"""A file that is longer is no plan."""


@click.command("erase")
@click.argument("client")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options
def erase_command(call: Call, client: str, *, yes: bool) -> int:
    r"""Forget a client for ever: store, history, write-ahead log, log files, plan files. Shows it and asks.

    What the systems hold stays there; they are named. A record that a system still lists does not come back as a client. Nobody
    else may work on the tenant meanwhile: stop the service, or set `enabled = false` in the tenant's file until it is done.
    Exits 1 where a file in syncd's folders still names the client, such as a backup.

    \b
    Example: syncd erase c12
             syncd erase c12 --yes --json
    """
    found = scene(call, every=True)
    tenant = locate(found, "client", client, lambda store: _has(store, client), "syncd clients")
    context = tenant.policy.context
    witness = Witness(found.service.state_folder, tenant.name)
    with opened(found.service, tenant) as store, store.hold_lock():
        notice(store, witness.remembered(), now())
        with store.reading() as tx:
            ahead = preview(tx, client, context)
        if not yes:
            _show(ahead, err=True)
            consent("Erase this client? It cannot be taken back.", given=yes)
        done = erase(store, client, context, actor=actor(), clock=now)
        witness.keep(store, now(), whole=True)
        store.scrub()
        plans, files = _clear_files(found.service, tenant.name, done)
    document = _document(tenant.name, done, plans, files)
    if call.json:
        output.document(document)
    else:
        _tell(document)
    return FAILED if files else DONE


def _has(store: Store, client: str) -> bool:
    with store.reading() as tx:
        return tx.client(client) is not None


def _clear_files(service: ServiceConfig, tenant: str, done: Erased) -> tuple[list[Path], list[Path]]:
    """Clear the log, delete plans that name the client; returns those, and other files that still do."""
    if service.log_file is not None:
        log.erase(service.log_file, tenant, done.clients, done.records, done.texts)
    plans: list[Path] = []
    others: list[Path] = []
    for path in _files(service):
        if not _is_store(path) and _holds(path, done.texts):
            if _is_plan(path):
                path.unlink(missing_ok=True)
                plans.append(path)
            else:
                others.append(path)
    return plans, others


def _files(service: ServiceConfig) -> Iterator[Path]:
    """Every file in the folders that are syncd's own: the store's and the log's."""
    folders = {service.log_file.parent} if service.log_file is not None else set()
    if service.database.startswith("sqlite:///"):
        folders.add(Path(service.database.removeprefix("sqlite:///")))
    for folder in sorted(folders):
        if not any(other in folder.parents for other in folders):
            yield from sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _is_store(path: Path) -> bool:
    """Whether a file is a tenant's database at work: NAME.db, with its -wal and -shm, beside NAME.lock.

    The store has no row of the client any more. A text that still stands in it, such as a first name, is another client's.
    """
    name, dot, ending = path.name.rpartition(".")
    return bool(dot) and ending in {"db", "db-wal", "db-shm"} and path.with_name(f"{name}.lock").exists()


def _holds(path: Path, texts: Collection[str]) -> bool:
    """Whether a file has one of the texts in it, as it is or as JSON spells it."""
    forms = {form.encode("utf-8", "surrogatepass") for text in texts for form in _forms(text)}
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                return False
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return any(content.find(form) >= 0 for form in forms)
    except OSError:
        return False


def _forms(text: str) -> Iterable[str]:
    return {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}


def _is_plan(path: Path) -> bool:
    if path.stat().st_size > PLAN_LIMIT_BYTES:
        return False
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"plan", "writes", "config_digest"} <= content.keys()


def _document(tenant: str, done: Erased, plans: Iterable[Path], files: Iterable[Path]) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "erased": done.client,
        "clients": list(done.clients),
        "still_in": [{"system": system, "external_id": external_id} for system, external_id in done.still_in],
        "shared_with": list(done.shared_with),
        "plans_deleted": [str(path) for path in plans],
        "files": [str(path) for path in files],
    }


def _show(ahead: Erased, *, err: bool) -> None:
    tell = output.note if err else output.say
    others = f" with {', '.join(ahead.clients[1:])}, merged into it" if len(ahead.clients) > 1 else ""
    tell(f"{ahead.client}{others}: everything that syncd knows and has known about it goes")
    _systems([{"system": system, "external_id": external_id} for system, external_id in ahead.still_in], err=err)


def _systems(held: Iterable[dict[str, Any]], *, err: bool) -> None:
    tell = output.note if err else output.say
    for each in held:
        record = each["external_id"] or "perhaps a record whose creation was never answered"
        tell(f"  still in {each['system']}: {record} (delete it there)")


def _tell(document: dict[str, Any]) -> None:
    output.say(f"{document['tenant']}: {document['erased']} is erased, and will not be taken in again")
    _systems(document["still_in"], err=False)
    if document["shared_with"]:
        output.say(
            f"  shares an e-mail or a number with: {', '.join(document['shared_with'])} (look whether it is the same person)"
        )
    for path in document["plans_deleted"]:
        output.say(f"  deleted a plan that named it: {path}")
    for path in document["files"]:
        output.say(f"  still names it: {path} (delete it, or wait until it is replaced)")
