"""`syncd demo` from nothing, again, and beside somebody else's files; `syncd sandbox` as a program."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


def syncd(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The program itself, in a folder, without this machine's settings."""
    command = [sys.executable, "-m", "syncd", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def shown_contact(folder: Path, client: str) -> set[str]:
    """The systems in which a contact of a client shows the number that somebody typed in the demo."""
    rows = json.loads(syncd("--config", "demo/config", "records", "--json", folder=folder).stdout)["records"]
    return {
        row["system"]
        for row in rows
        for contact in row["fields"].get("contacts") or ()
        if row["client"] == client and str(contact.get("phone")).replace(" ", "") == "+48225550177"
    }


@pytest.mark.timeout(200)
def test_demo_and_again(tmp_path: Path) -> None:
    """The first demo logs exactly its one conflict, merges two clients and ends in silence; the second sends nothing; --config reads what it left."""
    first = syncd("demo", "--json", folder=tmp_path)
    assert first.returncode == 0, first.stderr
    document = json.loads(first.stdout)
    assert document["resumed"] is False
    assert document["quiescent"] is True
    assert document["writes_in_last_cycle"] == 0
    assert [conflict["field"] for conflict in document["conflicts"]] == ["address"]
    assert {each["system"] for each in document["conflicts"][0]["candidates"]} >= {"lsp", "erp"}
    assert [deed["deed"] for deed in document["people"]] == list("abcdefgh")
    assert "of a contact in lsp" in document["people"][-1]["what"]
    assert shown_contact(tmp_path, document["people"][-1]["what"].split()[0]) == {"lsp", "erp"}
    merge = document["merge"]
    assert {each["field"] for each in merge["rivals"]} >= {"name"}
    assert {row["system"] for row in document["totals"] if row["archived"]} == {"lsp", "erp"}
    assert {row["system"] for row in document["totals"] if row["created"]} == {"books", "lsp", "receipts", "erp"}
    again = syncd("demo", folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "0 writes sent" in again.stdout
    assert "syncd demo --fresh" in again.stdout
    assert [line for line in again.stdout.splitlines() if len(line) > 100] == []
    status = syncd("--config", "demo/config", "status", "--json", folder=tmp_path)
    [tenant] = json.loads(status.stdout)["tenants"]
    assert tenant["quiescent"] is True
    shown = json.loads(syncd("--config", "demo/config", "show", merge["losers"][0], "--json", folder=tmp_path).stdout)
    assert (shown["client"], [each["state"] for each in shown["merges"]]) == (merge["winner"], ["done"])
    for system in tenant["systems"]:
        assert sum(system["counts"].values()) == tenant["clients"]["total"]


def test_demo_leaves_other_folders_alone(tmp_path: Path) -> None:
    """A folder that no demo made is neither used nor cleared, also with --fresh."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config").write_text("precious")
    result = syncd("demo", "--fresh", "--dir", "mine", folder=tmp_path)
    assert result.returncode == 2
    assert "not empty" in result.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["config"]


def test_sandbox_tells_where_it_is_and_ends_on_a_signal(tmp_path: Path) -> None:
    """`syncd sandbox --json` prints one document once it listens, writes a config, and ends with 0 on SIGTERM."""
    command = [
        sys.executable,
        "-m",
        "syncd",
        "sandbox",
        "--port",
        "0",
        "--clients",
        "3",
        "--write-config",
        "play",
        "--json",
    ]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        document = json.loads(process.stdout.readline())
        assert document["base_urls"].keys() == {"tiime", "lsp_expert", "smartbills", "flowtly"}
        checked = syncd("--config", "play/config", "check", "--json", folder=tmp_path)
        assert checked.returncode == 0, checked.stdout
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=20) == 0
