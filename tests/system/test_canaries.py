"""No secret and no personal value gets out: not into a log, an error on stderr, a metric, a notification or a URL."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

from tests.system.launcher import Result
from tests.system.place import Place
from tests.system.test_service import answers, free_port, until

Make = Callable[..., Place]

NAME = "Zebediah Quillfeather"
PERSONAL = (
    NAME, "Quillfeather", "zebediah@quillfeather.example", "quillfeather.example", "142685377", "14 impasse du Canari",
    "Canariville", "FR76 3000 6000 0112 3456 7890 189", "FR7630006000011234567890189", "40303265045", "Typhonville",
)  # fmt: skip
"""What a system may hold of a person. The phone without its prefix, as it may be spelled."""

WORDS = f'{{"message": "{NAME} <zebediah@quillfeather.example> +33142685377, 14 impasse du Canari, was refused"}}'
"""What a system says when it refuses: with everything in it."""

CREATES = {
    "lsp": {
        "name": NAME,
        "vatNumber": "FR40303265045",
        "address": {"line1": "14 impasse du Canari", "city": "Canariville", "postalCode": "75001", "country": "FR"},
        "contacts": [{"name": NAME, "email": "zebediah@quillfeather.example", "phone": "+33142685377"}],
    },
}


def commands(place: Place) -> list[Result]:
    """What an operator may run, good and bad."""
    words = [
        "sync", "check", "status", "holds", "conflicts", "outbox", "verify", "clients", "records", "links", "history c1", "why c1",
        "show c1", "plan", "log --json", "resolve k999 --take books", "release h999 --yes", "show c999", "config lint", "export",
        "log --event nonsense", "sync --cycles many", "retry w1", "undo y1 --yes",
    ]  # fmt: skip
    return [place.run(*each.split()) for each in words]


def leaks(text: str, canaries: tuple[str, ...]) -> list[str]:
    """The canaries that a text has, however their case, blanks and escapes are."""
    flat = re.sub(r"[\s.-]+", "", text).casefold()
    return [
        each
        for each in canaries
        if each.casefold() in text.casefold() or re.sub(r"[\s.-]+", "", each).casefold() in flat
    ]


def test_nothing_gets_out(make: Make, tmp_path: Path) -> None:
    """After edits, conflicts, refusals, broken answers and a service's life the canaries are in data columns alone."""
    port = free_port()
    told = tmp_path / "told"
    script = tmp_path / "tell.py"
    script.write_text("import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + '\\n')")
    service = {
        "web": {"listen": f"127.0.0.1:{port}"},
        "log": {"level": "debug", "format": "json", "file": "state/log/syncd.jsonl"},
        "notify": {"command": [sys.executable, str(script), str(told)], "conflict_age": "0s"},
    }
    place = make(service=service, poll="1s", more={"fields.address": {"rule": "hold"}})
    secrets = tuple(
        value for known in place.sandbox.credentials.values() for key, value in known.items() if key not in ("company_id", "business_id", "client_id")
    )  # fmt: skip
    canaries = tuple(each for each in (*PERSONAL, *secrets) if len(each) > 5)
    heard: list[str] = []

    def hear(results: list[Result]) -> None:
        heard.extend(result.err for result in results)

    hear([place.run("sync", "--until-quiet")])
    for system, raw in CREATES.items():
        place.create(system, raw)
    hear([place.run("sync", "--until-quiet")])
    look = place.look()
    client = look.named(NAME)
    place.edit("erp", look.external_id(client, "erp"), {"addressCity": "Typhonville", "name": f"{NAME} Junior"})
    place.edit("lsp", look.external_id(client, "lsp"), {"address": {"city": f"{NAME}ville"}})
    sandbox = place.sandbox
    for provider, method, status in (
        ("flowtly", "PATCH", 422),
        ("lsp_expert", "PUT", 400),
        ("smartbills", "PUT", 409),
        ("tiime", "GET", 500),
    ):
        sandbox.fault("body", provider=provider, method=method, status=status, value=WORDS, times=3)
    hear(commands(place))
    sandbox.fault("body", provider="flowtly", status=401, value=WORDS, times=4)
    sandbox.fault("body", provider="lsp_expert", status=200, value=WORDS, times=2)
    sandbox.fault("text_field", provider="smartbills", field="id", times=1)
    sandbox.fault("redirect", provider="tiime", times=1)
    hear(commands(place))
    child = place.start("run")
    until(lambda: answers(port), "ready")
    until(told.exists, "somebody is told")
    for path in ("/metrics", "/healthz", "/readyz"):
        with urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            heard.append(answer.read().decode())
    child.signal(signal.SIGTERM)
    hear([child.wait(20)])
    heard += [path.read_text(encoding="utf-8") for path in (place.folder / "state" / "log").iterdir()]
    heard += [path.read_text(encoding="utf-8") for path in (place.folder / "state").glob("demo.[wt]*")]
    heard.append(told.read_text())
    urls = [json.dumps([entry["path"], entry.get("query")]) for entry in sandbox.journal()]
    assert any("write_parked" in text for text in heard)
    found = [(each, text) for text in heard for each in leaks(text, canaries)]
    assert [(each, text[max(text.casefold().find(each.casefold()) - 200, 0) :][:400]) for each, text in found] == []
    assert [url for url in urls if leaks(url, canaries)] == []
