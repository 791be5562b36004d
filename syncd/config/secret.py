"""Secrets are references: "env:NAME", "file:/path" or "keyring:service/name". A literal is refused and never shown.

Every secret that is resolved is made known to `syncd.log`, so that it is masked wherever it might turn up.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

from syncd import log

FORMS: Final = '"env:NAME", "file:/path" or "keyring:service/name"'
MAX_SECRET_BYTES: Final = 65_536
CONTAINER_SECRETS: Final = Path("/run/secrets")
"""Where container engines put secrets, readable by every user of a container that has only one."""


class Unresolved(Exception):
    """A reference that leads to no secret. `found` and `allowed` make up the problem; neither holds the value."""

    def __init__(self, found: str, allowed: str) -> None:
        super().__init__(found)
        self.found = found
        self.allowed = allowed


def is_reference(value: object) -> bool:
    """Whether a value has the form of a reference, whatever it leads to."""
    if not isinstance(value, str):
        return False
    kind, _, rest = value.partition(":")
    match kind:
        case "env":
            return rest.replace("_", "").isalnum() and rest.isascii() and not rest[0].isdigit()
        case "file":
            return rest.startswith("/") and "\0" not in rest
        case "keyring":
            service, _, name = rest.partition("/")
            return bool(service) and bool(name)
        case _:
            return False


def resolve(reference: str, environment: Mapping[str, str], warn: Callable[[str], None]) -> str:
    """The secret behind a reference that `is_reference` accepts. Raises Unresolved; `warn` is told what is unwise."""
    kind, _, rest = reference.partition(":")
    if kind == "env":
        value = _from_environment(rest, environment)
    elif kind == "file":
        value = _from_file(Path(rest), warn)
    else:
        value = _from_keyring(rest)
    if any(letter < " " or letter == "\x7f" for letter in value):
        found = f"{kind} reference leads to more than one line or to control characters"
        raise Unresolved(found, "a secret of one line")
    if not value.strip():
        found = f"{kind} reference leads to an empty secret"
        raise Unresolved(found, "a secret that is not empty")
    log.register_secret(value)
    return value


def _from_environment(name: str, environment: Mapping[str, str]) -> str:
    value = environment.get(name)
    if value is None:
        found = f"environment variable {name} is not set"
        raise Unresolved(found, f"set {name} in the environment of syncd, or name another secret")
    return value


def _from_file(path: Path, warn: Callable[[str], None]) -> str:
    try:
        mode = path.stat().st_mode
        content = b""
        if stat.S_ISREG(mode):
            with path.open("rb") as file:
                content = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        found = f"{path} cannot be read ({error.strerror or type(error).__name__})"
        raise Unresolved(found, "a file that syncd's user can read") from error
    if not stat.S_ISREG(mode):
        found = f"{path} is not a file"
        raise Unresolved(found, "a file that syncd's user can read")
    if mode & stat.S_IROTH and CONTAINER_SECRETS not in path.parents:
        found = f"{path} can be read by every user of this machine (mode {stat.S_IMODE(mode):04o})"
        raise Unresolved(found, f"a secret that others cannot read: chmod o-rwx {path}")
    if mode & stat.S_IRGRP and CONTAINER_SECRETS not in path.parents:
        warn(f"{path} can be read by its group (mode {stat.S_IMODE(mode):04o})")
    if len(content) > MAX_SECRET_BYTES:
        found = f"{path} is longer than {MAX_SECRET_BYTES} bytes"
        raise Unresolved(found, "a file that holds one secret")
    try:
        return content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        found = f"{path} is not UTF-8 text"
        raise Unresolved(found, "a file that holds one secret as text") from None


def _from_keyring(rest: str) -> str:
    service, _, name = rest.partition("/")
    try:
        keyring = import_module("keyring")
    except ImportError as error:
        found = "the keyring library is not installed"
        raise Unresolved(found, "install syncd with its `keyring` extra, or use env: or file:") from error
    try:
        value = keyring.get_password(service, name)
    except Exception as error:  # noqa: BLE001 - each back end has exceptions of its own, whose words may name the secret
        found = f"the keyring cannot be used ({type(error).__name__})"
        raise Unresolved(found, "a keyring that works for syncd's user, or env: or file:") from None
    if not isinstance(value, str):
        found = f"the keyring has no entry {service}/{name}"
        raise Unresolved(found, "the name of an entry that exists")
    return value
