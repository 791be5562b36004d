"""`python -m syncd` and the `syncd` program: hand over to the command line."""

from __future__ import annotations

import sys

from syncd.cli import front


def main() -> None:
    """Run the command line and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a letter gets its number, not a traceback.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    front.main()


if __name__ == "__main__":
    main()
