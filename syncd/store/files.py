"""SQLAlchemy over a SQLite file, with everything that does not depend on the file shared by all tenants of a process.

How a statement is written in SQLite's dialect, and what becomes of its values, is the same for every tenant: it is worked out once, not a
hundred times, and kept once. `create_engine` makes a dialect for each engine, and its cache of compiled statements goes by the dialect; so
the engines are put together here. Connections are those of one file.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Dialect, Engine, NullPool, QueuePool, create_engine
from sqlalchemy.util import LRUCache

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Pool

STATEMENTS: Final = 1_000
"""Compiled statements that are kept; the cycle and the operator's page have a few hundred."""

_making: Final = threading.Lock()


def engine_over(file: Path, *, keep: bool) -> Engine:
    """An engine over a SQLite file; nothing is opened yet. keep: connections that are given back wait for the next one who needs one."""
    with _making:
        dialect, statements = _common()
    address = URL.create("sqlite+pysqlite", database=str(file))
    arguments, named = dialect.create_connect_args(address)

    def connect() -> Any:
        return dialect.connect(*arguments, **named)

    # The one that was used last knows most of the statements, and the others need not.
    pool: Pool = QueuePool(connect, use_lifo=True, dialect=dialect) if keep else NullPool(connect, dialect=dialect)
    options = {"compiled_cache": statements}
    return Engine(pool, dialect, address, hide_parameters=True, query_cache_size=0, execution_options=options)


@lru_cache(maxsize=1)
def _common() -> tuple[Dialect, LRUCache[Any, Any]]:
    """The dialect, which has asked the library what it can do, and what was compiled for it."""
    asked = create_engine("sqlite+pysqlite://", poolclass=NullPool)
    with asked.connect():
        return asked.dialect, LRUCache(STATEMENTS)
