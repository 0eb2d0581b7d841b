"""The policies, one (family) a file, by name."""

from dataclasses import fields
from typing import Any, Final

from afsim.errors import unknown
from afsim.policies.fixed_index import FixedIndex
from afsim.policies.full_sweep import FullSweep
from afsim.policies.hill_climb import HillClimb
from afsim.policies.oracle import Oracle
from afsim.policies.random_index import RandomIndex
from afsim.policies.stay import Stay
from afsim.policy import FocusPolicy
from afsim.task import TaskSpec

POLICIES: Final[dict[str, type[FocusPolicy]]] = {
    "stay": Stay,
    "random": RandomIndex,
    "fixed": FixedIndex,
    "oracle": Oracle,
    "sweep": FullSweep,
    "hill_climb": HillClimb,
}


def make(name: str, spec: TaskSpec, **options: Any) -> FocusPolicy:
    """Return the policy ``name`` for a task.

    Parameters
    ----------
    name : str
        A key of ``POLICIES``, optionally with its main option after a colon: ``sweep:sum_modified_laplacian``.
    spec : TaskSpec
        Of the task it will play.
    **options
        Fields of the policy's class.

    Raises
    ------
    AfsimError
        For an unknown name or option, or a task that lacks what the policy requires.
    """
    base, _, choice = name.partition(":")
    if base not in POLICIES:
        raise unknown("policy", base, POLICIES)
    kind = POLICIES[base]
    if choice:
        options = {**kind.from_choice(choice), **options}
    known = [each.name for each in fields(kind) if each.name != "spec"]
    for option in options:
        if option not in known:
            raise unknown(f"option of policy {base!r}", option, known)
    return kind(spec, **options)


__all__ = ["POLICIES", "FixedIndex", "FullSweep", "HillClimb", "Oracle", "RandomIndex", "Stay", "make"]
