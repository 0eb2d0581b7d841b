"""What the controls of a page call: one change after another, errors as messages, and the clock that plays."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Final

from nicegui import background_tasks, context, run, ui

from afsim.cockpit.board import Board
from afsim.cockpit.link import query_of
from afsim.cockpit.session import Session
from afsim.errors import AfsimError

TICKS: Final = 60
"""A second, while policies play: two for each frame of a 30 fps camera, so that none is missed."""
SPEEDS: Final = {1.0: "real time", 0.5: "half", 0.2: "a fifth", 0.1: "a tenth"}
"""How fast simulated time passes."""
# Words and charts are told anew at most so often while playing: the eye follows the pictures.
_CHART_SECONDS: Final = 0.25
# After a move by hand, the picture is painted before words and charts are told.
_CHARTS_LATER: Final = 0.05


class Desk:
    """One page's session, and the parts of the page that show it.

    Parameters
    ----------
    session : Session
        This page's own.

    Attributes
    ----------
    parts : list of callable
        Told, after every change, to show the session as it stands; whether only pictures, or words and charts too.
    playing, speed, clock
        Whether policies play by themselves, how fast, and the simulated time in milliseconds.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.client = context.client
        self.parts: list[Callable[[bool], None]] = []
        self.playing, self.speed, self.clock = False, 1.0, 0.0
        self.said: Callable[[str], object] = lambda message: None
        self._lock = asyncio.Lock()
        self._timer = ui.timer(1.0 / TICKS, self.tick, active=False)
        self._last = self._drawn = 0.0
        self._changes = 0

    @property
    def board(self) -> Board:
        """The board as it stands."""
        return self.session.board

    # ------------------------------------------------------------------ changes
    async def act(self, change: Callable[[], object], *, quick: bool = False) -> bool:
        """Make a change to the session, after those that are under way, and show it; tell whether it was made.

        It runs in a thread, so that nobody waits, unless it is ``quick``: a move by hand. Then pictures come first,
        and words and charts once no other quick change has followed.
        """
        async with self._lock:
            try:
                if quick:
                    change()
                else:
                    await run.io_bound(change)
            except (AfsimError, OSError) as error:
                self.say(str(error), wrong=True)
                return False
        if not quick:
            self.refresh()
            return True
        self._changes += 1
        changes = self._changes
        self.refresh(charts=False)
        await asyncio.sleep(_CHARTS_LATER)
        if changes == self._changes:
            self.refresh()
        return True

    async def play_on(self, change: Callable[[Board], Board], *, quick: bool = False) -> bool:
        """Make a change to the board: see :meth:`act`."""
        return await self.act(lambda: self.session.apply(change(self.board)), quick=quick)

    async def move(self, command: int | None) -> None:
        """Move your lens to an index, cut to those that there are; None declares the focus."""
        if command is not None:
            command = min(max(command, 0), self.board.task.spec.n - 1)
            if command == self.index and self.board.yours.by_hand:
                self.say(f"the lens is at index {command} already; D declares it focused")
                return
        await self.play_on(lambda board: board.moved(command), quick=True)

    @property
    def index(self) -> int:
        """Where your lens was told to be."""
        line = self.board.yours
        return round(float(line.trace.lanes["command"][line.step]))

    async def compute(self, job: Callable[[], object]) -> object:
        """Return what a job gives that changes nothing, from a thread; None where it fails, which is told."""
        try:
            return await run.io_bound(job)
        except (AfsimError, OSError) as error:
            self.say(str(error), wrong=True)
            return None

    # ------------------------------------------------------------------ telling
    def say(self, message: str, *, wrong: bool = False) -> None:
        """Show a message, and have it read out."""
        self.said(message)
        ui.notify(
            message,
            type="negative" if wrong else "info",
            multi_line=True,
            close_button="Close",
            timeout=8000 if wrong else 2500,
        )

    def unexpected(self, error: Exception) -> None:
        """Tell of an error that should not have been; the page lives on."""
        with self.client:
            self.say(f"that did not work: {type(error).__name__}: {error}", wrong=True)

    def refresh(self, *, charts: bool = True) -> None:
        """Show the session as it stands, and keep the address of the page in step with it."""
        for part in self.parts:
            part(charts)
        if charts and not self.playing:
            link = f"?{query_of(self.session.state)}"
            ui.run_javascript(f"history.replaceState(null, '', {json.dumps(link)})")

    # ------------------------------------------------------------------ playing
    def toggle_play(self) -> None:
        """Let the policies play at the camera's speed, or stop them."""
        if not self.playing and self.board.at_rest:
            self.say("no policy has a move left: add one, or begin a new episode")
            return
        self.playing = self._timer.active = not self.playing
        self.clock, self._last = self.board.now(), time.monotonic()
        self.refresh()

    def tick(self) -> None:
        """Let as much simulated time pass as real time has passed, by the speed."""
        now = time.monotonic()
        passed, self._last = now - self._last, now
        if not self.playing or self._lock.locked():
            return
        self.clock += 1000.0 * passed * self.speed
        before, after = self.board, self.board.at_time(self.clock)
        if any(one is not other for one, other in zip(before.lines, after.lines, strict=True)):
            self.session.apply(after)
        charts = now - self._drawn >= _CHART_SECONDS
        self._drawn = now if charts else self._drawn
        if after.at_rest:
            self.playing = self._timer.active = False
            charts = True
        self.refresh(charts=charts)

    def later(self, job: Callable[[], object], then: Callable[[object], None]) -> None:
        """Compute something in a thread and show it when it is there."""

        async def wait() -> None:
            with self.client:
                found = await self.compute(job)
                then(found)

        background_tasks.create(wait(), name="cockpit")
