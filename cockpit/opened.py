"""What a cockpit was started with: the sets and policies that its pages may ask for, by name and never by path."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Final

from afsim.cockpit.catalogue import Catalogue, make_catalogue
from afsim.errors import AfsimError, unknown
from afsim.policies import POLICIES, files_of, make
from afsim.policy import FocusPolicy
from afsim.sets import open_demo
from afsim.stackset import StackSet
from afsim.taskspec import TaskSpec

DEMO_SET: Final = "demo"
"""Name of the embedded set, which is always there."""


class Opened:
    """Sets and policies by name; safe to use from several threads.

    Parameters
    ----------
    sets : sequence of Path or StackSet
        Stored sets, or sets in memory; the first is what pages begin with. Without any, the embedded demo set.
    policies : sequence of str
        Policies that pages may play besides those of the registry, as :func:`afsim.policies.make` reads them: the
        only ones that may name files.

    Raises
    ------
    AfsimError
        For a policy's text that is none.
    StoreError
        For a path at which no set is stored.
    """

    def __init__(self, sets: Sequence[Path | StackSet] = (), policies: Sequence[str] = ()) -> None:
        self._sets: dict[str, StackSet] = {}
        for each in sets:
            stacks = each if isinstance(each, StackSet) else StackSet.open(each)
            name = "in memory" if stacks.path is None else stacks.path.resolve().name
            self._sets[self._free(name)] = stacks
        self.sets: tuple[str, ...] = (*self._sets, DEMO_SET)
        for text in policies:
            files_of(text)
        self.policies: tuple[str, ...] = (*POLICIES, *(text for text in policies if text not in POLICIES))
        self._lock = Lock()
        self._catalogues: dict[str, Catalogue] = {}

    def _free(self, name: str) -> str:
        """Return a name that no set has yet; the demo set's is taken."""
        taken, number, found = {*self._sets, DEMO_SET}, 2, name
        while found in taken:
            found, number = f"{name}-{number}", number + 1
        return found

    def stacks(self, name: str) -> StackSet:
        """Return the set of a name; the demo set is rendered when it is first asked for.

        Raises
        ------
        AfsimError
            For a name that was not opened.
        """
        if name not in self.sets:
            raise unknown("set", name, self.sets)
        if name not in self._sets:
            with self._lock:
                self._sets.setdefault(name, open_demo())
        return self._sets[name]

    def catalogue(self, name: str) -> Catalogue:
        """Return what is known of the stacks of a set; they are looked at when it is first asked for."""
        stacks = self.stacks(name)
        with self._lock:
            if name not in self._catalogues:
                self._catalogues[name] = make_catalogue(stacks)
            return self._catalogues[name]

    def policy(self, text: str, spec: TaskSpec) -> FocusPolicy:
        """Return the policy of a text for a game.

        Raises
        ------
        AfsimError
            For a policy or option that does not exist, and for a file that the cockpit was not started with.
        UnsuitableError
            For stacks that lack what it requires.
        """
        if text not in self.policies and (files := files_of(text)):
            raise AfsimError(
                f"policy {text!r} names the file {files[0]!r}; pages play only the files that the cockpit was "
                "started with (--policies)"
            )
        return make(text, spec)
