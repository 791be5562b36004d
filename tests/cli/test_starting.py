"""A command starts with what it needs: every library that it does not need costs the operator time."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("alembic", "httpx", "nameparser", "phonenumbers", "starlette", "uvicorn", "pyrate_limiter", "syncd.sandbox")


@pytest.mark.parametrize("module", ["syncd.cli", "syncd.cli.status"])
def test_looking_loads_nothing_that_only_working_needs(module: str) -> None:
    """Neither the command line nor `status` loads migrations, the network, the web or the simulated systems."""
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
