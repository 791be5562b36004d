"""The sandbox: Tiime, LSP.expert, Smartbills and Flowtly simulated over real HTTP on loopback, strict, with faults on request.

    from syncd.sandbox import start, write_config
    with start(seed=1, clients=40) as sandbox:
        write_config(sandbox, folder)                                   # a tenant that points here
        sandbox.fault("status", provider="tiime", status=429, retry_after=1, times=2)
        sandbox.edit("lsp_expert", row_id, {"address": {"city": "Brest"}})   # as a person
        sandbox.journal("flowtly", writes=True)

It imports nothing of syncd's engine, store, providers or core, so that both sides are written against the documentation only.
"""

from __future__ import annotations

from syncd.sandbox.app import Sandbox, serve, start
from syncd.sandbox.tenant_files import write_config
from syncd.sandbox.world import MAIN_TABLE, PROVIDERS

__all__ = ["MAIN_TABLE", "PROVIDERS", "Sandbox", "serve", "start", "write_config"]
