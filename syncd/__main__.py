"""`python -m syncd` and the `syncd` program: hand over to the command line."""

from __future__ import annotations

import gc
import signal
import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    if {"run", "worker"} & set(sys.argv[1:]):
        # Until the service listens to it, which takes the time of its imports, a SIGHUP would end the process. What it asks
        # for is done anyway: the configuration is about to be read.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # What is imported stays: looking through it for garbage, again and again while it loads, would be a tenth of a short command.
    gc.disable()
    from syncd import footprint  # noqa: PLC0415 - half a second in which a signal may come
    from syncd.cli import front  # noqa: PLC0415

    footprint.settle()
    gc.enable()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a letter gets its number, not a traceback.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    front.main()


if __name__ == "__main__":
    main()
