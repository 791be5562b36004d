"""A process that has loaded syncd once and forks a fresh `syncd` for every command: what `python -m syncd` does, without 2 s of imports.

It is single-threaded and opens nothing, so that a fork is as good as a start; the child then runs the module `syncd` as the program,
and kill -9 takes it like any other process. On stdin one JSON line per start, {"id", "argv", "cwd", "env", "out", "err"}; on stdout
{"id", "pid"} at once and {"id", "status"} (as of waitpid) at the end.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import sys
import traceback
from typing import Any

LOADED = ("syncd.cli", "syncd.providers.tiime", "syncd.providers.lsp_expert", "syncd.providers.smartbills", "syncd.providers.flowtly",
          "syncd.daemon", "psycopg", "psycopg_binary", "sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite",
          "phonenumbers.phonemetadata", "stdnum.eu.vat", "alembic.runtime.migration")  # fmt: skip


def say(document: dict[str, Any]) -> None:
    """One line to the tests."""
    os.write(1, (json.dumps(document) + "\n").encode())


def become(order: dict[str, Any]) -> None:
    """In the child: take the place of a freshly started `python -m syncd ARGV`. Never returns."""
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        for number, path in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            handle = os.open(path, flags, 0o600)
            os.dup2(handle, number)
            os.close(handle)
        os.chdir(order["cwd"])
        os.environ.clear()
        os.environ.update(order["env"])
        os.umask(0o022)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, m, closefd=False) for n, m in ((0, "r"), (1, "w"), (2, "w")))
        sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
        sys.argv = ["syncd", *order["argv"]]
        runpy.run_module("syncd", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # noqa: BLE001 - told, and the process ends with 70
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Fork until stdin ends."""
    for name in LOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    with contextlib.suppress(ImportError):
        from babel import Locale  # noqa: PLC0415 - warmed up here, once, for every child

        _ = Locale("en").territories
    gc.freeze()
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    say({"ready": os.getpid()})
    kept = b""
    while True:
        ready, _, _ = select.select([0, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            for pid in list(running):
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    say({"id": running.pop(pid), "status": status})
        if 0 not in ready:
            continue
        data = os.read(0, 1 << 20)
        if not data:
            return
        *lines, kept = (kept + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            pid = os.fork()
            if pid == 0:
                become(order)
            running[pid] = order["id"]
            say({"id": order["id"], "pid": pid})


if __name__ == "__main__":
    main()
