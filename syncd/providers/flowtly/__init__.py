"""Flowtly: finance and HR platform (flowtly.eu, developer platform: Symfony with API Platform).

calls       every documented call, and how a collection is paged
iris        countries and currencies: ISO codes here, IRIs there
street      one line of text here, street, house number and flat number there
provider    the translation both ways
"""

from __future__ import annotations

from syncd.providers.flowtly.provider import Flowtly

__all__ = ["Flowtly"]
