"""The models of the paper's problems by name: how many views they see, and of which slices.

``i-star`` and ``d-star`` see the whole stack, ``i1`` and ``d1`` one slice, ``d1-2step`` the first slice and the one
that ``d1`` chose, ``d1-3step`` also the one that ``d1-2step`` chose, and so on; i is for green, d for dual pixel.
"""

import re
from pathlib import Path
from typing import Final, NamedTuple

from afsim.errors import AfsimError

_NAME: Final = re.compile(r"([id])(?:-star|1(?:-([2-9]|[1-4][0-9])step)?)")
_SHIPPED: Final = Path(__file__).parent / "models"


class ModelKind(NamedTuple):
    """What a model looks at.

    Attributes
    ----------
    name : str
        Such as ``d1-2step``.
    views : int
        1 for green, 2 for dual pixel.
    slices : int or None
        How many slices it has seen when it is asked; None for all of the stack.
    """

    name: str
    views: int
    slices: int | None

    @property
    def previous(self) -> tuple[str, ...]:
        """Names of the models that choose its second slice, its third, and so on."""
        letter = self.name[0]
        return tuple(f"{letter}1" if step == 1 else f"{letter}1-{step}step" for step in range(1, self.slices or 1))


def model_kind(name: str) -> ModelKind:
    """Return the model kind ``name``.

    Raises
    ------
    AfsimError
        For a name that is none.

    Examples
    --------
    >>> model_kind("d1-3step").previous
    ('d1', 'd1-2step')
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise AfsimError(
            f"unknown model {name!r}; expected i-star, d-star, i1, d1, or i1-Mstep or d1-Mstep with M from 2 to 49"
        )
    slices = None if name.endswith("star") else int(found[2] or 1)
    return ModelKind(name, 2 if found[1] == "d" else 1, slices)


def shipped_model(name: str) -> Path:
    """Return the file of the network ``name`` that comes with afsim, trained on the benchmark's training set.

    Raises
    ------
    AfsimError
        Where none is shipped; the message tells how to make one.
    """
    path = _SHIPPED / f"{model_kind(name).name}.safetensors"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in _SHIPPED.glob("[di]*.safetensors")))
        raise AfsimError(
            f"no network {name} is shipped (there are: {there}); train one: "
            f"afsim train {name} --stacks SET --validation OTHER_SET --out {name}.safetensors"
        )
    return path


def shipped_agent() -> Path:
    """Return the file of the agent that comes with afsim, trained by ``afsim train rl`` on the training set."""
    return _SHIPPED / "agent.zip"
