"""Where work units run: one cycle of one tenant, for the systems whose turn it is.

`local`: in this process, one thread per tenant. `cluster`: on as many machines as there are workers, by way of PostgreSQL. Both ask
`schedule` when a system is due; neither knows what a cycle does.
"""

from __future__ import annotations

from typing import Final

SLOTS: Final = 8
"""Cycles that a worker of a cluster runs at a time unless it is told otherwise; they mostly wait for the systems."""
