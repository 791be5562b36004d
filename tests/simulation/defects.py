"""Testing the tester: one line of syncd is made wrong at a time, and the simulated lives have to notice.

`python -m tests.simulation.defects` makes every defect of the table in a copy of the source and lives up to 200 seeds with it. A
defect that no life notices is a hole in the simulation. A name as an argument makes only the defects whose name contains it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 200
"""Lives within which a defect has to be noticed."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One line made wrong. old: text that occurs once in the module; new: what stands there instead."""

    name: str
    module: str
    old: str
    new: str


DEFECTS = (
    Defect(
        "a create that was cut off by a crash is simply sent again",
        "engine/push.py",
        "if row.action is Action.CREATE or _makes_child(row)\n            else replace(row, state=WriteState.WAITING",
        "if _makes_child(row)\n            else replace(row, state=WriteState.WAITING",
    ),
    Defect(
        "a create whose answer was lost is simply sent again",
        "engine/push.py",
        "case UnknownOutcome() if row.action is Action.CREATE or _makes_child(row):",
        "case UnknownOutcome() if _makes_child(row):",
    ),
    Defect(
        "the record is not compared with what the plan saw",
        "engine/push.py",
        "if not _is_what_the_plan_saw(lane.system, reading.fields, saw, golden):",
        "if lane.system is None:",
    ),
    Defect(
        "a write that was answered counts as agreed, whatever the record shows",
        "engine/push.py",
        "            if _took(lane, unit, shown, agreed, golden):\n                bases[unit] = Base(shown",
        "            if lane:\n                bases[unit] = Base(shown",
    ),
    Defect(
        "a created record starts without what was agreed",
        "engine/push.py",
        "            bases[unit] = Base(seen=shown, agreed=agreed)\n",
        "            bases[unit] = Base()\n",
    ),
    Defect(
        "what a found record shows is its baseline",
        "engine/push.py",
        "            bases[unit] = baseline(lane.system.provider.project(unit, agreed, golden), shown, agreed)",
        "            bases[unit] = Base(seen=shown, agreed=agreed)",
    ),
    Defect(
        "a deleted record stays linked",
        "engine/push.py",
        "tx.put_links([gone := replace(link, state=LinkState.GONE)])",
        "tx.put_links([gone := replace(link, state=LinkState.LINKED)])",
    ),
    Defect(
        "a create in doubt is settled by a walk that began too early",
        "engine/settling.py",
        "walk_started is not None and walk_started >= row.settle_at",
        "walk_started is not None",
    ),
    Defect(
        "nothing that is found is taken for ours",
        "engine/settling.py",
        "    return whole or [record",
        "    return [] and [record",
    ),
    Defect(
        "records that may be ours are correlated before that is settled",
        "engine/settling.py",
        "                reserved.update(",
        "                set().update(",
    ),
    Defect(
        "any young record is taken for ours",
        "engine/settling.py",
        "if all(_shows(system, record.fields, row.fields).values())]",
        "if record]",
    ),
    Defect(
        "a listing that lags behind is believed",
        "engine/observe.py",
        "        if old is not None and _is_stale(system, old, row, asked_at, stale_read_seconds):",
        "        if old is None and _is_stale(system, row, row, asked_at, stale_read_seconds):",
    ),
    Defect(
        "what changed in the mirror is not decided",
        "engine/observe.py",
        "    tx.mark_dirty_by_records(system.name, stirred)",
        "    tx.mark_dirty_by_records(system.name, stirred[:0])",
    ),
    Defect(
        "what was not listed is gone, without asking for it",
        "engine/pull.py",
        "            listed = _fetch(store, system, walk, external_id)\n        except Gone as answer:",
        "            raise Gone(external_id)\n        except Gone as answer:",
    ),
    Defect(
        "another account is not noticed",
        "engine/pull.py",
        "    if account is not None and row.account != account:",
        "    if account is None:",
    ),
    Defect(
        "a delete is never passed on",
        "engine/deletes.py",
        "            _archive(tx, bundle, row, scope)\n        _log",
        "            row.seen_at.isoformat()\n        _log",
    ),
    Defect(
        "many deletes at once are not held",
        "engine/deletes.py",
        "    whole = frozenset((ids & before) | (new if over else set()))",
        "    whole = frozenset((ids & before) | (set() if over else set()))",
    ),
    Defect(
        "what a brake holds is done all the same",
        "engine/brakes.py",
        "        barred.update((client, unit, system) for client, unit, _ in whole)",
        '        barred.update((client, unit, "") for client, unit, _ in whole)',
    ),
    Defect(
        "a losing value counts as agreed",
        "engine/bases.py",
        "            agreed=decision.value if agree else UNKNOWN if account else old.agreed,",
        "            agreed=decision.value if agree or account else old.agreed,",
    ),
    Defect(
        "a decided conflict is not logged",
        "engine/decide.py",
        "    elif decision.outcome in (Outcome.CONFLICT, Outcome.HELD):",
        "    elif decision.outcome is Outcome.HELD:",
    ),
    Defect(
        "an effect of an unanswered write is taken for an edit",
        "engine/decide.py",
        "            bases[unit] = replace(base, seen=arrived[0], agreed=arrived[1])",
        "            bases[unit] = base",
    ),
    Defect(
        "golden never competes",
        "core/merge.py",
        "        and any(_golden_competes(side, golden) for side in strong if not side.weak)",
        "        and any(golden is side for side in strong if not side.weak)",
    ),
    Defect(
        "golden competes with edits made in view of it",
        "core/merge.py",
        "        and not any(_supersedes_golden(side, golden) for side in strong)",
        "        and not any(golden is side for side in strong)",
    ),
    Defect(
        "an empty may win over a value",
        "core/survivorship.py",
        "    full = [each for each in ordered if not is_empty(each.value)]",
        "    full = list(ordered)",
    ),
    Defect(
        "an opt-out may lose",
        "core/survivorship.py",
        "    if unit == CONSENT and (refusals :=",
        '    if unit == "" and (refusals :=',
    ),
    Defect(
        "an edit that would cut a value is let through",
        "core/merge.py",
        "    if any(_shortens(side) for side in strong):",
        "    if any(golden is side for side in strong):",
    ),
    Defect(
        "parts of two addresses are mixed",
        "core/merge.py",
        "        merged[part] = None if moved else old[part]",
        "        merged[part] = old[part]",
    ),
    Defect(
        "changed is judged letter by letter, and not as the system can tell",
        "core/merge.py",
        "    return side.seen is UNKNOWN or not side.same(_value(side.mirror), side.seen)",
        "    return side.seen is UNKNOWN or side.mirror != side.agreed",
    ),
    Defect(
        "the order of arrival decides",
        "core/survivorship.py",
        "    return policy.order.index(system) if system in policy.order else len(policy.order)",
        "    return len(policy.order)",
    ),
    Defect(
        "what was deleted is created again",
        "core/plan.py",
        "    if held is None:\n        return _place_absent",
        '    if held is None or held.state == "gone":\n        return _place_absent',
    ),
    Defect(
        "fields are written where the tenant forbids it",
        "core/plan.py",
        "    return targets is None or target.name in targets",
        '    return targets is None or target.name != ""',
    ),
    Defect(
        "a system that is only observed is written",
        "core/plan.py",
        "    if not target.policy.mode.updates:\n        return {}",
        "    if target.policy is None:\n        return {}",
    ),
    Defect(
        "a delete elsewhere is always a delete here",
        "engine/planning.py",
        "    if system.deletes and _is_sentenced(draft, system, held, record):",
        "    if system.provider.capabilities.delete:",
    ),
    Defect(
        "every record is a client of its own",
        "engine/linking.py",
        "        if len(owners) == 1:",
        "        if len(owners) > 9:",
    ),
    Defect(
        "the id of a client that was merged away leads nowhere",
        "engine/merging.py",
        "state=ClientState.MERGED, merged_into=kept.client, dirty=False",
        "state=ClientState.MERGED, merged_into=None, dirty=False",
    ),
    Defect(
        "a value that a merge of clients drops is not logged",
        "engine/merging.py",
        "    tx.add_conflicts(conflicts)\n",
        "    tx.add_conflicts(conflicts[:0])\n",
    ),
    Defect(
        "that two clients are kept apart is not remembered",
        "engine/parting.py",
        "    tx.add_apart(pairs)\n",
        "    tx.add_apart(pairs[:0])\n",
    ),
    Defect(
        "a merge that is taken back restores no field",
        "engine/dividing.py",
        '        _copy(self.winner, unit, first["fields"])',
        "        _copy(self.winner, unit, self.now.fields)",
    ),
    Defect(
        "an edit is taken for one of another record of its system",
        "engine/decide.py",
        "                external_id=decision.record,",
        '                external_id="1",',
    ),
    Defect(
        "a record that does not survive a merge is never archived",
        "engine/absorbing.py",
        "    if refusal is not None:\n        return refusal\n    action",
        "    if refusal is None:\n        return ARCHIVED\n    action",
    ),
    Defect(
        "a merge inside a system is taken for a delete",
        "engine/taking_over.py",
        "        return Taker(owner.client if owner is not None else None, found.external_id, told=True)",
        "        return None",
    ),
)
"""Every defect, one line each."""


def misfits() -> list[str]:
    """The defects whose old text does not occur exactly once: the source moved on, and the table has to follow."""
    return [each.name for each in DEFECTS if (ROOT / "syncd" / each.module).read_text().count(each.old) != 1]


def noticed(defect: Defect, *, seeds: int = SEEDS, start: int = 1) -> str | None:
    """What the lives said about a defect first; None: nothing, within so many seeds."""
    with tempfile.TemporaryDirectory(prefix="syncd-defect-") as folder:
        place = Path(folder)
        shutil.copytree(ROOT / "syncd", place / "syncd", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("tests", "migrations", "pyproject.toml"):
            (place / name).symlink_to(ROOT / name)
        module = place / "syncd" / defect.module
        module.write_text(module.read_text().replace(defect.old, defect.new))
        command = [sys.executable, "-m", "tests.simulation", str(seeds), str(start), "1", "--until-failure"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    return next((line for line in done.stdout.splitlines() if line.startswith("seed ")), done.stderr[-200:])


def main(arguments: list[str]) -> int:
    """Make every defect, one after the other; 0 if each was noticed."""
    if found := misfits():
        sys.stdout.write(f"the source moved on: {found}\n")
        return 2
    chosen = [each for each in DEFECTS if not arguments or any(word in each.name for word in arguments)]
    caught = 0
    for defect in chosen:
        began = time.monotonic()
        said = noticed(defect)
        caught += said is not None
        verdict = f"noticed by {said[:110]}" if said else f"NOT NOTICED in {SEEDS} seeds"
        sys.stdout.write(f"{time.monotonic() - began:4.0f} s  {defect.name}: {verdict}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{caught} of {len(chosen)} defects noticed\n")
    return 0 if caught == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
