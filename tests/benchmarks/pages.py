"""A server of pages that were written before it was asked: clients of 25 fields as Tiime lists them, in ranges.

It runs in a process of its own (`python -m tests.benchmarks.pages CLIENTS PAGE [LATENCY]`, in seconds), prints its port, and costs next to nothing
per request, so that what is measured is the reader. `/v1/companies/N/clients` shows the same clients for every N; GET
`/phase/churn` changes one client in a hundred from then on, `/phase/first` takes that back. Plain `?page=N` works too.
`/v2/clients?page=N` and `/v2/clients/ID` show them as LSP.expert does; `/latency/MS` sets how long answers take from then on.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

CHURN_EVERY: Final = 100
"""One client in so many shows something else in the phase `churn`."""

_RANGE: Final = re.compile(rb"\r\nrange: items=(\d+)-(\d+)\r\n", re.IGNORECASE)
_PAGE: Final = re.compile(rb"[?&]page=(\d+)")
_WORDS: Final = ("Alder", "Birch", "Cedar", "Dogwood", "Elder", "Fir", "Gorse", "Hazel", "Ivy", "Juniper", "Larch")
_TRADES: Final = ("Masonry", "Bakery", "Optics", "Logistics", "Joinery", "Printing", "Plumbing", "Pharmacy")


def siren(number: int) -> str:
    """A French company number with a right check digit, another one for every number below ten million."""
    stem = f"{10_000_000 + number:08d}"
    total = sum(sum(divmod(int(digit) * (1 + place % 2), 10)) for place, digit in enumerate(reversed(stem), 1))
    return f"{stem}{-total % 10}"


def client(number: int, *, churned: bool) -> dict[str, Any]:
    """One client with 25 keys, as Tiime writes it."""
    registration = siren(number)
    vat = f"FR{(12 + 3 * (int(registration) % 97)) % 97:02d}{registration}"
    name = f"{_WORDS[number % 11]} {_TRADES[number // 11 % 8]} {number}"
    return {
        "id": 100_000 + number,
        "name": name,
        "acronym": name[:3].upper(),
        "professional": True,
        "archived": False,
        "color": "#49CFC4",
        "slug": f"client-{number}",
        "address": f"{number % 300 + 1} rue des Lilas",
        "address_complement": f"bureau {number % 40}",
        "postal_code": f"{75001 + number % 20}",
        "city": "Lyon" if churned else "Paris",
        "country": {"id": 75, "name": "France", "code": "FR"},
        "country_code": "FR",
        "email": f"office{number}@client{number}.example",
        "phone": f"+331{40_000_000 + number:08d}",
        "siren_or_siret": registration,
        "intracom_vat_number": vat,
        "note": f"Delivers on day {number % 28 + 1}; asks for two copies of every invoice.",
        "iban": None,
        "bic": None,
        "balance_including_taxes": number % 100_000 / 4,
        "billed_including_taxes": number % 70_000 / 8,
        "clients_count": number % 7,
        "pro": True,
        "has_connected_invoice": number % 2 == 0,
    }


def page(first: int, size: int, clients: int, *, churned: bool) -> bytes:
    """The whole answer to a request for one range of clients, headers included."""
    numbers = range(first, min(first + size, clients))
    listed = [client(number, churned=churned and number % CHURN_EVERY == 0) for number in numbers]
    body = json.dumps(listed, separators=(",", ":")).encode()
    last = max(first + len(listed) - 1, 0)
    headers = (
        f"HTTP/1.1 {200 if last + 1 >= clients else 206} OK\r\ncontent-type: application/json\r\n"
        f"content-range: items {first}-{last}/{clients}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return headers.encode() + body


def lsp_client(number: int) -> dict[str, Any]:
    """One client as LSP.expert writes it."""
    known = client(number, churned=False)
    return {
        "id": str(known["id"]),
        "name": known["name"],
        "address": {
            "line1": known["address"],
            "postalCode": known["postal_code"],
            "city": known["city"],
            "country": "FR",
        },
        "archived": False,
        "vatNumber": known["intracom_vat_number"],
        "nationalIdentificationNumber": known["siren_or_siret"],
        "details": known["note"],
        "invoice": {"currency": {"code": "EUR", "symbol": "€"}},
    }


def lsp_page(number: int, size: int, clients: int) -> bytes:
    """One page of LSP.expert's, from 1, in its envelope."""
    first, pages = (number - 1) * size, -(-clients // size)
    told = {"page": number, "pageSize": size, "totalPages": pages, "totalItems": clients, "hasNextPage": number < pages}
    items = [lsp_client(each) for each in range(first, min(first + size, clients))]
    return plain(json.dumps({"items": items, **told}).encode())


def plain(text: bytes) -> bytes:
    """A short answer."""
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text)


class Pages:
    """Every page of both phases, written once."""

    def __init__(self, clients: int, size: int) -> None:
        starts = range(0, max(clients, 1), size)
        self.size = size
        self.phases = {
            phase: [page(first, size, clients, churned=phase == "churn") for first in starts]
            for phase in ("first", "churn")
        }
        self.shown = self.phases["first"]
        self.lsp = [lsp_page(number, size, clients) for number in range(1, len(starts) + 1)]
        self.latency = 0.0

    def answer(self, request: bytes) -> bytes:
        """The answer to one request, given its head."""
        target = request.split(b" ", 2)[1]
        if target.startswith(b"/phase/"):
            self.shown = self.phases[target.removeprefix(b"/phase/").decode()]
            return plain(b"{}")
        if target.startswith(b"/latency/"):
            self.latency = int(target.removeprefix(b"/latency/")) / 1000
            return plain(b"{}")
        if target.startswith(b"/v2/clients/"):
            return plain(json.dumps(lsp_client(int(target.rpartition(b"/")[2]) - 100_000)).encode())
        asked, numbered = _RANGE.search(request), _PAGE.search(target)
        number = int(numbered[1]) - 1 if numbered else int(asked[1]) // self.size if asked else 0
        if target.startswith(b"/v2/"):
            return self.lsp[number]
        return self.shown[number] if number < len(self.shown) else plain(b"[]")


class Connection(asyncio.Protocol):
    """One kept-alive connection, one request after the other."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        for head in self.heads():
            answer = self.pages.answer(head)
            asyncio.get_running_loop().call_later(self.pages.latency, self.transport.write, answer)  # type: ignore[attr-defined]

    def heads(self) -> Iterator[bytes]:
        while b"\r\n\r\n" in self.waiting:
            head, _, self.waiting = self.waiting.partition(b"\r\n\r\n")
            yield head + b"\r\n"


async def serve(clients: int, size: int, latency: float = 0.0) -> None:
    """Serve on a free port of this machine until the process ends."""
    pages = Pages(clients, size)
    pages.latency = latency
    server = await asyncio.get_running_loop().create_server(lambda: Connection(pages), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - it tells its parent
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float((sys.argv[3:] or ["0"])[0])))
