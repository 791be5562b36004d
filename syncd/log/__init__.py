"""Logs: one JSON object per line, one event per line; names of fields, never personal values, never secrets.

    log.configure(level, format, file)      once, by whoever owns the process
    logger = log.get(__name__)
    with log.context(tenant="acme", system="books"):
        logger.info("walk_complete", records=412, requests=5)

Four fences keep a line clean, in this order: an event must be in `EVENTS`; a key must be in `KEYS` (others are dropped and
only named, in `dropped`); an exception is told by its type and frames, and by its words only if they are syncd's own; and
last, whatever is left is masked where it holds a registered secret, a credential or an e-mail address, and is freed of
control characters. Lines of other libraries come as the event `library` and pass through the same fences.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

import structlog

from syncd.log.catalogue import CONTEXT_KEYS, EVENTS, KEYS
from syncd.log.erasure import erase
from syncd.log.fences import FENCES, Strictness, UnknownEvent, clean_values, from_library
from syncd.log.file import MAX_FILE_BYTES, PrivateFile
from syncd.log.redaction import MASK, clean, register_secret

__all__ = [
    "CONTEXT_KEYS",
    "EVENTS",
    "KEYS",
    "MASK",
    "UnknownEvent",
    "bound",
    "clean",
    "close",
    "configure",
    "context",
    "erase",
    "get",
    "log_crashes",
    "register_secret",
]

_QUIET_LIBRARIES: Final = (
    "httpx",
    "httpcore",
    "apscheduler",
    "alembic",
    "sqlalchemy",
    "uvicorn",
    "asyncio",
    "procrastinate",
    "psycopg",
    "opentelemetry",
    "urllib3",
)
_ROOT: Final = "syncd"


class _Attached:
    """What `configure` attached to the root logger of this process."""

    handlers: tuple[logging.Handler, ...] = ()


def get(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module; `name` is its `__name__`."""
    path = name if name == _ROOT or name.startswith(f"{_ROOT}.") else f"{_ROOT}.{name}"
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(path)
    return logger


def context(**names: str) -> AbstractContextManager[None]:
    """Bind `worker`, `tenant`, `system`, `cycle`, `client` to every line of this thread while the block runs."""
    return structlog.contextvars.bound_contextvars(**names)


def bound() -> dict[str, str]:
    """What `context` has bound in this thread."""
    told = structlog.contextvars.get_contextvars()
    return {key: str(told[key]) for key in CONTEXT_KEYS if key in told}


structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.contextvars.merge_contextvars,
        *FENCES,
        clean_values,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=False,
)
# Until `configure` is called nothing is printed: a library must not write on its caller's terminal.
logging.getLogger(_ROOT).addHandler(logging.NullHandler())


def configure(
    level: str = "info",
    format: str = "auto",  # noqa: A002 - it is the key's name in syncd.toml
    file: Path | None = None,
    *,
    stream: TextIO | None = None,
    stream_level: str | None = None,
    strict: bool = False,
    max_file_bytes: int = MAX_FILE_BYTES,
) -> None:
    """Send lines to stderr (or `stream`) and to a rotated file of mode 0600; may be called again, the last call counts.

    level: debug | info | warning | error. stream_level: the same for the stream alone, where the file is to have more.
    format: json, pretty, or auto (pretty on a terminal). strict: an event that is not in `EVENTS` raises UnknownEvent.
    Raises OSError where the file cannot be opened.
    """
    target = stream if stream is not None else sys.stderr
    pretty = format == "pretty" or (format == "auto" and target.isatty())
    handlers: list[logging.Handler] = [logging.StreamHandler(target)]
    if stream_level is not None:
        handlers[0].setLevel(stream_level.upper())
    handlers[0].setFormatter(_formatter(_pretty(target) if pretty else structlog.processors.JSONRenderer()))
    if file is not None:
        handlers.append(PrivateFile(file, max_file_bytes))
        handlers[1].setFormatter(_formatter(structlog.processors.JSONRenderer()))
    close()
    root = logging.getLogger()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(_ROOT).setLevel(level.upper())
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    _Attached.handlers = tuple(handlers)
    Strictness.on = strict


def close() -> None:
    """Undo `configure`: nothing is printed any more, and the file is closed."""
    for handler in _Attached.handlers:
        logging.getLogger().removeHandler(handler)
        handler.close()
    _Attached.handlers = ()
    Strictness.on = False
    logging.captureWarnings(capture=False)


def log_crashes() -> None:
    """Turn what would be a traceback on stderr, in any thread, into the event `crashed`."""

    def of_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            get(_ROOT).error("crashed", exc_info=error.with_traceback(trace))

    def of_thread(crash: threading.ExceptHookArgs) -> None:
        name = crash.thread.name if crash.thread else ""
        get(_ROOT).error("crashed", exc_info=crash.exc_value, thread=name)

    sys.excepthook = of_process
    threading.excepthook = of_thread


def _formatter(renderer: Any) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[from_library, structlog.contextvars.merge_contextvars, *FENCES, clean_values],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def _pretty(stream: TextIO) -> Any:
    colours = stream.isatty() and not os.environ.get("NO_COLOR")
    return structlog.dev.ConsoleRenderer(colors=colours, timestamp_key="at", pad_event_to=20, sort_keys=False)
