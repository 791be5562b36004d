"""What is refused, and in which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd import config as configuration
from syncd.config.problems import Problems
from syncd.config.tenants import _shaped
from syncd.errors import ConfigError

SECRET = "literal-S3cr3t-value"


def problems(config) -> list[str]:
    """The problems of a folder, without the folder's own path."""
    with pytest.raises(ConfigError) as caught:
        configuration.load_strict(config.folder)
    return [line.removeprefix(f"{config.folder}/") for line in caught.value.problems]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("polll = 1", "systems.books.polll: unknown key; allowed: auth_url, base_url, mode, on_delete, only"),
        ("polll = 1", "; did you mean `poll`?"),
        ("poll = 5", "systems.books.poll: found 5; allowed: a time in quotes"),
        ('poll = "5 m"', 'systems.books.poll: found "5 m"; allowed: a time in quotes'),
        ('poll = "366d"', 'systems.books.poll: found "366d"; allowed: a time in quotes'),
        ('poll = "\\u0665m"', "systems.books.poll: found"),
        ('timeout = "0s"', 'systems.books.timeout: found "0s"; allowed: a time above "0s"'),
        (
            'mode = "write"',
            'systems.books.mode: found "write"; allowed: "observe", "create-only", "update-only" or "sync"',
        ),
        ("mode = true", "systems.books.mode: found true; allowed"),
        ("page_size = 0", "systems.books.page_size: found 0; allowed: a number of at least 1"),
        ('page_size = "7"', 'systems.books.page_size: found "7"; allowed: a whole number'),
        ("page_size = true", "systems.books.page_size: found true; allowed: a whole number"),
        ("requests_per_second = 0", "systems.books.requests_per_second: found 0; allowed: a number above 0"),
        ("requests_per_second = nan", "systems.books.requests_per_second: found nan; allowed: a "),
        ('only = "("', "systems.books.only: found "),
        (
            'base_url = "http://shop.example"',
            "systems.books.base_url: a value that is not shown; allowed: https:// only",
        ),
        ('base_url = "http://127.0.0.1:9"', "https:// only, unless syncd.toml sets limits.allow_insecure_loopback"),
        ('base_url = "https://u:pw@shop.example"', "without user name or password"),
        ('base_url = "https://shop.example/?a=1"', "without query or fragment"),
        ('base_url = "https://[::1"', "systems.books.base_url: a value that is not shown; allowed: an address"),
        ('base_url = "shop.example"', "systems.books.base_url: a value that is not shown; allowed: an address"),
        (
            'auth_url = "http://login.example"',
            "systems.books.auth_url: a value that is not shown; allowed: https:// only",
        ),
        ("auth_url = 7", "systems.books.auth_url: a value that is not shown; allowed: a text in quotes"),
        (
            'on_delete = "delete"',
            'systems.books.on_delete: found "delete", which shop cannot do; allowed: "archive" or "ignore"',
        ),
        ('shop = "x"', "systems.books.shop: found no number; allowed: a number"),
        ("shop = 0", "systems.books: nobody is there"),
        ("shop = [1]", "systems.books: the provider stumbled over these keys (TypeError)"),
    ],
)
def test_key_of_a_system_is_refused(config, shop, text, expected) -> None:
    """A key of a system that is unknown, of a wrong type or out of range is told with what is allowed."""
    config.tenant(shop + text)
    (line,) = problems(config)
    assert line.startswith("tenants/acme.toml: ")
    assert expected in line


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            "[tenants]",
            "tenants: unknown key; allowed: brakes, deletes, fields, matching, notify, retention, systems, tenant, timing; did you mean `tenant`?",
        ),
        ("tenant = 5", "tenant: found 5; allowed: a table"),
        ("brakes = [[1]]", "brakes: found a list of 1; allowed: a table"),
        ('[tenant]\ncountry = "fr"', 'tenant.country: found "fr"; allowed: a country of ISO 3166-1'),
        ('[tenant]\ncountry = "XX"', 'tenant.country: found "XX"; allowed: a country of ISO 3166-1'),
        ('[tenant]\nlanguage = "klingon"', 'tenant.language: found "klingon"; allowed: a language of BCP 47'),
        ('[tenant]\nenabled = "no"', 'tenant.enabled: found "no"; allowed: true or false'),
        (
            '[tenant]\nmerge = "auto"',
            "tenant.merge: unknown key; allowed: country, enabled, first_run, language, merges",
        ),
        ("[brakes]\ndeletes = 5", "brakes.deletes: found 5; allowed: a table"),
        (
            "[brakes]\ndeletes = { cout = 5 }",
            "brakes.deletes.cout: unknown key; allowed: count, share; did you mean `count`?",
        ),
        ("[brakes]\ndeletes = { share = 10 }", "brakes.deletes.share: found 10; allowed: a number of at most 1"),
        ('[timing]\nsettle = "soon"', 'timing.settle: found "soon"; allowed: a time in quotes'),
        (
            '[deletes]\non_delete = "never"',
            'deletes.on_delete: found "never"; allowed: "archive", "ignore" or "delete"',
        ),
        ("[fields.emial]", "fields.emial: unknown field; allowed: address, archived"),
        ("[fields.emial]", "did you mean `email`?"),
        ("[fields.city]", "fields.city: city is a part of address, which is merged as one; allowed: [fields.address]"),
        (
            "[fields.email]\nfrm = []",
            "fields.email.frm: unknown key; allowed: from, order, rule, to; did you mean `from`?",
        ),
        (
            '[fields.email]\nrule = "first"',
            'fields.email.rule: found "first"; allowed: "order", "newest", "fill" or "hold"',
        ),
        (
            '[fields.email]\norder = ["boks"]',
            'fields.email.order[0]: found "boks", no system of this file; allowed: books; did',
        ),
        ('[fields.email]\norder = ["books", "books"]', 'fields.email.order[1]: found "books" twice'),
        ('[fields.email]\nfrom = ["x"]', 'fields.email.from[0]: found "x", no system of this file; allowed: books'),
        ('[fields.email]\nto = ["books"]', 'fields.email.to[0]: found "books", which has mode = "observe"'),
        ('[fields.email]\nto = "books"', 'fields.email.to: found "books"; allowed: a list in brackets'),
        ('[fields.email]\nrule = "hold"\norder = ["books"]', "fields.email.order: found with rule"),
        (
            '[systems.golden]\nprovider = "shop"\ntoken = "env:SHOP_TOKEN"\nshop = 2',
            "systems.golden: found a name with a meaning",
        ),
        (
            '[systems."A b"]\nprovider = "shop"\ntoken = "env:SHOP_TOKEN"\nshop = 2',
            'systems."A b": found this name; allowed: a-z',
        ),
        (
            '[systems.two]\nprovider = "shoop"',
            'systems.two.provider: found "shoop"; allowed: flowtly, lsp_expert, memory',
        ),
        ('[systems.two]\nprovider = "shoop"', "did you mean `shop`?"),
        ('[systems.two]\nmode = "sync"', "systems.two.provider: missing; allowed: it is required"),
        ('[systems.two]\nprovider = "shop"', "systems.two: found no credentials; allowed: password, token, username"),
        (
            '[systems.two]\nprovider = "shop"\ntoken = "env:SHOP_TOKEN"',
            "systems.two: the same connection as systems.books",
        ),
        (
            '[systems.two]\nprovider = "shop"\nusername = "env:SHOP_TOKEN"',
            "systems.two.password: missing, though username is given; allowed: both username and password",
        ),
    ],
)
def test_section_is_refused(config, shop, text, expected) -> None:
    """A section, rule or system that is unknown or impossible is told with what is allowed."""
    config.tenant(f"{text}\n{shop}" if text.startswith(("tenant =", "brakes =")) else f"{shop}{text}")
    (line,) = problems(config)
    assert expected in line


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a = ", "tenants/acme.toml: line 1, column 5: not TOML (Invalid value); allowed: TOML 1.0"),
        ("a = 1\na = 2", "tenants/acme.toml: line 2, column 6: not TOML (Cannot overwrite a value)"),
        ("a = '''", "tenants/acme.toml: last line: not TOML ("),
        ("a = " + "[" * 5000, "tenants/acme.toml: found tables or lists within each other too deeply"),
        ("a = " + "1" * 5000, "tenants/acme.toml: not TOML ("),
        ("#" * 1_048_577, "tenants/acme.toml: longer than 1048576 bytes"),
        ("[systems]", "tenants/acme.toml: systems: found none; allowed: at least one section [systems.NAME]"),
        ("", "tenants/acme.toml: systems: found none; allowed: at least one section [systems.NAME]"),
    ],
)
def test_file_as_such_is_refused(config, text, expected) -> None:
    """A file that is no TOML is told with line and column, and one that is empty or too long as what it is."""
    config.tenant(text)
    (line,) = problems(config)
    assert line.startswith(expected)


def test_file_that_is_no_text(config) -> None:
    """Bytes that are no UTF-8 are told with their line."""
    config.tenant("").write_bytes(b"# a\n# \xff\n")
    assert problems(config) == ["tenants/acme.toml: line 2: found bytes that are no text; allowed: UTF-8"]


def test_file_that_cannot_be_read(config) -> None:
    """A file that cannot be opened is told with the system's reason."""
    (config.folder / "tenants" / "acme.toml").mkdir()
    assert problems(config) == ["tenants/acme.toml: cannot be read (Is a directory)"]


@pytest.mark.parametrize("name", ["Acme.toml", "-a.toml", "a b.toml", "é.toml", "a" * 64 + ".toml", "acme\n.toml"])
def test_name_of_a_tenants_file(config, shop, name) -> None:
    """A file whose name cannot be a tenant's name is refused, however valid its content."""
    config.tenant(shop, name)
    (line,) = problems(config)
    assert ": file name: found " in line
    assert "\n" not in line.removeprefix(f"tenants/{name}")


@pytest.mark.parametrize(
    "value",
    [
        f'"{SECRET}"',
        f'"plain:{SECRET}"',
        f'["{SECRET}"]',
        f'{{ value = "{SECRET}" }}',
        f'"env:{SECRET}!"',
        f'"file:{SECRET}"',
    ],
)
def test_literal_secret_is_refused_and_not_shown(config, value) -> None:
    """A secret that is no reference is refused without repeating it."""
    config.tenant(f'[systems.books]\nprovider = "shop"\ntoken = {value}\n')
    (line,) = problems(config)
    assert "systems.books.token: a text that is not shown, and no reference to a secret" in line
    assert '"env:NAME", "file:/path" or "keyring:service/name"' in line
    assert SECRET not in line


def test_value_of_an_unknown_key_is_not_shown(config, shop) -> None:
    """A key that nobody knows may hold a secret, so its value is never repeated."""
    config.tenant(f'{shop}pasword = "{SECRET}"\n[tenant]\npassword = "{SECRET}"\n')
    text = "\n".join(problems(config))
    assert "systems.books.pasword: unknown key" in text
    assert "tenant.password: unknown key" in text
    assert SECRET not in text


def test_secret_in_an_address_is_not_shown(config, shop) -> None:
    """A password within an address of a system or of the database is never repeated."""
    config.service(f'database = "mysql://root:{SECRET}@host/db"')
    config.tenant(f'{shop}base_url = "https://root:{SECRET}@host/"')
    text = "\n".join(problems(config))
    assert "syncd.toml: database: a value that is not shown; allowed: " in text
    assert SECRET not in text


def test_all_problems_of_all_files_at_once(config, shop) -> None:
    """Problems of syncd.toml and of every tenant, of every kind, come in one error."""
    config.service('[log]\nlevel = "loud"\n[web]\nlisten = "nowhere"\n')
    config.tenant(f'{shop}polll = 1\n[tenant]\nfirst_run = "soon"\n[fields.emial]\n', "a.toml")
    config.tenant("= =", "b.toml")
    config.tenant('[systems.books]\nprovider = "shop"\ntoken = "env:NOT_SET"\n', "c.toml")
    lines = problems(config)
    assert [line.split(": ")[0] for line in lines].count("syncd.toml") == 2
    assert {line.split(": ")[0] for line in lines} == {f"tenants/{name}.toml" for name in "abc"} | {"syncd.toml"}
    assert any("polll" in line for line in lines)
    assert any("first_run" in line for line in lines)
    assert any("environment variable NOT_SET is not set" in line for line in lines)


def test_wrong_shape_hides_nothing(config, shop) -> None:
    """What is wrong with the shape of one key keeps no other problem of the file from being told, and invents none."""
    text = """
poll = 5
mode = "al"
shop = "x"
[systems.two]
mode = "sync"
[systems.three]
provider = "shop"
token = "env:NOT_SET"
[fields.email]
order = ["two", "four", 5]
to = ["books", "two"]
[fields.city]
rule = 1
[brakes]
clears = 3
"""
    told = {line.split(": ")[1] for line in problems_of(config, shop + text)}
    assert told == {
        *(
            "systems.books.poll",
            "systems.books.mode",
            "systems.books.shop",
            "systems.two.provider",
            "systems.three.token",
        ),
        *("fields.email.order[2]", "fields.city.rule", "fields.city", "brakes.clears"),
    }


def problems_of(config, text: str) -> list[str]:
    """The problems of one tenant's file."""
    config.tenant(text)
    return problems(config)


def test_control_characters_are_written_out(config) -> None:
    """Names and values in a problem cannot write to the terminal."""
    config.tenant('[systems."a\\u001b[2Jb"]\nprovider = "x\\u001b[2J\\ny"\n')
    for line in problems(config):
        assert line.isprintable()


def test_loopback_http_needs_permission(config, shop) -> None:
    """With limits.allow_insecure_loopback http:// is allowed on this machine, and nowhere else."""
    config.service("[limits]\nallow_insecure_loopback = true\n")
    config.tenant(f'{shop}base_url = "http://127.0.0.1:8080/v1"')
    (settings,) = configuration.load_strict(config.folder).tenants[0].systems
    assert settings.base_url == "http://127.0.0.1:8080/v1"
    assert settings.insecure_loopback
    for host in ("10.0.0.1", "127.0.0.1.example", "0.0.0.0", "localhost.example"):  # noqa: S104 - an address to refuse
        config.tenant(f'{shop}base_url = "http://{host}/v1"')
        (line,) = problems(config)
        assert "http:// can be allowed for loopback alone" in line


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["systems", "fields", "x", "provider", "mode", "order", "email", "deletes"]), inner
            )
        ),
        max_leaves=20,
    )
)
def test_no_document_stops_the_reading(value) -> None:
    """Whatever a document holds under the known sections, reading it ends with problems and not with an error."""
    for section in ("tenant", "systems", "fields", "deletes", "brakes", "timing"):
        found = Problems("x.toml")
        _shaped({section: value}, found)
        assert all(line.isprintable() for line in found.lines)
