"""The autofocus of a phone: phase first, a scan of the contrast where the phase fails, and a check of the result.

After libcamera's Raspberry Pi controller in its Auto mode. It works in dioptres; commands are the nearest whole
indices, one at least where a step is not 0.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from afsim.errors import unknown
from afsim.keys import Keys
from afsim.measures import check_ratios
from afsim.policies.contrast import ContrastPolicy, check_share
from afsim.policies.curve import bracket_of, flatness_of, noted, parabola_peak
from afsim.policies.hybrid_memory import HybridMemory, State, nothing_seen
from afsim.policies.pdaf import (
    CONF_EPSILON,
    CONF_THRESH,
    BoolArray,
    IntArray,
    Phase,
    PhasePolicy,
    index_at,
    moved,
)
from afsim.policy import Features, FloatArray, Knowledge, Status, chosen
from afsim.task import Observation

ScanFrom = Literal["end", "lens"]

# How far two looks may be extrapolated to where the phase is nought, in their distances (libcamera).
_EXTRAPOLATION: Final = (-2.5, 3.0)
# A fine scan has three points.
_FINE_POINTS: Final = 3


class _Look(NamedTuple):
    """What N controllers see now; ``scores`` of the memory hold it already."""

    here: IntArray
    contrast: FloatArray
    phase: Phase


_Act = Callable[[_Look, HybridMemory], tuple[FloatArray, HybridMemory]]


@dataclass(frozen=True)
class Hybrid(PhasePolicy):
    """Pdaf, then Coarse1, Coarse2, Fine and Settle as far as they are needed.

    Pdaf follows the phase (:class:`afsim.policies.pdaf.Pdaf`). At its goal it is FOCUSED, unless the contrast there
    is below ``contrast_ratio`` of the most seen; then, or where the phase is lost or does not come to rest, a scan
    begins. Drawn beyond an end of the range it is FAILED.

    A scan from the end starts at the far end and steps through the range (Coarse2). A scan from the lens steps
    towards the far end (Coarse1), and if the contrast never was much lower than where it began, goes on beyond
    there the other way (Coarse2); within two coarse steps of an end it starts at that end. A pass ends at an end of
    the range, or where the contrast is below ``contrast_ratio`` of the most in it. Fine starts one fine step beyond
    the peak and steps back over it: three looks. Then the lens goes to the peak and settles. Two looks of a scan
    whose phases agree end it: the lens goes to where the phase is nought.

    Settle is FOCUSED where the contrast is at least ``contrast_ratio`` of the most seen and the least seen is at
    most that. Whatever is FAILED ends at the best slice seen, and so does a scan that its game cuts short: at the
    parabola through it and its neighbours.

    Unlike libcamera's, a scan knows all contrasts seen since the start, its own second pass does not go over the
    first one again, and Pdaf's result must not be worse than what was seen before.

    Attributes
    ----------
    measure : str
        The focus measure; by default the one with the paper's best mean absolute error. Contrast measures only.
    contrast_ratio : float
        0.75 (libcamera).
    scan_from : {"end", "lens"}
        Where scans start: libcamera's Auto mode starts at the end, its Continuous mode from the lens.

    Raises
    ------
    AfsimError
        For an option that does not exist or is out of range, or a measure whose scores have no ratios.
    """

    measure: str = "mean_local_norm_dist_sq"
    contrast_ratio: float = 0.75
    scan_from: ScanFrom = "end"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ratios("hybrid", self.measure)
        if self.scan_from not in get_args(ScanFrom):
            raise unknown("start of a scan", self.scan_from, get_args(ScanFrom))
        check_share("contrast_ratio", self.contrast_ratio)

    # ------------------------------------------------------------------ what it sees
    @cached_property
    def contrast(self) -> ContrastPolicy:
        """The policy whose contrast this is."""
        return ContrastPolicy(self.spec, self.measure)

    @property
    def feature_key(self) -> Hashable:
        """Contrast by this measure, and disparity by this estimator."""
        return ("hybrid", self.contrast.feature_key, self.disparity.feature_key)

    def features(self, image: npt.NDArray[np.float32], command: FloatArray, region: FloatArray) -> FloatArray:
        """Return shift, confidence and contrast of each image, (N, 3)."""
        contrast = self.contrast.features(image, command, region)
        return np.column_stack([self.disparity.features(image, command, region), contrast])

    def begin(self, keys: Keys, knowledge: Knowledge) -> HybridMemory:
        """Start with nothing seen."""
        return nothing_seen(len(keys), self.spec.n)

    # ------------------------------------------------------------------ what it does
    def decide(
        self, features: Features, observation: Observation, memory: HybridMemory
    ) -> tuple[FloatArray, HybridMemory]:
        """Let each controller do what its state says."""
        here = np.rint(self.current(observation)).astype(np.int64)
        scores = noted(memory.scores, here, features[:, 2])
        before = memory._replace(scores=scores)
        look = _Look(here, scores[np.arange(len(here)), here], self.phase(features, observation, here))
        command, after = self._follow(look, before)
        acts: list[tuple[tuple[State, ...], _Act]] = [
            ((State.COARSE1, State.COARSE2, State.FINE), self._scan),
            ((State.SETTLE,), self._settle),
        ]
        for states, act in acts:
            mask = np.isin(memory.state, states)
            if mask.any():
                there, then = act(look, before)
                command, after = np.where(mask, there, command), chosen(mask, then, after)

        trusted = look.phase.confidence >= CONF_THRESH
        after = after._replace(
            last_place=self.table[here], last_distance=np.where(trusted, look.phase.distance, np.nan)
        )
        last = np.asarray(observation["steps_left"][:, 0], dtype=np.float64) <= 1
        scans = (after.state != State.PDAF) & (after.status == Status.SEARCHING) & (after.state != State.SETTLE)
        command = np.where(last & scans, self._peak(scores), command)
        command = np.where(after.status == Status.FAILED, bracket_of(scores).best, command)
        ended = memory.status != Status.SEARCHING
        by_phase = memory.state == State.PDAF
        confidence = np.where(by_phase, look.phase.likely, 1.0 - flatness_of(scores))
        return np.where(ended, here, command).astype(np.float64), after._replace(
            status=np.where(ended, memory.status, after.status).astype(np.int8),
            confidence=np.where(ended, memory.confidence, confidence).astype(np.float32),
        )

    def _peak(self, scores: FloatArray) -> FloatArray:
        """Return the peak (N,) of a parabola through the best slice seen and its neighbours, else the best slice.

        A neighbour much farther than a coarse step was seen before the scan came near: it tells too little.
        """
        bracket, table, last = bracket_of(scores), self.table, self.spec.n - 1
        low, high = table[bracket.below.clip(0, last)], table[bracket.above.clip(0, last)]
        near = np.maximum(table[bracket.best] - low, high - table[bracket.best]) <= 1.5 * self.pace.step_coarse
        return np.rint(np.where(near, parabola_peak(scores, bracket), bracket.best))

    def _low(self, look: _Look, memory: HybridMemory) -> BoolArray:
        """Tell where the contrast now is below the ratio of the most seen (N,)."""
        return np.asarray(look.contrast < self.contrast_ratio * np.nanmax(memory.scores, axis=1))

    def _follow(self, look: _Look, memory: HybridMemory) -> tuple[FloatArray, HybridMemory]:
        """State Pdaf: a step after the phase, or the beginning of a scan."""
        pace, told = self.pace, look.phase.confidence >= CONF_EPSILON
        servo = self.servo(look.here, look.phase)
        dropouts, looks = np.where(told, 0, memory.dropouts + 1), memory.looks + told
        settled = told & servo.settled
        focused = settled & ~self._low(look, memory)
        failed = told & servo.saturated
        gives_up = (dropouts >= pace.dropout_frames) | (settled & ~focused) | (told & (looks >= pace.pdaf_frames))
        gives_up &= ~focused & ~failed
        status = np.where(focused, Status.FOCUSED, np.where(failed, Status.FAILED, Status.SEARCHING))
        follows = memory._replace(status=status.astype(np.int8), dropouts=dropouts, looks=looks)
        command, scans = self._begun(look, memory)
        return np.where(gives_up, command, np.where(told, servo.command, look.here)), chosen(
            gives_up, scans, follows
        )

    def _begun(self, look: _Look, memory: HybridMemory) -> tuple[FloatArray, HybridMemory]:
        """Begin a scan: go to where its first look is, which may be here."""
        here, table, coarse = look.here, self.table, self.pace.step_coarse
        near, far = table[here] >= table[-1] - 2.0 * coarse, table[here] <= table[0] + 2.0 * coarse
        from_lens = ~near & ~far & (self.scan_from == "lens")
        from_near = near & ~far & (self.scan_from == "lens")
        heading = np.where(from_lens | from_near, -1, 1)
        origin = np.where(from_lens, here, np.where(from_near, self.spec.n - 1, 0))
        begun = memory._replace(
            state=np.where(from_lens, State.COARSE1, State.COARSE2).astype(np.int8),
            heading=heading,
            looks=np.zeros_like(here),
            origin=origin,
            first=np.zeros(len(here)),
            highest=np.zeros(len(here)),
        )
        command, stepped = self._scan(look, begun)
        there = origin == here
        return np.where(there, command, origin), chosen(there, stepped, begun)

    def _scan(self, look: _Look, memory: HybridMemory) -> tuple[FloatArray, HybridMemory]:
        """States Coarse1, Coarse2 and Fine: note the look, then step on or end the pass."""
        here, contrast, heading, pace = look.here, look.contrast, memory.heading, self.pace
        looks = memory.looks + 1
        first = np.where(looks == 1, contrast, memory.first)
        highest = np.where(looks == 1, contrast, np.maximum(memory.highest, contrast))
        memory = memory._replace(looks=looks, first=first, highest=highest)
        fine = memory.state == State.FINE
        at_end = here == np.where(heading > 0, self.spec.n - 1, 0)
        over = at_end | (fine & (looks >= _FINE_POINTS)) | (contrast < self.contrast_ratio * highest)

        ahead = heading.astype(np.float64)
        step = np.where(fine, pace.step_fine, pace.step_coarse) * ahead
        onward = moved(self.table, here, step)
        # Not bracketed: the pass goes on beyond its origin, the other way.
        reverses = over & (memory.state == State.COARSE1) & (first >= self.contrast_ratio * highest)
        reverse = moved(self.table, memory.origin, -step)
        goal = self._peak(memory.scores).astype(np.int64)
        refines = over & ~reverses & ~fine & (pace.step_fine > 0)
        beyond = moved(self.table, goal, pace.step_fine * ahead)
        stops, zero = self._phase_stop(look, memory)
        settles = stops | (over & ~reverses & ~refines)
        goal = np.where(stops, zero, goal)

        command = np.where(reverses, reverse, np.where(refines, beyond, onward))
        command = np.where(settles, goal, command)
        state = np.where(reverses, State.COARSE2, np.where(refines, State.FINE, memory.state))
        after = memory._replace(
            state=np.where(settles, State.SETTLE, state).astype(np.int8),
            heading=np.where(reverses | refines, -heading, heading),
            looks=np.where(refines, 0, looks),
            status=np.zeros(len(here), np.int8),
        )
        rests, ends = settles & (goal == here), self._settle(look, memory)[1]
        return command.astype(np.float64), chosen(rests, ends, after)

    def _phase_stop(self, look: _Look, memory: HybridMemory) -> tuple[BoolArray, IntArray]:
        """Tell where two looks' phases (N,) agree on where it is nought, and which index that is."""
        place, distance = self.table[look.here], look.phase.distance
        moved_by, changed_by = place - memory.last_place, distance - memory.last_distance
        usable = (look.phase.confidence >= CONF_THRESH) & np.isfinite(changed_by) & (moved_by * changed_by < 0)
        share = np.where(usable, distance / np.where(usable, changed_by, 1.0), np.inf)
        agrees = usable & (share >= _EXTRAPOLATION[0]) & (share <= _EXTRAPOLATION[1])
        zero = place - np.where(agrees, share, 0.0) * moved_by
        return agrees, index_at(self.table, zero)

    def _settle(self, look: _Look, memory: HybridMemory) -> tuple[FloatArray, HybridMemory]:
        """State Settle: the verdict."""
        flat = flatness_of(memory.scores) > self.contrast_ratio
        status = np.where(flat | self._low(look, memory), Status.FAILED, Status.FOCUSED)
        return look.here.astype(np.float64), memory._replace(status=status.astype(np.int8))
