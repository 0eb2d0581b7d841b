"""The cockpit end to end, in a real headless browser; screenshots go into AFSIM_SCREENSHOTS where that is set."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import pytest

from afsim.cockpit.browser import find_browser, opened_browser, served
from afsim.sets import demo_stacks

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.skipif(
    find_browser() is None, reason="no Chromium on this machine (AFSIM_BROWSER names one)"
)

# Three stacks of the demo set, the second of which is sharpest near 34.
FOCUS = 34


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sets") / "small"
    demo_stacks(3).save(path)
    return path


@pytest.fixture(scope="module")
def address(small_set: Path) -> Iterator[str]:
    words = ["--stacks", str(small_set), "--stack", "1", "--start", "30"]
    with served(words) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with opened_browser() as found:
        yield found


class Visitor:
    """A page in a profile of its own, with what went wrong in it."""

    def __init__(self, browser: "Browser", address: str, width: int = 1280, height: int = 720) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.asked: set[str] = set()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda told: self.errors.append(told.text) if told.type == "error" else None)
        self.page.on("request", lambda request: self.asked.add(urlsplit(request.url).netloc))
        self.open(address)

    def open(self, address: str) -> None:
        self.page.goto(address)
        self.page.wait_for_function("document.querySelector('[data-testid=hand-image]')?.naturalWidth > 0")
        self.page.wait_for_selector("[data-testid=found]:has-text('recordings')")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def click(self, name: str) -> None:
        self.page.click(f"[data-testid='{name}']")

    def section(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def sees(self, name: str, text: str) -> None:
        """Wait until an element has a text in it."""
        self.page.wait_for_selector(
            f"[data-testid='{name}']:has-text({json.dumps(text, ensure_ascii=False)})", timeout=15000
        )

    def text(self, name: str) -> str:
        return self.page.text_content(f"[data-testid='{name}']") or ""

    def link(self, text: str) -> None:
        """Wait until the page's own address has a line in it."""
        self.page.wait_for_function(
            "text => new URL(location).searchParams.getAll('line').includes(text)", arg=text
        )

    def picture(self, name: str) -> np.ndarray:
        """Return the pixels that an image of the page has."""
        source = self.page.get_attribute(f"[data-testid='{name}']", "src") or ""
        coded = np.frombuffer(base64.b64decode(source.partition(",")[2]), np.uint8)
        found = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
        assert found is not None
        return found

    def keep(self, name: str, *, whole: bool = False) -> None:
        """Take a screenshot where they are kept."""
        folder = os.environ.get("AFSIM_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole)


@pytest.fixture
def visitor(browser: "Browser", address: str) -> Iterator[Visitor]:
    made = Visitor(browser, address)
    yield made
    made.context.close()
    assert made.errors == []
    assert made.asked == {urlsplit(address).netloc}  # nothing from anywhere else


# ---------------------------------------------------------------------- by hand
def test_focus_by_hand_with_the_keyboard_alone(visitor: Visitor) -> None:
    visitor.keep("1-loaded")
    visitor.sees("hand-status", "index 30 · step 0 of 10")
    assert "error hidden" in visitor.text("hand-result")
    visitor.press("ArrowRight", "ArrowUp")
    visitor.sees("hand-status", "index 36 · step 2")
    visitor.press("u")
    visitor.sees("hand-status", "index 31 · step 1")
    visitor.press("g")
    visitor.page.keyboard.type(str(FOCUS))
    visitor.press("Enter")
    visitor.sees("hand-status", f"index {FOCUS} · step 2")
    visitor.sees("hand-advice", "likeliest")
    assert "1 undone" in visitor.text("hand-status")
    visitor.press("Escape", "d")  # out of the field, in which a d is no command
    visitor.sees("hand-result", "exact")
    error = re.search(r"exact ([+−]?[\d.]+)", visitor.text("hand-result"))
    assert error is not None
    assert float(error[1].replace("−", "-")) == pytest.approx(0.0, abs=1.0)
    visitor.section("Scores")
    visitor.sees("standings", "hill_climb")
    visitor.sees("scores", "1 undone")
    visitor.keep("2-by-hand")


def test_the_lens_is_moved_with_the_mouse_too(visitor: Visitor) -> None:
    visitor.click("move+5")
    visitor.sees("hand-status", "index 35 · step 1")
    visitor.click("move-1")
    visitor.sees("hand-status", "index 34 · step 2")
    box = visitor.page.locator("[data-testid=lens-slider]").bounding_box()
    assert box is not None
    visitor.page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] / 2)
    visitor.page.mouse.down()
    visitor.page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2, steps=8)
    visitor.page.mouse.up()
    visitor.sees("hand-status", "step 3")  # one move, however long the way
    assert 10 <= int((re.search(r"index (\d+)", visitor.text("hand-status")) or [0, 0])[1]) <= 19
    visitor.click("go")
    visitor.sees("status", "type an index")
    visitor.click("undo")
    visitor.sees("hand-status", "step 2")


def test_the_patch_is_seen_in_every_view(visitor: Visitor) -> None:
    first = visitor.picture("hand-image")
    for view in ("left", "right", "difference", "green"):
        visitor.press("v")
        visitor.page.wait_for_selector(f"[data-testid=hand-image][alt*='{view}']")
    np.testing.assert_array_equal(visitor.picture("hand-image"), first)
    visitor.click("zoom")
    visitor.sees("zoom", "×2")
    assert "scale(2)" in (visitor.page.get_attribute("[data-testid=hand-image]", "style") or "")
    assert "zoom=2" in visitor.page.url


# ---------------------------------------------------------------------- policies
def test_policies_step_together_fork_and_change_hands(visitor: Visitor) -> None:
    assert [visitor.text(f"line-{i}-name") for i in (1, 2, 3)] == ["hill_climb", "bayesian", "learned-d1"]
    before = visitor.picture("line-1-image")
    visitor.press("s", "s")
    visitor.sees("line-1-stands", "step 2 of 10")
    visitor.sees("line-2-stands", "step 2 of 10")
    assert (visitor.picture("line-1-image") != before).any()
    assert "go to" in visitor.text("line-2-decides")
    visitor.press("ArrowDown", "f")
    visitor.sees("line-6-name", "you > learned-d1")
    visitor.link("you 25 > bayesian *0")
    visitor.press("b")
    visitor.sees("line-1-stands", "step 1 of 10")
    visitor.keep("3-forked", whole=True)
    visitor.click("take-2")  # go on from where bayesian stands
    visitor.sees("hand-status", "bayesian > you")
    visitor.press("u")
    visitor.sees("hand-status", "you: index 25")
    visitor.click("hand-over")
    visitor.sees("hand-status", "you > hybrid")
    for count in (6, 5, 4, 3):
        visitor.click(f"remove-{count}")
        visitor.page.wait_for_selector(f"[data-testid=line-{count}]", state="detached")
    visitor.click("play")
    visitor.sees("play", "Play")
    visitor.sees("hand-result", "exact")  # the policy that you handed over to has ended: the truth is shown
    visitor.keep("4-played")


def test_a_policy_of_ones_own_options_is_added(visitor: Visitor) -> None:
    visitor.page.fill("[data-testid=policy]", "hill_climb:laplacian_energy; first_step=3")
    visitor.press("Enter")
    visitor.click("add")
    visitor.sees("line-4-name", "hill_climb:laplacian_energy;first_step=3")
    visitor.page.fill("[data-testid=policy]", "rl:/tmp/agent.zip")
    visitor.press("Enter")
    visitor.click("add")
    visitor.sees("status", "pages play only the files that the cockpit was started with")
    visitor.page.fill("[data-testid=policy]", "magic")
    visitor.press("Enter")
    visitor.click("add")
    visitor.sees("status", "unknown policy 'magic'")


# ---------------------------------------------------------------------- choosing and the camera
def test_a_recording_is_chosen(visitor: Visitor) -> None:
    visitor.page.fill("[data-testid=scene]", "000002")
    visitor.sees("found", "1 of 3 recordings")
    visitor.click("stack-2")
    visitor.sees("where", "demo-000002 of small, from index 30")
    visitor.page.fill("[data-testid=start]", "7")
    visitor.sees("where", "from index 7")
    visitor.page.fill("[data-testid=steps]", "4")
    visitor.sees("where", "m = 4")
    visitor.page.fill("[data-testid=start]", "99")
    visitor.sees("status", "start must be integers in 0 ... 48, got 99")
    visitor.sees("where", "from index 7")
    visitor.press("Tab")
    visitor.click("new")
    visitor.page.wait_for_function("new URL(location).searchParams.get('seed') === '1'")


def test_every_imperfection_can_be_changed_while_playing(visitor: Visitor) -> None:
    visitor.press("ArrowUp")
    visitor.sees("hand-status", "index 35 · step 1")
    clean = visitor.picture("hand-image")
    visitor.section("Camera")
    choose(visitor, "lens", "worn_warm")
    visitor.sees("where", "lens worn_warm")
    choose(visitor, "sensor", "dark")
    visitor.sees("where", "sensor dark")
    visitor.sees("hand-status", "index 35 · step 1")  # the same moves, seen through another camera
    assert np.abs(visitor.picture("hand-image").astype(int) - clean).mean() > 2
    visitor.page.click("text=Every field of the lens")
    visitor.page.fill("[data-testid=lens-gravity]", "0")
    visitor.sees("where", "worn_warm,gravity=0")
    visitor.page.click("[data-testid=lens-ringing]")
    visitor.sees("where", "ringing=off")
    visitor.page.fill("[data-testid=lens-hysteresis]", "-1")
    visitor.sees("status", "hysteresis must be")
    visitor.sees("where", "worn_warm,gravity=0.0,ringing=off")
    visitor.page.wait_for_function("document.querySelector('[data-testid=lens-hysteresis]').value == '3'")
    visitor.keep("5-camera")
    visitor.click("reset-camera")
    visitor.sees("where", "lens worn_warm, sensor dark")


def choose(visitor: Visitor, name: str, option: str) -> None:
    visitor.click(name)
    visitor.page.get_by_role("option", name=option, exact=True).click()


# ---------------------------------------------------------------------- explaining
def test_why_the_map_and_the_filmstrip(visitor: Visitor) -> None:
    visitor.section("Explain")
    visitor.click("map")
    visitor.sees("status", "choose a line that a policy plays")
    choose(visitor, "explained", "1: hill_climb")
    visitor.sees("why", "So it goes")
    visitor.click("map")
    visitor.sees("status", "the map shows the truth")
    visitor.click("strip")
    visitor.sees("status", "filmstrips and films show the truth")
    visitor.press("r")
    visitor.sees("hand-result", "exact")
    visitor.click("map")
    visitor.sees("map-words", "hill_climb from all 49 starts")
    visitor.page.wait_for_selector("[data-testid=start-map] svg path", state="attached")
    visitor.keep("6-map")
    visitor.click("strip")
    visitor.page.wait_for_function("document.querySelector('[data-testid=filmstrip]')?.naturalWidth == 1920")
    visitor.page.wait_for_timeout(400)  # it fades in
    visitor.keep("7-filmstrip")
    visitor.click("close-strip")


# ---------------------------------------------------------------------- keeping
def test_save_and_load(visitor: Visitor, address: str, tmp_path: Path) -> None:
    visitor.press("ArrowRight", "s")
    visitor.link("you 31")
    visitor.link("bayesian *1")
    url = visitor.page.url
    visitor.section("Keep")
    with visitor.page.expect_download() as download:
        visitor.click("save-json")
    saved = tmp_path / "episode.json"
    download.value.save_as(saved)
    assert json.loads(saved.read_text())["lines"][:2] == ["you 31", "hill_climb *1"]
    visitor.click("copy")
    visitor.page.wait_for_function(
        "/link copied|copies nothing/.test(document.querySelector('[data-testid=status]').textContent)"
    )
    with visitor.page.expect_download() as download:
        visitor.click("save-csv")
    assert download.value.suggested_filename == "demo-000001-from-30.csv"
    visitor.open(address)
    visitor.sees("hand-status", "index 30 · step 0")
    visitor.section("Keep")
    load(visitor, saved)
    visitor.sees("status", "replays bit for bit")
    visitor.sees("hand-status", "index 31 · step 1")
    assert visitor.page.url == url
    damaged = tmp_path / "damaged.json"
    damaged.write_text("{")
    load(visitor, damaged)
    visitor.sees("status", "damaged.json is damaged or no saved episode")
    visitor.sees("hand-status", "index 31 · step 1")
    visitor.press("r")
    visitor.sees("hand-result", "exact")
    with visitor.page.expect_download() as download:
        visitor.click("save-gif")
    assert Path(download.value.path()).read_bytes()[:6] == b"GIF89a"


def load(visitor: Visitor, path: Path) -> None:
    visitor.page.locator("[data-testid=load] input[type=file]").set_input_files(path)


def test_a_link_opens_the_whole_state_in_another_browser(visitor: Visitor, browser: "Browser") -> None:
    visitor.press("ArrowRight", "v", "s", "f")
    visitor.link("you 31 > hill_climb *0")
    other = Visitor(browser, visitor.page.url)
    for name in ("hand-status", "where", "line-1-stands", "line-4-name", "line-5-decides"):
        assert other.text(name) == visitor.text(name)
    np.testing.assert_array_equal(other.picture("hand-image"), visitor.picture("hand-image"))
    assert parse_qs(urlsplit(other.page.url).query) == parse_qs(urlsplit(visitor.page.url).query)
    other.context.close()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("stacks=/etc/passwd", "unknown set '/etc/passwd'"),
        ("start=soon", "parameter 'start': expected a whole number, got 'soon'"),
        ("line=you+99", "there is no index 99"),
        ("line=<img src=x onerror=alert(1)>", "expected <img *MOVES"),
    ],
)
def test_a_bad_link_gives_a_message_and_a_page_that_works(
    visitor: Visitor, address: str, query: str, message: str
) -> None:
    visitor.open(f"{address}?{query}")
    visitor.sees("status", "this link cannot be opened")
    visitor.sees("status", message)
    visitor.press("ArrowRight")
    visitor.sees("hand-status", "index 31 · step 1")


# ---------------------------------------------------------------------- manners
def test_two_visitors_do_not_disturb_each_other(visitor: Visitor, browser: "Browser", address: str) -> None:
    other = Visitor(browser, address)
    visitor.press("ArrowRight")
    other.press("ArrowDown")
    visitor.sees("hand-status", "index 31 · step 1")
    other.sees("hand-status", "index 25 · step 1")
    other.section("Camera")
    choose(other, "lens", "worn_warm")
    other.sees("where", "lens worn_warm")
    visitor.press("ArrowRight")
    visitor.sees("hand-status", "index 32 · step 2")
    assert "lens ideal" in visitor.text("where")
    other.context.close()


def test_every_control_has_a_name_for_those_who_do_not_see_it(visitor: Visitor) -> None:
    for section in ("Recording", "Camera", "Explain", "Keep", "Scores"):
        visitor.section(section)
        nameless = visitor.page.evaluate(
            """() => [...document.querySelectorAll('button, input, [role=slider], [role=combobox]')]
                .filter((each) => each.offsetParent && each.type !== 'file')
                .filter((each) => !(each.getAttribute('aria-label') || each.textContent.trim()))
                .filter((each) => !(each.labels?.length || each.closest('label') || each.closest('[aria-label]')))
                .map((each) => each.outerHTML.slice(0, 120))"""
        )
        assert nameless == [], section
    assert visitor.page.get_attribute("[data-testid=status]", "aria-live") == "polite"


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844)])
def test_the_page_fits_a_screen_and_a_phone(browser: "Browser", address: str, width: int, height: int) -> None:
    visitor = Visitor(browser, address, width, height)
    visitor.press("s")
    visitor.sees("line-1-stands", "step 1")
    wide = visitor.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width
    sizes = visitor.page.evaluate(
        """() => [...document.querySelectorAll('main *')].filter((each) => each.offsetParent)
            .filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()))
            .filter((each) => !each.closest('svg'))
            .map((each) => parseFloat(getComputedStyle(each).fontSize))"""
    )
    assert min(sizes) >= 11
    visitor.keep(f"8-{width}x{height}", whole=width < 500)
    visitor.context.close()


def test_the_benchmark_measures(small_set: Path) -> None:
    words = ["--stacks", str(small_set), "--loads", "1", "--keys", "4", "--plays", "1"]
    command = [sys.executable, "-m", "afsim.cli", "bench", "cockpit", *words]
    run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert run.returncode == 0, run.stderr
    assert len(re.findall(r"│ +[1-9\d][\d.]* (?:s|ms)? *│", run.stdout)) >= 4


def test_it_works_in_the_frame_of_a_notebook(browser: "Browser", address: str) -> None:
    own = address.replace("127.0.0.1", "localhost")
    notebook = f'<h1>another origin</h1><iframe src="{own}" width="1000" height="700"></iframe>'

    class Notebook(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(notebook.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Notebook) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"http://localhost:{server.server_port}/")
        frame = page.frame_locator("iframe")
        frame.locator("[data-testid=found]").filter(has_text="recordings").wait_for()
        frame.locator("[data-testid='move+5']").click()
        frame.locator("[data-testid=hand-status]").filter(has_text="index 35 · step 1").wait_for()
        page.close()
        server.shutdown()


def test_the_server_lives_on_where_a_page_fails(visitor: Visitor, address: str) -> None:
    visitor.press("?")
    visitor.page.wait_for_selector("text=show the truth")
    visitor.press("Escape")
    visitor.press("q", "x", "Control+k")  # no keys of ours
    visitor.press("ArrowRight")
    visitor.sees("hand-status", "index 31 · step 1")
