"""The HTML report in a real browser: filter, search, keyboard, light, dark, print, no script; and attacks that fail."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from safeload.reports.html import markup as html_markup
from safeload.reports.html import report as html_report
from tests.reports.chromium import Site, browser, needed
from tests.reports.pages import BREAKOUTS, attack, many, page, plain

SHOWN = """
const seen = (what) => [...document.querySelectorAll(what)].filter((node) => !node.closest("[hidden]"));
return {
  files: seen("section.file").map((node) => node.querySelector("h2").textContent),
  rows: seen("tr[data-file]").map((node) => node.querySelector("a").textContent),
  findings: seen(".finding").map((node) => node.dataset.rule),
  count: document.getElementById("count").textContent,
  none: !document.getElementById("none").hidden,
};
"""

# Every piece of text with less contrast than WCAG AA asks for, as it is drawn. In pictures it stands on a rectangle.
CONTRAST = """
const canvas = document.createElement("canvas"), paint = canvas.getContext("2d", {willReadFrequently: true});
canvas.width = canvas.height = 1;
const over = (colors) => {
  for (const color of colors) { paint.fillStyle = color; paint.fillRect(0, 0, 1, 1); }
  return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const light = (rgb) => rgb.map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
const found = [];
let looked = 0;
for (const node of document.querySelectorAll("body *:not(title):not(script):not(option)")) {
  if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
  if (!node.checkVisibility({visibilityProperty: true}) || node.matches(":disabled, .unseen, .skip")) continue;
  const behind = ["white"];
  const drawn = node.namespaceURI.endsWith("svg");
  if (drawn) {
    const piece = node.closest(".piece");
    behind.push(getComputedStyle(piece.querySelector(".out")).fill);
    if (node.matches(".small")) behind.push(getComputedStyle(node.parentNode.querySelector(".in")).fill);
  } else {
    const chain = [];
    for (let at = node; at; at = at.parentElement) chain.unshift(getComputedStyle(at).backgroundColor);
    behind.push(...chain);
  }
  const style = getComputedStyle(node);
  const back = light(over(behind)), front = light(over([...behind, drawn ? style.fill : style.color]));
  const ratio = (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
  looked += 1;
  if (ratio < 4.5) found.push([node.tagName, node.className.toString(), node.textContent.slice(0, 30), ratio]);
}
return [looked, found];
"""


# Whatever waits for focus, a hover, a click or a toggle gets one.
TOUCHES = """
for (const node of document.querySelectorAll("*")) {
  node.focus?.();
  for (const kind of ["mouseover", "pointerenter", "toggle", "load", "error"]) node.dispatchEvent(new Event(kind));
  node.click?.();
}
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    needed()
    with browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def opened(driver: Any, site: Site, text: str) -> None:
    """Load `text` as a page, as if for the first time."""
    driver.get("about:blank")
    driver.get_log("browser")
    site.text = text
    driver.get(site.address)


def choose(driver: Any, ident: str, value: str) -> None:
    from selenium.webdriver.support.ui import Select

    Select(driver.find_element("id", ident)).select_by_value(value)


def search(driver: Any, words: str) -> None:
    field = driver.find_element("id", "search")
    field.clear()
    field.send_keys(words)


def media(driver: Any, *, scheme: str = "light", kind: str = "screen") -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": kind, "features": features})


def test_filtering_works(driver: Any, site: Site) -> None:
    opened(driver, site, page(plain()))
    shown = driver.execute_script(SHOWN)
    assert len(shown["files"]) == len(shown["rows"]) == 9
    assert shown["count"] == "9 files, 9 findings"

    choose(driver, "verdict", "unjudged")
    shown = driver.execute_script(SHOWN)
    assert shown["files"] == shown["rows"] == ["models/half.pt"]
    assert shown["count"] == "Shown: 1 of 9 files, 1 of 9 findings"

    choose(driver, "verdict", "")
    choose(driver, "rule", "unknown-global")
    shown = driver.execute_script(SHOWN)
    assert shown["findings"] == ["unknown-global"] * 5
    assert "models/evil.pt" not in shown["files"]

    choose(driver, "severity", "critical")
    shown = driver.execute_script(SHOWN)
    assert (shown["files"], shown["findings"], shown["none"]) == ([], [], True)

    driver.find_element("id", "reset").click()
    shown = driver.execute_script(SHOWN)
    assert (len(shown["files"]), shown["none"]) == (9, False)
    assert driver.switch_to.active_element.get_attribute("id") == "search"

    choose(driver, "severity", "critical")
    assert driver.execute_script(SHOWN)["findings"] == ["runs-programs", "dangerous"]
    assert driver.get_log("browser") == []


def test_searching_works(driver: Any, site: Site) -> None:
    opened(driver, site, page(plain()))
    for words, files in (
        ("posix.SYSTEM", ["models/evil.pt"]),
        ("evil echo", ["models/evil.pt"]),
        ("evil truncated", []),
        ("README", ["models/README.md"]),
        ("ckpt OWN", ["'models/own class.ckpt'"]),
        ("binunicode", ["models/evil.pt"]),
        ("<script>", []),
    ):
        search(driver, words)
        assert driver.execute_script(SHOWN)["files"] == files, words
    driver.find_element("id", "reset").click()
    assert len(driver.execute_script(SHOWN)["files"]) == 9


def test_keyboard(driver: Any, site: Site) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    opened(driver, site, page(plain()))

    def press(*keys: str) -> Any:
        ActionChains(driver).send_keys(*keys).perform()
        return driver.switch_to.active_element

    assert press("/").get_attribute("id") == "search"
    press("evil/")  # a slash is typed there, and does not jump
    assert driver.find_element("id", "search").get_attribute("value") == "evil/"
    press(Keys.ESCAPE)
    assert len(driver.execute_script(SHOWN)["files"]) == 9

    opened(driver, site, page(plain()))
    order = []
    for _ in range(12):
        here = press(Keys.TAB)
        order.append(here.get_attribute("id") or here.get_attribute("data-verdict") or here.text)
    assert order == [
        "Skip to the findings", "dangerous", "unjudged", "unvetted", "clean", "skipped", "search", "verdict",
        "severity", "rule", "unfold", "fold",
    ]  # fmt: skip

    driver.find_element("css selector", "button[data-verdict=clean]").send_keys(Keys.ENTER)
    assert driver.execute_script(SHOWN)["files"] == ["models/good.pt", "models/be.pt"]
    assert driver.find_element("css selector", "button[data-verdict=clean]").get_attribute("aria-pressed") == "true"
    press(Keys.SPACE)
    assert len(driver.execute_script(SHOWN)["files"]) == 9

    summary = driver.find_element("css selector", "details summary")
    summary.send_keys(Keys.ENTER)
    assert driver.find_element("css selector", "details").get_attribute("open") is None
    driver.find_element("id", "unfold").click()
    assert driver.execute_script("return document.querySelectorAll('details:not([open])').length") == 0


def test_everything_has_a_name_and_a_level(driver: Any, site: Site) -> None:
    """No heading level is skipped, no id is there twice, every control and picture has a name."""
    opened(driver, site, page(plain()))
    levels = driver.execute_script("return [...document.querySelectorAll('h1,h2,h3,h4')].map((h) => +h.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = driver.execute_script("return [...document.querySelectorAll('[id]')].map((node) => node.id)")
    assert len(ids) == len(set(ids))
    tree = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = {"button", "link", "combobox", "searchbox", "image", "region", "heading", "search"}
    found = [node for node in tree if not node["ignored"] and node["role"]["value"] in named]
    assert {"button", "link", "combobox", "searchbox", "heading"} <= {node["role"]["value"] for node in found}
    assert [node["role"]["value"] for node in found if not node.get("name", {}).get("value")] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["screen", "print"])
def test_contrast(driver: Any, site: Site, scheme: str, kind: str) -> None:
    opened(driver, site, page(plain()))
    media(driver, scheme=scheme, kind=kind)
    try:
        looked, weak = driver.execute_script(CONTRAST)
        dark = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    finally:
        media(driver)
    assert looked > 150
    assert weak == []
    screen = {"light": "rgb(246, 247, 249)", "dark": "rgb(15, 19, 24)"}[scheme]
    assert dark == (screen if kind == "screen" else "rgb(255, 255, 255)")


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_window(driver: Any, site: Site, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    try:
        for text in (page(plain()), page(attack())):
            opened(driver, site, text)
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            assert driver.execute_script("return window.innerWidth") == width
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_is_whole_without_script(driver: Any, site: Site) -> None:
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened(driver, site, page(plain()))
        body = driver.find_element("css selector", "body").text
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    for words in ("models/evil.pt", "calls posix.system with 'echo pwned'", "do not load this file", "model.layers"):
        assert words in body
    assert "Search" not in body


def test_printed_it_is_whole(driver: Any, site: Site) -> None:
    opened(driver, site, page(plain()))
    driver.find_element("id", "fold").click()
    assert driver.execute_script("return document.querySelectorAll('details[open]').length") == 0
    assert driver.execute_cdp_cmd("Page.printToPDF", {})["data"].startswith("JVBERi0")
    assert driver.execute_script("return document.querySelectorAll('details:not([open])').length") == 0
    media(driver, kind="print")
    try:
        assert not driver.find_element("id", "tools").is_displayed()
        assert "REDUCE" in driver.find_element("css selector", "main").text
    finally:
        media(driver)


def pwned(driver: Any) -> tuple[bool, str]:
    """Whether the marker is set, and the title. An open dialog makes it raise."""
    return driver.execute_script("return window.pwned === 1"), driver.title


def test_breakouts_run_nothing(driver: Any, site: Site) -> None:
    """Script tags, broken-out attributes, javascript: addresses, in every place of a page that a file can write to."""
    opened(driver, site, page(attack()))
    assert pwned(driver) == (False, "safeload: dangerous, 16 files")
    driver.execute_script(TOUCHES)
    assert pwned(driver)[0] is False
    for bad in BREAKOUTS[::5]:
        search(driver, bad)
    for option in driver.find_elements("css selector", "#rule option")[::5]:
        option.click()
    assert pwned(driver) == (False, "safeload: dangerous, 16 files")
    assert driver.execute_script("return document.scripts.length") == 1
    # Nothing was asked for, and nothing had to be refused either.
    assert driver.get_log("browser") == []
    assert set(site.asked) == {"/report.html"}


def test_where_escaping_failed_the_policy_would_still_hold(
    driver: Any, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second wall, without the first; and without both, the attack of these tests works."""
    monkeypatch.setattr(html_markup, "text", html_markup.Markup)
    monkeypatch.setattr(html_report, "tag", html_markup.tag)
    broken = page(attack())
    opened(driver, site, broken)
    assert pwned(driver)[0] is False
    assert any("Content Security Policy" in entry["message"] for entry in driver.get_log("browser"))
    assert set(site.asked) == {"/report.html"}

    opened(driver, site, broken.replace("Content-Security-Policy", "X-Nothing").replace("alert(1)", "0"))
    assert pwned(driver) == (True, "pwned")
    assert set(site.asked) > {"/report.html"}


def test_a_large_page_works(driver: Any, site: Site) -> None:
    opened(driver, site, page(many(600, 30)))
    shown = driver.execute_script(SHOWN)
    assert shown["count"] == "500 files, 2000 findings"
    search(driver, "Class29 7.pt")
    assert driver.execute_script(SHOWN)["files"] == ["7.pt", "17.pt", "27.pt", "37.pt", "47.pt", "57.pt"]
