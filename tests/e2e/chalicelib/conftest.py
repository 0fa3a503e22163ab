"""A headless Chromium, and the API with products to look at, open or with a token.

The browser is the system's (Debian: `chromium`), driven by Playwright.  Where there is none these tests skip,
and in CI they fail.
"""

import os
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from chalice.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from chalicelib import wiring
from tests.support import api_process, names, tokens
from tests.support.api_client import at, keep, notes
from tests.support.browsing import LONG, SCRIPT, TOKEN
from tests.support.lambda_events import wire


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium on this machine; on Debian: apt-get install chromium")
        pytest.skip("no Chromium on this machine")
    # As root Chromium has no sandbox of its own; the pages are ours.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=options)
        yield running
        running.close()


@pytest.fixture(scope="module")
def stage_with_products(
    browser: Browser, endpoint_url: str, _stage_of_module: str
) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", endpoint_url)
        environment.setenv("LIFECYCLE_STAGE", _stage_of_module)
        environment.setenv("LIFECYCLE_PARTIAL_RESPONSES", "on")
        wiring.reset()
        from app import app

        with Client(app, stage_name="test") as client:
            keep(
                client,
                wire("SN-1", "production", at(1), source="plant-7", metadata={"line": "B", "n": 1.5}),
                wire("SN-1", "theft", at(2), source=SCRIPT, event_id=SCRIPT, metadata={SCRIPT: [SCRIPT]}),
                wire("SN-1", "service", at(3), metadata={"dealer": "Zoë & Söhne"}),
                *notes(10, "SN-1", type="inspection"),
                *notes(220, "SN-2"),
                *notes(1080, "SN-3"),
                wire("SN-3", "service", at(9000), metadata={"price": 1.5, "text": 'a "quoted", [text]'}),
                *[wire("SN-4", "warranty", at(-n * 864_000), metadata={"n": n}) for n in range(60)],
                wire("SN-4", "note", at(-60 * 864_000), metadata={"city": "Ulm"}),
                wire("SN-4", "inventory", at(1), metadata={"text": "w" * 500}),
                wire("SN-5", "theft", at(1), metadata={"city": "Ulm"}),
                *[wire("SN-5", "service", at(n + 2), metadata={"n": n}) for n in range(60)],
                wire("SN-6", "theft", at(1)),
                wire(LONG, "production", at(1), source="s" * 128, metadata={"x" * 300: "y" * 900}),
            )
            for serial in ("SN-5", "SN-6"):
                (stolen,) = wiring.history().page(serial, limit=None, type_="theft").events
                named = {"position": stolen.position, "why": "entered twice"}
                keep(client, wire(serial, "void", at(70), metadata=named))
        tokens.make("browser", secret=TOKEN)
        yield environment


@pytest.fixture(scope="module")
def url(stage_with_products: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with api_process.api(tmp_path_factory.mktemp("open") / "log", names.open_to_everybody()) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(
    stage_with_products: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with api_process.api(tmp_path_factory.mktemp("guarded") / "log") as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that must load nothing from elsewhere and break no rule of its own."""
    page = context.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    hosts: set[str] = set()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on(
        "console",
        lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None,
    )
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname or ""))
    yield page
    assert not complaints
    assert hosts <= {"127.0.0.1", ""}  # "": blob: and data:
