"""What every command shares: its words, the tenants it is about, and how it ends.

A command is a function that takes a `Call` and its own options and returns an exit code. Decorated with `options` it also
takes --tenant, --json and --config after its name; given before the name they mean the same. Errors are not caught in
commands: `Front.main` turns them into words (or, with --json, into one document) and an exit code.
"""

from __future__ import annotations

import functools
import getpass
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Concatenate, Final, NoReturn, ParamSpec

import click

from syncd import log
from syncd.cli import output
from syncd.config import Loaded, ServiceConfig, TenantConfig, find_folder, load
from syncd.errors import ConfigError, SyncdError, UsageError
from syncd.store import Store, open_store

DONE: Final = 0
FAILED: Final = 1
"""Something failed, or is held for a person."""
WRONG: Final = 2
"""Wrong usage, or wrong configuration."""
WOULD_WRITE: Final = 3
INTERRUPTED: Final = 130

Options = ParamSpec("Options")


@dataclass(frozen=True, slots=True)
class Call:
    """What a command was asked, beside its own options. config: the folder's path as given, None for the default."""

    config: str | None = None
    tenant: str | None = None
    json: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """The configuration a command works on: the service's keys and the tenants that were asked for.

    broken: tenant -> its problems; those tenants are left out and told about.
    """

    service: ServiceConfig
    tenants: tuple[TenantConfig, ...]
    broken: Mapping[str, tuple[str, ...]]

    @property
    def problems(self) -> list[str]:
        """Every problem of every tenant that is left out."""
        return [line for lines in self.broken.values() for line in lines]

    def exit(self, code: int) -> int:
        """The exit code of a command that did its work for the tenants whose files can be used."""
        return WRONG if self.broken else code


def options(function: Callable[Concatenate[Call, Options], int]) -> Callable[Options, None]:
    """Give a command --tenant, --json and --config, hand it its `Call`, and exit with what it returns."""

    @click.option("--tenant", metavar="NAME", help="Only this tenant.")
    @click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, nothing else.")
    @click.option("--config", metavar="DIR", hidden=True)
    @click.pass_context
    @functools.wraps(function)
    def command(context: click.Context, /, *args: Options.args, **kwargs: Options.kwargs) -> None:
        given: dict[str, Any] = dict(kwargs)
        before = context.find_object(Call) or Call()
        call = Call(
            config=given.pop("config") or before.config,
            tenant=given.pop("tenant") or before.tenant,
            json=given.pop("as_json") or before.json,
        )
        run: Callable[..., int] = function
        context.exit(run(call, *args, **given))

    # Click keeps the lines of a paragraph that begins with a backspace; docstrings here spell it out.
    command.__doc__ = (function.__doc__ or "").replace("\\b\n", "\b\n")
    return command


class Front(click.Group):
    """The group of all commands; the one place where errors become words and exit codes.

    places: name of a command -> `module:attribute` in this package; a command is loaded when it is asked for, because a few of
    them need a web server or simulated systems, and most do not.
    """

    places: Mapping[str, str] = MappingProxyType({})

    @property
    def commands(self) -> dict[str, click.Command]:
        """Every command, loaded."""
        return {name: self._load(name) for name in self.places}

    @commands.setter
    def commands(self, commands: Mapping[str, click.Command]) -> None:
        """Click begins with none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands; loads none."""
        del ctx
        return sorted(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        del ctx
        return self._load(cmd_name) if cmd_name in self.places else None

    def _load(self, name: str) -> click.Command:
        module, _, attribute = self.places[name].partition(":")
        command: click.Command = getattr(import_module(f"{__package__}.{module}"), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. A reader that has seen enough (head, less) ends it well; click would call that a failure."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Python would complain when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(DONE) from None
        return result

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run the command line and leave the process. Never returns and shows no traceback."""
        words = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        as_json = "--json" in words
        try:
            result = super().main(words, prog_name or "syncd", **extra)
            code = result if isinstance(result, int) else DONE
            sys.stdout.flush()
        except click.exceptions.Exit as end:
            code = end.exit_code
        except click.ClickException as error:
            code = _tell_click(error, as_json=as_json)
        except (click.Abort, KeyboardInterrupt):
            output.note("interrupted; nothing is lost, the next command goes on from here")
            code = INTERRUPTED
        except SyncdError as error:
            output.error(error_document(error), as_json=as_json)
            code = WRONG if isinstance(error, ConfigError | UsageError) else FAILED
        except Exception as error:  # noqa: BLE001 - the last door: an operator gets a sentence, the log gets the frames
            log.get(__name__).error("crashed", exc_info=error)
            output.error(error_document(error), as_json=as_json)
            code = FAILED
        finally:
            log.close()
        sys.exit(code)


def _tell_click(error: click.ClickException, *, as_json: bool) -> int:
    """Wrong words on the command line."""
    context = getattr(error, "ctx", None)
    path = context.command_path if isinstance(context, click.Context) else "syncd"
    misused = UsageError(error.format_message())
    misused.next_step = f"See `{path} --help`."
    output.error(error_document(misused), as_json=as_json)
    return WRONG


def error_document(error: BaseException) -> dict[str, Any]:
    """An error as scripts see it: code, message, next and, for configuration, every problem.

    The words of an error that nobody expected are left out, because they may hold personal values.
    """
    if not isinstance(error, SyncdError):
        frames = error.__traceback__
        while frames is not None and frames.tb_next is not None:
            frames = frames.tb_next
        place = f" at {Path(frames.tb_frame.f_code.co_filename).name}:{frames.tb_lineno}" if frames else ""
        reason = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        message = f"unexpected {type(error).__name__}{place}{reason}"
        step = "This is a fault of syncd: look for the event `crashed` (`syncd log --level error`) and report it."
        return {"code": "internal", "message": message, "next": step}
    document: dict[str, Any] = {"code": error.code, "message": str(error), "next": error.next_step}
    if isinstance(error, ConfigError):
        count = len(error.problems)
        document["message"] = f"the configuration has {count} problem{'' if count == 1 else 's'}"
        document["problems"] = error.problems
    return document


def scene(call: Call, *, every: bool = False, quiet: bool = False) -> Scene:
    """Read the configuration and start the log.

    The tenants are the one named by --tenant, or all enabled ones (with `every`, also disabled ones). On a terminal, and with
    `quiet`, stderr gets warnings and errors only; the log file gets everything. Raises ConfigError where
    syncd.toml or the named tenant's file cannot be used, UsageError where there is no such tenant.
    """
    loaded = load(find_folder(call.config))
    service = loaded.service
    stream_level = "warning" if quiet or sys.stderr.isatty() else service.log_level
    log.configure(service.log_level, service.log_format, service.log_file, stream_level=stream_level)
    for warning in loaded.warnings:
        output.note(f"warning: {warning}")
    found = _chosen(call, loaded, every=every)
    for problem in found.problems:
        output.note(f"problem: {problem}")
    return found


def _chosen(call: Call, loaded: Loaded, *, every: bool) -> Scene:
    if call.tenant is None:
        tenants = tuple(tenant for tenant in loaded.tenants if tenant.enabled or every)
        return Scene(loaded.service, tenants, loaded.broken)
    if call.tenant in loaded.broken:
        raise ConfigError(list(loaded.broken[call.tenant]))
    tenants = tuple(tenant for tenant in loaded.tenants if tenant.name == call.tenant)
    if not tenants:
        names = ", ".join(sorted([*(tenant.name for tenant in loaded.tenants), *loaded.broken])) or "none"
        raise usage(
            fault=f"there is no tenant {call.tenant!r}", step=f"The tenants of {loaded.service.folder} are: {names}."
        )
    if not tenants[0].enabled and not every:
        raise usage(fault=f"tenant {call.tenant} is disabled", step=f"Set tenant.enabled = true in {tenants[0].file}.")
    return Scene(loaded.service, tenants, {})


def single(found: Scene) -> TenantConfig:
    """The tenant of a command that works on one. Raises UsageError where it is not clear which."""
    if len(found.tenants) == 1:
        return found.tenants[0]
    if not found.tenants and found.broken:
        raise ConfigError(found.problems)
    names = ", ".join(tenant.name for tenant in found.tenants) or "none"
    raise usage(fault="this command works on one tenant", step=f"Name one with --tenant; there are: {names}.")


@contextmanager
def opened(service: ServiceConfig, tenant: TenantConfig) -> Iterator[Store]:
    """A tenant's store, for reading; closed at the end."""
    store = open_store(service.database, tenant.name, clock=now)
    try:
        yield store
    finally:
        store.close()


def locate(found: Scene, what: str, identifier: str, holds: Callable[[Store], bool], where: str) -> TenantConfig:
    """The one tenant in which an id is known. Raises UsageError where none has it, or several.

    what: "conflict", "hold" ...; where: the command that lists them.
    """
    owners = []
    for tenant in found.tenants:
        with opened(found.service, tenant) as store:
            if holds(store):
                owners.append(tenant)
    if len(owners) == 1:
        return owners[0]
    if not owners:
        names = ", ".join(tenant.name for tenant in found.tenants) or "no tenant"
        raise usage(fault=f"there is no {what} {identifier!r} in {names}", step=f"`{where}` lists them.")
    names = ", ".join(tenant.name for tenant in owners)
    raise usage(fault=f"{what} {identifier} exists in several tenants: {names}", step="Name one with --tenant.")


def client_of(store: Store, word: str) -> str | None:
    """The client that a word means: a client's id, or SYSTEM/ID of a record, which means the client it belongs to; else None."""
    system, slash, external_id = word.partition("/")
    with store.reading() as tx:
        if slash:
            link = tx.link(system, external_id)
            return link.client if link is not None else None
        return word if tx.client(word) is not None else None


def locate_client(found: Scene, word: str) -> TenantConfig:
    """The one tenant with the client or record that is meant; see `client_of`, and `locate`."""
    what, where = ("linked record", "syncd links") if "/" in word else ("client", "syncd clients")
    return locate(found, what, word, lambda store: client_of(store, word) is not None, where)


def usage(*, fault: str, step: str) -> UsageError:
    """A UsageError that says what to do next."""
    error = UsageError(fault)
    error.next_step = step
    return error


def consent(question: str, *, given: bool) -> None:
    """Ask on a terminal, unless --yes was given. Without a terminal --yes is required. Raises UsageError, or Exit on "no"."""
    if given:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise usage(fault="this needs consent, and there is no terminal to ask on: nothing was done", step="Add --yes.")
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        output.note("")
        agreed = False
    if not agreed:
        output.note("nothing was done")
        raise click.exceptions.Exit(INTERRUPTED)


def actor() -> str:
    """The person in whose name a command acts, as the audit trail names them."""
    try:
        return f"operator {getpass.getuser()}"
    except (KeyError, OSError):
        return f"operator uid {os.getuid()}"


def now() -> datetime:
    """The present time, aware and in UTC."""
    return datetime.now(UTC)
