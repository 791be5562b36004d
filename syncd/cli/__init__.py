"""The command line: parse, call one function, print.

`frame` has what every command shares, `output` what is printed; the other modules have the commands, by subject.
"""

from __future__ import annotations

import click

from syncd import __version__
from syncd.cli.frame import Call, Front

__all__ = ["front"]


@click.group("syncd", cls=Front, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--config", metavar="DIR", help="The config folder. Default: $SYNCD_CONFIG, ./config, /etc/syncd.")
@click.option("--tenant", metavar="NAME", help="Only this tenant; may also stand after the command.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout; may also stand after the command.")
@click.version_option(__version__, prog_name="syncd")
@click.pass_context
def front(context: click.Context, config: str | None, tenant: str | None, *, as_json: bool) -> None:
    """Keep the clients of several business systems the same.

    Exit codes: 0 done, 1 something failed or is held, 2 wrong usage or configuration, 3 `plan` would write.

    Example: syncd sync --until-quiet && syncd status
    """
    context.obj = Call(config, tenant, as_json)


front.places = {
    "sync": "cycle:sync",
    "plan": "cycle:plan",
    "apply": "applying:apply_command",
    "check": "cycle:check",
    "status": "status:status",
    "clients": "look:clients",
    "show": "look:show",
    "records": "look:records",
    "links": "matching:links",
    "calibrate": "matching:calibrate",
    "conflicts": "status:conflicts",
    "resolve": "act:resolve",
    "holds": "status:holds",
    "release": "act:release",
    "refuse": "act:refuse",
    "outbox": "status:outbox",
    "retry": "act:retry",
    "drop": "act:drop",
    "merge": "merging:merge",
    "unmerge": "merging:unmerge",
    "apart": "merging:apart",
    "undo": "taking_back:undo",
    "why": "tracing:why_command",
    "history": "tracing:history_command",
    "verify": "verifying:verify_command",
    "export": "exporting:export_command",
    "erase": "erasing:erase_command",
    "backup": "saving:backup",
    "restore": "saving:restore",
    "log": "logs:log_command",
    "db": "database:db",
    "config": "configuring:config_command",
    "run": "service:run",
    "worker": "service:worker",
    "web": "access:web",
    "sandbox": "play:sandbox",
    "demo": "demo:demo",
}
