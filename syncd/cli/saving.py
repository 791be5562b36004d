"""A tenant's store as one file, and back: backup, restore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from syncd import log
from syncd.cli import output
from syncd.cli.frame import DONE, Call, consent, now, opened, options, scene, single, usage
from syncd.config import ServiceConfig, TenantConfig
from syncd.engine.witness import Witness, look, notice, restored
from syncd.store import Store, copying
from syncd.store.copying import Label


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@options
def backup(call: Call, file: Path) -> int:
    r"""Write one tenant's store into a new file, while the service works. Only its owner can read the file.

    It is whole, of one moment and checked, from SQLite and from PostgreSQL; `syncd restore` takes it back into either. It has
    everything that syncd knows of the clients: keep it as safe as the store.

    \b
    Example: syncd backup --tenant acme /var/backups/acme-$(date +%F).db
    """
    found = scene(call)
    tenant = single(found)
    if file.exists():
        raise usage(fault=f"{file} exists already", step="Name a file that is not there.")
    with opened(found.service, tenant) as store:
        label = copying.backup(store, file, now())
    document = {**_told(label), "file": str(file), "bytes": file.stat().st_size}
    if call.json:
        output.document(document)
    else:
        output.say(f"{tenant.name}: saved up to cycle {label.cycle or '(none)'} into {file}, {document['bytes']} bytes")
    return DONE


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@options
def restore(call: Call, file: Path, *, yes: bool) -> int:
    r"""Replace a tenant's store by a backup. Shows whose it is and of when, and asks.

    Stop the service first. The next cycles read and compare, and write nothing outward until you have released the report
    that the first of them makes. Edits since the backup are taken in as new values; who was erased stays erased; what was
    deleted is not created again; what people decided in syncd since is gone.

    \b
    Example: syncd restore --tenant acme /var/backups/acme-2026-11-20.db
    """
    found = scene(call, every=True)
    tenant = single(found)
    with copying.opened(file) as (source, label):
        if label.tenant != tenant.name:
            raise usage(
                fault=f"{file} is a backup of tenant {label.tenant}, not of {tenant.name}",
                step=f"Name the tenant with --tenant {label.tenant}, or the right file.",
            )
        if not yes:
            output.note(f"{file}: tenant {label.tenant}, saved {output.shown(label.at)}, last cycle {label.cycle}")
            consent("Replace the present store by it?", given=yes)
        with opened(found.service, tenant) as store, store.hold_lock():
            _replace(found.service, tenant, store, source, label)
    document = {**_told(label), "file": str(file), "next": f"syncd plan --tenant {tenant.name}"}
    if call.json:
        output.document(document)
    else:
        output.say(f"{tenant.name}: restored, as of {output.shown(label.at)}, cycle {label.cycle or '(none)'}")
        output.say("  nothing is written outward until a report is released:")
        output.say(f"  next: `syncd sync --tenant {tenant.name}`, then `syncd holds` and `syncd release HOLD`")
    return DONE


def _replace(service: ServiceConfig, tenant: TenantConfig, store: Store, source: Store, label: Label) -> None:
    """Copy the backup's rows in, with what the present store and its witness know from after it was made."""
    witness = Witness(service.state_folder, tenant.name)
    with log.context(tenant=tenant.name):
        notice(store, witness.remembered(), now())
        known = look(store)
        with source.reading() as rows, store.writing() as tx:
            copying.copy_rows(rows, tx)
        try:
            restored(store, known, now(), f"a backup of {label.at:%Y-%m-%d %H:%M}Z")
        finally:
            witness.keep(store, now(), whole=True)
        store.scrub()


def _told(label: Label) -> dict[str, Any]:
    return {"tenant": label.tenant, "at": label.at, "cycle": label.cycle}
