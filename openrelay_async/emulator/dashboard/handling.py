"""Requests of the dashboard: which page, which form, who may. Imported only when the dashboard is served."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from importlib.resources import files
from urllib.parse import quote

import attrs
import orjson
from aiohttp import web

from openrelay_async.emulator.answers import Answer, Refusal
from openrelay_async.emulator.dashboard.forms import first_of, read_form, refuse_other_sites
from openrelay_async.emulator.dashboard.pages import (
    LIFETIMES,
    KeyForm,
    KeysPage,
    NewKey,
    render_keys,
    render_sign_in,
)
from openrelay_async.emulator.dashboard.reading import (
    read_audit,
    read_email,
    read_keys,
    read_organization,
)
from openrelay_async.emulator.dashboard.sessions import (
    LASTING,
    SignedIn,
    end,
    exchange_token,
    find_signed_in,
    is_from_form,
)
from openrelay_async.emulator.dashboard.tables import ROOT
from openrelay_async.emulator.generated.routes import OPERATIONS
from openrelay_async.emulator.service import Service
from openrelay_async.redaction import Payload

_SHOWN_FOR = 60.0
_MOST_GUESSES = 10
_PACKAGE = "openrelay_async.emulator.dashboard"
_ASSETS = {
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: with it browsers send `Origin: null` with forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Nothing is kept: neither a key that was shown nor what a user who has signed out could see.
    "Cache-Control": "no-store",
}
_NOTICES = {"revoked": "The key is revoked.", "signed-out": "You have signed out."}


@attrs.frozen
class _Unseen:
    """A new key on its way from the form to the page that shows it, once."""

    session_id: str | None
    key: NewKey
    until: float


class Dashboard:
    """Serves everything under `/dashboard`.

    What it shows and does it asks the service's own operations for, as the signed-in user: the same rules
    hold as for everybody, and the same audit log.
    """

    def __init__(
        self, service: Service, *, speed: float = 1.0, sign_in: Callable[[str, str], str] | None = None
    ) -> None:
        """Take the service, and what makes a session token of an e-mail address and a password."""
        self._service = service
        self._sign_in_by_password = sign_in
        self._lasting = LASTING * speed
        self._operations = {operation.id: operation for operation in OPERATIONS}
        self._unseen: dict[str, _Unseen] = {}
        self._wrong_passwords: deque[float] = deque(maxlen=_MOST_GUESSES)
        self._assets = {
            name: files(_PACKAGE).joinpath("static").joinpath(name).read_bytes() for name in _ASSETS
        }

    def serves(self, path: str) -> bool:
        """Is this a path of the dashboard? The bare address of the emulator leads there, too."""
        return path in ("/", ROOT) or path.startswith(f"{ROOT}/")

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer a request."""
        try:
            response = await self._route(request)
        except Refusal as refusal:
            response = web.Response(
                status=refusal.status, text=f"{refusal.message}\n", headers=refusal.headers
            )
        response.headers.update(_HEADERS)
        return response

    async def _route(self, request: web.BaseRequest) -> web.Response:
        path = request.rel_url.raw_path
        action = path.removeprefix(ROOT).strip("/")
        if request.method in ("GET", "HEAD"):
            if path in ("/", f"{ROOT}/"):
                return _redirect(ROOT)
            if action in self._assets:
                return web.Response(body=self._assets[action], content_type=_ASSETS[action], charset="utf-8")
            if path == ROOT:
                return self._show(request)
            raise Refusal(404, "there is no such page")
        if request.method != "POST" or action not in ("sign-in", "sign-out", "keys", "revoke"):
            raise Refusal(405, "there is nothing to do here", headers={"Allow": "GET"})
        refuse_other_sites(request)
        form = await read_form(request)
        if action == "sign-in":
            return self._sign_in(request, form)
        signed_in = self._find_signed_in(request)
        if signed_in is None:
            return _redirect(f"{ROOT}?notice=ended")
        if not is_from_form(signed_in, first_of(form, "csrf")):
            raise Refusal(403, "this form is not of this session: go back and reload the page")
        if action == "sign-out":
            return self._sign_out(request, signed_in)
        if action == "revoke":
            return self._revoke(request, signed_in, first_of(form, "id"))
        return self._create(request, signed_in, form)

    # Pages

    def _show(self, request: web.BaseRequest) -> web.Response:
        signed_in = self._find_signed_in(request)
        query = request.rel_url.query
        if signed_in is None:
            ended = query.get("notice") == "ended" or self._cookie_name(request) in request.cookies
            problem = (
                "Your session has ended. Sign in again." if ended else _NOTICES.get(query.get("notice", ""))
            )
            response = self._ask_who(problem)
            # Only one that came: a link from another site brings none, and must not sign anybody out.
            if self._cookie_name(request) in request.cookies:
                response.del_cookie(self._cookie_name(request), path=ROOT)
            return response
        page = self._read_page(request, signed_in)
        new_key = self._take_unseen(query.get("made", ""), signed_in)
        asked = query.get("revoke")
        revoking = next((key for key in page.keys if key.id == asked and key.ended is None), None)
        notice = _NOTICES.get(query.get("notice", ""))
        return _html(render_keys(attrs.evolve(page, new_key=new_key, revoking=revoking, notice=notice)))

    def _ask_who(self, problem: str | None, status: int = 200, email: str | None = None) -> web.Response:
        with_password = self._sign_in_by_password is not None
        return _html(render_sign_in(problem, with_password=with_password, email=email), status)

    def _read_page(self, request: web.BaseRequest, signed_in: SignedIn) -> KeysPage:
        database, now = self._service.database, self._service.clock.wall()
        principal = signed_in.principal
        problem, keys = None, []
        try:
            answer = self._perform(request, signed_in, "listOrgApiKeys", {})
            listed = answer.body
            keys = read_keys(listed if isinstance(listed, list) else [], now)
        except Refusal as refusal:
            problem = refusal.message
        return KeysPage(
            organization=read_organization(database, principal.org_id),
            email=read_email(database, principal.user_id),
            grantable=tuple(principal.scopes),
            may_change=principal.may_do(self._operations["createOrgApiKey"], principal.org_id),
            keys=keys,
            audit=read_audit(database, principal.org_id, keys, now),
            csrf=signed_in.csrf,
            problem=problem,
        )

    # Forms

    def _sign_in(self, request: web.BaseRequest, form: dict[str, list[str]]) -> web.Response:
        database, now = self._service.database, self._service.clock.wall()
        password = first_of(form, "password")
        given = (
            self._check_password(first_of(form, "email"), password)
            if password
            else first_of(form, "token").strip()
        )
        with database.transaction():
            token = exchange_token(database, given, now, self._lasting)
            by_password = find_signed_in(database, given, now) if password else None
            if by_password is not None:
                end(database, by_password, now)  # it was made for this alone, and would live longer
        if token is None:
            wrong = "This address and password do not fit." if password else "This is no valid session token."
            return self._ask_who(wrong, status=403, email=first_of(form, "email") if password else None)
        response = _redirect(ROOT)
        response.set_cookie(
            self._cookie_name(request), token, path=ROOT, max_age=LASTING, httponly=True, samesite="Strict"
        )
        return response

    def _check_password(self, email: str, password: str) -> str:
        """A session token, or nothing if they do not fit."""
        if self._sign_in_by_password is None or not email.strip():
            return ""
        if self._is_guessing():
            raise Refusal(429, "too many wrong passwords: wait a minute", headers={"Retry-After": "60"})
        try:
            return self._sign_in_by_password(email, password)
        except Refusal:
            self._wrong_passwords.append(time.monotonic())
            return ""

    def _is_guessing(self) -> bool:
        # Passwords can be guessed, tokens of 256 bits cannot. `deque` drops the oldest failure.
        failures = self._wrong_passwords
        return len(failures) == _MOST_GUESSES and failures[0] > time.monotonic() - 60.0

    def _sign_out(self, request: web.BaseRequest, signed_in: SignedIn) -> web.Response:
        database = self._service.database
        with database.transaction():
            end(database, signed_in, self._service.clock.wall())
        response = _redirect(f"{ROOT}?notice=signed-out")
        response.del_cookie(self._cookie_name(request), path=ROOT)
        return response

    def _create(
        self, request: web.BaseRequest, signed_in: SignedIn, form: dict[str, list[str]]
    ) -> web.Response:
        filled = KeyForm(
            name=first_of(form, "name"),
            scopes=frozenset(form.get("scope", [])),
            lifetime=first_of(form, "lifetime"),
        )
        error, status = _find_mistake(filled), 400
        if error is None:
            body: dict[str, object] = {"name": filled.name, "scopes": sorted(filled.scopes)}
            if filled.lifetime:
                body["expiresInSeconds"] = int(filled.lifetime)
            try:
                answer = self._perform(request, signed_in, "createOrgApiKey", {}, body)
            except Refusal as refusal:
                error, status = refusal.message, refusal.status
            else:
                return _redirect(f"{ROOT}?made={self._keep_unseen(answer, signed_in)}")
        page = attrs.evolve(self._read_page(request, signed_in), form=attrs.evolve(filled, error=error))
        return _html(render_keys(page), status=status)

    def _revoke(self, request: web.BaseRequest, signed_in: SignedIn, key_id: str) -> web.Response:
        try:
            self._perform(request, signed_in, "revokeOrgApiKey", {"id": key_id})
        except Refusal as refusal:
            page = attrs.evolve(self._read_page(request, signed_in), problem=refusal.message)
            return _html(render_keys(page), status=refusal.status)
        return _redirect(f"{ROOT}?notice=revoked")

    def _perform(
        self,
        request: web.BaseRequest,
        signed_in: SignedIn,
        operation_id: str,
        path: dict[str, str],
        body: dict[str, object] | None = None,
    ) -> Answer:
        """Carry out an operation of the service as the signed-in user.

        Faults do not strike here: they are for the clients under test, and count the clients' calls.
        """
        operation = self._operations[operation_id]
        headers = {"Authorization": f"Bearer {signed_in.token}", "Content-Type": "application/json"}
        exchange = self._service.begin(
            operation.method, request.rel_url.raw_path, headers, "", request.remote
        )
        exchange.operation = operation
        exchange.path = {"orgId": signed_in.principal.org_id, **path}
        if body is not None:
            exchange.body = Payload(orjson.dumps(body))
        self._service.admit(exchange)
        return self._service.perform(exchange)

    # A new key, from the form to the page

    def _keep_unseen(self, answer: Answer, signed_in: SignedIn) -> str:
        """Keep a new key for the page that the browser asks for next; its name in the address says
        nothing."""
        now = time.monotonic()
        self._unseen = {name: item for name, item in self._unseen.items() if item.until > now}
        made = answer.body if isinstance(answer.body, dict) else {}
        ticket = secrets.token_urlsafe(16)
        key = NewKey(str(made["name"]), str(made["key"]))
        self._unseen[ticket] = _Unseen(signed_in.principal.session_id, key, now + _SHOWN_FOR)
        return quote(ticket)

    def _take_unseen(self, ticket: str, signed_in: SignedIn) -> NewKey | None:
        item = self._unseen.get(ticket)
        if item is None or item.session_id != signed_in.principal.session_id:
            return None
        del self._unseen[ticket]
        return item.key if item.until > time.monotonic() else None

    # Sessions

    def _cookie_name(self, request: web.BaseRequest) -> str:
        # Browsers do not tell ports apart, and several emulators run side by side.
        return f"openrelay_emulator_{request.url.port}"

    def _find_signed_in(self, request: web.BaseRequest) -> SignedIn | None:
        token = request.cookies.get(self._cookie_name(request))
        return find_signed_in(self._service.database, token, self._service.clock.wall())


def _find_mistake(form: KeyForm) -> str | None:
    if not form.name.strip():
        return "Give the key a name."
    if not form.scopes:
        return "Choose at least one scope."
    if form.lifetime not in {seconds for seconds, _ in LIFETIMES}:
        return "Choose when the key expires."
    return None


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html")


def _redirect(location: str) -> web.Response:
    return web.Response(status=303, headers={"Location": location})
