"""syncd.toml: the service's own keys. The environment wins over the file, the file over the defaults."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import ValidationError
from pydantic_settings import SettingsError

from syncd import log
from syncd.config import files, secret, telling
from syncd.config.problems import Problems
from syncd.config.shape import Environment, Service
from syncd.config.telling import NotifyConfig

_SQLITE: Final = "sqlite:///"


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """What the service has to know. `folder` is absolute, and so are the paths in `database`, `log_file` and `web_tokens`.

    database: `sqlite:////absolute/folder` (one file per tenant) or `postgresql://...` (one schema per tenant).
    log_level: debug | info | warning | error. log_format: auto | json | pretty. log_file: None for none.
    web_listen: "ADDRESS:PORT", "" for no page. web_public: the origin under which browsers reach the page, "" for web_listen itself.
    web_tokens: the file of who may log in there. tracing: where spans go, "" for what the environment says. state: the folder of the key `state`, None where it is empty.
    """

    folder: Path
    database: str
    log_level: str = "info"
    log_format: str = "auto"
    log_file: Path | None = None
    web_listen: str = ""
    web_public: str = ""
    web_tokens: Path = Path("state/web-tokens.json")
    tracing: str = ""
    allow_insecure_loopback: bool = False
    notify: NotifyConfig | None = None
    state: Path | None = None

    @property
    def state_folder(self) -> Path | None:
        """Where the witness of each store is: `state`, else the folder of the SQLite files; None for nowhere."""
        if self.state is None and self.database.startswith(_SQLITE):
            return Path(self.database.removeprefix(_SQLITE))
        return self.state


def load_service(folder: Path) -> tuple[ServiceConfig, list[str]]:
    """The service's configuration and every problem with it; with problems, defaults stand in for what is wrong."""
    path = folder / files.SERVICE_FILE
    in_file, in_environment = Problems(path), Problems("environment")
    document: dict[str, Any] | None = {}
    if path.exists() or path.is_symlink():
        document = files.read(path, in_file)
    if document is not None:
        try:
            Service.model_validate(document, strict=True)
        except ValidationError as error:
            in_file.add_validation(error, Service)
    keys = _with_environment({} if in_file.lines else (document or {}), in_environment)
    database = _database(
        keys.database, folder, in_file if keys.database == (document or {}).get("database") else in_environment
    )
    config = ServiceConfig(
        folder=folder.resolve(),
        database=database,
        log_level=keys.log.level,
        log_format=keys.log.format,
        log_file=_beside(folder, keys.log.file) if keys.log.file else None,
        web_listen=keys.web.listen,
        web_public=keys.web.public,
        web_tokens=_beside(folder, keys.web.tokens),
        state=_beside(folder, keys.state) if keys.state else None,
        tracing=keys.tracing.endpoint,
        allow_insecure_loopback=keys.limits.allow_insecure_loopback,
        notify=telling.notify(
            keys.notify,
            os.environ,
            in_file,
            insecure_loopback=keys.limits.allow_insecure_loopback,
            warn=lambda _: None,
        ),
    )
    return config, [*in_file.lines, *in_environment.lines]


def _with_environment(document: dict[str, Any], problems: Problems) -> Service:
    try:
        return Environment(**document)
    except SettingsError:
        # A whole section was given as JSON (SYNCD_LOG='{...}') and is none.
        problems.add(
            "SYNCD_LOG, SYNCD_WEB or SYNCD_LIMITS", "found no JSON", "a JSON object, or SYNCD_LOG__LEVEL and so on"
        )
    except ValidationError as error:
        problems.add_validation(error, Service)
        problems.lines = [_as_variable(line) for line in problems.lines]
    return Service()


def _as_variable(line: str) -> str:
    """`environment: log.level: ...` in the spelling of the environment: `environment: SYNCD_LOG__LEVEL: ...`."""
    file, key, rest = line.split(": ", 2)
    return f"{file}: SYNCD_{key.upper().replace('.', '__')}: {rest}"


def _beside(folder: Path, path: str) -> Path:
    """Relative paths start at the parent of the config folder."""
    return Path(os.path.abspath(folder.resolve().parent / path))  # noqa: PTH100 - resolve() would follow links in the target


def _database(text: str, folder: Path, problems: Problems) -> str:
    if secret.is_reference(text):
        try:
            text = secret.resolve(text, os.environ, warn=lambda _: None)
        except secret.Unresolved as error:
            problems.add("database", error.found, error.allowed)
            return f"{_SQLITE}{_beside(folder, 'state')}"
        if not text.startswith((_SQLITE, "postgresql://", "postgresql+psycopg://")):
            problems.add("database", "the reference leads to no database", '"sqlite:///FOLDER" or "postgresql://..."')
    if text.startswith(_SQLITE):
        return f"{_SQLITE}{_beside(folder, text.removeprefix(_SQLITE))}"
    try:
        log.register_secret(urlsplit(text).password or "")
    except ValueError:
        problems.add("database", "not an address", '"postgresql://USER@HOST/DATABASE"')
    return text
