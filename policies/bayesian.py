"""Bayesian autofocus: a belief over where the focus lies, moved to where it is expected to end nearest."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from afsim.belief import normalised
from afsim.contrastlikelihood import MOST_SEEN, log_contrast
from afsim.costs import CostModel
from afsim.curveloop import Seen
from afsim.errors import AfsimError, UnsuitableError, WithheldError, unknown
from afsim.jit import over_lanes
from afsim.keys import Keys
from afsim.knownlens import KnownLens
from afsim.lens import Lens, make_lens
from afsim.lookahead import look_ahead
from afsim.measures import get_measure
from afsim.patch_disparity import check_reach, get_estimator
from afsim.policies.bayesian_memory import BeliefMemory, nothing_seen
from afsim.policy import Features, FloatArray, FocusPolicy, Knowledge, Status
from afsim.positionlikelihood import FocusLikelihood, shipped_likelihood
from afsim.searchspace import SearchSpace
from afsim.task import Observation

IntArray = npt.NDArray[np.int64]
Sensors = Literal["both", "contrast", "disparity"]
Prior = Literal["fitted", "uniform"]

# Looks that show nothing, neither contrast nor disparity, after which there is nothing to be seen (assumed).
_BLIND_LOOKS: Final = 3
# What a lens that errs does to the logarithm of a contrast, as a standard deviation: an image between two slices,
# or shifted by part of a pixel, is an average and loses up to a quarter (measured on the rendered validation set).
_RESAMPLED: Final = 0.18
_LANES_A_THREAD: Final = 16


@dataclass(frozen=True)
class Bayesian(FocusPolicy):
    """Believe, look where that lowers the expected final error most, and end at the belief's median.

    Each look multiplies the belief by the likelihood of all that was seen of the patch so far, of contrast and of
    disparity (:class:`afsim.contrastlikelihood.CurveLikelihood`). While steps are left, every place to look is
    weighed by what the belief is expected to cost after it; the last move goes to where the belief costs least:
    with the mean absolute error as cost, its median. The search is over where the lens stands there and no look is
    worth ``least_gain``: FOCUSED where the focus is within one index as likely as ``sure``, else FAILED. It is
    FAILED after three looks that show nothing at all, too. The last move may end FOCUSED; unsure, it is still
    searching.

    Attributes
    ----------
    sensor : {"both", "contrast", "disparity"}
        What it looks at. ``both`` means contrast alone where there is one view, where the distances are unknown, or
        where patches have no room for the disparity's reach.
    lens : str
        What it knows of the lens: a preset, perhaps with changes (:func:`afsim.lens.make_lens`). With ``ideal`` it
        takes commands for places.
    sure : float
        Probability of being within one index from which on it says so (assumed).
    least_gain : float
        Expected cost, in that of an index of error, that a look must save.
    prior : {"fitted", "uniform"}
        What it believes before the first look: what was usual where it was fitted, or every place alike.
    cost : CostModel
        What errors, moves, travel and time are charged.
    model : str or None
        File made by ``afsim fit bayesian``; by default the shipped one, of the rendered training set.

    Raises
    ------
    AfsimError
        For an option out of range.
    UnsuitableError
        For a sensor that the stacks do not have, a lens or a cost that needs distances where they are unknown, or
        more slices than can be weighed.
    """

    sensor: Sensors = "both"
    lens: str = "ideal"
    sure: float = 0.9
    least_gain: float = 0.005
    prior: Prior = "fitted"
    cost: CostModel = field(default_factory=CostModel)
    model: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value, choices in (("sensor", self.sensor, Sensors), ("prior", self.prior, Prior)):
            if value not in get_args(choices):
                raise unknown(f"bayesian {name}", value, get_args(choices))
        if not 0.0 < self.sure < 1.0:
            raise AfsimError(f"sure must be in (0, 1), got {self.sure}")
        if not self.least_gain >= 0.0:
            raise AfsimError(f"least_gain must be at least 0, got {self.least_gain}")
        if self.spec.n >= MOST_SEEN:
            raise UnsuitableError(
                f"bayesian weighs fewer than {MOST_SEEN} slices, but these stacks have {self.spec.n}"
            )
        try:
            self.cost.check_known(diopters=self.spec.diopters is not None)
            assert self._known_lens
        except WithheldError as error:
            raise UnsuitableError(f"bayesian: {error}") from error
        if self.sensor == "disparity":
            self._check_disparity()

    @staticmethod
    def from_choice(choice: str) -> dict[str, Any]:
        """Read ``NAME:SENSOR``."""
        return {"sensor": choice}

    # ------------------------------------------------------------------ what it knows before it starts
    @cached_property
    def fitted(self) -> FocusLikelihood:
        """The likelihoods and the prior."""
        return shipped_likelihood() if self.model is None else FocusLikelihood.load(self.model)

    def _check_disparity(self) -> None:
        spec = self.spec
        if spec.views != 2 or spec.diopters is None:
            raise UnsuitableError(
                f"bayesian:disparity needs dual-pixel stacks (2 views) with known focus distances, but these have "
                f"{spec.views} view(s) and {'no' if spec.diopters is None else 'known'} distances"
            )
        if self.fitted.disparity is None:
            raise AfsimError(f"{self.model} was fitted on stacks of one view: it has no disparity")
        check_reach(self.fitted.reach, *self._along)

    @property
    def _along(self) -> tuple[int, int]:
        """Pixels across and along the shift."""
        spec = self.spec
        return (spec.height, spec.width) if spec.dp_axis == "columns" else (spec.width, spec.height)

    @cached_property
    def sensors(self) -> tuple[bool, bool]:
        """Whether it looks at contrast, and at disparity."""
        if self.sensor != "both":
            return self.sensor == "contrast", self.sensor == "disparity"
        try:
            self._check_disparity()
        except AfsimError:
            return True, False
        return True, True

    @cached_property
    def _known_lens(self) -> KnownLens:
        model: Lens = make_lens(self.lens)
        places = self.fitted.steps_of(self.spec.n, self.spec.diopters)
        return KnownLens(model, places, self.fitted.step_diopters, self.spec.diopters is not None)

    @property
    def _resampled(self) -> float:
        """Variance of the logarithm of a contrast that the lens's errors add."""
        return 0.0 if self._known_lens.lens.is_exact else _RESAMPLED**2

    @cached_property
    def space(self) -> SearchSpace:
        """The places that are believed in, and what ways and ends cost."""
        prior = self.fitted.prior_at(self._known_lens.places) if self.prior == "fitted" else None
        return SearchSpace(self._known_lens, self.cost, self.spec, prior)

    # ------------------------------------------------------------------ what it sees
    @property
    def feature_key(self) -> Hashable:
        """Contrast by its measure, disparity by its reach, as far as they are looked at."""
        contrast, disparity = self.sensors
        return ("bayesian", self.fitted.measure if contrast else "", self.fitted.reach if disparity else 0)

    def features(self, image: npt.NDArray[np.float32], command: FloatArray, region: FloatArray) -> FloatArray:
        """Return contrast, shift in pixels, and how alike the views are at that shift, (N, 3); NaN is not seen."""
        contrast, disparity = self.sensors
        seen = np.full((len(image), 3), np.nan)
        if contrast:
            seen[:, 0] = get_measure(self.fitted.measure)(image.mean(axis=1))
        if disparity:
            views = image if self.spec.dp_axis == "columns" else image.swapaxes(-1, -2)
            seen[:, 1], seen[:, 2] = get_estimator("zncc")(views, reach=self.fitted.reach)
        return seen

    def begin(self, keys: Keys, knowledge: Knowledge) -> BeliefMemory:
        """Start with the prior."""
        prior = self.space.by_index(np.exp(self.space.log_prior)[None])[0]
        return nothing_seen(len(keys), prior, self._known_lens.places)

    def decide(
        self, features: Features, observation: Observation, memory: BeliefMemory
    ) -> tuple[FloatArray, BeliefMemory]:
        """Note what was seen, update the belief, then look further, or end where that costs least."""
        here = np.rint(self.current(observation)).astype(np.int64)
        memory = self._noted(np.asarray(features, np.float64), here, observation, memory)
        chances = np.exp(normalised(self.space.log_prior + self._log_likelihood(memory)))
        best, ends = self.space.end(chances, here, memory.extension)
        steps_left = np.asarray(observation["steps_left"][:, 0], dtype=np.float64)
        ended = memory.status != Status.SEARCHING
        may_look = ~ended & (steps_left > 1) & (memory.looks < 2 * self.spec.n)
        look, looking = self._look(chances, here, memory, may_look)
        looks = may_look & (look >= 0) & (ends - looking - self.space.step_cost > self.least_gain * self.cost.error)

        command = np.where(looks, look, best)
        within = self.space.within_one(chances, command, memory.extension)
        blind = np.isnan(memory.scores).all(axis=1) & np.isnan(memory.defocus).all(axis=1)
        nothing = blind & ((memory.looks >= _BLIND_LOOKS) | (steps_left <= 1))
        last, sure = steps_left <= 1, ~nothing & (within >= self.sure)
        # Whoever is unsure when the steps are used up has not failed: more steps might tell, as for other searches.
        over = nothing | np.where(last, sure, ~looks & (command == here))
        verdict = np.where(sure, Status.FOCUSED, Status.FAILED)
        status = np.where(over, verdict, Status.SEARCHING)
        return np.where(ended | nothing, here, command).astype(np.float64), memory._replace(
            status=np.where(ended, memory.status, status).astype(np.int8),
            confidence=np.where(ended, memory.confidence, np.where(blind, 0.0, within)).astype(np.float32),
            belief=np.where(ended[:, None], memory.belief, self.space.by_index(chances)),
        )

    # ------------------------------------------------------------------ the belief
    def _noted(
        self, features: FloatArray, here: IntArray, observation: Observation, memory: BeliefMemory
    ) -> BeliefMemory:
        """Return the memory with what was seen, and where, as far as the lens's model foretells it."""
        lens, lanes = self._known_lens, np.arange(len(here))
        first = np.isnan(memory.extension)
        moved = lens.moved(np.where(first, 0.0, memory.extension), here)
        extension = np.where(first, lens.parked(here), moved)
        place = lens.place_of(extension)
        scores, defocus, noise = memory.scores.copy(), memory.defocus.copy(), memory.noise.copy()
        places, looked = memory.places.copy(), memory.looked.copy()
        scores[lanes, here] = log_contrast(features[:, 0])
        if self.sensors[1]:
            region = np.asarray(observation["region"], dtype=np.float64)
            along = region if self.spec.dp_axis == "columns" else region[:, ::-1]
            sure = np.nan_to_num(features[:, 2])
            defocus[lanes, here] = self.fitted.defocus_of(features[:, 1], sure, place, along)
            noise[lanes, here] = self.fitted.noise_of(sure)
        places[lanes, here], looked[lanes, here] = place, True
        return memory._replace(
            scores=scores,
            defocus=defocus,
            noise=noise,
            places=places,
            looked=looked,
            extension=extension,
            looks=memory.looks + 1,
        )

    def _log_likelihood(self, memory: BeliefMemory) -> FloatArray:
        """Return the log-likelihood (N, T) of each target."""
        total, shake = np.zeros((len(memory.looks), self.space.targets.size)), self._known_lens.shake
        if self.sensors[0]:
            total += self.fitted.contrast.log_of(
                memory.scores, memory.places, self.space.targets, shake=shake, extra=self._resampled
            )
        if self.sensors[1]:
            assert self.fitted.disparity is not None
            total += self.fitted.disparity.log_of(
                memory.defocus, memory.places, self.space.targets, noise=memory.noise, shake=shake
            )
        return total

    # ------------------------------------------------------------------ what to do
    def _look(
        self, chances: FloatArray, here: IntArray, memory: BeliefMemory, may_look: npt.NDArray[np.bool_]
    ) -> tuple[IntArray, FloatArray]:
        """Return where to look (N,), -1 for nowhere, and what is expected after it (N,)."""
        look, cost = np.empty(len(here), np.int64), np.empty(len(here))
        allowed = ~memory.looked & may_look[:, None]
        contrast, disparity = self.fitted.contrast, self.fitted.disparity or self.fitted.contrast
        ones, reached = np.ones_like(memory.noise), self._known_lens.reached(memory.extension)
        scores, defocus = (
            Seen(memory.scores, memory.places, ones),
            Seen(memory.defocus, memory.places, memory.noise),
        )

        def search(begin: int, end: int) -> None:
            look_ahead(
                contrast.curve._replace(extra=self._resampled),
                disparity.curve,
                np.array(self.sensors),
                scores,
                defocus,
                self.space.targets,
                np.array(self._known_lens.shake),
                chances,
                reached,
                allowed,
                self.space.nearest,
                self.space.loss,
                self.space.go,
                here,
                begin,
                end,
                look,
                cost,
            )

        over_lanes(search, len(here), at_least=_LANES_A_THREAD)
        return look, cost
