"""How quick the cockpit is in a real browser: loading, a key press, and playing."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from afsim.checks import check_whole
from afsim.cockpit.browser import opened_browser, served
from afsim.staging import staged_files

if TYPE_CHECKING:
    from playwright.sync_api import Page

WANTED: Final = {"load_s": 2.0, "key_p95_ms": 100.0, "frames_per_s": 25.0}

# From the key press to the first frame painted with the new picture.
_KEYS: Final = """
async (count) => {
  const image = document.querySelector('[data-testid=hand-image]');
  const times = [];
  for (let i = 0; i < count; i++) {
    const key = i % 2 ? 'ArrowLeft' : 'ArrowRight';
    const begun = performance.now();
    const painted = new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('no picture within 5 s')), 5000);
      const observer = new MutationObserver(() => {
        observer.disconnect();
        image.decode().then(() => requestAnimationFrame(() => { clearTimeout(late); resolve(performance.now()); }));
      });
      observer.observe(image, {attributes: true, attributeFilter: ['src']});
    });
    document.dispatchEvent(new KeyboardEvent('keydown', {key, code: key, bubbles: true}));
    times.push(await painted - begun);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  return times;
}
"""
# Pictures that each line showed while the policies played, and for how long they did.
_PLAY: Final = """
async (seconds) => {
  const images = [...document.querySelectorAll('[data-testid^=line-][data-testid$=-image]')];
  const counts = images.map(() => 0);
  let first = 0, last = 0;
  images.forEach((image, i) => new MutationObserver(() => {
    counts[i] += 1; last = performance.now(); first = first || last;
  }).observe(image, {attributes: true, attributeFilter: ['src']}));
  document.querySelector('[data-testid=play]').click();
  await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  return {counts, seconds: (last - first) / 1000};
}
"""
# Sweeps: the only policies that move at every frame for one and a half seconds.
_SWEEPS: Final = ("sweep", "sweep:sum_modified_laplacian", "sweep:laplacian_energy")

_PICTURED: Final = (
    "stack=5&start=40&lens=typical_phone&sensor=indoor&steps=8&line=you+30+18+12"
    "&line=hill_climb+*4&line=bayesian+*3&line=learned-d1+*2"
)


@dataclass(frozen=True)
class CockpitBenchConfig:
    """How the cockpit is measured."""

    stacks: tuple[Path, ...] = ()
    """A stored set; the embedded demo set by default."""
    loads: int = 5
    """How often the page is opened, in a new profile each time."""
    keys: int = 60
    """How often a key is pressed."""
    plays: int = 3
    """How often the policies play."""
    picture: Path | None = None
    """Where to keep a screenshot (.png) of the page in the middle of an episode."""


def measure(config: CockpitBenchConfig) -> dict[str, float]:
    """Return seconds to load (median), milliseconds from a key to its picture, and frames a second of three lines.

    Raises
    ------
    AfsimError
        For a number below 1, or where there is no browser.
    """
    for name in ("loads", "keys", "plays"):
        check_whole(name, getattr(config, name), least=1)
    sets = ["--stacks", *map(str, config.stacks)] if config.stacks else []
    first = ["--steps", str(config.keys + 1), "--stack", "0", "--start", "0"]
    with served([*sets, *first]) as address, opened_browser() as browser:
        loads = []
        for _ in range(config.loads):
            context = browser.new_context(viewport={"width": 1280, "height": 720})
            loads.append(_load_seconds(context.new_page(), address))
            context.close()
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        _load_seconds(page, address)
        page.wait_for_selector("[data-testid=stack-0]")
        times = np.array(page.evaluate(_KEYS, config.keys))
        rates = [_frames_per_second(page, address) for _ in range(config.plays)]
        if config.picture is not None:
            _photograph(page, address, config.picture)
    return {
        "load_s": float(np.median(loads)),
        "load_worst_s": max(loads),
        "key_median_ms": float(np.median(times)),
        "key_p95_ms": float(np.percentile(times, 95)),
        "frames_per_s": float(np.median(rates)),
    }


def _load_seconds(page: "Page", address: str) -> float:
    """Open the page, and return the seconds until the patch is there."""
    page.goto(address, wait_until="commit")
    page.wait_for_function("document.querySelector('[data-testid=hand-image]')?.naturalWidth > 0")
    return float(page.evaluate("performance.now()")) / 1000.0


def _frames_per_second(page: "Page", address: str) -> float:
    """Let three sweeps play in real time, and return how many pictures a second the slowest line showed."""
    lines = "&".join(f"line={name}" for name in ("you", *_SWEEPS))
    _load_seconds(page, f"{address}?stack=0&start=0&{lines}")
    page.wait_for_selector("[data-testid=line-3-image]")
    page.wait_for_selector("[data-testid=stack-0]")
    seen = page.evaluate(_PLAY, 3)
    return float((min(seen["counts"]) - 1) / seen["seconds"])


def _photograph(page: "Page", address: str, path: Path) -> None:
    """Take a picture of the page, in the middle of an episode that several play."""
    page.set_viewport_size({"width": 1280, "height": 840})
    _load_seconds(page, f"{address}?{_PICTURED}")
    page.wait_for_selector("[data-testid=stack-0]")
    page.wait_for_selector("[data-testid=hand-advice]:has-text('likeliest')")
    page.wait_for_timeout(1000)
    with staged_files(path.parent) as folder:
        page.screenshot(path=folder / path.name)


def run(config: CockpitBenchConfig) -> int:
    """Measure, and print a table."""
    found = measure(config)
    table = Table(title="the cockpit in a headless browser on this machine")
    for column in ("what", "measured", "wanted"):
        table.add_column(column, justify="left" if column == "what" else "right")
    table.add_row("the page loads (median, new profile)", f"{found['load_s']:.2f} s", f"< {WANTED['load_s']:.0f} s")
    table.add_row("the page loads (worst)", f"{found['load_worst_s']:.2f} s", "")
    table.add_row("a key shows its picture (median)", f"{found['key_median_ms']:.0f} ms", "")
    key, wanted = f"{found['key_p95_ms']:.0f} ms", f"<= {WANTED['key_p95_ms']:.0f} ms"
    table.add_row("a key shows its picture (95th percentile)", key, wanted)
    frames = f">= {WANTED['frames_per_s']:.0f}"
    table.add_row("pictures a second of each of three playing lines", f"{found['frames_per_s']:.1f}", frames)
    Console().print(table)
    return 0
