"""The two pages: signing in, and the keys. Values in, HTML out."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from openrelay_async.emulator.dashboard.markup import Child, Markup, document, element
from openrelay_async.emulator.dashboard.reading import AuditRow, KeyRow
from openrelay_async.emulator.dashboard.tables import ROOT, render_audit, render_ended, render_table

LIFETIMES = (
    ("", "Never"),
    ("3600", "1 hour"),
    ("86400", "1 day"),
    ("604800", "7 days"),
    ("2592000", "30 days"),
    ("7776000", "90 days"),
    ("31536000", "1 year"),
)

_READ_ONLY = "Your role lets you see keys, not create or revoke them."

_SCOPE_WORDS = {
    "billing:read": "See balance, invoices and usage",
    "billing:write": "Change billing, add funds",
    "clusters:read": "See clusters, keys and webhooks",
    "clusters:write": "Change clusters, mint and revoke keys",
    "inference": "Call models",
    "vms:read": "See VMs",
    "vms:write": "Create, stop and terminate VMs",
}


@attrs.frozen
class NewKey:
    """A key that was just made: the only time that it is shown."""

    name: str
    plaintext: str = attrs.field(repr=False)


@attrs.frozen
class KeyForm:
    """The form for a new key, as far as it was filled in."""

    name: str = ""
    scopes: frozenset[str] = frozenset()
    lifetime: str = ""
    error: str | None = None


@attrs.frozen
class KeysPage:
    """All that the page shows."""

    organization: str
    email: str
    grantable: tuple[str, ...]
    may_change: bool
    keys: Sequence[KeyRow]
    audit: Sequence[AuditRow]
    csrf: str = attrs.field(repr=False)
    form: KeyForm = KeyForm()
    new_key: NewKey | None = None
    revoking: KeyRow | None = None
    notice: str | None = None
    problem: str | None = None


def render_sign_in(
    problem: str | None = None, *, with_password: bool = False, email: str | None = None
) -> str:
    """The page for who is not signed in.

    Args:
        problem: why not.
        with_password: whether to offer that; only where there is a password.
        email: what was tried.
    """
    by_token = element(
        "form",
        element("label", "Session token", for_="token"),
        element(
            "input",
            type="password", id="token", name="token", required=True, autofocus=email is None,
            autocomplete="off", spellcheck="false", aria_describedby="token-help",
        ),
        element("p", "The emulator printed it when it started.", id="token-help", class_="help"),
        element("button", "Sign in", type="submit", class_="primary"),
        method="post", action=f"{ROOT}/sign-in",
    )  # fmt: skip
    by_password = element(
        "details",
        element("summary", "Sign in with e-mail and password"),
        element(
            "form",
            element("label", "E-mail", for_="email"),
            element(
                "input",
                type="email", id="email", name="email", required=True, autocomplete="username", value=email,
            ),
            element("label", "Password", for_="password"),
            element(
                "input",
                type="password", id="password", name="password", required=True, autofocus=email is not None,
                autocomplete="current-password",
            ),
            element("button", "Sign in", type="submit", class_="primary"),
            method="post", action=f"{ROOT}/sign-in",
        ),
        open=email is not None,
    )  # fmt: skip
    card = element(
        "main",
        element("h1", "Sign in"),
        _alert(problem),
        by_token,
        by_password if with_password else None,
        class_="card narrow",
    )
    return _page("Sign in", element("body", _brand_bar(), card, class_="sign-in"))


def render_keys(page: KeysPage) -> str:
    """The page of API keys."""
    working = [key for key in page.keys if key.ended is None]
    ended = [key for key in page.keys if key.ended is not None]
    content = element(
        "main",
        element("h1", "API keys"),
        element(
            "p",
            "Keys act for ", element("bdi", page.organization),
            " in scripts and services. A key is shown once, when it is created.",
            class_="lead",
        ),
        element("p", page.notice, role="status", class_="notice") if page.notice else None,
        _alert(page.problem or (None if page.may_change else page.form.error)),
        _render_new_key(page.new_key),
        _render_confirmation(page.revoking, page.csrf) if page.revoking and page.may_change else None,
        _render_create(page) if page.may_change else element("p", _READ_ONLY, class_="empty"),
        element(
            "section",
            element("h2", f"Active keys ({len(working)})"),
            render_table(working, may_change=page.may_change)
            if working
            else element("p", "No key works at the moment.", class_="empty"),
            render_ended(ended) if ended else None,
        ),
        render_audit(page.audit),
        _render_dialog(page.csrf),
        id="main",
    )  # fmt: skip
    return _page("API keys", element("body", _skip_link(), _account_bar(page), content))


def _page(title: str, body: Markup) -> str:
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="robots", content="noindex"),
        element("title", f"{title} · OpenRelay emulator"),
        element("link", rel="icon", href=f"{ROOT}/icon.svg", type="image/svg+xml"),
        element("link", rel="stylesheet", href=f"{ROOT}/dashboard.css"),
        element("script", src=f"{ROOT}/dashboard.js", defer=True),
    ]
    return document(language="en", head=head, body=body)


def _brand_bar(*more: Child) -> Markup:
    brand = element(
        "span", element("strong", "OpenRelay"), " ", element("span", "emulator", class_="tag"), class_="brand"
    )
    return element("header", brand, *more, class_="bar")


def _account_bar(page: KeysPage) -> Markup:
    form = element(
        "form",
        _proof(page.csrf),
        element("button", "Sign out", type="submit", class_="quiet"),
        method="post",
        action=f"{ROOT}/sign-out",
    )
    who = element(
        "span", element("bdi", page.organization, class_="org"), element("span", page.email, class_="email"),
        class_="who",
    )  # fmt: skip
    return _brand_bar(element("div", who, form, class_="account"))


def _skip_link() -> Markup:
    return element("a", "Skip to content", href="#main", class_="skip")


def _alert(problem: str | None) -> Markup | None:
    return element("p", problem, role="alert", class_="problem") if problem else None


def _proof(csrf: str) -> Markup:
    return element("input", type="hidden", name="csrf", value=csrf)


def _render_new_key(key: NewKey | None) -> Markup | None:
    if key is None:
        return None
    return element(
        "section",
        element("h2", "Key ", element("bdi", key.name), " created", id="new-key-title"),
        element("p", "Copy it now: the service keeps no copy, and it will not be shown again."),
        element(
            "div",
            element("code", key.plaintext, id="plaintext", tabindex="0"),
            element("button", "Copy", type="button", id="copy", class_="primary", hidden=True),
            element("button", "Done", type="button", id="hide", hidden=True),
            class_="secret",
        ),
        element("p", "", id="copied", role="status", class_="help"),
        id="new-key", class_="new-key", tabindex="-1", aria_labelledby="new-key-title",
    )  # fmt: skip


def _render_create(page: KeysPage) -> Markup:
    form = page.form
    scopes = [
        element(
            "label",
            element(
                "input",
                type="checkbox", name="scope", value=scope, checked=scope in form.scopes,
            ),
            element("span", element("code", scope), element("small", _SCOPE_WORDS.get(scope, ""))),
            class_="scope",
        )
        for scope in page.grantable
    ]  # fmt: skip
    lifetimes = [
        element("option", words, value=seconds, selected=seconds == form.lifetime)
        for seconds, words in LIFETIMES
    ]
    fields = element(
        "form",
        _alert(form.error),
        _proof(page.csrf),
        element(
            "div",
            element(
                "p",
                element("label", "Name", for_="name"),
                element(
                    "input",
                    id="name", name="name", required=True, maxlength="255", autocomplete="off",
                    placeholder="ci-pipeline", value=form.name,
                ),
            ),
            element(
                "p",
                element("label", "Expires", for_="lifetime"),
                element("select", lifetimes, id="lifetime", name="lifetime"),
            ),
            class_="row",
        ),
        element(
            "fieldset",
            element("legend", "Scopes"),
            element(
                "div",
                element("button", "Read only", type="button", data_choose="read", class_="quiet"),
                element("button", "All", type="button", data_choose="all", class_="quiet"),
                element("button", "None", type="button", data_choose="none", class_="quiet"),
                class_="choose", hidden=True,
            ),
            element("div", scopes, class_="scopes"),
        ),
        element("button", "Create key", type="submit", class_="primary"),
        method="post", action=f"{ROOT}/keys", id="create",
    )  # fmt: skip
    return element(
        "details",
        element("summary", "Create a key"),
        fields,
        class_="create",
        open=form.error is not None,
    )


_CONSEQUENCE = "Whatever uses it is refused from the next request on. This cannot be undone."


def _render_confirmation(key: KeyRow, csrf: str) -> Markup:
    """The question for browsers without JavaScript."""
    return element(
        "section",
        element("h2", "Revoke ", element("bdi", key.name), "?"),
        element("p", element("code", f"{key.prefix}…"), " ", _CONSEQUENCE),
        _render_revoke_form(csrf, key.id, element("a", "Keep it", href=ROOT, class_="button")),
        class_="confirm",
    )


def _render_dialog(csrf: str) -> Markup:
    keep = element("button", "Keep it", type="button", data_close=True, autofocus=True)
    return element(
        "dialog",
        element("h2", "Revoke ", element("bdi", "", id="revoke-name"), "?", id="revoke-title"),
        element("p", element("code", "", id="revoke-prefix"), " ", _CONSEQUENCE),
        _render_revoke_form(csrf, "", keep),
        id="revoke", aria_labelledby="revoke-title",
    )  # fmt: skip


def _render_revoke_form(csrf: str, key_id: str, keep: Markup) -> Markup:
    return element(
        "form",
        _proof(csrf),
        element("input", type="hidden", name="id", value=key_id),
        keep,
        element("button", "Revoke key", type="submit", class_="danger"),
        method="post", action=f"{ROOT}/revoke", class_="choice",
    )  # fmt: skip
