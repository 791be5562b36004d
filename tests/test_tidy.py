"""What a reviewer would have to remember."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from syncd import log, providers
from syncd.core.model import FIELDS
from syncd.providers.http import Http

ROOT = Path(__file__).resolve().parents[1]
MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 70

SOURCES = sorted((ROOT / "syncd").rglob("*.py"))
MIGRATIONS = sorted((ROOT / "migrations").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PYTHON = [*SOURCES, *MIGRATIONS, *TESTS]
TEXTS = [
    *PYTHON,
    *(
        path
        for pattern in (
            "*.toml",
            "*.md",
            "*.yml",
            "*.lock",
            "Makefile",
            "Dockerfile",
            "LICENSE",
            ".gitignore",
            ".dockerignore",
            ".ci/*",
        )
        for path in ROOT.glob(pattern)
    ),
    *(
        path
        for folder in ("config", "syncd", "tests", "docs")
        for kind in ("*.toml", "*.md", "*.html", "*.json")
        for path in (ROOT / folder).rglob(kind)
    ),
]


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def imports(path: Path) -> set[str]:
    """The top-level names of the packages a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_modules_fit_on_a_few_screens() -> None:
    """No module of syncd is longer than 500 lines."""
    lengths = {names(path): len(path.read_text(encoding="utf-8").splitlines()) for path in [*SOURCES, *MIGRATIONS]}
    assert {path: length for path, length in lengths.items() if length > MAX_MODULE_LINES} == {}


def test_functions_fit_on_one_screen() -> None:
    """No function of syncd is longer than 70 lines."""
    long = {
        f"{names(path)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path in SOURCES
        for node in functions(path)
        if node.end_lineno is not None and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    }
    assert long == {}


def test_only_the_command_line_prints() -> None:
    """print() is called by syncd.cli alone."""
    printing = [
        f"{names(path)}:{node.lineno}"
        for path in SOURCES
        if not names(path).startswith("syncd/cli")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


def test_every_suppression_names_its_rule() -> None:
    """Each `type: ignore` and `noqa` says what it suppresses."""
    bare = re.compile(r"#\s*(type:\s*ignore(?!\[)|noqa(?!:))")
    assert [
        f"{names(path)}:{number}"
        for path, number, line in lines(PYTHON)
        if path != Path(__file__) and bare.search(line)
    ] == []


def test_no_marks_of_unfinished_work() -> None:
    """Nothing is marked as to be done later."""
    marks = re.compile(r"\b({})\b".format("|".join(("TO" + "DO", "FIX" + "ME", "HA" + "CK"))))
    assert [f"{names(path)}:{number}" for path, number, line in lines(PYTHON) if marks.search(line)] == []


def test_no_package_registry_is_named() -> None:
    """No file names a package registry's host: where packages come from is the machine's business."""
    hosts = [
        ".".join(parts)
        for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("proxy", "golang"))
    ]
    found = [f"{names(path)}:{number}" for path, number, line in lines(TEXTS) if any(host in line for host in hosts)]
    assert found == []


def test_no_path_of_a_machine() -> None:
    """No file names a path of the machine on which it was written."""
    paths = [f"/{folder}/" for folder in ("work", "root", "home")] + ["/tmp/" + "build", "../" + "shared", str(ROOT)]
    found = [f"{names(path)}:{number}" for path, number, line in lines(TEXTS) if any(text in line for text in paths)]
    assert found == []


def lines(paths: list[Path]) -> Iterator[tuple[Path, int, str]]:
    for path in paths:
        if path.is_file():
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                yield path, number, line


def test_core_has_no_clock_and_no_chance() -> None:
    """Nothing in the core asks for the time of day, for randomness or for the environment."""
    asking = {
        "now",
        "utcnow",
        "today",
        "time",
        "monotonic",
        "perf_counter",
        "random",
        "uuid4",
        "uuid1",
        "urandom",
        "getenv",
        "environ",
    }
    found = [
        f"{names(path)}:{node.lineno} {node.attr}"
        for path in SOURCES
        if names(path).startswith("syncd/core/")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in asking
    ]
    assert found == []


@pytest.mark.parametrize(
    "package, allowed",
    [
        ("httpx", ["syncd/providers/http.py"]),
        ("httpcore", ["syncd/providers/http.py", "syncd/providers/wire.py"]),
        ("sqlalchemy", ["syncd/store/", "migrations/"]),
        ("alembic", ["syncd/store/", "migrations/"]),
        ("psycopg", ["syncd/store/"]),
        ("sqlite3", ["syncd/store/"]),
        ("structlog", ["syncd/log/"]),
        ("opentelemetry", ["syncd/spans.py"]),
        ("tomllib", ["syncd/config/"]),
        ("pydantic", ["syncd/config/"]),
        ("pydantic_settings", ["syncd/config/"]),
    ],
)
def test_libraries_stay_where_they_belong(package, allowed) -> None:
    """Each of these libraries is imported in one place only."""
    importing = [names(path) for path in [*SOURCES, *MIGRATIONS] if package in imports(path)]
    assert [path for path in importing if not path.startswith(tuple(allowed))] == []


OPTIONS: dict[str, dict[str, object]] = {
    "tiime": {"company_id": 1, "token": "a ready token"},
    "lsp_expert": {"api_key": "a key"},
    "smartbills": {"dialect": "v1", "business_id": "1", "token": "a ready token"},
    "flowtly": {"token": "a ready token", "defaults": {"status": "active"}},
    "memory": {},
}


@pytest.mark.parametrize("name", sorted(providers.REGISTRY))
def test_provider_declares_every_field(name) -> None:
    """Each shipped provider says of every canonical field what it can do with it, and explains each of its keys."""
    made = providers.load(name)
    assert made.secret_keys <= set(made.option_keys)
    assert all(isinstance(text, str) and text for text in made.option_keys.values())
    settings = providers.Settings(system="here", provider=name, insecure_loopback=True, options=OPTIONS[name])
    http = Http(settings, made.default_base_url)
    try:
        assert sorted(set(FIELDS) ^ set(made(settings, http).fields)) == []
    finally:
        http.close()


def test_every_logged_event_is_in_the_catalogue() -> None:
    """Each event that syncd's code logs by name is explained in syncd.log.EVENTS."""
    levels = {"debug", "info", "warning", "error", "exception", "critical"}
    unknown = [
        f"{names(path)}:{node.lineno} {node.args[0].value}"
        for path in SOURCES
        if not names(path).startswith("syncd/log/")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in levels
        and node.args
        if isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
        and "log" in ast.unparse(node.func.value).lower()
        if node.args[0].value not in log.EVENTS
    ]
    assert unknown == []


def test_every_key_that_is_logged_is_allowed() -> None:
    """Each key that syncd's code logs by name gets through."""
    levels = {"debug", "info", "warning", "error", "exception", "critical"}
    dropped = [
        f"{names(path)}:{node.lineno} {keyword.arg}"
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in levels
        if "log" in ast.unparse(node.func.value).lower()
        for keyword in node.keywords
        if keyword.arg not in {None, "exc_info", *log.KEYS}
    ]
    assert dropped == []


def test_every_test_says_what_it_shows() -> None:
    """Each test has a docstring of one sentence, or more."""
    silent = [
        f"{names(path)}:{node.lineno} {node.name}"
        for path in TESTS
        if path.name.startswith("test_")
        for node in functions(path)
        if node.name.startswith("test_") and not (ast.get_docstring(node) or "").strip().endswith((".", "?"))
    ]
    assert silent == []
