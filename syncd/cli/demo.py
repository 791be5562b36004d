"""`syncd demo`: the simulated systems, a ready tenant, people at work in every system, and what syncd makes of it.

Everything lives in one folder: config/, secrets/, state/ (store and log) and sandbox.json, the memory of the simulated systems
between two runs. A second run goes on from there, and has nothing to send.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from syncd import report
from syncd.cli import output
from syncd.cli.cycle import cycle_tenant, show_counts, show_rest
from syncd.cli.frame import DONE, FAILED, Call, Scene, opened, options, scene, usage
from syncd.cli.people import MOVED, NEWCOMER, Deed, deeds
from syncd.cli.status import show_conflict, show_status, tenant_status
from syncd.engine.foresight import of_merge
from syncd.errors import SyncdError
from syncd.report.merging import merged
from syncd.sandbox import Sandbox, start, write_config
from syncd.store import WriteState
from syncd.tenant import open_tenant

SEED: Final = 1
CLIENTS: Final = 24
PORT: Final = 8599
TENANT: Final = "demo"
MEMORY: Final = "sandbox.json"
MARKER: Final = ".syncd-demo"
OWN: Final = ("config", "secrets", "state", MEMORY)
"""What the demo makes in its folder, and what `--fresh` removes."""

CYCLES_MAX: Final = 10
WAIT_SECONDS: Final = 5.0
SAVE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A demo that is set up: the running sandbox and the tenant that points at it."""

    folder: Path
    sandbox: Sandbox
    found: Scene
    tell: Callable[[str], None]

    def cycles(self, *, until_quiet: bool = True) -> report.Document:
        """Run cycles of the tenant. Raises SyncdError with the reason where that failed."""
        [tenant] = self.found.tenants
        result = cycle_tenant(
            self.found.service, tenant, until_quiet=until_quiet, cycles=CYCLES_MAX, wait_seconds=WAIT_SECONDS
        )
        if result.get("error"):
            raise _Ended(result)
        return result


class _Ended(SyncdError):
    """A cycle of the demo failed; `result` says how."""

    code = "demo"

    def __init__(self, result: Mapping[str, Any]) -> None:
        super().__init__(str(result["error"]["message"]))
        self.code = str(result["error"]["code"])
        self.next_step = str(result["error"]["next"])


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    metavar="DIR",
    help="Where its config, store, log and the memory of the simulated systems go.",
)
@click.option("--fresh", is_flag=True, help="Start again from the beginning.")
@click.option("--keep", is_flag=True, help="Keep the simulated systems running at the end, until interrupted.")
@options
def demo(call: Call, folder: Path, *, fresh: bool, keep: bool) -> int:
    r"""Show syncd at work on four simulated systems: first cycles, edits everywhere, a conflict, a merge, silence.

    Run it again and it sends no writes; --fresh starts from the beginning.

    \b
    Example: syncd demo
             syncd demo --keep
    """
    _claim(folder)
    if fresh or not (folder / MEMORY).exists():
        _clear(folder)
    memory = folder / MEMORY
    resumed = memory.exists()
    tell = (lambda _: None) if call.json else output.say
    with _sandbox(memory) as sandbox:
        config = write_config(
            sandbox,
            folder,
            TENANT,
            service={"log": {"level": "info", "format": "json", "file": "state/log/syncd.jsonl"}},
        )
        stage = Stage(folder, sandbox, scene(Call(str(config), TENANT), quiet=True), tell)
        tell(f"four simulated systems at {sandbox.url}; tenant `{TENANT}` in {config}")
        try:
            document = _again(stage) if resumed else _first(stage)
        finally:
            _save(sandbox, memory)
        document = {"dir": str(folder), "config": str(config), "url": sandbox.url, "resumed": resumed, **document}
        if call.json:
            output.document(document)
        else:
            _farewell(stage, document, keep=keep)
        if keep:
            _stay(sandbox, memory)
    return DONE if resumed or document["writes_in_last_cycle"] == 0 else FAILED


# ---------------------------------------------------------------- the acts


def _first(stage: Stage) -> report.Document:
    """From nothing: first cycles, people's edits, cycles, a merge, and one more cycle that has nothing to do."""
    [tenant] = stage.found.tenants
    stage.tell("\n1. The first cycles: read everything, find which records are one client, fill in what is missing.")
    before = sum(system["records"] for system in stage.sandbox.state()["systems"].values())
    first = stage.cycles()
    _tell_cycles(stage, first)
    clients = tenant_status(stage.found.service, tenant)["clients"]["total"]
    made = sum(system["created"] for cycle in first["cycles"] for system in cycle["systems"])
    stage.tell(
        f"  {before} records of four systems are {output.counted(clients, 'client')}; {made} records were created where one was missing"
    )

    done = _work(stage)
    stage.tell("\n2. People at work: one edit in each system, two equal, two different, a new client, a contact.")
    for deed in done:
        stage.tell(f"  {deed.label}  {deed.words}")

    stage.tell("\n3. Cycles until nothing is pending.")
    second = stage.cycles()
    _tell_cycles(stage, second)
    conflicts = _tell_effects(stage, done, {cycle["cycle"] for cycle in second["cycles"]})

    stage.tell("\n4. A merge: the new client turns out to be another name of one that was there.")
    merge = _merge(stage, done)
    third = stage.cycles()
    _tell_cycles(stage, third)

    stage.tell("\n5. One more cycle, with nothing new anywhere.")
    last = stage.cycles(until_quiet=False)
    writes = _writes(last)
    stage.tell(f"  {output.counted(writes, 'write')} sent, {output.counted(_requests(last), 'request')} made to look")
    every = [*first["cycles"], *second["cycles"], *third["cycles"], *last["cycles"]]
    totals = _totals(stage, every)
    return {
        "cycles": every,
        "totals": totals,
        "people": [{"deed": deed.label, "what": deed.words} for deed in done],
        "conflicts": conflicts,
        "merge": merge,
        "writes_in_last_cycle": writes,
        "quiescent": last["quiescent"],
    }


def _again(stage: Stage) -> report.Document:
    """From where the last run ended: one cycle that has nothing to send."""
    stage.tell("\nGoing on from the last run. One cycle, with nothing new anywhere:")
    last = stage.cycles(until_quiet=False)
    _tell_cycles(stage, last)
    writes = _writes(last)
    edited = "" if writes == 0 else "; somebody had edited something since"
    stage.tell(
        f"  {output.counted(writes, 'write')} sent, {output.counted(_requests(last), 'request')} made to look{edited}"
    )
    return {
        "cycles": last["cycles"],
        "totals": _totals(stage, last["cycles"]),
        "people": [],
        "conflicts": [],
        "merge": None,
        "writes_in_last_cycle": writes,
        "quiescent": last["quiescent"],
    }


def _work(stage: Stage) -> list[Deed]:
    """Let people work in the systems' own apps, by the side door."""
    [tenant] = stage.found.tenants
    with opened(stage.found.service, tenant) as store:
        done = deeds(list(report.clients(store, tenant.name)), report.records(store, tenant.name, system="lsp"))
    for deed in done:
        for provider, row_id, raw in deed.acts:
            if row_id is None:
                stage.sandbox.create(provider, raw)
            else:
                stage.sandbox.edit(provider, row_id, raw)
    return done


def _merge(stage: Stage, done: Iterable[Deed]) -> report.Document | None:
    """Merge the newcomer into the client that moved to the same town, as `syncd merge` does; None where one of them is missing."""
    [tenant] = stage.found.tenants
    with opened(stage.found.service, tenant) as store:
        known = {row["client"]: row["fields"].get("name") for row in report.clients(store, tenant.name)}
    winner = next((deed.client for deed in done if deed.label == MOVED), None)
    loser = next((client for client, name in known.items() if name == NEWCOMER), None)
    if winner is None or loser is None:
        return None
    with open_tenant(stage.found.service, tenant) as one:
        row = one.operator("operator demo").merge(winner, loser)
        with one.store.reading() as tx:
            document = merged(one.name, tx, row, of_merge(tx, row, one.engine.systems))
    stage.tell(f"  syncd merge {winner} {loser}")
    for each in document["records"]:
        stage.tell(f"  {each['system']} {each['external_id']} {each['what']}")
    kept = ", ".join(each["field"] for each in document["rivals"])
    stage.tell(f"  the values of {winner} stay; those of {loser} are kept as conflicts: {kept}")
    return document


def _tell_cycles(stage: Stage, result: Mapping[str, Any]) -> None:
    if stage.tell is output.say:
        show_counts(result["cycles"])
        show_rest(result)


def _tell_effects(stage: Stage, done: Iterable[Deed], cycles: set[str]) -> list[report.Document]:
    """What followed from each deed, read from the outbox and the conflict log; returns the conflicts."""
    [tenant] = stage.found.tenants
    with opened(stage.found.service, tenant) as store:
        writes = [row for row in report.outbox(store, tenant.name, (WriteState.DONE,)) if row["cycle"] in cycles]
        conflicts = [row for row in report.conflicts(store, tenant.name) if row["cycle"] in cycles]
        names = {row["client"]: row["fields"].get("name") for row in report.clients(store, tenant.name)}
    for deed in done:
        own = {
            client
            for client, name in names.items()
            if client == deed.client or (deed.client is None and name == deed.name)
        }
        effects = [_effect(row) for row in writes if row["client"] in own]
        logged = [row["conflict"] for row in conflicts if row["client"] in own]
        then = "; ".join(effects) or "nothing to write"
        stage.tell(f"  {deed.label}  {then}" + (f"; conflict {', '.join(logged)}" if logged else "; no conflict"))
    if stage.tell is output.say:
        for row in conflicts:
            show_conflict(row)
    return conflicts


def _effect(row: Mapping[str, Any]) -> str:
    return f"{row['system']}: {row['action']} {', '.join(row['fields'])}"


def _writes(result: Mapping[str, Any]) -> int:
    names = [name for name in report.COUNTED if name != "failed"]
    return sum(system[name] for cycle in result["cycles"] for system in cycle["systems"] for name in names)


def _requests(result: Mapping[str, Any]) -> int:
    return sum(system["requests"] for cycle in result["cycles"] for system in cycle["systems"])


def _totals(stage: Stage, cycles: Sequence[Mapping[str, Any]]) -> list[report.Document]:
    """Per system what was created and updated, and the conflicts it took part in."""
    [tenant] = stage.found.tenants
    numbers = {cycle["cycle"] for cycle in cycles}
    with opened(stage.found.service, tenant) as store:
        logged = [row for row in report.conflicts(store, tenant.name) if row["cycle"] in numbers]
    totals: list[report.Document] = []
    for system in tenant.policy.systems:
        own = [each for cycle in cycles for each in cycle["systems"] if each["system"] == system.name]
        sides = [{candidate["system"] for candidate in row["candidates"]} for row in logged]
        counts = {name: sum(each[name] for each in own) for name in (*report.COUNTED, "requests")}
        involved = sum(system.name in each for each in sides)
        totals.append({"system": system.name, "provider": system.provider, **counts, "conflicts": involved})
    return totals


def _farewell(stage: Stage, document: Mapping[str, Any], *, keep: bool) -> None:
    [tenant] = stage.found.tenants
    output.say("\nIn all:")
    names = ("system", "provider", "created", "updated", "archived", "failed", "conflicts", "requests")
    output.table(
        (*names[:2], *(f"{name}#" for name in names[2:])),
        [tuple(row[name] for name in names) for row in document["totals"]],
    )
    status = tenant_status(stage.found.service, tenant)
    show_status(status)
    for system in status["systems"]:
        if system["drift"]:
            words = f"{output.counted(system['drift'], 'client')} differ there in what its API does not let syncd change; told as drift"
            output.say(f"  {system['system']}: {words}")
    output.say(f"\nstore  {stage.folder}/state/{TENANT}.db")
    output.say(f"log    {stage.folder}/state/log/syncd.jsonl")
    output.say(f"config {document['config']}/tenants/{TENANT}.toml")
    syncd = _program()
    run = f"{syncd} --config {document['config']}"
    output.say("\ntry:")
    for words in (*_tries(document), "clients", "status", "log --event conflict_logged"):
        output.say(f"  {run} {words}")
    if keep:
        output.say(f"  {run} sync --until-quiet")
        output.say(
            f"\nthe systems stay at {stage.sandbox.url} until Ctrl-C; edit there by {stage.sandbox.url}/_sandbox"
        )
    else:
        output.say(f"  {syncd} demo           again: goes on from here, sends 0 writes if nobody decided anything")
        output.say(f"  {syncd} demo --keep    the same, and the systems stay up for `sync` in another terminal")
    output.say(f"  {syncd} demo --fresh   from the beginning")


def _tries(document: Mapping[str, Any]) -> list[str]:
    """Commands about the conflict of this run, and the other way to settle it; about the first client where there was none."""
    for row in document["conflicts"]:
        losers = [each["system"] for each in row["candidates"] if each["system"] != row["winner"]]
        if losers:
            client, conflict = row["client"], row["conflict"]
            settle = [f"show {client}", f"conflicts --client {client}", f"resolve {conflict} --take {losers[0]}"]
            merge = document["merge"]
            return [*settle, *([f"show {merge['losers'][0]}", f"unmerge {merge['losers'][0]}"] if merge else [])]
    return ["show c1", "conflicts --client c1", "outbox --state done"]


def _program() -> str:
    """How this program is called from here: by its name where the PATH leads to it."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m syncd"
    return "syncd" if shutil.which("syncd") else str(called)


# ---------------------------------------------------------------- the folder


def _claim(folder: Path) -> None:
    """Make the demo's folder; a folder that is somebody else's is left alone."""
    if folder.exists() and not (folder / MARKER).exists() and any(folder.iterdir()):
        raise usage(fault=f"{folder} is not empty and no demo made it", step="Name another folder with --dir.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()


def _clear(folder: Path) -> None:
    for name in OWN:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _sandbox(memory: Path) -> Sandbox:
    """The simulated systems, as the last run left them. A port that is taken is replaced by a free one."""
    known = json.loads(memory.read_text(encoding="utf-8")) if memory.exists() else None
    port = known["port"] if known else PORT
    try:
        sandbox = start(port=port, seed=SEED, clients=CLIENTS)
    except OSError:
        sandbox = start(seed=SEED, clients=CLIENTS)
    if known:
        with sandbox.world.lock:
            for name, system in sandbox.world.systems.items():
                for table, rows in known["systems"][name]["tables"].items():
                    system.tables[table].restore(rows)
                system.counters.update(known["systems"][name]["counters"])
    return sandbox


def _save(sandbox: Sandbox, memory: Path) -> None:
    """Keep what the simulated systems hold, for the next run; whole or not at all."""
    with sandbox.world.lock:
        systems = {
            name: {
                "tables": {one: table.snapshot() for one, table in system.tables.items()},
                "counters": dict(system.counters),
            }
            for name, system in sandbox.world.systems.items()
        }
        text = json.dumps({"port": sandbox.port, "systems": systems}, ensure_ascii=False)
    draft = memory.with_suffix(".new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(memory)


def _stay(sandbox: Sandbox, memory: Path) -> None:
    """Until somebody interrupts; what happens meanwhile is kept, also if the process is killed."""
    try:
        while True:
            time.sleep(SAVE_SECONDS)
            _save(sandbox, memory)
    except KeyboardInterrupt:
        _save(sandbox, memory)
        output.note("stopped")
