"""Reading the files: where they are, what may be wrong with a file as such, and a fingerprint of them all."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from pathlib import Path
from typing import Any, Final

from syncd.config.problems import Problems, shown
from syncd.config.shape import NAME
from syncd.errors import ConfigError

SERVICE_FILE: Final = "syncd.toml"
TENANTS_FOLDER: Final = "tenants"
SYSTEM_FOLDER: Final = Path("/etc/syncd")
MAX_FILE_BYTES: Final = 1_048_576

_PLACE: Final = re.compile(
    r"(?P<words>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL
)


def find_folder(explicit: str | None) -> Path:
    """The config folder: the one given, else $SYNCD_CONFIG, else ./config, else /etc/syncd.

    Raises ConfigError where the folder that was named, or every folder that could be meant, does not exist.
    """
    named = [("--config", explicit), ("SYNCD_CONFIG", os.environ.get("SYNCD_CONFIG"))]
    for key, text in named:
        if text:
            folder = Path(text)
            if not folder.is_dir():
                raise ConfigError([f"{folder}: {key}: no such folder; allowed: the folder that holds {SERVICE_FILE}"])
            return folder
    for folder in (Path("config"), SYSTEM_FOLDER):
        if folder.is_dir():
            return folder
    raise ConfigError([f"no config folder: neither --config, $SYNCD_CONFIG, ./config nor {SYSTEM_FOLDER} leads to one"])


def tenant_files(folder: Path) -> list[Path]:
    """The tenants' files in the order of their names; anything but visible `*.toml` is not syncd's."""
    tenants = folder / TENANTS_FOLDER
    if not tenants.is_dir():
        return []
    return sorted(path for path in tenants.iterdir() if path.suffix == ".toml" and not path.name.startswith("."))


def check_name(path: Path, problems: Problems) -> None:
    """The file's name is the tenant's name, and has to be fit for that."""
    if NAME.fullmatch(path.stem) is None:
        allowed = "a-z, 0-9, - and _, at most 63 of them, the first a letter or digit, then .toml"
        problems.add("file name", f"found {shown(path.name)}", allowed)


def read(path: Path, problems: Problems) -> dict[str, Any] | None:
    """The document in a file, or None with the problem told."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        problems.add("", f"cannot be read ({error.strerror or type(error).__name__})")
        return None
    if len(content) > MAX_FILE_BYTES:
        problems.add("", f"longer than {MAX_FILE_BYTES} bytes")
        return None
    try:
        # The added line break turns "at end of document" into a line and a column.
        return tomllib.loads(content.decode("utf-8-sig") + "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.add(f"line {line}", "found bytes that are no text", "UTF-8")
    except RecursionError:
        problems.add(
            "", "found tables or lists within each other too deeply", "the keys of config/tenants/example.toml"
        )
    except ValueError as error:
        problems.add(*_syntax(str(error)))
    return None


def _syntax(message: str) -> tuple[str, str, str]:
    place = _PLACE.fullmatch(message)
    if place is None:
        return "", f"not TOML ({message})", "TOML 1.0"
    where = f"line {place['line']}, column {place['column']}" if place["line"] else "last line"
    return where, f"not TOML ({place['words']})", "TOML 1.0"


def fingerprint(folder: Path) -> str:
    """A digest of the names and contents of all files of a config folder; it changes when one of them does."""
    digest = hashlib.blake2b(digest_size=16)
    for path in [folder / SERVICE_FILE, *tenant_files(folder)]:
        try:
            with path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            content = type(error).__name__.encode()
        digest.update(f"{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
