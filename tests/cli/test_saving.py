"""`syncd backup` and `syncd restore`, at the command line."""

from __future__ import annotations

import stat
from pathlib import Path

from tests.cli.place import Place


def test_there_and_back(acme: Place, tmp_path: Path) -> None:
    """A backup is private and labelled; after a restore nothing is written until the report is released, then only what is new."""
    acme.run("sync", "--until-quiet")
    file = tmp_path / "acme.copy"
    saved = acme.json("backup", str(file))
    assert (saved["tenant"], stat.S_IMODE(file.stat().st_mode)) == ("acme", 0o600)
    assert "exists" in acme.run("backup", str(file), exit_code=2).stderr
    acme.world("books").edit("1", phone="+33142685311")
    acme.run("sync", "--until-quiet")
    acme.world("crm").edit("2", city="Nantes")
    before = [acme.world("books").record("2")["city"], acme.world("books").record("1")["phone"]]
    assert "--yes" in acme.run("restore", str(file), exit_code=2).stderr
    assert acme.json("restore", str(file), "--yes")["cycle"] == saved["cycle"]
    document = acme.json("sync", exit_code=1)["tenants"][0]
    assert (
        sum(system["updated"] + system["created"] for cycle in document["cycles"] for system in cycle["systems"]) == 0
    )
    assert [acme.world("books").record("2")["city"], acme.world("books").record("1")["phone"]] == before
    (hold,) = acme.json("holds")["holds"]
    assert "restored" in hold["reason"]
    acme.run("release", hold["hold"], "--yes")
    acme.run("sync", "--until-quiet")
    assert acme.world("books").record("2")["city"] == "Nantes"
    assert acme.world("crm").record("1")["phone"] == "+33142685311"


def test_what_is_no_backup_is_refused(acme: Place, tmp_path: Path) -> None:
    """Another tenant's backup, a store's own file, text and a damaged copy change nothing."""
    acme.run("sync", "--until-quiet")
    acme.tenant("other")
    good = tmp_path / "acme.copy"
    acme.run("backup", str(good), "--tenant", "acme")
    assert "not of other" in acme.run("restore", str(good), "--tenant", "other", "--yes", exit_code=2).stderr
    text = tmp_path / "text"
    text.write_text("no database at all")
    refused = acme.run("restore", str(text), "--tenant", "acme", "--yes", exit_code=1).stderr
    assert "cannot be read" in " ".join(refused.split())
    own = acme.root / "state" / "acme.db"
    refused = acme.run("restore", str(own), "--tenant", "acme", "--yes", exit_code=1).stderr
    assert "no backup" in " ".join(refused.split())
    content = bytearray(good.read_bytes())
    content[4096 * 3 : 4096 * 6] = bytes(4096 * 3)
    good.write_bytes(content)
    acme.run("restore", str(good), "--tenant", "acme", "--yes", exit_code=1)
    assert acme.json("holds", "--tenant", "acme")["holds"] == []
