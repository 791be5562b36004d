"""Logs: one event per line, and nothing on it that does not belong there."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import stat
import subprocess
import sys
import threading
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd import log
from syncd.errors import Rejected, UnknownOutcome
from syncd.log import fences, redaction


@pytest.fixture(autouse=True)
def undo():
    """Leave neither handlers nor secrets to the next test."""
    secrets, masked = redaction._Known.forms, redaction._Known.pattern
    yield
    log.close()
    redaction._Known.forms, redaction._Known.pattern = secrets, masked


def lines(write, level: str = "debug") -> list[dict[str, object]]:
    """What a function logs, decoded."""
    stream = io.StringIO()
    log.configure(level, "json", stream=stream)
    try:
        write(log.get("syncd.test"))
    finally:
        log.close()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_line_is_one_json_object() -> None:
    """A line has the time in UTC, the level, the event, the module and what was given."""
    (line,) = lines(lambda logger: logger.info("walk_ended", records=412, requests=5))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", str(line.pop("at")))
    assert line == {"level": "info", "event": "walk_ended", "logger": "syncd.test", "records": 412, "requests": 5}


def test_context_is_bound_within_its_block() -> None:
    """Tenant, system, cycle and client are on every line of a block, and on none after it."""

    def write(logger) -> None:
        with log.context(tenant="acme", system="books"), log.context(client="c12"):
            logger.info("clients_merged")
        logger.info("service_stopped")

    inside, outside = lines(write)
    assert (inside["tenant"], inside["system"], inside["client"]) == ("acme", "books", "c12")
    assert "tenant" not in outside


def test_level_is_kept() -> None:
    """Lines below the configured level are not written."""
    assert [
        line["event"]
        for line in lines(lambda logger: (logger.info("web_login"), logger.error("web_login_refused")), "error")
    ] == ["web_login_refused"]


def test_terminal_may_be_quieter_than_the_file(tmp_path) -> None:
    """`stream_level` keeps lines from stderr that the file has."""
    stream = io.StringIO()
    log.configure("info", "json", tmp_path / "x", stream=stream, stream_level="warning")
    log.get("syncd.test").info("web_login")
    log.get("syncd.test").warning("web_login_refused")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["web_login_refused"]
    assert len((tmp_path / "x").read_text().splitlines()) == 2


def test_unknown_keys_are_dropped_and_named() -> None:
    """A key that is not allowed is dropped with its value, and only its name is told."""
    (line,) = lines(lambda logger: logger.info("web_login", email="a@b.fr", **{"Jean Dupont": 1}))
    assert line["dropped"] == ["?", "email"]
    assert "a@b.fr" not in json.dumps(line)


def test_names_of_fields_only() -> None:
    """What is given as the name of a field and is none is not written."""
    (line,) = lines(
        lambda logger: logger.info("write_done", fields=["email", "custom.code", "Jean Dupont"], field="a@b.fr")
    )
    assert (line["fields"], line["field"]) == (["email", "custom.code", "?"], "?")
    (line,) = lines(lambda logger: logger.info("write_done", fields={"phone": "+33 1", "email": "x"}))
    assert line["fields"] == ["email", "phone"]


def test_unknown_event_raises_in_tests_and_is_kept_in_service() -> None:
    """An event that the catalogue does not explain is an error under `strict`, and an ordinary line otherwise."""
    (line,) = lines(lambda logger: logger.info("something_new"))
    assert (line["event"], line["message"]) == ("library", "something_new")
    log.configure(stream=io.StringIO(), strict=True)
    with pytest.raises(log.UnknownEvent, match="something_new"):
        log.get("syncd.test").info("something_new")


def test_every_event_is_explained() -> None:
    """Each event of the catalogue is a name in small letters with one sentence."""
    for name, sentence in log.EVENTS.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
        assert re.fullmatch(r"[A-Z`].*\.", sentence), name


def test_own_errors_tell_code_cause_and_next_step() -> None:
    """An error of syncd becomes its code, cause, next step and place; the system's own words stay out."""
    error = Rejected(
        "the name is too long", operation="update", external_id="77", status=422, words="Jean Dupont is too long"
    )
    (line,) = lines(lambda logger: logger.warning("write_parked", error=error))
    assert (line["error"], line["code"], line["cause"]) == ("Rejected", "rejected", "the name is too long")
    assert (line["operation"], line["external_id"], line["status"]) == ("update", "77", 422)
    assert "syncd retry" in str(line["next"])
    assert "Dupont" not in json.dumps(line)


def test_words_of_other_errors_stay_out() -> None:
    """An unexpected error is told by type and frames; its words, which may hold anything, are not written."""

    def write(logger) -> None:
        try:
            raise KeyError("jean@dupont.fr Dupont")  # noqa: TRY301 - the traceback is the point
        except KeyError:
            logger.exception("crashed")

    (line,) = lines(write)
    assert line["error"] == "KeyError"
    assert line["frames"][-1].startswith("test_log.py:")
    assert "upont" not in json.dumps(line)


def test_frames_name_the_cause() -> None:
    """The type of the error behind an error is told."""

    def write(logger) -> None:
        try:
            try:
                {}["x"]
            except KeyError as error:
                raise UnknownOutcome("the answer was lost") from error
        except UnknownOutcome as error:
            logger.error("write_in_doubt", exc_info=error)  # noqa: TRY400 - the other spelling of it

    (line,) = lines(write)
    assert line["frames"][-1] == "caused by KeyError"
    assert line["cause"] == "the answer was lost"


SECRET = 'p@ss/w"örd+ 12'


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        "p%40ss%2Fw%22%C3%B6rd%2B%2012",
        "p%40ss/w%22%C3%B6rd%2B%2012",
        "p%40ss%2Fw%22%C3%B6rd%2B+12",
        'p@ss/w\\"örd+ 12',
        "cEBzcy93IsO2cmQrIDEyOg==",
    ],
)
def test_registered_secret_is_masked_in_every_form(text) -> None:
    """A registered secret is masked as it is, and as URLs, JSON and Basic authentication write it."""
    log.register_secret(SECRET)
    (line,) = lines(lambda logger: logger.info("web_login", reason=f"<{text}>", systems=[text], counts={text: 1}))
    assert line["reason"] == "<[secret]>"
    assert line["systems"] == ["[secret]"]
    assert line["counts"] == {"[secret]": 1}


@given(st.text("0123456789+/", min_size=4, max_size=30), st.text(max_size=10), st.text(max_size=10))
def test_no_registered_secret_survives(secret, before, after) -> None:
    """Whatever is around a secret, it is not in the cleaned text, and control characters are not either."""
    log.register_secret(secret)
    cleaned = log.clean(f"{before}{secret}{after}")
    assert secret not in cleaned
    assert log.MASK in cleaned or "[e-mail]" in cleaned or "[query]" in cleaned
    assert not any(letter < " " for letter in cleaned)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer [secret]"),
        ("postgresql://syncd:pw@host/db", "postgresql://[secret]@host/db"),
        ("GET https://api.example/v1/clients?search=Dupont#x done", "GET https://api.example/v1/clients?[query] done"),
        ("mail to jean.dupont@example.fr, now", "mail to [e-mail], now"),
        ("paid to FR14 2004 1010 0505 0001 3M02 606 today", "paid to [iban] today"),
        ("a\nb\x1b[2J\u2028\u202e\x85\ud800", "a\\nb\\x1b[2J\\u2028\\u202e\\x85\\ud800"),
        ("Łódź is fine", "Łódź is fine"),
    ],
)
def test_credentials_persons_and_control_characters(text, expected) -> None:
    """Credentials, e-mail addresses, account numbers, URL queries and control characters do not get through."""
    assert log.clean(text) == expected


def test_long_values_are_cut() -> None:
    """No value makes a line endless."""
    (line,) = lines(lambda logger: logger.info("web_login", reason="x" * 10_000, systems=["y"] * 1000))
    assert len(str(line["reason"])) == fences.MAX_TEXT_CHARACTERS + 3
    assert len(line["systems"]) == fences.MAX_ITEMS  # type: ignore[arg-type]


def test_objects_are_told_by_type() -> None:
    """A value that is no number, text or list of such is not asked for its representation."""
    (line,) = lines(lambda logger: logger.info("web_login", reason=object(), system=b"bytes"))
    assert (line["reason"], line["system"]) == ("[object]", "[bytes]")


def test_other_libraries_pass_the_same_fences() -> None:
    """A line of another library is the event `library`, masked; httpx's own lines are left out."""
    log.register_secret("library-secret")

    def write(_logger) -> None:
        logging.getLogger("other.part").warning("user %s\nat %s", "library-secret", "a@b.fr", extra={"email": "x"})
        logging.getLogger("httpx").info("GET https://x/?y")
        logging.getLogger("other").debug("quiet")

    (line,) = lines(write)
    assert (line["event"], line["logger"], line["message"]) == ("library", "other.part", "user [secret]\\nat [e-mail]")


def test_warnings_become_lines() -> None:
    """Python's warnings are lines like all others."""

    def write(_logger) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(capture=False)
            logging.captureWarnings(capture=True)
            warnings.warn("old style", UserWarning, stacklevel=1)

    (line,) = lines(write)
    assert line["logger"] == "py.warnings"


def test_pretty_is_one_line_without_colours_off_a_terminal(monkeypatch) -> None:
    """The format for people is one line per event, too, and plain where there is no terminal."""
    stream = io.StringIO()
    log.configure("info", "pretty", stream=stream)
    log.get("syncd.test").info("walk_ended", records=3, reason="a\nb\x1b[2J")
    assert stream.getvalue().count("\n") == 1
    assert "walk_ended" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_auto_is_json_off_a_terminal() -> None:
    """Without a terminal `auto` means JSON."""
    stream = io.StringIO()
    log.configure(stream=stream)
    log.get("syncd.test").info("web_login")
    assert json.loads(stream.getvalue())["event"] == "web_login"


def test_file_is_private_and_rotated(tmp_path) -> None:
    """The file and the rotated ones can be read by their owner only, and no line is lost at the turn."""
    path = tmp_path / "log" / "syncd.jsonl"
    log.configure("info", "json", path, stream=io.StringIO(), max_file_bytes=2000)
    for number in range(40):
        log.get("syncd.test").info("web_login", attempt=number)
    log.close()
    files = sorted(path.parent.glob("syncd.jsonl*"))
    assert len(files) > 3
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    attempts = [json.loads(line)["attempt"] for file in files for line in file.read_text().splitlines()]
    kept = sorted(attempts)
    assert kept == list(range(kept[0], 40))


def test_file_rotated_by_another_process_is_followed(tmp_path) -> None:
    """After another process has rotated the file, lines go to the new file."""
    path = tmp_path / "syncd.jsonl"
    log.configure("info", "json", path, stream=io.StringIO())
    log.get("syncd.test").info("web_login", attempt=1)
    path.rename(tmp_path / "syncd.jsonl.1")
    path.touch(mode=0o600)
    log.get("syncd.test").info("web_login", attempt=2)
    assert json.loads(path.read_text())["attempt"] == 2
    path.unlink()
    log.get("syncd.test").info("web_login", attempt=3)
    assert json.loads(path.read_text())["attempt"] == 3


def test_file_is_no_link(tmp_path) -> None:
    """A link in the file's place is not followed."""
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic"):
        log.configure("info", "json", tmp_path / "link", stream=io.StringIO())


def test_threads_write_whole_lines(tmp_path) -> None:
    """Lines of several threads never mix, also while the file is rotated."""
    path = tmp_path / "syncd.jsonl"
    log.configure("info", "json", path, stream=io.StringIO(), max_file_bytes=20_000)

    def write(number: int) -> None:
        for attempt in range(50):
            log.get("syncd.test").info("web_login", attempt=attempt, page=number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    decoded = [
        json.loads(line)
        for file in tmp_path.glob("syncd.jsonl*")
        if file.suffix != ".lock"
        for line in file.read_text().splitlines()
    ]
    assert len({(line["page"], line["attempt"]) for line in decoded}) == 200


def test_nothing_is_printed_before_configure() -> None:
    """Until somebody configures the log, importing and logging print nothing."""
    code = "from syncd import log; log.get('syncd.x').error('crashed')"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert (result.stdout, result.stderr) == ("", "")


def test_crash_of_the_process_and_of_a_thread_is_a_line() -> None:
    """An error that nobody caught is one line without its words, instead of a traceback."""
    code = """
import threading
from syncd import log
log.configure('info', 'json')
log.log_crashes()
def fail(): raise ValueError('Jean Dupont')
thread = threading.Thread(target=fail, name='puller'); thread.start(); thread.join()
fail()
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    decoded = [json.loads(line) for line in result.stderr.splitlines()]
    assert [(line["event"], line["error"], line.get("thread")) for line in decoded] == [
        ("crashed", "ValueError", "puller"),
        ("crashed", "ValueError", None),
    ]
    assert "Dupont" not in result.stderr
    assert result.returncode == 1
