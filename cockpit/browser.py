"""A real browser in front of a cockpit of its own process: for benchmarks and end-to-end tests."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from afsim.errors import AfsimError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing that reaches for the network of itself; no sandbox, which containers do not allow.
_FLAGS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


def find_browser() -> str | None:
    """Return the path of a Chromium on this machine (``AFSIM_BROWSER`` names another one), or None."""
    named = os.environ.get("AFSIM_BROWSER")
    return named or next((path for name in _NAMES if (path := shutil.which(name))), None)


@contextmanager
def opened_browser() -> Iterator["Browser"]:
    """Yield a headless browser.

    Raises
    ------
    AfsimError
        Where there is none, or Playwright is not installed.
    """
    path = find_browser()
    if path is None:
        raise AfsimError(f"no browser was found; expected one of {', '.join(_NAMES)} on the path, or AFSIM_BROWSER")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise AfsimError(f"a browser is driven by Playwright: pip install playwright ({error})") from error
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def served(words: Sequence[str] = ()) -> Iterator[str]:
    """Yield the address of a cockpit that serves in a process of its own, with options of ``afsim cockpit``.

    Raises
    ------
    AfsimError
        Where it does not start.
    """
    command = [sys.executable, "-m", "afsim.cli", "cockpit", "--port", "0", "--no-show", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            if found is None:
                raise AfsimError(f"the cockpit did not start: {' '.join(command)}")
            yield found[0]
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
