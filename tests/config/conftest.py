"""A config folder to write into, and a provider of a kind that is not shipped."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from syncd import providers


class Shop:
    """A plug-in's provider, as far as the configuration looks at one."""

    option_keys: ClassVar[Mapping[str, str]] = {
        "shop": "which shop",
        "auth_url": "where tokens come from",
        "username": "login",
    }
    secret_keys: ClassVar[frozenset[str]] = frozenset({"username", "password", "token"})
    default_base_url = "https://shop.example/v1"
    capabilities = providers.Capabilities(create=True, update=True)

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> list[str]:
        """One rule about a key and one about the section."""
        problems = []
        if hash(options.get("shop", 1)) is None or not isinstance(options.get("shop", 1), int):
            problems.append("shop: found no number; allowed: a number")
        if options.get("shop") == 0:
            problems.append("nobody is there")
        return problems


class Config:
    """A config folder under a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "config"
        (self.folder / "tenants").mkdir(parents=True)

    def service(self, text: str) -> None:
        (self.folder / "syncd.toml").write_text(text, encoding="utf-8")

    def tenant(self, text: str, name: str = "acme.toml") -> Path:
        path = self.folder / "tenants" / name
        path.write_text(text, encoding="utf-8")
        return path


SHOP = '[systems.books]\nprovider = "shop"\ntoken = "env:SHOP_TOKEN"\n'
"""The least that makes a tenant."""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    module = ModuleType("shop_plug_in")
    module.Shop = Shop  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "shop_plug_in", module)
    monkeypatch.setitem(providers.REGISTRY, "shop", "shop_plug_in:Shop")  # type: ignore[arg-type]
    monkeypatch.setenv("SHOP_TOKEN", "hunter2-shop-token")
    return Config(tmp_path)


@pytest.fixture
def shop() -> str:
    return SHOP
