"""The charts of the page, as options of ECharts: plain values."""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from afsim.basins import Fate
from afsim.cockpit.board import Board
from afsim.cockpit.line import Line
from afsim.cockpit.startmap import StartMap
from afsim.experiments.start_map_report import FATES, line_colour
from afsim.filmpanels import QUIET, REFERENCE, TRUTH, contrast_unit
from afsim.plots import COLOURS

FloatArray = npt.NDArray[np.float64]
Options = dict[str, Any]

_SEEN, _NEXT, _BELIEF, _DISPARITY = COLOURS[0], COLOURS[1], COLOURS[4], COLOURS[3]
_SYMBOLS: Final = {
    Fate.IN_FOCUS: "circle",
    Fate.NEAR: "emptyCircle",
    Fate.FAILED: "rect",
    Fate.NEVER_ENDING: "triangle",
    Fate.CYCLE: "diamond",
    Fate.WRONG: "path://M0,0 L2,0 L5,3 L8,0 L10,0 L6,5 L10,10 L8,10 L5,7 L2,10 L0,10 L4,5 Z",
}
_FONT: Final = 11
# Pixels above the first row, below the last and between them.
_ABOVE, _BELOW, _BETWEEN = 20, 38, 14


def line_chart(
    board: Board,
    line: Line,
    height: int,
    *,
    belief: FloatArray | None = None,
    disparity: list[list[float]] | None = None,
) -> Options:
    """Return the chart of a line: contrast seen, and disparity and belief, if not None, in rows of their own.

    Charts of other rows have another number of series: by that ECharts tells whether to begin anew.

    Parameters
    ----------
    board : Board
        Whose truth is shown, or not.
    line : Line
        As far as it was played.
    height : int
        Of the chart in pixels.
    belief : (n,) float64, optional
        How likely each index is held; empty where that is not known yet.
    disparity : list of [index, pixels], optional
        How far apart the views of the slices seen are.
    """
    rows = ["contrast"]
    whole = board.yours.trace  # of all lines, one knows the whole curve: its slices take megabytes
    curve = whole.curve / contrast_unit(whole) if board.revealed else np.zeros(0)
    series = [_contrast(board, line), _points("line", "whole curve", _pairs(curve), REFERENCE, 0, size=0)]
    if disparity is not None:
        series.append(_points("scatter", "disparity in px", list(disparity), _DISPARITY, len(rows), size=8))
        series[-1]["symbol"] = "diamond"
        rows.append("disparity")
    if belief is not None:
        series.append(_points("bar", "belief", _pairs(belief), _BELIEF, len(rows), size=0))
        series[-1]["barWidth"] = "90%"
        rows.append("belief")
    places = line.trace.lanes["position"] if board.revealed else np.zeros(1)
    ends = min(0, math.floor(places.min())), max(line.trace.task.spec.n - 1, math.ceil(places.max()))
    return {**_frame(rows, ends, height, f"{line.name}: what was seen at each index"), "series": series}


def _pairs(values: FloatArray) -> list[Any]:
    return [[k, _short(value)] for k, value in enumerate(values)]


def _contrast(board: Board, line: Line) -> Options:
    """Return the contrast seen: where the lens was told to be, or, once the truth is shown, where it was."""
    trace, steps = line.trace, range(line.step + 1)
    lanes = trace.lanes["position" if board.revealed else "command"]
    best = (
        contrast_unit(board.yours.trace)
        if board.revealed
        else max(trace.moments[step].contrast for step in steps) or 1.0
    )
    data: list[Any] = []
    for step in sorted(steps, key=lambda step: (float(lanes[step]), step)):
        point: Options = {"value": [_short(lanes[step]), _short(trace.moments[step].contrast / best)]}
        if step == line.step:
            point.update(symbol="emptyCircle", symbolSize=14, itemStyle={"color": _NEXT, "borderWidth": 3})
        data.append(point)
    series = _points("line", "contrast seen", data, _SEEN, 0, size=7)
    marks, exact = [], trace.task.camera.lens.is_exact
    if line.next_command is not None and (exact or not board.revealed):
        text = "" if board.revealed else f"next {line.next_command}"
        marks.append(_mark(line.next_command, text, _NEXT, "dashed"))
    if board.revealed and not math.isnan(trace.truth):
        marks.append(_mark(trace.truth, f"truth {trace.truth:.2f}", TRUTH, "solid"))
    series["markLine"] = {"symbol": "none", "silent": True, "animation": False, "data": marks}
    return series


def map_chart(found: StartMap, truth: float, n: int, start: int, height: int) -> Options:
    """Return the robustness map of one stack: where each start ends, and how."""
    chart = _frame(["end"], (0, n - 1), height, f"{found.policy}: where each start ends")
    chart["xAxis"][0]["name"] = "start index"
    chart["yAxis"][0].update(min=0, max=n - 1, name="index at the end")
    chart["legend"] = {"show": True, "top": 0, "textStyle": {"fontSize": _FONT}, "itemWidth": 14}
    chart["grid"][0].update(top=58, height=height - 58 - _BELOW)
    for fate in Fate:
        of_it = np.flatnonzero(found.fate == fate)
        data = [[int(found.start[i]), _short(found.end[i])] for i in of_it]
        if data:
            points = _points("scatter", FATES[fate][1], data, line_colour(fate), 0, size=10)
            chart["series"].append({**points, "symbol": _SYMBOLS[fate], "cursor": "pointer"})
    if chart["series"]:
        marks = [{"yAxis": _short(truth), "lineStyle": {"color": TRUTH, "type": "solid"}, "label": _label("truth")}]
        marks.append({**_mark(start, "this start", QUIET, "dotted")})
        chart["series"][0]["markLine"] = {"symbol": "none", "silent": True, "animation": False, "data": marks}
    return chart


def _frame(rows: list[str], ends: tuple[int, int], height: int, description: str) -> Options:
    """Return charts one below the other over the same indices, without series."""
    pitch = (height - _ABOVE - _BELOW) / len(rows)
    last = len(rows) - 1
    return {
        "animation": False,
        "aria": {"enabled": True, "label": {"description": description}},
        "textStyle": {"fontFamily": "inherit", "color": "#333333"},
        "tooltip": {"trigger": "item", "confine": True},
        "grid": [
            {
                "left": 46,
                "right": 14,
                "top": round(_ABOVE + i * pitch + (_BETWEEN if i else 0)),
                "height": round(pitch - (_BETWEEN if i else 0)),
            }
            for i in range(len(rows))
        ],
        "xAxis": [
            {
                "type": "value",
                "gridIndex": i,
                "min": ends[0],
                "max": ends[1],
                "axisLabel": {"show": i == last, "fontSize": _FONT},
                "name": "index (far to near)" if i == last else "",
                "nameLocation": "middle",
                "nameGap": 22,
                "nameTextStyle": {"fontSize": _FONT},
                "splitLine": {"show": False},
            }
            for i in range(len(rows))
        ],
        "yAxis": [
            {
                "type": "value",
                "gridIndex": i,
                "name": name,
                "nameLocation": "middle",
                "nameGap": 32,
                "nameTextStyle": {"fontSize": _FONT},
                "splitNumber": 2,
                "axisLabel": {"fontSize": _FONT, "hideOverlap": True},
            }
            for i, name in enumerate(rows)
        ],
        "series": [],
    }


def _points(kind: str, name: str, data: list[Any], colour: str, row: int, *, size: int) -> Options:
    return {
        "type": kind,
        "name": name,
        "data": data,
        "xAxisIndex": row,
        "yAxisIndex": row,
        "symbol": "circle",
        "symbolSize": size,
        "showSymbol": size > 0,
        "itemStyle": {"color": colour},
        "lineStyle": {"color": colour, "width": 1.5},
    }


def _mark(at: float, text: str, colour: str, kind: str) -> Options:
    return {"xAxis": _short(at), "lineStyle": {"color": colour, "type": kind, "width": 2}, "label": _label(text)}


def _label(text: str) -> Options:
    return {"formatter": text, "fontSize": _FONT, "position": "end"}


def _short(value: float) -> float:
    """Return a number with as many digits as a chart can show: it travels to the page."""
    return round(float(value), 4)
