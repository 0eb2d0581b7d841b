"""The scores of a session."""

from nicegui import ui

from afsim.cockpit.desk import Desk
from afsim.cockpit.scoring import score_row, standings


class ScoreSection:
    """You against the policies."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        ui.label(
            "Means over the episodes of this page whose truth was shown. Yours count if you ended them without "
            "having known the truth."
        ).classes("small")
        self._means = _table("standings")
        ui.label("Episodes, the latest first").classes("name")
        self._rows = _table("scores")

    def refresh(self) -> None:
        """Show the scores so far."""
        scores = self._desk.session.scores
        for table, rows in ((self._means, standings(scores)), (self._rows, [score_row(each) for each in scores])):
            if rows != table.rows:
                table.columns = [
                    {"name": name, "label": name, "field": name, "align": "left", "sortable": True}
                    for name in (rows[0] if rows else ())
                ]
                table.rows = rows


def _table(name: str) -> ui.table:
    made = ui.table(rows=[], columns=[], pagination=0).props(f"dense flat bordered data-testid={name} hide-bottom")
    return made.classes("w-full scores")
