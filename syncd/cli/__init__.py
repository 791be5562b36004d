"""The command line: parse, call one function, print.

`frame` has what every command shares, `output` what is printed; the other modules have the commands, by subject.
"""

from __future__ import annotations

from importlib.metadata import version

import click

from syncd.cli.act import drop, refuse, release, resolve, retry
from syncd.cli.applying import apply_command
from syncd.cli.cycle import check, plan, sync
from syncd.cli.database import db
from syncd.cli.demo import demo
from syncd.cli.frame import Call, Front
from syncd.cli.logs import log_command
from syncd.cli.look import clients, links, records, show
from syncd.cli.play import sandbox
from syncd.cli.service import run
from syncd.cli.status import conflicts, holds, outbox, status

__all__ = ["front"]


@click.group("syncd", cls=Front, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--config", metavar="DIR", help="The config folder. Default: $SYNCD_CONFIG, ./config, /etc/syncd.")
@click.option("--tenant", metavar="NAME", help="Only this tenant; may also stand after the command.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout; may also stand after the command.")
@click.version_option(version("syncd"), prog_name="syncd")
@click.pass_context
def front(context: click.Context, config: str | None, tenant: str | None, *, as_json: bool) -> None:
    """Keep the clients of several business systems the same.

    Exit codes: 0 done, 1 something failed or is held, 2 wrong usage or configuration, 3 `plan` would write.

    Example: syncd sync --until-quiet && syncd status
    """
    context.obj = Call(config, tenant, as_json)


for _command in (
    *(sync, plan, apply_command, check, status, clients, show, records, links, conflicts, resolve, holds, release, refuse),
    *(outbox, retry, drop, log_command, db, run, sandbox, demo),
):
    front.add_command(_command)
