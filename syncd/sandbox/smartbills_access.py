"""Smartbills' doors: API keys, OAuth2 tokens with rotating refresh tokens, scopes, tenant header, token bucket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from syncd.sandbox.smartbills_parts import Shape
from syncd.sandbox.switches import SmartbillsSwitches
from syncd.sandbox.tables import Tokens, basic, bearer
from syncd.sandbox.wire import Answer, Refused, Request, parse_form

SCOPE_OF = {"GET": "read", "POST": "write", "PUT": "write", "PATCH": "write", "DELETE": "delete"}


class Access:
    """Who may call, and how often."""

    def __init__(
        self,
        clock: Callable[[], float],
        switches: SmartbillsSwitches,
        credentials: dict[str, str],
        shape: Shape,
        business: str,
    ) -> None:
        self._clock = clock
        self._switches = switches
        self._credentials = credentials
        self._shape = shape
        self._business = business
        self.tokens = Tokens("https://api.smartbills.io", clock, {credentials["token"]: "api key"})
        self._refresh: dict[str, bool] = {}

    def _refuse(self, status: int, code: str, message: str) -> Refused:
        return Refused(self._shape.problem(status, message, code, None, self._clock()))

    def check(self, request: Request) -> None:
        """Raises Refused unless the caller is known, has the scope, and speaks for this business."""
        token = bearer(request.headers.get("authorization", ""))
        pair = (request.headers.get("x-api-key"), request.headers.get("x-api-secret"))
        if token is None and pair == (self._credentials["client_id"], self._credentials["client_secret"]):
            request.credential = "key and secret"
        else:
            state = self.tokens.state(token) if token else "missing"
            if state != "ok" or token is None:
                raise self._refuse(
                    401, "UNAUTHORIZED" if state == "missing" else "INVALID_TOKEN", f"The token is {state}"
                )
            request.credential = self.tokens.holder(token)
        tenant = request.headers.get("x-tenant-id")
        if (tenant is None and self._switches.require_tenant_header) or tenant not in {None, self._business}:
            raise self._refuse(403, "BUSINESS_ACCESS_DENIED", "No access to this business")
        if request.params.get("bid", self._business) != self._business:
            raise self._refuse(403, "BUSINESS_ACCESS_DENIED", "No access to this business")
        if SCOPE_OF.get(request.method, "read") not in self._switches.scopes:
            raise self._refuse(403, "INSUFFICIENT_PERMISSIONS", "The token lacks the scope for this call")

    def token(self, request: Request) -> Answer:
        """POST /connect/token: client_credentials (body or Basic) and refresh_token, whose old token dies on use."""
        if request.content_type() != "application/x-www-form-urlencoded":
            raise Refused(Answer(400, {"error": "invalid_request"}), "content type is not a form")
        try:
            form = parse_form(request.body)
        except ValueError as error:
            raise Refused(Answer(400, {"error": "invalid_request"}), "unreadable form") from error
        pair = basic(request.headers.get("authorization", "")) or (
            form.get("client_id", ""),
            form.get("client_secret", ""),
        )
        if pair != (self._credentials["client_id"], self._credentials["client_secret"]):
            raise Refused(Answer(400, {"error": "invalid_client"}))
        grant = form.get("grant_type")
        if grant == "client_credentials":
            return self._grant()
        if grant != "refresh_token":
            raise Refused(Answer(400, {"error": "unsupported_grant_type"}), "grant_type")
        old = form.get("refresh_token", "")
        if not self._refresh.get(old):
            raise Refused(Answer(400, {"error": "invalid_grant"}))
        if self._switches.rotate_refresh:
            self._refresh[old] = False
        return self._grant()

    def _grant(self) -> Answer:
        token = self.tokens.issue(
            "client", self._switches.token_seconds, {"scope": "customers.read customers.write customers:delete"}
        )
        refresh = f"sb-refresh-{self.tokens.number}"
        self._refresh[refresh] = True
        body: dict[str, Any] = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(self._switches.token_seconds),
        }
        return Answer(200, body | {"refresh_token": refresh})
