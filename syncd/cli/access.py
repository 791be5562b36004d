"""`syncd web`: who may log in to the operator's page."""

from __future__ import annotations

import getpass

import click

from syncd.cli import output
from syncd.cli.frame import DONE, Call, now, options, usage
from syncd.config import ServiceConfig, find_folder, load
from syncd.web.access import Role, Tokens


@click.group()
def web() -> None:
    """Who may log in to the operator's page, which `syncd run` serves.

    Example: syncd web token
    """


def _service(call: Call) -> ServiceConfig:
    return load(find_folder(call.config)).service


@web.command("token")
@click.option("--name", metavar="NAME", help="Whose it is; acts are recorded under this name. Default: yours.")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.OPERATOR.value,
    show_default=True,
    help="viewer: looks and never acts.",
)
@options
def token_command(call: Call, name: str | None, role: str) -> int:
    r"""Make a token to log in with. It is printed once, and kept as a salted digest only.

    \b
    Example: syncd web token --name anna
             syncd web token --name audit --role viewer
    """
    service = _service(call)
    try:
        whose = name or getpass.getuser()
    except (KeyError, OSError):
        raise usage(fault="this user has no name", step="Say --name NAME.") from None
    try:
        text = Tokens(service.web_tokens).make(whose, Role(role), now())
    except OSError as error:
        raise usage(
            fault=f"{service.web_tokens} cannot be written ({error.strerror})", step="Set web.tokens in syncd.toml."
        ) from error
    where = service.web_public or (f"http://{service.web_listen}" if service.web_listen else "")
    if call.json:
        output.document({"token": text, "name": whose, "role": role, "url": where or None})
        return DONE
    output.say(text)
    output.note(f"a token of {whose} ({role}); it is not shown again")
    output.note(
        f"log in with it at {where}" if where else "web.listen is empty and no page is served: set it in syncd.toml"
    )
    return DONE


@web.command("tokens")
@options
def tokens_command(call: Call) -> int:
    r"""List the tokens: whose they are and what they allow, never the tokens themselves.

    \b
    Example: syncd web tokens
    """
    found = Tokens(_service(call).web_tokens).all()
    rows = [{"id": each.id, "name": each.name, "role": each.role.value, "made_at": each.made_at} for each in found]
    if call.json:
        output.document({"tokens": rows})
    elif rows:
        output.table(("token", "name", "role", "made"), ([row[key] for key in row] for row in rows))
    else:
        output.say("no tokens; `syncd web token` makes one")
    return DONE


@web.command("revoke")
@click.argument("token")
@options
def revoke_command(call: Call, token: str) -> int:
    r"""Take a token back, by the id that `syncd web tokens` tells; who is logged in with it is logged out.

    \b
    Example: syncd web revoke 5f2a90c1
    """
    gone = Tokens(_service(call).web_tokens).revoke(token)
    if call.json:
        output.document({"revoked": {"id": gone.id, "name": gone.name, "role": gone.role.value}})
    else:
        output.say(f"{gone.id} of {gone.name} is revoked")
    return DONE
