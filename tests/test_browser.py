"""The page and the report in a real browser: at the widths of a phone, a laptop and a screen."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import axe_playwright_python
import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from doubles import begin, go, make_config
from rods.loop import Loop
from rods.report.page import write_report
from rods.watch.run import Keeper
from rods.watch.server import application
from watched import hostile_run

pytestmark = pytest.mark.browser
WIDTHS = (390, 1280, 1920)
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
SERIOUS = ("serious", "critical")
MOST = 60_000  # milliseconds until a test says that nothing happens


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "no browser; apt-get install chromium"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


class Served:
    """Runs with their pages: "hostile", and "live", which goes on by `loop`."""

    def __init__(self, root: Path) -> None:
        hostile_run(root / "hostile")
        self.loop: Loop = begin(make_config(2), root / "live")
        go(self.loop, 6)
        self.root = root
        self.keeper = Keeper([root / "hostile", root / "live"]).start()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        config = uvicorn.Config(application(self.keeper), log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],))
        self._thread.start()
        deadline = time.monotonic() + 60
        while not self._server.started or any(
            r.digest.share < 1 for r in self.keeper.runs.values()
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
        self.keeper.close()
        self.loop.store.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(tmp_path_factory.mktemp("served"))
    yield found
    found.close()


class Tab:
    """A page of the browser that keeps what went wrong."""

    def __init__(self, browser: Browser, width: int, dark: bool, own: str) -> None:
        scheme = "dark" if dark else "light"
        size = {"width": width, "height": 900}
        self._context = browser.new_context(viewport=size, color_scheme=scheme)
        self.page: Page = self._context.new_page()
        self.faults: list[str] = []
        page, faults = self.page, self.faults
        page.set_default_timeout(MOST)
        page.on("console", lambda m: m.type in ("error", "warning") and faults.append(m.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda r: r.url.startswith(own) or faults.append(f"loads {r.url}"))

    def check(self) -> None:
        """No error, nothing from elsewhere, nothing wider than the window, no serious finding."""
        page = self.page
        assert not self.faults, self.faults
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it overflows"
        page.evaluate(AXE.read_text("utf-8"))
        found = page.evaluate("axe.run()")
        serious = [
            (rule["id"], node["html"], node["failureSummary"])
            for rule in found["violations"]
            if rule["impact"] in SERIOUS
            for node in rule["nodes"]
        ]
        assert not serious, serious

    def close(self) -> None:
        self._context.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_all_pages(browser: Browser, served: Served, width: int, dark: bool) -> None:
    tab = Tab(browser, width, dark, served.address)
    go_to = tab.page.goto
    for path in ("/", "/run/hostile", "/run/live", "/run/hostile/tasks", "/run/hostile/episodes"):
        go_to(f"{served.address}{path}")
        tab.check()
    tab.page.locator(".list input[type=checkbox]").nth(0).check()
    tab.page.locator(".list input[type=checkbox]").nth(1).check()
    tab.page.get_by_role("button", name="Two picked episodes side by side").click()
    expect(tab.page.get_by_role("heading", name="Two episodes")).to_be_visible()
    tab.check()
    go_to(f"{served.address}/run/hostile/tasks?state=retired")
    tab.page.locator(".list a").first.click()
    expect(tab.page.get_by_text("parent and variant")).to_be_visible()
    tab.check()
    tab.page.locator("main .list a").first.click()
    expect(tab.page.get_by_text("Turn 1").first).to_be_visible()
    tab.check()
    tab.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_report(browser: Browser, served: Served, width: int) -> None:
    file = write_report(served.root / "hostile", served.root / f"{width}.html")
    tab = Tab(browser, width, False, "file://")
    tab.page.goto(file.as_uri())
    tab.check()
    tab.page.locator("details.task").first.evaluate("part => part.open = true")
    tab.check()
    assert tab.page.locator("#count").text_content() == "2 of 2 tasks"
    tab.page.locator("#search").fill("two of")
    assert tab.page.locator("#count").text_content() == "1 of 2 tasks"
    tab.close()


def test_the_page_goes_on_with_the_run(browser: Browser, served: Served) -> None:
    tab = Tab(browser, 1280, False, served.address)
    page, loop = tab.page, served.loop
    page.goto(f"{served.address}/run/live")
    numbers = page.locator("#zones details.numbers")
    numbers.locator("summary").click()
    page.mouse.move(5, 5)
    page.locator("main").focus()
    go(loop, loop.step + 4)
    page.get_by_text(f"steps done {loop.step}").wait_for()
    assert numbers.evaluate("part => part.open"), "what was opened stays open"
    shown = page.locator("#zones tbody tr").count()
    assert shown == loop.store.db.read("SELECT COUNT(DISTINCT epoch) FROM groups")[0][0]
    pause = page.get_by_role("button", name="pause updates")
    pause.focus()
    page.keyboard.press("Enter")
    assert pause.get_attribute("aria-pressed") == "true"
    before = loop.step
    go(loop, loop.step + 2)
    run = served.keeper.runs["live"]
    while run.state is None or run.state.done < loop.step:
        time.sleep(0.05)
    page.wait_for_timeout(3000)
    assert page.get_by_text(f"steps done {before}").is_visible()
    page.keyboard.press("Enter")
    page.get_by_text(f"steps done {loop.step}").wait_for()
    tab.check()
    tab.close()


def test_a_chart_is_read_by_the_keyboard(browser: Browser, served: Served) -> None:
    tab = Tab(browser, 1280, False, served.address)
    page = tab.page
    page.goto(f"{served.address}/run/hostile")
    page.locator("#signals .plot").focus()
    page.keyboard.press("Home")
    reading = page.locator("#signals .reading")
    assert reading.text_content() == "epoch 0: signal 100.0 % (3 of 3)"
    page.keyboard.press("ArrowRight")
    assert reading.text_content() == "epoch 1: all solved 100.0 % (1 of 1)"
    page.locator("#zones .plot").hover()
    assert (page.locator("#zones .reading").text_content() or "").startswith("epoch ")
    page.goto(f"{served.address}/run/hostile/tasks")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main", "past the links"
    tab.close()
