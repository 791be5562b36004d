"""`syncd sandbox`: the four simulated systems in the foreground, for trying things out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from syncd import log
from syncd.cli import output
from syncd.cli.frame import DONE, Call, options, usage
from syncd.sandbox import MAIN_TABLE, PROVIDERS, Sandbox, serve, write_config


@click.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen; loopback is meant."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8500, show_default=True, help="0 takes a free one.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same clients.")
@click.option("--clients", type=click.IntRange(0, 100_000), default=40, show_default=True, help="How many to invent.")
@click.option("--adversarial", is_flag=True, help="Also invent clients that are easily taken for one another.")
@click.option(
    "--write-config",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write a config folder for a tenant `demo` that points here into DIR/config, and its secrets into DIR/secrets.",
)
@options
def sandbox(
    call: Call, host: str, port: int, seed: int, clients: int, folder: Path | None, *, adversarial: bool
) -> int:
    r"""Serve Tiime, LSP.expert, Smartbills and Flowtly, simulated, on loopback until interrupted.

    The addresses and invented credentials are printed; what a person does in a system goes through a side door.

    \b
    Example: syncd sandbox --write-config play
             syncd --config play/config sync --until-quiet
    """
    log.configure(stream_level="warning")

    def ready(running: Sandbox) -> None:
        config = write_config(running, folder) if folder is not None else None
        log.get(__name__).info("sandbox_started", port=running.port, url=running.url)
        if call.json:
            output.document(_document(running, config))
        else:
            _show(running, config)

    try:
        serve(host, port, seed=seed, clients=clients, adversarial=adversarial, ready=ready)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise usage(fault=f"{host}:{port} cannot be listened on ({reason})", step="Choose another --port.") from error
    return DONE


def _document(running: Sandbox, config: Path | None) -> dict[str, Any]:
    return {
        "url": running.url,
        "side_door": f"{running.url}/_sandbox",
        "base_urls": running.base_urls,
        "auth_urls": running.auth_urls,
        "credentials": running.credentials,
        "config": None if config is None else str(config),
    }


def _show(running: Sandbox, config: Path | None) -> None:
    state = running.state()["systems"]
    output.say(f"four simulated systems at {running.url} (interrupt with Ctrl-C)")
    for provider in PROVIDERS:
        output.say(
            f"\n{provider}  {running.base_urls[provider]}  {output.counted(state[provider]['records'], 'client')}"
        )
        if provider in running.auth_urls:
            output.say(f"    tokens from    {running.auth_urls[provider]}")
        for name, value in running.credentials[provider].items():
            output.say(f"    {name:14} {value}")
    door = f"{running.url}/_sandbox"
    output.say("\nwhat a person does in a system, and what happened so far:")
    output.say(f"    curl {door}/lsp_expert/records")
    output.say(f'    curl -X PATCH {door}/lsp_expert/records/ID -d \'{{"details": "<p>Prefers e-mail</p>"}}\'')
    output.say(f"    curl '{door}/journal'      (every request)      {door}/state      (counts)")
    output.say(f"tables: {', '.join(f'{name}: {table}' for name, table in MAIN_TABLE.items())}")
    if config is not None:
        output.say(f"\nconfig written: syncd --config {config} sync --until-quiet")
