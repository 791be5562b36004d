"""A person's answer becomes a rule: one section [fields.X] of a tenant's file is changed, and everything else stays as it was typed.

Nothing is written before it was shown: `propose_rule` makes the new text, its difference and its problems, `save` puts it in the place of
the old one if that is still what it was. Who runs the service picks the change up like any other.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from syncd.config.files import MAX_FILE_BYTES
from syncd.config.service import ServiceConfig
from syncd.config.tenants import Surroundings, TenantConfig, load_tenant
from syncd.core.model import Rule
from syncd.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a tenant's file that was not made yet.

    digest: of the text as it is. diff: unified, without the names of files. config: the tenant as it would be, None where
    `problems` tell why it cannot be so.
    """

    path: Path
    digest: str
    after: str
    diff: tuple[str, ...]
    config: TenantConfig | None
    problems: tuple[str, ...] = ()


def propose_rule(service: ServiceConfig, tenant: TenantConfig, unit: str, rule: Rule, order: Sequence[str]) -> Edit:
    """What the tenant's file would be with this rule for a unit; comments and layout stay. ConfigError where it cannot be read.

    order: the systems, most trusted first; none for a rule that has no order of its own.
    """
    before = _read(tenant.file)
    try:
        document = tomlkit.parse(before)
        fields = document.get("fields")
        if fields is None:
            fields = document["fields"] = tomlkit.table(is_super_table=True)
        section = fields.get(unit)
        if section is None:
            section = tomlkit.table()
            fields[unit] = section
            section = fields[unit]
        section["rule"] = rule.value
        if order and rule is not Rule.HOLD:
            section["order"] = list(order)
        elif "order" in section:
            del section["order"]
        after = tomlkit.dumps(document)
    except (TOMLKitError, AttributeError, TypeError) as error:
        raise ConfigError([f"{tenant.file}: fields: cannot be edited ({type(error).__name__})"]) from None
    diff = difflib.unified_diff(before.splitlines(), after.splitlines(), n=3, lineterm="")
    config, problems = _checked(service, tenant.file, after)
    return Edit(tenant.file, _digest(before), after, tuple(diff)[2:], config, tuple(problems))


def save(edit: Edit, seen: str) -> None:
    """Put an edit in the place of the file, whole or not at all. seen: the digest of the text that a person was shown the change of.

    Raises ConfigError where the file has changed since, the result would have problems, or the file cannot be written.
    """
    if edit.problems:
        raise ConfigError(list(edit.problems))
    if _digest(_read(edit.path)) != edit.digest or edit.digest != seen:
        raise ConfigError([f"{edit.path}: the file has changed since this was shown; look at the change again"])
    fresh = edit.path.with_name(f".{edit.path.name}.new")
    try:
        there = edit.path.stat()
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), there.st_mode & 0o777)
            file.write(edit.after)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(edit.path.resolve())
    except OSError as error:
        words = f"cannot be written ({error.strerror}); put the shown lines there yourself"
        raise ConfigError([f"{edit.path}: {words}"]) from error


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()[: MAX_FILE_BYTES + 1]
        return content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read ({type(error).__name__})"]) from None


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _checked(service: ServiceConfig, path: Path, text: str) -> tuple[TenantConfig | None, list[str]]:
    """The tenant that a text would be, read like any file of its name."""
    with tempfile.TemporaryDirectory(prefix="syncd-") as folder:
        trial = Path(folder) / path.name
        trial.touch(mode=0o600)
        trial.write_text(text, encoding="utf-8")
        around = Surroundings(os.environ, service.allow_insecure_loopback, lambda _warning: None)
        config, problems = load_tenant(trial, around)
        return config, [line.replace(str(trial), str(path)) for line in problems]
