"""The claims of the paper's section 7, one by one: what it says, how we check it, and what both of us find."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from afsim.errors import AfsimError
from afsim.experiments.learned_rows import OUR_MODEL
from afsim.experiments.table_rows import STAND_IN
from afsim.rows import number


class MissingFigureError(AfsimError):
    """A figure that a claim needs is not there."""


class Verdict(NamedTuple):
    """Whether a claim holds (None: it cannot be told), and the figures that say so, ours and the paper's."""

    holds: bool | None
    ours: str
    paper: str


@dataclass(frozen=True)
class Figures:
    """What claims are checked on.

    Attributes
    ----------
    tables : mapping
        Rows of ``table1``, ``table2`` and ``table3``, as in their rows.csv.
    sides : mapping
        Of ``i1`` and ``d1``: how they err (:class:`afsim.experiments.claims.Sides`).
    """

    tables: Mapping[str, Sequence[Mapping[str, str]]]
    sides: Mapping[str, Any]

    def rows(self, table: str, **wanted: str) -> list[Mapping[str, str]]:
        """Return a table's rows that stand for the paper's, or stand in for them, and have these fields."""
        ours = [r for r in self.tables[table] if r["reproduction"] == "True" or r["extension"] == STAND_IN]
        return [r for r in ours if all(r.get(key) == value for key, value in wanted.items())]

    def of(self, table: str, field: str, **wanted: str) -> float:
        """Return a figure of the one row with these fields."""
        found = self.rows(table, **wanted)
        if not found:
            raise MissingFigureError(f"{table} has no row with {wanted}")
        return number(found[0], field)

    def ours(self, kind: str, field: str = "mae", *, steps: int = 1) -> float:
        """Return a figure of the paper's own model of a kind."""
        table = "table1" if kind.endswith("*") else "table2"
        return self.of(table, field, kind=kind, name=OUR_MODEL, steps=str(steps))

    def best(self, kind: str, field: str = "mae") -> float:
        """Return the least error of Table 1's other rows of a kind, stand-ins left out."""
        rows = self.rows("table1", kind=kind, steps="1", reproduction="True")
        found = [number(r, field) for r in rows if r["name"] != OUR_MODEL]
        if not found:
            raise MissingFigureError(f"table1 has no rows of {kind}")
        return min(found)

    def side(self, network: str) -> Any:
        """Return how a network of one slice errs."""
        if network not in self.sides:
            raise MissingFigureError(f"the network {network} cannot be played on these stacks")
        return self.sides[network]


@dataclass(frozen=True)
class Claim:
    """A claim.

    Attributes
    ----------
    section : str
        Of the paper.
    says : str
        What it says.
    check : str
        When we take it to hold.
    of : callable
        The verdict on figures.
    """

    section: str
    says: str
    check: str
    judge: Callable[[Figures], Verdict]

    def of(self, figures: Figures) -> Verdict:
        """Return the verdict; unknown where a figure is missing."""
        try:
            return self.judge(figures)
        except MissingFigureError as error:
            return Verdict(None, str(error), "")


# ---------------------------------------------------------------------- 7.1
def _single_slice(figures: Figures) -> Verdict:
    best, ours = figures.best("D1"), figures.ours("D1")
    text = f"{ours:.2f} against {best:.2f}: factor {best / ours:.2f}"
    return Verdict(ours <= 0.33 * best, text, "2.24 against 7.18: factor 3.21")


def _stand_in(figures: Figures) -> Verdict:
    stand_in, ours = figures.of("table1", "mae", kind="D1", name="Learned Depth"), figures.ours("D1")
    text = f"{ours:.2f} against {stand_in:.2f}: factor {stand_in / ours:.2f}"
    return Verdict(ours <= 0.33 * stand_in, text, "2.24 against 7.18: factor 3.21")


def _single_slice_rmse(figures: Figures) -> Verdict:
    best, ours = figures.best("D1", "rmse"), figures.ours("D1", "rmse")
    text = f"{ours:.2f} against {best:.2f}: factor {best / ours:.2f}"
    return Verdict(best >= 3.0 * ours, text, "3.11 against 11.35: factor 3.65")


def _extended(figures: Figures) -> Verdict:
    rows = [r for r in figures.tables["table2"] if r["kind"] == "D1" and r["extension"].endswith("reach 16")]
    first = [r for r in rows if r["steps"] == "1"]
    if not first:
        raise MissingFigureError("table2 has no rows of the full reach")
    best, exact = (min(number(r, field) for r in first) for field in ("mae", "exact_mae"))
    ours, ours_exact = figures.ours("D1"), figures.ours("D1", "exact_mae")
    text = f"{ours:.2f} against {best:.2f}; exact {ours_exact:.2f} against {exact:.2f}"
    return Verdict(ours < best and ours_exact < exact, text, "–")


def _share_of_sweep(figures: Figures) -> Verdict:
    ours = figures.ours("D1") / 0.49
    return Verdict(ours <= 4.6, f"{ours:.1f} %", "4.6 %")


def _whole(kind: str, paper: str) -> Callable[[Figures], Verdict]:
    def judge(figures: Figures) -> Verdict:
        pairs = [(figures.ours(kind, field), figures.best(kind, field)) for field in ("mae", "rmse")]
        text = "; ".join(
            f"{name} {a:.2f} against {b:.2f}" for name, (a, b) in zip(("MAE", "RMSE"), pairs, strict=True)
        )
        return Verdict(all(ours < best for ours, best in pairs), text, paper)

    return judge


def _equal(figures: Figures) -> Verdict:
    green, dual = figures.ours("I*"), figures.ours("D*")
    return Verdict(abs(green - dual) <= 0.1 * green, f"I* {green:.2f}, D* {dual:.2f}", "I* 1.60, D* 1.61")


def _blatant(figures: Figures) -> Verdict:
    shares = [figures.ours(kind, "le4") for kind in ("I*", "D*")]
    return Verdict(min(shares) >= 0.95, f"I* {shares[0]:.3f}, D* {shares[1]:.3f}", "I* 0.957, D* 0.955")


# ---------------------------------------------------------------------- 7.2
def _second_step(name: str, kind: str, paper: str) -> Callable[[Figures], Verdict]:
    def judge(figures: Figures) -> Verdict:
        one, two = (figures.of("table2", "mae", kind=kind, name=name, steps=str(steps)) for steps in (1, 2))
        return Verdict(two < one, f"{one:.2f}, then {two:.2f}", paper)

    return judge


def _gains(figures: Figures) -> Verdict:
    gains = {kind: figures.ours(kind) - figures.ours(kind, steps=2) for kind in ("I1", "D1")}
    text = f"I1 gains {gains['I1']:.2f}, D1 {gains['D1']:.2f}"
    return Verdict(gains["I1"] >= 2.0 * gains["D1"] > 0.0, text, "I1 gains 1.47, D1 0.30")


def _nears(figures: Figures) -> Verdict:
    green, dual = figures.ours("I1", steps=2), figures.ours("D1")
    return Verdict(
        green <= 1.3 * dual, f"{green:.2f} against {dual:.2f}: {green / dual:.2f}", "2.86 against 2.24: 1.28"
    )


# ---------------------------------------------------------------------- 7.3
def _registration(figures: Figures) -> Verdict:
    gains = {
        row["name"]: (number(row, "change"), number(row, "change_hi"))
        for row in figures.rows("table3", registration="calibrated", kind="I*")
        if row["name"] != OUR_MODEL
    }
    if not gains:
        raise MissingFigureError("table3 has no contrast rows")
    lower, surely = (sum(pair[i] < 0.0 for pair in gains.values()) for i in (0, 1))
    mean = sum(pair[0] for pair in gains.values()) / len(gains)
    text = f"{lower} of {len(gains)} are lower ({surely} surely), by {-mean:.2f} in the mean"
    return Verdict(2 * lower > len(gains), text, "4 of 7, by 0.14 in the mean")


def _registered_model(figures: Figures) -> Verdict:
    found = [
        figures.of("table3", "mae", registration=name, name=OUR_MODEL, kind="I*") for name in ("none", "calibrated")
    ]
    text = f"{found[0]:.2f}, registered {found[1]:.2f} (trained on recorded stacks alone)"
    return Verdict(found[1] < found[0], text, "1.60, registered 1.57 (trained on registered stacks)")


# ---------------------------------------------------------------------- 7.4
def _ambiguity(figures: Figures) -> Verdict:
    green, dual = figures.ours("I1"), figures.ours("D1")
    return Verdict(
        green >= 1.5 * dual, f"{green:.2f} against {dual:.2f}: {green / dual:.2f}", "4.32 against 2.24: 1.93"
    )


def _mirrored(figures: Figures) -> Verdict:
    side = figures.side("i1")
    text = f"{side.mirrored:.2f} of the gross errors (guesses: {side.chance:.2f})"
    return Verdict(side.mirrored >= max(0.5, 3.0 * side.chance), text, "one patch shown (figure 10b)")


def _ends(figures: Figures) -> Verdict:
    side = figures.side("i1")
    text = f"gross errors of {side.gross_outside:.3f} near the ends, {side.gross_inside:.3f} where both sides exist"
    return Verdict(side.gross_inside >= 2.0 * side.gross_outside, text, "one patch shown (figure 10b)")


def _bimodal(figures: Figures) -> Verdict:
    green, dual = figures.side("i1").split, figures.side("d1").split
    text = f"split distributions: I1 {green:.3f}, D1 {dual:.3f}"
    return Verdict(green >= 3.0 * dual, text, "one patch shown (figure 10a)")


CLAIMS: Final = (
    Claim(
        "7.1",
        "D1 is better than single-slice disparity by a factor of three in MAE",
        "at most 0.33 of the better of ZNCC and SSD as published",
        _single_slice,
    ),
    Claim(
        "7.1",
        "D1 is better than Learned Depth by a factor of three in MAE",
        "at most 0.33 of our stand-in, which is trained on the same rendered set with its exact truth",
        _stand_in,
    ),
    Claim(
        "7.1",
        "D1 is better than single-slice disparity by as much in RMSE",
        "at most a third of the better of the two",
        _single_slice_rmse,
    ),
    Claim(
        "(ours)",
        "D1 is better than disparity searched over its full reach, against labels and exact truth",
        "both less than the best with a reach of 16 pixels",
        _extended,
    ),
    Claim("7.1", "D1 is wrong by 4.5 % of the sweep in the mean", "MAE at most 4.6 % of 49", _share_of_sweep),
    Claim(
        "7.1",
        "I* is better than every contrast measure",
        "MAE and RMSE less than the best of 37 rows",
        _whole("I*", "MAE 1.60 against 2.06; RMSE 2.45 against 4.16"),
    ),
    Claim(
        "7.1",
        "D* is better than every likeness of views",
        "MAE and RMSE less than the best of 8 rows",
        _whole("D*", "MAE 1.61 against 2.73; RMSE 2.67 against 5.22"),
    ),
    Claim("7.1", "I* and D* are about equal", "MAE within 10 %", _equal),
    Claim("7.1", "I* and D* are rarely blatantly wrong", "0.95 within four slices", _blatant),
    Claim(
        "7.2",
        "A second step improves ZNCC disparity",
        "lower MAE",
        _second_step("ZNCC Disparity with Calibration", "D1", "8.88, then 6.66"),
    ),
    Claim(
        "7.2",
        "A second step improves Learned Depth",
        "lower MAE (our stand-in)",
        _second_step("Learned Depth", "D1", "7.18, then 3.88"),
    ),
    Claim("7.2", "A second step improves D1", "lower MAE", _second_step(OUR_MODEL, "D1", "2.24, then 1.93")),
    Claim("7.2", "A second step improves I1", "lower MAE", _second_step(OUR_MODEL, "I1", "4.32, then 2.86")),
    Claim("7.2", "It helps I1 much more than D1", "twice the gain in MAE", _gains),
    Claim("7.4", "I1 in two steps nears D1 in one", "MAE within 1.3 times", _nears),
    Claim("7.3", "Most contrast rows gain from registration", "more than half have a lower MAE", _registration),
    Claim("7.3", "I* gains from registration", "lower MAE", _registered_model),
    Claim("7.4", "I1 in one step is much worse than D1", "1.5 times the MAE or more", _ambiguity),
    Claim(
        "7.4",
        "I1's errors mirror about the slice it sees",
        "half of the errors beyond 4 are within 2 of the mirrored index, and thrice as many as by chance",
        _mirrored,
    ),
    Claim(
        "7.4",
        "Only where both indices are possible",
        "half as many gross errors where the mirrored index lies beyond the ends",
        _ends,
    ),
    Claim(
        "7.4",
        "I1's distributions have two modes, D1's one",
        "three times as many with a quarter on the wrong side",
        _bimodal,
    ),
)
