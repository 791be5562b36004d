"""References to secrets, and what may be wrong with what they lead to."""

from __future__ import annotations

import os
import sys
from types import ModuleType

import pytest

from syncd import config as configuration
from syncd import log
from syncd.errors import ConfigError

VALUE = "correct-horse-battery"


def options(config, reference: str):
    config.tenant(f'[systems.books]\nprovider = "shop"\ntoken = "{reference}"\n')
    return configuration.load_strict(config.folder).tenants[0].systems[0].options


def problem(config, reference: str) -> str:
    with pytest.raises(ConfigError) as caught:
        options(config, reference)
    (line,) = caught.value.problems
    return line


def test_environment(config, monkeypatch) -> None:
    """env:NAME is the value of an environment variable."""
    monkeypatch.setenv("SHOP_KEY", VALUE)
    assert options(config, "env:SHOP_KEY") == {"token": VALUE}


def test_file(config, tmp_path) -> None:
    """file:/path is the content of a private file without its last line break."""
    path = tmp_path / "key"
    path.write_text(f"{VALUE}\n")
    path.chmod(0o600)
    assert options(config, f"file:{path}") == {"token": VALUE}


def test_file_of_a_group_is_a_warning(config, tmp_path) -> None:
    """A secret that its group can read works, and is warned about."""
    path = tmp_path / "key"
    path.write_text(VALUE)
    path.chmod(0o640)
    options(config, f"file:{path}")
    assert configuration.load(config.folder).warnings == (f"{path} can be read by its group (mode 0640)",)


def test_file_of_everybody_is_refused(config, tmp_path) -> None:
    """A secret that every user can read is refused, with the command that mends it."""
    path = tmp_path / "key"
    path.write_text(VALUE)
    path.chmod(0o644)
    line = problem(config, f"file:{path}")
    assert "can be read by every user of this machine (mode 0644)" in line
    assert f"chmod o-rwx {path}" in line


def test_keyring(config, monkeypatch) -> None:
    """keyring:service/name asks the keyring."""
    keyring = ModuleType("keyring")
    keyring.get_password = lambda service, name: f"{VALUE}-{service}-{name}"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    assert options(config, "keyring:shop/acme") == {"token": f"{VALUE}-shop-acme"}


def test_keyring_without_an_entry_or_a_back_end(config, monkeypatch) -> None:
    """A keyring that has no such entry, cannot be used or is not installed is told as that."""
    keyring = ModuleType("keyring")
    keyring.get_password = lambda *_: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    assert "the keyring has no entry shop/acme" in problem(config, "keyring:shop/acme")
    keyring.get_password = lambda *_: 1 / 0  # type: ignore[attr-defined]
    assert "the keyring cannot be used (ZeroDivisionError)" in problem(config, "keyring:shop/acme")
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert "the keyring library is not installed" in problem(config, "keyring:shop/acme")


@pytest.mark.parametrize(
    "content, expected",
    [
        (b"", "leads to an empty secret"),
        (b"  \n", "leads to an empty secret"),
        (b"two\nlines", "more than one line or to control characters"),
        (b"\xff", "is not UTF-8 text"),
        (b"x" * 65_537, "is longer than 65536 bytes"),
    ],
)
def test_file_that_holds_no_secret(config, tmp_path, content, expected) -> None:
    """A file that is empty, has several lines, is no text or is too long is refused."""
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    assert expected in problem(config, f"file:{path}")


def test_file_that_is_none(config, tmp_path) -> None:
    """A missing file, a folder and a pipe are told without waiting for anything."""
    assert "cannot be read (No such file or directory)" in problem(config, f"file:{tmp_path}/none")
    assert "is not a file" in problem(config, f"file:{tmp_path}")
    os.mkfifo(tmp_path / "pipe")
    assert "is not a file" in problem(config, f"file:{tmp_path}/pipe")


def test_variable_that_is_not_set(config) -> None:
    """A missing environment variable is told by its name."""
    assert "systems.books.token: environment variable NOT_SET is not set" in problem(config, "env:NOT_SET")


def test_resolved_secret_is_masked_in_logs_and_not_shown_by_repr(config, monkeypatch) -> None:
    """What a reference led to is masked in logs, and the settings do not show it when printed."""
    monkeypatch.setenv("SHOP_KEY", VALUE)
    options(config, "env:SHOP_KEY")
    assert log.clean(f"x {VALUE} y") == "x [secret] y"
    assert VALUE not in repr(configuration.load(config.folder))


def test_name_of_a_user_may_be_written_out(config, monkeypatch) -> None:
    """A user name is a reference or is written out; any other key may be a reference, too."""
    monkeypatch.setenv("SHOP_KEY", VALUE)
    monkeypatch.setenv("LOGIN", "https://login.example")
    text = '[systems.books]\nprovider = "shop"\nusername = "acme"\npassword = "env:SHOP_KEY"\nauth_url = "env:LOGIN"\n'
    config.tenant(text)
    (settings,) = configuration.load_strict(config.folder).tenants[0].systems
    assert settings.options == {"username": "acme", "password": VALUE, "auth_url": "https://login.example"}


def test_disabled_tenant_needs_no_secret(config) -> None:
    """A disabled tenant is validated without its secrets and carries none."""
    config.tenant('[tenant]\nenabled = false\n[systems.books]\nprovider = "shop"\nshop = 3\ntoken = "env:NOT_SET"\n')
    (tenant,) = configuration.load_strict(config.folder).tenants
    assert not tenant.enabled
    assert tenant.systems[0].options == {"shop": 3}
    config.tenant(f'[tenant]\nenabled = false\n[systems.books]\nprovider = "shop"\ntoken = "{VALUE}"\n')
    with pytest.raises(ConfigError, match="no reference to a secret"):
        configuration.load_strict(config.folder)
