"""What every provider promises, as one suite: a provider's test class inherits it and says how its world is made.

`Contract` is about records and fields; `HttpContract` adds what only systems behind HTTP can do wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any, ClassVar

import pytest
from pytest_httpserver import HTTPServer

from syncd.core.model import FIELDS, Context, parts_of, unit_value, units_in
from syncd.core.normalize import same
from syncd.errors import Gone, Malformed, RateLimited, Rejected, Transient, Unauthorised, UnknownOutcome
from syncd.providers import Known, Listed, Page, Provider
from tests.providers.worlds import Instead

Raw = dict[str, Any]
CONTEXT = Context("FR", "fr-FR")


def flattened(value: Any, path: str = "") -> dict[str, Any]:
    """Every leaf of a JSON document by its path; list positions count."""
    if isinstance(value, dict) and value:
        return {key: leaf for name, each in value.items() for key, leaf in flattened(each, f"{path}.{name}").items()}
    if isinstance(value, list) and value:
        return {key: leaf for at, each in enumerate(value) for key, leaf in flattened(each, f"{path}[{at}]").items()}
    return {path.lstrip("."): value}


def changed_paths(before: Any, after: Any) -> set[str]:
    """The paths at which two documents differ."""
    old, new, nothing = flattened(before), flattened(after), object()
    return {path for path in old.keys() | new.keys() if old.get(path, nothing) != new.get(path, nothing)}


def agrees(provider: Provider, unit: str, left: Any, right: Any, golden: Mapping[str, Any]) -> bool:
    """Whether two values of a unit are the same for this system."""
    return same(unit, provider.project(unit, left, golden), provider.project(unit, right, golden), CONTEXT)


class Recalling:
    """What is known of pages: whole ones by number and digest, and of each number the records by the digests of their bytes."""

    def __init__(
        self, pages: Callable[[tuple[int, str]], Known | None], records: Mapping[int, Mapping[bytes, str]] | None = None
    ) -> None:
        self._pages, self._records = pages, records or {}

    def whole(self, number: int, digest: str) -> Known | None:
        return self._pages((number, digest))

    def slices(self, number: int) -> Mapping[bytes, str]:
        return self._records.get(number, {})


def nothing(_asked: tuple[int, str]) -> None:
    """No page is known as a whole."""


class Contract:
    """The promises of `syncd.providers.Provider`."""

    name: ClassVar[str]
    sample: ClassVar[Raw]
    """A full record in canonical fields, as a person may type it in this system."""
    other: ClassVar[Raw]
    """For each updatable field another value than the sample's."""
    paths: ClassVar[dict[str, tuple[str, ...]]]
    """For each updatable field: where it may show in the system's record, as prefixes of paths."""
    volatile: ClassVar[tuple[str, ...]] = ()
    """Paths that the system moves on its own at any write."""
    records_for_pages: ClassVar[int] = 65
    not_clearable: ClassVar[frozenset[str]] = frozenset({"name", "archived"})

    @pytest.fixture
    def world(self, httpserver: HTTPServer) -> Iterator[Any]:
        """The system, its users and its provider; afterwards no call may have gone against the documentation."""
        made = self.make_world(httpserver)
        yield made
        made.provider.close()
        system = getattr(made, "system", None)
        assert getattr(system, "strays", []) == []
        assert getattr(system, "violations", []) == []

    def make_world(self, server: HTTPServer) -> Any:
        """Made anew for each test."""
        raise NotImplementedError

    def golden(self, **fields: Any) -> Raw:
        """The sample as a golden record."""
        return {**self.sample, **fields}

    def made(self, world: Any, **fields: Any) -> tuple[str, Listed]:
        """A record a person typed, and how it reads."""
        external_id = world.add(**{**self.sample, **fields})
        return external_id, world.provider.fetch(external_id)

    # -- reading ---------------------------------------------------------------------------------------------------

    def test_every_field_is_declared(self, world: Any) -> None:
        """The provider's table says something about each canonical field and about nothing else."""
        assert set(world.provider.fields) == set(FIELDS)

    def test_a_walk_shows_every_record_once(self, world: Any) -> None:
        """A walk over several pages shows each record once, tells the total where it can, and ends with a last page."""
        ids = {
            world.add(**{**self.sample, "name": f"Client {n}", "email": f"c{n}@a.fr"})
            for n in range(self.records_for_pages)
        }
        pages: list[Page] = list(world.provider.pull())
        shown = [listed.external_id for page in pages for listed in page.records]
        assert sorted(shown) == sorted(ids)
        assert len(pages) > 1
        assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
        assert [page.number for page in pages] == list(range(1, len(pages) + 1))
        assert {page.total for page in pages} <= {len(ids), None}
        assert not [fault for page in pages for fault in page.faults]
        assert sum(page.requests for page in pages) <= world.provider.requests

    def test_a_page_that_is_known_is_not_read_and_counts_all_the_same(self, world: Any) -> None:
        """Equal bytes have equal digests; a page that is recalled has its ids, its total and its place, and others are read as ever."""
        if not world.provider.capabilities.recall:
            return
        for n in range(self.records_for_pages):
            world.add(**{**self.sample, "name": f"Client {n}", "email": f"c{n}@a.fr"})
        met: list[tuple[int, str]] = []
        read = list(world.provider.pull(Recalling(met.append)))
        assert [(page.number, page.digest) for page in read] == met
        assert all(page.digest and not page.known for page in read)
        known = {(page.number, page.digest): _known(page) for page in read}
        again = list(world.provider.pull(Recalling(known.get)))
        assert [(page.number, page.total, page.last, page.known) for page in again] == [
            (page.number, page.total, page.last, known[page.number, page.digest].ids) for page in read
        ]
        assert not [listed for page in again for listed in page.records]
        new = world.add(**{**self.sample, "name": "New", "email": "new@a.fr"})
        moved = list(world.provider.pull(Recalling(known.get)))
        assert moved[-1].last
        assert new in {listed.external_id for page in moved for listed in page.records}
        shown = [name for page in moved for name in (*page.known, *(listed.external_id for listed in page.records))]
        assert len(shown) == len(set(shown)) == self.records_for_pages + 1

    def test_a_record_that_is_known_is_not_read_and_counts_all_the_same(self, world: Any) -> None:
        """Where pages are looked at record by record, those alone are read whose bytes are new; the page tells the same in all else."""
        if not world.provider.capabilities.recall:
            return
        ids = [
            world.add(**{**self.sample, "name": f"Client {n}", "email": f"c{n}@a.fr"})
            for n in range(self.records_for_pages)
        ]
        before = {page.number: page.slices for page in world.provider.pull(Recalling(nothing))}
        if not any(before.values()):
            return
        world.edit(ids[0], name="Edited")
        world.remove(ids[-1])
        world.add(**{**self.sample, "name": "New", "email": "new@a.fr"})
        known = {number: {found: name for name, found in slices.items()} for number, slices in before.items()}
        whole = list(world.provider.pull(Recalling(nothing)))
        part = list(world.provider.pull(Recalling(nothing, known)))
        told = [(page.number, page.total, page.last, page.digest, page.slices, page.requests) for page in whole]
        assert [(page.number, page.total, page.last, page.digest, page.slices, page.requests) for page in part] == told
        for shown, page in zip(whole, part, strict=True):
            new = [each for each in shown.records if shown.slices[each.external_id] not in known.get(shown.number, {})]
            assert page.records == new
            assert len(page.known) + len(new) == len(shown.records)
            assert {*page.known, *(each.external_id for each in new)} == {each.external_id for each in shown.records}
        assert sum(len(page.records) for page in part) < len(ids)
        assert not [page for page in part if page.recalled]

    def test_an_empty_system_has_one_empty_page(self, world: Any) -> None:
        """A walk of a system without records is one last page."""
        pages = list(world.provider.pull())
        assert [(len(page.records), page.last) for page in pages] == [(0, True)]

    def test_a_single_read_says_what_the_listing_said(self, world: Any) -> None:
        """`fetch` equals the list item; where lists are partial it says at least as much and contradicts nothing."""
        external_id, fetched = self.made(world)
        (page,) = world.provider.pull()
        (listed,) = page.records
        assert fetched.complete
        assert fetched.external_id == listed.external_id == external_id
        if listed.complete:
            assert (listed.raw, listed.children) == (fetched.raw, fetched.children)
        there, here = world.provider.read(fetched, {}).fields, world.provider.read(listed, {}).fields
        assert all(there[name] == value for name, value in here.items())

    def test_reading_gives_what_a_person_typed(self, world: Any) -> None:
        """Every field that the system shows reads as the value that a person typed."""
        _, fetched = self.made(world)
        fields = world.provider.read(fetched, {}).fields
        for unit in units_in(self.sample):
            typed, shown = unit_value(self.sample, unit), unit_value(fields, unit)
            assert agrees(world.provider, unit, typed, shown, self.sample), (unit, typed, shown)

    def test_reading_is_pure(self, world: Any) -> None:
        """`read` changes neither record nor memory, asks nobody, and says the same twice, also with its own memory."""
        _, fetched = self.made(world)
        before, requests = deepcopy(fetched), world.provider.requests
        memory: Raw = {}
        first = world.provider.read(fetched, memory)
        again = world.provider.read(fetched, first.memory)
        assert (fetched, memory, world.provider.requests) == (before, {}, requests)
        assert (again.fields, again.memory) == (first.fields, first.memory)

    def test_a_missing_record_is_gone(self, world: Any) -> None:
        """A record that was deleted is `Gone` for a single read and absent from a walk."""
        external_id, _ = self.made(world)
        world.remove(external_id)
        with pytest.raises(Gone):
            world.provider.fetch(external_id)
        assert [listed for page in world.provider.pull() for listed in page.records] == []

    # -- writing ---------------------------------------------------------------------------------------------------

    def test_a_created_record_is_what_a_walk_shows(self, world: Any) -> None:
        """`create` adds one record, and its answer reads as the walk shows it; every field sent is there."""
        golden = self.golden()
        made = world.provider.create(golden)
        assert world.ids() == [made.external_id]
        answered = world.provider.read(made, {})
        fetched = world.provider.read(world.provider.fetch(made.external_id), answered.memory)
        assert fetched.fields == answered.fields
        for name, spec in world.provider.fields.items():
            if spec.create and spec.read and name in golden:
                assert agrees(world.provider, *_unit(name, golden, fetched.fields), golden), name

    def test_what_a_client_needs_is_an_objection(self, world: Any) -> None:
        """A client that lacks a required field is objected to; the sample is not."""
        assert world.provider.objection(self.golden()) is None
        for name, spec in world.provider.fields.items():
            if spec.required:
                assert world.provider.objection(self.golden(**dict.fromkeys(parts_of(FIELDS[name].unit))))

    def test_an_update_changes_only_what_was_planned(self, world: Any) -> None:
        """Changing one field changes its own paths of that record and nothing else in the system."""
        self._needs_update(world)
        neighbour = world.add(**{**self.sample, "name": "Neighbour", "email": "n@b.fr"})
        for name, value in self.other.items():
            external_id, current = self.made(world, email=f"{name.replace('_', '')}@c.fr")
            before, beside = world.raw(external_id), world.raw(neighbour)
            memory = world.provider.read(current, {}).memory
            answer = world.provider.update(current, {name: value}, self.golden(**{name: value}), memory)
            moved = changed_paths(before, world.raw(external_id))
            assert moved, name
            strays = [path for path in moved if not path.startswith((*self.paths[name], *self.volatile))]
            assert not strays, (name, strays)
            assert world.raw(neighbour) == beside
            shown = world.provider.read(answer, memory).fields
            assert agrees(world.provider, *_unit(name, {name: value}, shown), self.golden()), name

    def test_writing_what_was_read_changes_nothing(self, world: Any) -> None:
        """A patch of the very values that were read leaves the record as it is."""
        self._needs_update(world)
        external_id, current = self.made(world)
        before, reading = world.raw(external_id), world.provider.read(current, {})
        patch = {
            n: value for n, value in reading.fields.items() if world.provider.fields[n].update and value is not None
        }
        world.provider.update(current, patch, {**self.golden(), **reading.fields}, reading.memory)
        moved = changed_paths(before, world.raw(external_id))
        assert not [path for path in moved if not path.startswith(self.volatile or ("\0",))]

    def test_clearing_empties_and_silence_keeps(self, world: Any) -> None:
        """None empties a field; fields that the patch does not name keep their values."""
        self._needs_update(world)
        for name in self.other.keys() - self.not_clearable:
            _, current = self.made(world, email=f"{name.replace('_', '')}@d.fr")
            reading = world.provider.read(current, {})
            answer = world.provider.update(current, {name: None}, self.golden(**{name: None}), reading.memory)
            fields = world.provider.read(answer, reading.memory).fields
            assert fields[name] is None, name
            kept = {n: value for n, value in reading.fields.items() if n not in (name, "contacts")}
            assert {n: fields[n] for n in kept} == kept

    def test_archiving_and_restoring(self, world: Any) -> None:
        """Where the provider says that it can archive and restore, both are updates of `archived`."""
        if not (world.provider.capabilities.archive and world.provider.capabilities.restore):
            pytest.skip("cannot archive and restore")
        _, current = self.made(world)
        for archived in (True, False):
            current = world.provider.update(current, {"archived": archived}, self.golden(archived=archived), {})
            assert world.provider.read(current, {}).fields["archived"] is archived

    def test_deleting(self, world: Any) -> None:
        """Where the provider says that it can delete, the record is gone; elsewhere the delete is refused and nothing happens."""
        external_id, current = self.made(world)
        if world.provider.capabilities.delete:
            world.provider.delete(current)
            assert world.ids() == []
        else:
            with pytest.raises(Rejected):
                world.provider.delete(current)
            assert world.ids() == [external_id]

    def test_updating_a_record_that_is_gone(self, world: Any) -> None:
        """An update of a record that was deleted meanwhile is `Gone` and creates nothing."""
        self._needs_update(world)
        external_id, current = self.made(world)
        world.remove(external_id)
        with pytest.raises(Gone):
            world.provider.update(current, {"email": "other@e.fr"}, self.golden(email="other@e.fr"), {})
        assert world.ids() == []

    def _needs_update(self, world: Any) -> None:
        if not world.provider.capabilities.update:
            pytest.skip("this provider never updates")


class HttpContract(Contract):
    """What only systems behind HTTP can do wrong, and how it ends."""

    list_path: ClassVar[str] = "/clients"
    item_path: ClassVar[str] = "/clients/"

    @pytest.fixture(autouse=True)
    def one_try(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Requests are not repeated here, so that a test takes no pauses."""
        monkeypatch.setattr("syncd.providers.http.TRIES", 1)

    def items(self, body: Any) -> list[Any]:
        """The list of records inside a page, to be changed in place."""
        raise NotImplementedError

    @pytest.mark.parametrize(
        "instead",
        [
            Instead(body=b"<html><body>Welcome</body></html>", content_type="text/html"),
            Instead(body=b"", content_type="application/json"),
            Instead(body=b"null"),
            Instead(body=b"{}"),
            Instead(body=b'"fine"'),
            Instead(body=b'{"items": null, "data": null, "member": null}'),
            Instead(body=b"[1, 2"),
            Instead(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        ],
        ids=["html", "nothing", "null", "object", "text", "null-list", "cut", "redirect"],
    )
    def test_a_page_that_is_none_fails_the_walk(self, world: Any, instead: Instead) -> None:
        """A walk whose answer is no page of records fails as malformed and shows no record."""
        self.made(world)
        world.system.answer(instead, method="GET", path=self.list_path)
        with pytest.raises(Malformed):
            list(world.provider.pull())

    @pytest.mark.parametrize("body", [b"null", b"[]", b"{}", b'{"id": "another"}'])
    def test_a_record_that_is_none_is_malformed(self, world: Any, body: bytes) -> None:
        """A single read that is answered by anything but that record is malformed, never gone."""
        external_id, _ = self.made(world)
        world.system.answer(Instead(body=body), method="GET", path=self.item_path)
        with pytest.raises(Malformed):
            world.provider.fetch(external_id)

    @pytest.mark.parametrize(
        "status,headers,error",
        [
            (401, {}, Unauthorised),
            (403, {}, Unauthorised),
            (429, {"Retry-After": "60"}, RateLimited),
            (500, {}, Transient),
            (503, {}, Transient),
        ],
    )
    def test_a_refused_walk_says_what_happens_next(self, world: Any, status: int, headers: Raw, error: type) -> None:
        """A refused listing ends in the error for its status, with the system's own pause where it asks for one."""
        self.made(world)
        refusal = Instead(status=status, body=b"{}", headers=headers)
        world.system.answer(refusal, method="GET", path=self.list_path, times=2)
        with pytest.raises(error) as caught:
            list(world.provider.pull())
        assert not isinstance(caught.value, UnknownOutcome)
        if error is RateLimited:
            assert caught.value.retry_after_seconds == 60

    def test_a_lost_answer_of_a_create_is_an_unknown_outcome(self, world: Any) -> None:
        """A create whose answer is lost, or is no record, is in doubt and sent only once."""
        for instead in (Instead(status=502, committed=True), Instead(body=b"{}", status=201, committed=True)):
            count = len(world.ids())
            world.system.answer(instead, method="POST", path=self.list_path)
            with pytest.raises(UnknownOutcome):
                world.provider.create(self.golden(email=f"lost{count}@a.fr"))
            assert len(world.ids()) == count + 1

    def test_a_refused_create_is_rejected(self, world: Any) -> None:
        """A create that the system refuses is rejected, and nothing was created."""
        world.system.answer(Instead(status=422, body=b'{"message": "too long"}'), method="POST", path=self.list_path)
        with pytest.raises(Rejected) as caught:
            world.provider.create(self.golden())
        assert "too long" in caught.value.words
        assert world.ids() == []

    def test_a_broken_record_is_set_aside(self, world: Any) -> None:
        """Items that are no record, have no id, or hold text that nobody can keep are faults; their neighbours are read."""
        good = world.add(**self.sample)
        bad = world.add(**{**self.sample, "name": "Bad", "email": "bad@a.fr"})

        def spoil(request: Any, body: Any) -> Any:
            if request.method == "GET" and request.path == self.list_path:
                items = self.items(body)
                next(item for item in items if str(item["id"]) == bad)["spoilt"] = "a\x00b"
                items += ["text", {"name": "no id"}]
            return body

        world.system.doctor = spoil
        if world.provider.capabilities.recall:
            (page,) = world.provider.pull(Recalling(nothing))
            assert not page.digest, "a page of which something was set aside is to be read again"
        (page,) = world.provider.pull()
        assert [listed.external_id for listed in page.records] == [good]
        assert len(page.faults) == 3
        assert bad in {place for place, _ in page.faults}


def _known(page: Page) -> Known:
    return Known([listed.external_id for listed in page.records], page.total, page.last)


def _unit(name: str, wanted: Mapping[str, Any], shown: Mapping[str, Any]) -> tuple[str, Any, Any]:
    """The unit of one field, with that field alone on both sides."""
    unit = FIELDS[name].unit
    if unit == name and name != "name":
        return unit, wanted[name], shown.get(name)
    return unit, {name: wanted[name]}, {name: shown.get(name)}
