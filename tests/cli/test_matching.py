"""`syncd links`: why, how people decided, and the first run's report."""

from __future__ import annotations

import json
import math
import stat
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.cli import output
from syncd.report.calibrating import Calibration, toml, weights_of
from syncd.report.matching import interval
from tests.cli.place import Place

VAT = "FR44732829320"


@pytest.fixture
def pairs(place: Place) -> Place:
    """A tenant under review: one pair that links, three that a person decides, one alone."""
    place.tenant(first_run="review")
    place.world("books").add(name="ACME SARL", vat_number=VAT)
    place.world("crm").add(name="Acme", vat_number=VAT)
    for name in ("Jean Martin", "Anna Nowak", "Zofia Kowalska"):
        place.world("books").add(name=name)
        place.world("crm").add(name=name)
    place.world("crm").add(name="Alone")
    place.run("sync", exit_code=1)
    return place


def test_links_are_explained_field_by_field(pairs: Place) -> None:
    """`links --explain` gives every link the evidence of today, whose weights add up to its score; a client alone has none."""
    links = pairs.json("links", "--explain")["links"]
    linked = [link for link in links if link["matched_by"] == "vat_number"]
    assert [link["with"] for link in linked] == [
        {"system": "crm", "external_id": "1"},
        {"system": "books", "external_id": "1"},
    ]
    total = sum(float(each["weight"]) for each in linked[0]["evidence"])
    assert linked[0]["score"] == pytest.approx(1 / (1 + math.exp(-total)), abs=0.001)
    assert {link["score"] for link in links if link["external_id"] == "5"} == {None}
    text = pairs.run("links", "--explain").stdout
    assert "vat_number: equal" in text
    assert "+12.00" in text


def test_a_proposal_shows_its_evidence_once(pairs: Place) -> None:
    """`links` shows a proposal with its records and its evidence, a line for each field."""
    text = pairs.run("links").stdout
    assert "3 proposals" in text
    assert text.count("-4.75  prior") == 3
    assert text.count("+6.00  name: equal") == 3
    [hold, *_] = pairs.json("links")["proposals"]
    assert [each["field"] for each in hold["items"][0]["evidence"]] == ["prior", "name"]


def test_decisions_are_counted_per_band(pairs: Place) -> None:
    """What people accepted and refused is counted in the band of its score, with an interval that is honest for few."""
    holds = [hold["hold"] for hold in pairs.json("links")["proposals"]]
    before = pairs.json("links", "--stats")["tenants"][0]
    assert (before["proposals"]["open"], before["proposals"]["error"]) == (3, None)
    assert (before["proposals"]["error_low"], before["proposals"]["error_high"]) == (0.0, 1.0)
    pairs.run("release", holds[0], "--yes")
    pairs.run("refuse", holds[1])
    [stats] = pairs.json("links", "--stats")["tenants"]
    band = next(band for band in stats["bands"] if band["from"] <= 0.777 < band["to"])
    assert (band["open"], band["accepted"], band["refused"], band["error"]) == (1, 1, 1, 0.5)
    assert 0 < band["error_low"] < 0.1
    assert 0.9 < band["error_high"] < 1
    assert band["predicted"] == pytest.approx(0.2227, abs=0.001)
    assert stats["links"]["automatic"] == 1
    assert stats["links"]["by"] == {"vat_number": 1}
    assert (stats["links"]["taken_back"], stats["links"]["error"]) == (0, 0.0)
    assert stats["links"]["error_high"] > 0.7
    text = pairs.run("links", "--stats").stdout
    assert "not known" in text
    assert "50.0 %" in text


def test_the_first_run_report_is_shown_and_kept(pairs: Place, tmp_path: Path) -> None:
    """The report is text, JSON and a file that only its owner reads, made before anything was written."""
    assert pairs.world("books").ids() == ["1", "2", "3", "4"]
    [report] = pairs.json("links", "--report")["tenants"]
    assert report["state"] == "waiting"
    told = [
        [row[key] for key in ("system", "records", "linked", "proposed", "ambiguous", "new")]
        for row in report["systems"]
    ]
    assert told == [["books", 4, 1, 3, 0, 0], ["crm", 5, 1, 3, 0, 1]]
    text = pairs.run("links", "--report").stdout
    assert f"syncd release {report['hold']}" in text
    [kept] = pairs.root.rglob("acme.first-run.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert json.loads(kept.read_text())["systems"] == report["systems"]
    out = tmp_path / "report.json"
    pairs.run("links", "--report", "--out", str(out))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert json.loads(out.read_text())["tenants"][0]["systems"] == report["systems"]
    assert "--report" in pairs.run("links", "--out", str(out), exit_code=2).stderr
    assert "exclude" in pairs.run("links", "--stats", "--report", exit_code=2).stderr


def test_without_a_report_that_is_said(place: Place) -> None:
    """Before every system was read there is no report, and no error."""
    place.tenant()
    assert place.json("links", "--report")["tenants"][0]["state"] == "not made"
    assert "no report yet" in place.run("links", "--report").stdout


def test_too_few_records_teach_nothing(pairs: Place) -> None:
    """Calibrating a handful of records is refused with what it needs."""
    told = pairs.run("calibrate", exit_code=2).stderr
    assert "too few" in told
    assert "200 records" in told


def test_calibrate_says_what_it_needs(place: Place) -> None:
    """Without Splink `calibrate` names the extra and writes nothing; with it, it proposes a section that the tenant's file takes."""
    place.tenant()
    for number in range(150):
        fields = {"name": f"Maison {number:03d} {chr(97 + number % 26)}x", "email": f"c{number}@maison{number}.example"}
        place.world("books").add(**fields)
        place.world("crm").add(**fields)
    place.run("sync", exit_code=0)
    file = place.folder / "tenants" / "acme.toml"
    before = file.read_text()
    if find_spec("splink") is None:
        told = place.run("calibrate", exit_code=2).stderr
        assert ".[calibrate]" in told
    else:
        text = place.run("calibrate").stdout
        file.write_text(before + text)
        place.run("check")
        file.write_text(before)
    assert file.read_text() == before


def test_a_calibrated_section_is_one_that_a_file_takes(capsys) -> None:
    """What is printed is TOML, however long its remarks are: none goes on in a line that is no remark."""
    untold = tuple(f"field_number_{number}_differs" for number in range(12))
    output.say(toml("a-tenant-of-a-long-name", Calibration({"prior": 0.37}, 502, untold)).rstrip())
    assert tomllib.loads(capsys.readouterr().out) == {"matching": {"weights": {"prior": 0.37}}}


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_interval_holds_the_share(wrong: int, right: int) -> None:
    """The interval lies in 0 to 1, holds what was seen, and is everything where nothing was seen."""
    low, high = interval(wrong, wrong + right)
    assert 0 <= low <= high <= 1
    if wrong + right:
        assert low <= wrong / (wrong + right) <= high
        assert high - low < 1
    else:
        assert (low, high) == (0.0, 1.0)


def test_nothing_is_learned_from_what_no_record_shows() -> None:
    """Where all clients that were matched have one city, a model's guess at never is no weight, and is told as not learned."""

    def levels(*pairs: tuple[float, float]) -> list[dict[str, Any]]:
        return [{"is_null_level": True}, *({"m_probability": m, "u_probability": u} for m, u in pairs)]

    city = {"output_column_name": "city", "comparison_levels": levels((0.9, 0.1), (0.1, 0.2), (1e-60, 0.7))}
    found = weights_of({"probability_two_random_records_match": 0.5, "comparisons": [city]}, 500)
    assert found.weights == {"prior": 0.0, "city_equal": 2.2, "city_near": -0.69}
    assert "city_differs" in found.untold
