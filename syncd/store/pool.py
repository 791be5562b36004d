"""Connections to PostgreSQL: what each is told when it is made, and a pool of them that many tenants share in one process.

A tenant of its own process has its own connections, whose sessions know its schema. A worker of a cluster works on many tenants,
a few at a time: its connections are shared, and every transaction names its schema first. What SQLAlchemy has compiled once then
serves all tenants, and the number of connections follows the work that is done at a time, not the number of tenants.
"""

from __future__ import annotations

import os
from typing import Any, Final

from sqlalchemy import URL, create_engine, make_url

LOCK_WAIT_SECONDS: Final = 30
"""How long a writing transaction waits for another one."""

CONNECT_WAIT_SECONDS: Final = 10

KEEPALIVE: Final = ("-ctcp_keepalives_idle=10", "-ctcp_keepalives_interval=5", "-ctcp_keepalives_count=3")
"""The server must notice a vanished host too, or the locks of its sessions would stay for hours."""

CONNECTIONS_PER_SLOT: Final = 6
"""What one cycle needs at most at a time: the working right, a writing transaction, and readings of systems side by side."""

SPARE_CONNECTIONS: Final = 4


def driven(url: URL) -> URL:
    """The address with the one driver that syncd uses."""
    return url.set(drivername="postgresql+psycopg")


def arguments(url: URL, *options: str) -> dict[str, Any]:
    """What psycopg is told for each connection; `options` are settings of the session, beside those that the address gives."""
    given = url.query.get("options", "")
    told = [given] if isinstance(given, str) else list(given)
    told += [*options, f"-clock_timeout={LOCK_WAIT_SECONDS}s"]
    found: dict[str, Any] = {
        "options": " ".join(option for option in told if option),
        "application_name": f"syncd {os.getpid()}",
    }
    if "connect_timeout" not in url.query:
        found["connect_timeout"] = CONNECT_WAIT_SECONDS
    return found


def address(url: str, *options: str) -> tuple[str, dict[str, Any]]:
    """The same for who speaks to PostgreSQL without SQLAlchemy: an address for libpq, and what each connection is told."""
    parsed = make_url(url)
    bare = parsed.set(drivername="postgresql").difference_update_query(["options"])
    return bare.render_as_string(hide_password=False), arguments(parsed, *options, *KEEPALIVE)


class Pool:
    """Connections to one PostgreSQL database for a process in which `slots` cycles may run at a time."""

    def __init__(self, url: str, slots: int) -> None:
        parsed = driven(make_url(url))
        self.place = parsed.set(password=None, query={}).render_as_string()
        self.engine = create_engine(
            parsed,
            connect_args=arguments(parsed, *KEEPALIVE),
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=2 * slots + SPARE_CONNECTIONS,
            max_overflow=(CONNECTIONS_PER_SLOT - 2) * slots,
            isolation_level="READ COMMITTED",
        )

    def close(self) -> None:
        """Close every connection that is not in use."""
        self.engine.dispose()
