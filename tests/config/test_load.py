"""What a config folder becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd import config as configuration
from syncd import providers
from syncd.core.model import Brake, BrakeKind, FieldPolicy, Mode, Rule, Timing
from syncd.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]

EVERY_SECRET = {
    name: f"value-of-{name}"
    for name in (
        "ACME_TIIME_USER",
        "ACME_TIIME_PASSWORD",
        "ACME_LSP_KEY",
        "ACME_SMARTBILLS_KEY",
        "ACME_FLOWTLY_USER",
        "ACME_FLOWTLY_PASSWORD",
    )
}

ACME = """
[tenant]
first_run = "go"
country   = "BE"
language  = "nl-BE"
merges    = "auto"

[systems.books]
provider = "tiime"
mode     = "sync"
poll     = "5m"
company_id = 4242
username = "env:ACME_TIIME_USER"
password = "env:ACME_TIIME_PASSWORD"

[systems.lsp]
provider = "lsp_expert"
mode     = "sync"
api_key  = "env:ACME_LSP_KEY"
on_delete = "ignore"

[systems.receipts]
provider = "smartbills"
mode     = "create-only"
dialect  = "v1"
business_id = "881"
token    = "env:ACME_SMARTBILLS_KEY"
only     = 'kind == "person" and email != ""'

[systems.erp]
provider = "flowtly"
mode     = "sync"
poll     = "0s"
username = "env:ACME_FLOWTLY_USER"
password = "env:ACME_FLOWTLY_PASSWORD"
defaults = { country = "/countries/FR", currency = "/currencies/EUR", status = "active", tin_type = "other", contact_type = "billing" }
archived_status = "inactive"

[fields.email]
rule = "newest"
order = ["lsp", "books"]
[fields.address]
from = ["books"]

[deletes]
on_delete = "archive"
[brakes]
deletes = { count = 7, share = 0.25 }
clears = { count = 0 }
write_budget = { writes = 5 }
[timing]
create_settle = "0s"
stale_read    = "200ms"
confirm_delete_after = "1h"
settle = "2d"
"""


def test_shipped_files_load(monkeypatch) -> None:
    """The shipped syncd.toml and example tenant are valid, start nothing, and need no secret."""
    loaded = configuration.load_strict(ROOT / "config")
    assert [tenant.name for tenant in loaded.tenants] == ["example"]
    assert not loaded.tenants[0].enabled
    assert loaded.tenants[0].policy.systems[0].mode is Mode.OBSERVE
    assert loaded.warnings == ()


def test_shipped_files_name_every_key() -> None:
    """Every key that the models know is in the shipped files."""
    from syncd.config import shape  # noqa: PLC0415 - the module is not what the other tests go by

    service = (ROOT / "config" / "syncd.toml").read_text()
    tenant = (ROOT / "config" / "tenants" / "example.toml").read_text()
    for model in (shape.Service, shape.Log, shape.Web, shape.Limits, shape.Notify):
        assert all(name in service for name in model.model_fields)
    for model in (
        shape.TenantFile,
        shape.Tenant,
        shape.System,
        shape.FieldRule,
        shape.Deletes,
        shape.Brakes,
        shape.Timings,
        shape.Retention,
    ):
        assert all((field.alias or name) in tenant for name, field in model.model_fields.items())
    for model in (shape.BrakeLimit, shape.WriteBudget):
        assert all(f"{name} =" in tenant for name in model.model_fields)


@pytest.mark.parametrize("name", ["tiime", "lsp_expert", "smartbills", "flowtly"])
def test_example_names_every_key_of_a_provider(name) -> None:
    """Every key that a shipped provider takes is in the example tenant."""
    tenant = (ROOT / "config" / "tenants" / "example.toml").read_text()
    assert [key for key in providers.load(name).option_keys if key not in tenant] == []


def test_shipped_service_file_states_the_defaults(config) -> None:
    """A folder without syncd.toml behaves as one with the shipped file."""
    bare = configuration.load(config.folder).service
    config.service((ROOT / "config" / "syncd.toml").read_text())
    assert configuration.load(config.folder).service == bare


def test_tenant_becomes_policy_and_settings(config, monkeypatch) -> None:
    """Every key of a tenant's file arrives where the engine and the providers look for it."""
    for name, value in EVERY_SECRET.items():
        monkeypatch.setenv(name, value)
    path = config.tenant(ACME)
    (tenant,) = configuration.load_strict(config.folder).tenants
    policy = tenant.policy
    assert (tenant.name, tenant.file, tenant.enabled, policy.tenant) == ("acme", path, True, "acme")
    assert (policy.first_run, policy.merges, policy.context.country, policy.context.language) == (
        "go",
        "auto",
        "BE",
        "nl-BE",
    )
    assert [(system.name, system.provider, system.mode, system.on_delete) for system in policy.systems] == [
        ("books", "tiime", Mode.SYNC, "archive"),
        ("lsp", "lsp_expert", Mode.SYNC, "ignore"),
        ("receipts", "smartbills", Mode.CREATE_ONLY, "archive"),
        ("erp", "flowtly", Mode.SYNC, "archive"),
    ]
    only = policy.system("receipts").only
    assert only is not None
    assert only({"kind": "person", "email": "a@b.fr"})
    assert not only({"kind": "company", "email": "a@b.fr"})
    assert policy.system("books").only is None
    assert policy.fields["email"] == FieldPolicy(Rule.NEWEST, ("lsp", "books"))
    assert policy.field("email").order == ("lsp", "books", "receipts", "erp")
    assert policy.fields["address"].sources == frozenset({"books"})
    assert policy.fields["marketing_consent"].targets == frozenset()
    assert policy.brake(BrakeKind.DELETES) == Brake(7, 0.25)
    assert policy.brake(BrakeKind.CLEARS) == Brake(0, 0.10)
    assert policy.brake(BrakeKind.MERGES) == Brake()
    assert (policy.write_budget, policy.write_budget_cycles) == (5, 10)
    assert policy.timing == Timing(0.0, 0.2, 3600.0, 172_800.0)
    assert tenant.poll_seconds == {"books": 300.0, "lsp": 300.0, "receipts": 300.0, "erp": 0.0}
    assert tenant.systems[0].options == {
        "company_id": 4242,
        "username": "value-of-ACME_TIIME_USER",
        "password": "value-of-ACME_TIIME_PASSWORD",
    }
    assert tenant.systems[3].options["defaults"]["tin_type"] == "other"
    assert [settings.system for settings in tenant.systems] == ["books", "lsp", "receipts", "erp"]


def test_consent_is_written_where_the_file_says(config, shop) -> None:
    """Marketing consent is written nowhere unless the tenant's file names systems."""
    config.tenant(f'{shop}mode = "sync"\n[fields.marketing_consent]\nto = ["books"]\n')
    (tenant,) = configuration.load_strict(config.folder).tenants
    assert tenant.policy.field("marketing_consent").targets == frozenset({"books"})


def test_broken_tenant_stops_only_itself(config, shop) -> None:
    """`load` hands over the good tenants and tells about the broken ones; `load_strict` refuses all."""
    config.tenant(shop, "good.toml")
    config.tenant("nonsense", "bad.toml")
    loaded = configuration.load(config.folder)
    assert [tenant.name for tenant in loaded.tenants] == ["good"]
    assert set(loaded.broken) == {"bad"}
    assert "line 1, column 9" in loaded.broken["bad"][0]
    with pytest.raises(ConfigError, match=r"bad\.toml"):
        configuration.load_strict(config.folder)


def test_broken_service_file_stops_everything(config, shop) -> None:
    """Nothing can run on a broken syncd.toml; the tenants' problems are told along with it."""
    config.service("x = 1")
    config.tenant(shop, "good.toml")
    config.tenant("nonsense", "bad.toml")
    with pytest.raises(ConfigError) as caught:
        configuration.load(config.folder)
    assert [Path(line.split(":")[0]).name for line in caught.value.problems] == ["syncd.toml", "bad.toml"]


def test_paths_start_beside_the_config_folder(config, tmp_path, monkeypatch) -> None:
    """Relative paths in syncd.toml start at the parent of the config folder, wherever syncd was started."""
    monkeypatch.chdir("/")
    config.service('database = "sqlite:///data/x"\n[log]\nfile = "logs/y"\n')
    service = configuration.load(config.folder).service
    assert service.database == f"sqlite:///{tmp_path}/data/x"
    assert service.log_file == tmp_path / "logs" / "y"
    config.service('database = "sqlite:////srv/x"\n[log]\nfile = ""\n[web]\nlisten = ""\n')
    service = configuration.load(config.folder).service
    assert (service.database, service.log_file, service.web_listen) == ("sqlite:////srv/x", None, "")


def test_environment_wins_over_the_file(config, monkeypatch) -> None:
    """SYNCD_* variables win over syncd.toml, key by key, and the file over the defaults."""
    config.service('database = "sqlite:///file"\n[log]\nlevel = "error"\nformat = "json"\n')
    monkeypatch.setenv("SYNCD_DATABASE", "postgresql://syncd:pass-word-1@host/db")
    monkeypatch.setenv("SYNCD_LOG__LEVEL", "debug")
    monkeypatch.setenv("SYNCD_LIMITS__ALLOW_INSECURE_LOOPBACK", "true")
    monkeypatch.setenv("SYNCD_LOG__FILE", "")
    monkeypatch.setenv("SYNCD_CONFIG", "elsewhere")
    service = configuration.load(config.folder).service
    assert service.log_file is None
    assert service.database == "postgresql://syncd:pass-word-1@host/db"
    assert (service.log_level, service.log_format, service.allow_insecure_loopback) == ("debug", "json", True)


def test_database_may_be_a_reference(config, tmp_path) -> None:
    """An address with a password can be kept in a private file."""
    path = tmp_path / "database"
    path.write_text("postgresql://syncd:pass-word-2@host/db\n")
    path.chmod(0o600)
    config.service(f'database = "file:{path}"')
    assert configuration.load(config.folder).service.database == "postgresql://syncd:pass-word-2@host/db"
    path.write_text("something else")
    with pytest.raises(ConfigError, match="the reference leads to no database"):
        configuration.load(config.folder)


@pytest.mark.parametrize(
    "name, value, expected",
    [
        (
            "SYNCD_LOG__LEVEL",
            "loud",
            'environment: SYNCD_LOG__LEVEL: found "loud"; allowed: "debug", "info", "warning" or "error"',
        ),
        (
            "SYNCD_LOG__LEVLE",
            "info",
            "environment: SYNCD_LOG__LEVLE: unknown key; allowed: file, format, level; did you mean `level`?",
        ),
        ("SYNCD_LOG", "{", "environment: SYNCD_LOG, SYNCD_WEB or SYNCD_LIMITS: found no JSON"),
        ("SYNCD_WEB__LISTEN", "8484", 'environment: SYNCD_WEB__LISTEN: found "8484"; allowed: "ADDRESS:PORT"'),
        ("SYNCD_DATABASE", "sqlite://", "environment: SYNCD_DATABASE: a value that is not shown; allowed: "),
    ],
)
def test_wrong_environment_is_told_as_such(config, monkeypatch, name, value, expected) -> None:
    """A problem with a variable names the variable and not the file."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        configuration.load(config.folder)
    (line,) = caught.value.problems
    assert line.startswith(expected)


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            '[limits]\nallow_insecure_loopback = "true"',
            'limits.allow_insecure_loopback: found "true"; allowed: true or false',
        ),
        ("log = 1", "log: found 1; allowed: a table"),
        (
            "databse = 1",
            "databse: unknown key; allowed: database, limits, log, notify, state, tracing, web; did you mean `database`?",
        ),
        ("database = 1", "database: a value that is not shown; allowed: a text in quotes"),
        ('[web]\nlisten = "127.0.0.1:99999"', 'web.listen: found "127.0.0.1:99999"; allowed: "ADDRESS:PORT"'),
        ('database = "env:NOT_SET"', "database: environment variable NOT_SET is not set"),
    ],
)
def test_wrong_service_file(config, text, expected) -> None:
    """A wrong key of syncd.toml is told with what is allowed."""
    config.service(text)
    with pytest.raises(ConfigError) as caught:
        configuration.load(config.folder)
    (line,) = caught.value.problems
    assert line.startswith(f"{config.folder}/syncd.toml: {expected}")


def test_digest_follows_what_decides(config, shop, monkeypatch) -> None:
    """The policy's digest changes with whatever decides, and neither with a secret nor with the pace."""

    def digest(text: str) -> str:
        config.tenant(text)
        return configuration.load_strict(config.folder).tenants[0].policy.digest

    first = digest(shop)
    assert digest(f'{shop}poll = "1m"\ntimeout = "3s"\npage_size = 7\n# a comment') == first
    monkeypatch.setenv("SHOP_TOKEN", "another-token")
    monkeypatch.setenv("OTHER", "another-token")
    assert digest(shop.replace("SHOP_TOKEN", "OTHER")) == first
    others = [
        digest(shop + text)
        for text in (
            'mode = "sync"',
            "shop = 2",
            'base_url = "https://b.example"',
            "only = 'email != \"\"'",
            '[tenant]\nmerges = "auto"',
            '[fields.email]\nrule = "hold"',
            "[brakes]\ndeletes = { count = 1 }",
            '[deletes]\non_delete = "ignore"',
            '[timing]\nsettle = "1s"',
        )
    ]
    assert len({first, *others}) == len(others) + 1


def test_tenants_that_would_share_a_schema(config, shop) -> None:
    """On PostgreSQL two tenants whose names differ in - and _ only are both refused; on SQLite both run."""
    config.tenant(shop, "a-b.toml")
    config.tenant(shop, "a_b.toml")
    assert len(configuration.load_strict(config.folder).tenants) == 2
    config.service('database = "postgresql://host/db"')
    loaded = configuration.load(config.folder)
    assert loaded.tenants == ()
    assert set(loaded.broken) == {"a-b", "a_b"}


def test_other_files_are_not_syncds(config, shop) -> None:
    """Samples, hidden files and copies of an editor in the tenants' folder are left alone."""
    for name in ("acme.toml", "acme.toml.sample", ".hidden.toml", "acme.toml~", "README.md"):
        config.tenant(shop, name)
    assert [tenant.name for tenant in configuration.load_strict(config.folder).tenants] == ["acme"]


def test_folder_is_found(config, tmp_path, monkeypatch) -> None:
    """The folder is the one given, else $SYNCD_CONFIG, else ./config; one that is named must exist."""
    monkeypatch.chdir(tmp_path)
    assert configuration.find_folder(None) == Path("config")
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("SYNCD_CONFIG", str(other))
    assert configuration.find_folder(None) == other
    assert configuration.find_folder("config") == Path("config")
    with pytest.raises(ConfigError, match="nowhere: --config: no such folder"):
        configuration.find_folder("nowhere")
    monkeypatch.setenv("SYNCD_CONFIG", "nowhere")
    with pytest.raises(ConfigError, match="SYNCD_CONFIG: no such folder"):
        configuration.find_folder(None)
    with pytest.raises(ConfigError, match="no such folder"):
        configuration.load(tmp_path / "nowhere")


def test_fingerprint_follows_the_contents(config, shop) -> None:
    """The fingerprint changes when a file appears, changes or goes, and not when one is only touched."""
    empty = configuration.fingerprint(config.folder)
    path = config.tenant(shop)
    one = configuration.fingerprint(config.folder)
    path.touch()
    assert configuration.fingerprint(config.folder) == one
    config.tenant(f"{shop}#")
    two = configuration.fingerprint(config.folder)
    path.unlink()
    assert configuration.fingerprint(config.folder) == empty
    assert len({empty, one, two}) == 3
