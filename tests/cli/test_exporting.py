"""`export`: lossless JSON lines, and a table that no spreadsheet executes."""

from __future__ import annotations

import csv
import io
import json

import pytest

from syncd.core.model import FIELDS
from syncd.report.export import cell, guarded
from tests.cli.place import Place


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_json_lines_have_everything(acme: Place) -> None:
    """Each line is one client with fields, state, origins and links; unknown is absent and empty is null."""
    acme.world("books").hide("1", "currency")
    acme.run("sync", "--until-quiet")
    lines = acme.run("export", "--format", "jsonl").stdout.splitlines()
    clients = [json.loads(line) for line in lines]
    assert [client["client"] for client in clients] == ["c1", "c2"]
    known = acme.json("clients")["clients"]
    assert [client["fields"] for client in clients] == [client["fields"] for client in known]
    first = clients[0]
    assert first["fields"]["iban"] is None
    assert (first["state"], first["tenant"], first["origins"]["phone"]) == ("active", "acme", "books")
    assert [(link["system"], link["external_id"], link["state"]) for link in first["links"]] == [
        ("books", "1", "linked"),
        ("crm", "1", "linked"),
    ]
    assert acme.run("export").stdout.splitlines() == lines
    assert acme.json("export")["clients"] == clients
    acme.run("export", "--json", "--format", "csv", exit_code=2)


def test_the_table_has_every_field_and_no_formula(acme: Place) -> None:
    """The CSV has a heading, a column per field and one per system; formulas are disarmed and line ends stay within their cell."""
    acme.world("crm").edit("2", name='=HYPERLINK("http://x.example")', details="first\nsecond", city="＝1+1")
    acme.run("sync", "--until-quiet")
    first, second = rows(acme.run("export", "--format", "csv").stdout)
    assert first.keys() >= {"client", "tenant", "state", "merged_into", *FIELDS, "records in books", "records in crm"}
    assert (first["client"], first["name"], first["records in books"]) == ("c1", "ACME SARL", "1")
    assert first["phone"] == "'+33142685300"
    assert second["name"] == '\'=HYPERLINK("http://x.example")'
    assert second["city"] == "'＝1+1"
    assert "second" in second["details"]
    assert second["archived"] == "false"


@pytest.mark.parametrize(
    "text",
    [
        "=1",
        "+1",
        "-1",
        "@x",
        "\t=1",
        "\r=1",
        "\n1",
        "＝1",
        "＋1",
        "－1",
        "＠x",
        " =1",
        "\u200b=1",
        "\ufeff=1",
        "\u00a0+1",
        "|x",
        "%x",
    ],
)
def test_formulas_are_guarded(text: str) -> None:
    """Whatever a spreadsheet could take for a formula gets an apostrophe, also full-width and behind what cannot be seen."""
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "ACME", "1-2", "a=b", "'quoted", "Élan", "3%"])
def test_other_texts_stay(text: str) -> None:
    """Texts that begin harmlessly are not changed."""
    assert guarded(text) == text


def test_values_become_cells() -> None:
    """Empty is blank, a flag is true or false, a list is JSON, a negative number is guarded."""
    assert [cell(value) for value in (None, True, False, 30, -3, ["a"], {"b": None})] == [
        "",
        "true",
        "false",
        "30",
        "'-3",
        '["a"]',
        '{"b":null}',
    ]
