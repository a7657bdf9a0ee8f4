"""The dashboard in a real Chromium. Skipped where there is none: install the package `chromium`."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from openrelay_async.emulator import Emulator, TurnedClock
from openrelay_async.errors import Unauthenticated

playwright = pytest.importorskip("playwright.async_api", reason="Playwright is not installed")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium here: the dashboard's browser tests did not run"
    ),
]

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HOSTILE = (
    "<script>document.title='owned'</script>",
    "\"><img src=x onerror=document.title='owned'>",
    "'-document.title='owned'-'",
    "</bdi></th></tr></table><h1>owned",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "\u202eeman\u202c right to left \u2067",
    "x" * 255,
    "&lt;b&gt; &amp; \x00 \x1b[31m",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Any]:
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def emulator(clock: TurnedClock) -> AsyncIterator[Emulator]:
    async with Emulator(clock=clock, dashboard=True) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def open_window(browser: Any, emulator: Emulator) -> AsyncIterator[Callable[..., Any]]:
    """Opens windows of separate people; whatever goes wrong in one fails the test."""
    complaints: list[str] = []
    async with AsyncExitStack() as stack:

        async def open_window(**options: Any) -> Any:
            context = await browser.new_context(**options)
            stack.push_async_callback(context.close)
            context.set_default_timeout(10_000)
            context.on("page", lambda page: watch(page, complaints))
            return context

        yield open_window
    assert complaints == []


def watch(page: Any, complaints: list[str]) -> None:
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None,
    )


@pytest_asyncio.fixture(loop_scope="module")
async def page(open_window: Callable[..., Any], emulator: Emulator) -> Any:
    """A window that is signed in."""
    return await sign_in(await open_window(), emulator)


async def sign_in(context: Any, emulator: Emulator) -> Any:
    page = await context.new_page()
    await page.goto(emulator.dashboard_url)
    await page.get_by_label("Session token").fill(emulator.session_token)
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="API keys").wait_for()
    return page


async def create(page: Any, name: str, *scopes: str) -> str:
    """Create a key as a user does; returns the plaintext that is shown."""
    await page.get_by_text("Create a key").click()
    await page.get_by_label("Name").fill(name)
    for scope in scopes or ("vms:read",):
        await page.get_by_label(scope).check()
    await page.get_by_role("button", name="Create key").click()
    return str(await page.locator("#plaintext").inner_text())


async def works(emulator: Emulator, key: str) -> bool:
    async with emulator.client(api_key=key) as client:
        try:
            await client.account.whoami()
        except Unauthenticated:
            return False
    return True


async def test_a_new_key_has_the_scopes_that_were_chosen(page, emulator):
    key = await create(page, "trainer", "vms:read", "inference")
    async with emulator.client(api_key=key) as client:
        assert (await client.account.whoami()).scopes == ["inference", "vms:read"]
    row = page.get_by_role("row").filter(has_text="trainer")
    assert await row.get_by_role("listitem").all_inner_texts() == ["inference", "vms:read"]
    assert key[:8] in await row.inner_text()


async def test_the_plaintext_is_gone_after_a_reload(page):
    key = await create(page, "once")
    await page.reload()
    await page.get_by_role("row").filter(has_text="once").wait_for()
    assert key not in await page.content()


async def test_the_plaintext_is_gone_after_going_away_and_back(page, emulator):
    key = await create(page, "once")
    await page.goto("about:blank")
    await page.go_back()
    await page.get_by_role("row").filter(has_text="once").wait_for()
    assert key not in await page.content()
    await page.go_back()
    assert key not in await page.content()
    await page.go_forward()
    assert key not in await page.content()


async def test_no_reload_sends_the_form_again(page):
    await create(page, "once")
    await page.reload()
    await page.go_back()
    await page.reload()
    assert await page.get_by_role("row").filter(has_text="once").count() == 1


async def test_the_copy_button_copies(open_window, emulator):
    context = await open_window(permissions=["clipboard-read", "clipboard-write"])
    page = await sign_in(context, emulator)
    key = await create(page, "copied")
    await page.get_by_role("button", name="Copy").click()
    await page.get_by_text("Copied.").wait_for()
    assert await page.evaluate("navigator.clipboard.readText()") == key


async def test_where_copying_is_not_allowed_the_key_is_selected(page):
    key = await create(page, "selected")
    await page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    await page.get_by_role("button", name="Copy").click()
    await page.get_by_text("Copying is not allowed here").wait_for()
    assert await page.evaluate("getSelection().toString().trim()") == key


async def test_done_takes_the_plaintext_away(page):
    key = await create(page, "done")
    await page.get_by_role("button", name="Done", exact=True).click()
    assert key not in await page.content()


async def test_revoking_asks_first_and_takes_effect_at_once(page, emulator):
    """R10.1"""
    key = await create(page, "doomed")
    row = page.get_by_role("row").filter(has_text="doomed")
    await row.get_by_role("button", name="Revoke").click()
    dialog = page.get_by_role("dialog")
    assert "Revoke doomed?" in await dialog.inner_text()
    assert key[:8] in await dialog.inner_text()
    await dialog.get_by_role("button", name="Keep it").click()
    await page.keyboard.press("Enter")  # the focus is back on the button that asked
    await dialog.wait_for()
    await page.keyboard.press("Escape")
    assert await works(emulator, key)
    await row.get_by_role("button", name="Revoke").click()
    await dialog.get_by_role("button", name="Revoke key").click()
    await page.get_by_text("The key is revoked.").wait_for()
    assert not await works(emulator, key)
    assert await row.count() == 0
    assert (
        "doomed" in await page.get_by_role("listitem").filter(has_text="API key revoked").first.inner_text()
    )


async def test_everything_can_be_done_with_the_keyboard(open_window, emulator):
    page = await (await open_window()).new_page()
    await page.goto(emulator.dashboard_url)
    # The page gives its first field the focus once it has been laid out: typing sooner would lose letters.
    await page.wait_for_function("document.activeElement instanceof HTMLInputElement")
    await page.keyboard.type(emulator.session_token)
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="API keys").wait_for()

    async def tab_to(text: str) -> None:
        for _ in range(40):
            await page.keyboard.press("Tab")
            focused = await page.evaluate(
                "(at => at.ariaLabel || at.textContent || at.value || at.name || '')(document.activeElement)"
            )
            if text in " ".join(focused.split()):
                return
        raise AssertionError(f"{text} cannot be reached with Tab")

    await tab_to("Create a key")
    await page.keyboard.press("Enter")
    await tab_to("name")
    await page.keyboard.type("typed")
    await tab_to("Read only")
    await page.keyboard.press("Enter")
    await tab_to("Create key")
    await page.keyboard.press("Enter")
    key = await page.locator("#plaintext").inner_text()
    assert await works(emulator, key)
    await tab_to("Done")
    await page.keyboard.press("Enter")
    await tab_to("Revoke typed")
    await page.keyboard.press("Space")
    await tab_to("Revoke key")
    await page.keyboard.press("Enter")
    await page.get_by_text("The key is revoked.").wait_for()
    assert not await works(emulator, key)


async def test_hostile_names_are_only_text(page, emulator):
    async with emulator.client() as client:
        for name in HOSTILE[1:]:
            await client.api_keys.create(name=name, scopes=[])
    await create(page, HOSTILE[0])
    assert HOSTILE[0] in await page.locator("#new-key").inner_text()
    title = await page.title()
    assert "owned" not in title
    shown = await page.locator("tbody th > bdi").all_inner_texts()
    assert {name.replace("\x00", "\ufffd") for name in HOSTILE} <= {
        *shown,
        HOSTILE[-1].replace("\x00", "\ufffd"),
    }
    assert await page.locator("h1").count() == 1
    assert await page.locator("img").count() == 0
    await page.get_by_role("button", name=HOSTILE[0]).click()
    assert HOSTILE[0] in await page.get_by_role("dialog").inner_text()


async def test_the_policy_stops_what_escaping_would_miss(browser, emulator):
    context = await browser.new_context()  # not watched: complaints are what is expected here
    page = await sign_in(context, emulator)
    blocked = await page.evaluate(
        """() => {
            try { document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='document.title=1'>"); }
            catch (error) { return String(error); }
            return "not blocked";
        }"""
    )
    await context.close()
    assert "TrustedHTML" in blocked


async def test_a_session_that_has_ended_leads_to_signing_in(page, emulator, clock):
    await page.get_by_text("Create a key").click()
    await page.get_by_label("Name").fill("too late")
    await page.get_by_label("vms:read").check()
    clock.advance(3600)
    await page.get_by_role("button", name="Create key").click()
    await page.get_by_text("Your session has ended").wait_for()
    async with emulator.client() as client:
        assert len(await client.api_keys.list()) == 1
    await page.go_back()
    assert await page.get_by_role("heading", name="Active keys").count() == 0


async def test_two_tabs_agree(page, emulator):
    other = await page.context.new_page()
    await other.goto(emulator.dashboard_url)
    key = await create(page, "shared")
    await other.reload()
    assert key not in await other.content()
    for tab in (other, page):  # the second one asks for what is done already
        await tab.get_by_role("row").filter(has_text="shared").get_by_role("button", name="Revoke").click()
    for tab in (other, page):
        await tab.get_by_role("dialog").get_by_role("button", name="Revoke key").click()
        await tab.get_by_text("The key is revoked.").wait_for()
    assert not await works(emulator, key)
    await other.get_by_role("button", name="Sign out").click()
    await other.get_by_text("You have signed out.").wait_for()
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_text("Your session has ended").wait_for()


async def test_after_signing_out_the_back_button_shows_nothing(page):
    key = await create(page, "secret-project")
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_text("You have signed out.").wait_for()
    await page.go_back()
    await page.get_by_label("Session token").wait_for()
    assert "secret-project" not in await page.content()
    assert key not in await page.content()


async def test_the_printed_address_fills_in_the_token(open_window, emulator):
    page = await (await open_window()).new_page()
    await page.goto(f"{emulator.dashboard_url}#{emulator.session_token}")
    assert "#" not in page.url
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="API keys").wait_for()


async def test_it_works_without_javascript(open_window, emulator):
    page = await sign_in(await open_window(java_script_enabled=False), emulator)
    key = await create(page, "plain")
    assert await works(emulator, key)
    await page.get_by_role("row").filter(has_text="plain").get_by_role("link", name="Revoke").click()
    await page.get_by_role("button", name="Revoke key").click()
    await page.get_by_text("The key is revoked.").wait_for()
    assert not await works(emulator, key)


async def test_nothing_is_wider_than_the_window(page):
    await create(page, "x" * 255, "vms:read", "vms:write", "clusters:write", "billing:write")
    await page.get_by_text("Create a key").click()
    for width in (320, 390, 768, 1280):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await page.set_viewport_size({"width": 320, "height": 568})
    await page.get_by_role("button", name="Revoke").first.click()
    box = await page.get_by_role("dialog").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 320


async def test_light_and_dark_follow_the_system_with_readable_contrast(page):
    await create(page, "grey")
    # Colours that change slowly would be measured half-way.
    await page.emulate_media(reduced_motion="reduce")
    brightness = {}
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        contrasts = await page.evaluate(CONTRASTS)
        brightness[scheme] = contrasts.pop("page")
        assert min(contrasts.values()) >= 4.5, contrasts
    assert brightness["light"] > 0.8 > 0.1 > brightness["dark"]


CONTRASTS = """() => {
    const read = (text) => text.match(/[\\d.]+/g).slice(0, 3).map((part) => {
        const value = part / 255;
        return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    const luminance = (color) => {
        const [red, green, blue] = read(color);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const background = (node) => {
        for (; node; node = node.parentElement) {
            const color = getComputedStyle(node).backgroundColor;
            if (!color.startsWith("rgba(0, 0, 0, 0")) return color;
        }
        return "rgb(255, 255, 255)";
    };
    const found = { page: luminance(background(document.body)) };
    const selectors = ["h1", ".lead", ".tag", ".email", ".quiet", ".primary", "small", ".danger",
                       "#plaintext", ".chips li", ".audit time", "thead th"];
    for (const selector of selectors) {
        const node = document.querySelector(selector);
        const pair = [luminance(getComputedStyle(node).color), luminance(background(node))].sort();
        found[selector] = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    }
    return found;
}"""
