"""What the wrapped environment ids make: the environment, single or native vector, in its wrapper."""

from typing import Any, Final

from afsim.envs.autofocus import AutofocusEnv
from afsim.envs.vector import AutofocusVectorEnv
from afsim.envs.wrappers import (
    FeatureVector,
    LastObservations,
    OneHotSlices,
    VectorFeatureVector,
    VectorLastObservations,
    VectorOneHotSlices,
)

# What is wrapped around the single and around the vector environment, and the options that are the wrapper's own.
_WRAPPERS: Final[dict[str, tuple[Any, Any, dict[str, Any]]]] = {
    "Features": (FeatureVector, VectorFeatureVector, {"sight": "contrast"}),
    # Three looks are the fewest that bracket a peak.
    "Recent": (LastObservations, VectorLastObservations, {"count": 3}),
    "Slices": (OneHotSlices, VectorOneHotSlices, {}),
}

WRAPPED_IDS: Final = {f"afsim/Autofocus{name}-v0": name for name in _WRAPPERS}


def make_wrapped(wrapper: str, **options: Any) -> Any:
    """Return the single environment in the wrapper ``Features``, ``Recent`` or ``Slices``."""
    single, _, own = _WRAPPERS[wrapper]
    chosen = {name: options.pop(name, value) for name, value in own.items()}
    return single(AutofocusEnv(**options), **chosen)


def make_wrapped_vector(wrapper: str, num_envs: int = 1, **options: Any) -> Any:
    """Return the vector environment in a wrapper."""
    _, vector, own = _WRAPPERS[wrapper]
    chosen = {name: options.pop(name, value) for name, value in own.items()}
    return vector(AutofocusVectorEnv(num_envs, **options), **chosen)
