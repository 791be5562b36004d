"""The service as a process: readiness, signals, reloads, an end within its time, and one slow tenant beside another."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from syncd.sandbox import write_config
from tests.system.judge import judge
from tests.system.launcher import Child, environment
from tests.system.place import WRITE_STATES, Place

Make = Callable[..., Place]
PATIENCE_SECONDS = 30.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def until(truth: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> float:
    """Wait until something is true; how long that took."""
    began = time.monotonic()
    while not truth():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - began


def answers(port: int, path: str = "/readyz") -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def lines(child: Child) -> list[dict[str, object]]:
    """What the service has logged so far."""
    log = child.folder / "err"
    text = log.read_text(errors="replace") if log.exists() else ""  # a child that was just started has none yet
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def cycles(child: Child, tenant: str) -> int:
    return sum(line["event"] == "cycle_ended" and line["tenant"] == tenant for line in lines(child))


@contextmanager
def running(place: Place, port: int, **env: str) -> Iterator[Child]:
    """The service on this place, ended by SIGTERM at the end."""
    child = place.launcher.start("--config", str(place.config), "run", cwd=place.folder, env=env)
    try:
        until(lambda: answers(port), "ready")
        yield child
    finally:
        child.signal(signal.SIGTERM)
        assert child.wait(20).code == 0


def test_systemd_is_told(make: Make, tmp_path: Path) -> None:
    """READY once the service listens to signals, RELOADING and READY at SIGHUP, WATCHDOG while all lanes live, STOPPING at the end."""
    port = free_port()
    place = make(service={"web": {"listen": f"127.0.0.1:{port}"}})
    door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    door.bind(str(tmp_path / "notify"))
    door.settimeout(PATIENCE_SECONDS)
    told: list[str] = []

    def wait_for(word: str) -> None:
        while not told or word not in told[-1]:
            told.append(door.recv(4096).decode())

    with door:
        with running(place, port, NOTIFY_SOCKET=str(tmp_path / "notify")) as child:
            wait_for("READY=1")
            wait_for("1 of 1 tenants at work")
            assert "WATCHDOG=1" in told[-1]
            child.signal(signal.SIGHUP)
            wait_for("RELOADING=1")
            assert "MONOTONIC_USEC=" in told[-1]
            wait_for("READY=1")
        wait_for("STOPPING=1")


def test_a_hangup_while_it_starts_does_not_end_it(make: Make) -> None:
    """SIGHUP from the first moment of syncd's own code on is taken as a wish that is granted anyway."""
    port = free_port()
    place = make(service={"web": {"listen": f"127.0.0.1:{port}"}})
    code = "import os, signal, sys, threading; sys.argv = ['syncd', *sys.argv[1:]]; import syncd.__main__ as m;"
    code += "threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGHUP)).start(); m.main()"
    words = [sys.executable, "-c", code, "--config", str(place.config), "run"]
    process = subprocess.Popen(words, cwd=place.folder, env=environment(), stderr=subprocess.DEVNULL)
    try:
        until(lambda: answers(port), "ready")
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()


def test_it_ends_in_time_although_systems_drip(make: Make) -> None:
    """While a list trickles in and a write is not answered, SIGTERM ends the service within 12 seconds and with 0; a second signal ends it at once."""
    port = free_port()
    place = make(clients=2, service={"web": {"listen": f"127.0.0.1:{port}"}}, poll="1s")
    place.sync()
    first = str(place.records("books")[0]["id"])
    for second in (False, True):
        place.sandbox.clear_faults()
        place.sync()  # what a stop has left behind is not the write that is waited for
        child = place.start("run")
        until(lambda: answers(port), "ready")
        place.sandbox.fault("drip", provider="flowtly", method="GET", seconds=25, times=0)
        place.sandbox.fault("stall", provider="lsp_expert", path="^/clients/.+", seconds=25, times=0)
        place.edit("books", first, {"city": "Quimper" if second else "Roscoff"})
        until(
            lambda child=child: any(
                (each["event"], each.get("system")) == ("write_sending", "lsp") for each in lines(child)
            ),
            "a write of the slow system",
        )
        time.sleep(0.5)
        began = time.monotonic()
        child.signal(signal.SIGTERM)
        if second:
            time.sleep(0.3)
            child.signal(signal.SIGTERM)
        result = child.wait(20)
        assert time.monotonic() - began < (3 if second else 12)
        assert result.code == (128 + signal.SIGTERM if second else 0), result.err[-500:]
    place.sandbox.clear_faults()
    assert place.sync()["quiescent"]
    assert judge(place) == []


def test_a_dripping_tenant_delays_no_other(make: Make) -> None:
    """One tenant's system answers drop by drop: the other tenant's cycles go on at their interval."""
    port = free_port()
    place = make(service={"web": {"listen": f"127.0.0.1:{port}"}}, poll="1s", systems=("books", "lsp"))
    write_config(
        place.sandbox, place.folder, "other", poll="1s", systems=("erp", "receipts"),
        service={"web": {"listen": f"127.0.0.1:{port}"}, "database": place.database},
    )  # fmt: skip
    with running(place, port) as child:
        place.sandbox.fault("drip", provider="lsp_expert", method="GET", seconds=8, times=0)
        until(lambda: any(line["event"] == "cycle_ended" for line in lines(child)), "a cycle")
        time.sleep(1)
        quick = cycles(child, "other")
        time.sleep(6)
        assert cycles(child, "other") - quick >= 3
        place.sandbox.clear_faults()


def test_a_slow_list_holds_up_no_other_system(make: Make) -> None:
    """While one system takes 25 seconds for a page of its list, edits travel between the others and to it; its own come when they are there."""
    port = free_port()
    place = make(clients=3, service={"web": {"listen": f"127.0.0.1:{port}"}}, poll="500ms")
    place.sync()
    first, second = (str(raw["id"]) for raw in place.records("books")[:2])
    with running(place, port) as child:
        until(lambda: answers(port), "ready")
        place.sandbox.fault("stall", provider="lsp_expert", method="GET", path="^/clients$", seconds=25, times=0)
        time.sleep(2)
        place.edit("books", first, {"city": "Quimper"})
        took = until(lambda: "Quimper" in json.dumps(place.records("erp")), "the edit arrives", 20)
        place.edit("books", second, {"city": "Roscoff"})
        again = until(lambda: "Roscoff" in json.dumps(place.records("erp")), "the next edit arrives", 20)
        assert took + again < 20  # as long as not even one answer takes
        [edited] = [str(raw["@id"].rpartition("/")[2]) for raw in place.records("erp") if "Roscoff" in json.dumps(raw)]
        place.edit("erp", edited, {"addressCity": "Morlaix"})
        until(lambda: "Morlaix" in json.dumps(place.records("lsp")), "one for the slow system arrives", 20)
        place.sandbox.clear_faults()
        assert not any(line["event"] == "crashed" for line in lines(child))
    assert place.sync()["quiescent"]
    assert judge(place) == []


def test_a_slow_write_holds_up_no_other_system(make: Make) -> None:
    """While one system takes 25 seconds for each call of a write, edits travel between the others; its own come in the end, once each."""
    port = free_port()
    place = make(clients=3, service={"web": {"listen": f"127.0.0.1:{port}"}}, poll="500ms")
    place.sync()
    first, second = (str(raw["id"]) for raw in place.records("books")[:2])
    with running(place, port) as child:
        until(lambda: answers(port), "ready")
        place.sandbox.fault("stall", provider="lsp_expert", path="^/clients/.+", seconds=25, times=0)
        place.edit("books", first, {"city": "Quimper"})
        until(lambda: any(line["event"] == "push_not_waited_for" for line in lines(child)), "the cycle goes on", 20)
        until(lambda: "Quimper" in json.dumps(place.records("erp")), "the edit arrives", 20)
        place.edit("books", second, {"city": "Roscoff"})
        took = until(lambda: "Roscoff" in json.dumps(place.records("erp")), "the next edit arrives", 20)
        assert took < 10  # a write of the slow system takes more than a minute
        assert "Roscoff" not in json.dumps(place.records("lsp"))
        place.sandbox.clear_faults()
        until(lambda: "Roscoff" in json.dumps(place.records("lsp")), "its own arrive, too", 60)
        assert not any(line["event"] == "crashed" for line in lines(child))
    assert place.sync()["quiescent"]
    assert judge(place) == []


def test_files_that_are_swapped_are_followed(make: Make) -> None:
    """A config folder behind a symbolic link, as Kubernetes mounts one, is read again when the link is turned; a broken one stops nothing."""
    port = free_port()
    place = make(service={"web": {"listen": f"127.0.0.1:{port}"}}, poll="1s")
    first = place.folder / "first"
    place.config.rename(first)
    (place.folder / "..data").symlink_to("first")
    place.config.mkdir()
    (place.config / "syncd.toml").symlink_to("../..data/syncd.toml")
    (place.config / "tenants").symlink_to("../..data/tenants")
    with running(place, port) as child:

        def turn(name: str, change: Callable[[str], str]) -> None:
            new = place.folder / name
            (new / "tenants").mkdir(parents=True)
            (new / "syncd.toml").write_text((first / "syncd.toml").read_text())
            (new / "tenants" / "demo.toml").write_text(change((first / "tenants" / "demo.toml").read_text()))
            (place.folder / "..new").symlink_to(name)
            (place.folder / "..new").replace(place.folder / "..data")

        def started() -> int:
            return sum(line["event"] == "tenant_started" for line in lines(child))

        turn("second", lambda text: text.replace('country = "FR"', 'country = "BE"', 1))
        until(lambda: started() == 2, "the tenant starts again")
        turn("third", lambda text: text + "\n[nonsense]\n")
        until(lambda: any(line["event"] == "config_broken" for line in lines(child)), "the problem is told")
        turn("fourth", lambda text: text)
        until(lambda: started() == 3 and answers(port), "it works again")


def test_a_broken_file_stops_its_tenant_only(make: Make) -> None:
    """A tenant's file that breaks while the service runs stops that tenant and no other; mended, it goes on by itself."""
    port = free_port()
    place = make(service={"web": {"listen": f"127.0.0.1:{port}"}}, poll="500ms", systems=("books", "lsp"))
    write_config(
        place.sandbox, place.folder, "other", poll="500ms", systems=("erp", "receipts"),
        service={"web": {"listen": f"127.0.0.1:{port}"}, "database": place.database},
    )  # fmt: skip
    file = place.config / "tenants" / "demo.toml"
    whole = file.read_text()
    with running(place, port) as child:
        file.write_text(whole + "\n[nonsense]\n")
        until(lambda: any(line["event"] == "tenant_stopped" for line in lines(child)), "the tenant stops")
        stopped, others = cycles(child, "demo"), cycles(child, "other")
        until(lambda: cycles(child, "other") >= others + 3, "the other tenant goes on")
        assert cycles(child, "demo") == stopped
        [told] = [line for line in lines(child) if line["event"] == "config_broken"]
        assert told["tenant"] == "demo"
        file.write_text(whole)
        until(lambda: cycles(child, "demo") > stopped, "it works again")
        assert not any(line["event"] == "crashed" for line in lines(child))


def test_an_end_in_the_middle_of_a_push_leaves_nothing_in_doubt(make: Make) -> None:
    """SIGTERM while a slow system takes writes: the one under way gets its answer, no other begins, and all is over within 10 seconds."""
    port = free_port()
    place = make(clients=1, service={"web": {"listen": f"127.0.0.1:{port}"}}, poll="500ms")
    place.sync()
    for number in range(8):
        raw = {"name": f"Quai {number} SARL", "email": f"q{number}@quai.example", "city": "Brest", "country_id": 75}
        place.create("books", {**raw, "postal_code": "29200", "address": f"{number + 1} quai Sud"})
    place.sandbox.fault("stall", provider="lsp_expert", method="POST", seconds=1.5, times=0)
    child = place.start("run")
    until(lambda: sum(line["event"] == "write_sending" for line in lines(child)) >= 2, "a push is under way")
    began = time.monotonic()
    child.signal(signal.SIGTERM)
    result = child.wait(20)
    took = time.monotonic() - began
    assert result.code == 0, result.err[-500:]
    assert took < 10
    words = [word for state in WRITE_STATES for word in ("--state", state)]
    writes = place.ask("outbox", *words)["writes"]
    creates = [write["state"] for write in writes if write["action"] == "create" and write["system"] == "lsp"]
    assert set(creates) <= {"waiting", "done"}
    assert creates.count("done") >= 1
    assert creates.count("waiting") >= 1
    place.sandbox.clear_faults()
    assert place.sync()["quiescent"]
    assert judge(place) == []


def test_a_backlog_in_one_system_holds_up_no_other(make: Make) -> None:
    """While one system takes 2 seconds for each of 15 writes, an edit travels between the others long before they are through."""
    port = free_port()
    place = make(clients=1, service={"web": {"listen": f"127.0.0.1:{port}"}}, poll="500ms")
    place.sync()
    [edited] = [str(raw["id"]) for raw in place.records("books")][:1]
    for number in range(15):
        raw = {"name": f"Quai {number} SARL", "email": f"q{number}@quai.example", "city": "Brest", "country_id": 75}
        place.create("books", {**raw, "postal_code": "29200", "address": f"{number + 1} quai Sud"})
    place.sandbox.fault("stall", provider="lsp_expert", method="POST", seconds=2, times=0)
    with running(place, port) as child:
        until(lambda: any(line["event"] == "write_sending" for line in lines(child)), "a push is under way")
        place.edit("books", edited, {"city": "Quimper"})
        took = until(lambda: "Quimper" in json.dumps(place.records("erp")), "the edit arrives", 29)
        waiting = [row for row in place.ask("outbox")["writes"] if row["system"] == "lsp"]
        assert len(waiting) >= 3, took
        place.sandbox.clear_faults()
        until(lambda: place.ask("outbox")["writes"] == [], "the rest arrives")
    assert place.sync()["quiescent"]
    assert judge(place) == []
