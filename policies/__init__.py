"""The policies, one (family) a file, by name."""

from typing import Any, Final

from afsim.errors import AfsimError, unknown
from afsim.policies.adaptive_climb import AdaptiveClimb
from afsim.policies.bayesian import Bayesian
from afsim.policies.bisect import Bisect
from afsim.policies.brent import Brent
from afsim.policies.coarse_to_fine import CoarseToFine
from afsim.policies.curve_fit import CurveFitting
from afsim.policies.encoder_sweep import EncoderSweep
from afsim.policies.fixed_index import FixedIndex
from afsim.policies.full_sweep import FullSweep
from afsim.policies.hill_climb import HillClimb
from afsim.policies.hybrid import Hybrid
from afsim.policies.learned import LearnedD1, LearnedI1
from afsim.policies.learned_bayesian import LearnedBayesian
from afsim.policies.learned_depth import LearnedDepth
from afsim.policies.learned_steps import LearnedD1Steps, LearnedDStar, LearnedI1Steps, LearnedIStar
from afsim.policies.one_sided import OneSided
from afsim.policies.oracle import Oracle
from afsim.policies.pdaf import Pdaf
from afsim.policies.random_index import RandomIndex
from afsim.policies.reinforced import Reinforced
from afsim.policies.section_search import Fibonacci, GoldenSection
from afsim.policies.ssd_disparity import SsdDisparity
from afsim.policies.stay import Stay
from afsim.policies.text import file_options, known_options, read_options, split_policy
from afsim.policies.zncc_disparity import ZnccDisparity
from afsim.policy import FocusPolicy
from afsim.task import TaskSpec

POLICIES: Final[dict[str, type[FocusPolicy]]] = {
    "stay": Stay,
    "random": RandomIndex,
    "fixed": FixedIndex,
    "oracle": Oracle,
    "sweep": FullSweep,
    "hill_climb": HillClimb,
    "curve_fit": CurveFitting,
    "encoder_sweep": EncoderSweep,
    "adaptive_climb": AdaptiveClimb,
    "coarse_to_fine": CoarseToFine,
    "golden_section": GoldenSection,
    "fibonacci": Fibonacci,
    "brent": Brent,
    "bisect": Bisect,
    "one_sided": OneSided,
    "zncc_disparity": ZnccDisparity,
    "ssd_disparity": SsdDisparity,
    "learned_depth": LearnedDepth,
    "pdaf": Pdaf,
    "hybrid": Hybrid,
    "bayesian": Bayesian,
    "learned-i1": LearnedI1,
    "learned-d1": LearnedD1,
    "learned-i1-2step": LearnedI1Steps,
    "learned-d1-2step": LearnedD1Steps,
    "learned-i-star": LearnedIStar,
    "learned-d-star": LearnedDStar,
    "learned_bayesian": LearnedBayesian,
    "rl": Reinforced,
}


def make(name: str, spec: TaskSpec, **options: Any) -> FocusPolicy:
    """Return the policy ``name`` for a task.

    Parameters
    ----------
    name : str
        ``NAME[:CHOICE][;OPTION=VALUE...]``: a key of ``POLICIES``, its main option after a colon
        (``sweep:sum_modified_laplacian``), further options after semicolons (``pdaf;speed=fast;reach=3``). Values
        are read as the option's type; where that is text, a ``+`` stands for a comma, because commas separate
        policies: ``bayesian;lens=worn_warm+hysteresis=0``. The options of ``one_sided:POLICY;...`` are its own.
    spec : TaskSpec
        Of the task it will play.
    **options
        Fields of the policy's class; they count before those in ``name``.

    Raises
    ------
    AfsimError
        For an unknown name or option, or a value that is none of its option.
    UnsuitableError
        For a task that lacks what the policy requires.
    """
    kind, told = _read(name)
    known = known_options(kind)
    for option in options:
        if option not in known:
            raise unknown(f"option of policy {split_policy(name).name!r}", option, known)
    return kind(spec, **{**told, **options})


def files_of(name: str) -> list[str]:
    """Return the files that a policy's text names, its inner policy's too: none where it plays what is shipped.

    Raises
    ------
    AfsimError
        As :func:`make`, for the text.
    """
    kind, told = _read(name)
    files = [str(told[option]) for option in file_options(kind) if told.get(option) is not None]
    inner = told.get("inner")
    return files + (files_of(inner) if isinstance(inner, str) else [])


def _read(name: str) -> tuple[type[FocusPolicy], dict[str, Any]]:
    """Return the class that a policy's text names, and its options."""
    base, choice, written = split_policy(name)
    if base not in POLICIES:
        raise unknown("policy", base, POLICIES)
    kind = POLICIES[base]
    chosen, told = kind.from_choice(choice) if choice else {}, read_options(base, kind, written)
    for option in chosen:
        if option in told:
            raise AfsimError(f"option {option!r} of policy {base!r}: expected once, got it twice in {name!r}")
    return kind, {**chosen, **told}


__all__ = [
    "POLICIES",
    "AdaptiveClimb",
    "Bayesian",
    "Bisect",
    "Brent",
    "CoarseToFine",
    "CurveFitting",
    "EncoderSweep",
    "Fibonacci",
    "FixedIndex",
    "FullSweep",
    "GoldenSection",
    "HillClimb",
    "Hybrid",
    "LearnedBayesian",
    "LearnedD1",
    "LearnedD1Steps",
    "LearnedDStar",
    "LearnedDepth",
    "LearnedI1",
    "LearnedI1Steps",
    "LearnedIStar",
    "OneSided",
    "Oracle",
    "Pdaf",
    "RandomIndex",
    "Reinforced",
    "SsdDisparity",
    "Stay",
    "ZnccDisparity",
    "files_of",
    "make",
]
