"""The README's Python is run as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest

from afsim.camera import Camera
from afsim.policy import FocusPolicy, Knowledge
from afsim.sets import demo_stacks
from afsim.task import FocusTask

README = Path(__file__).parent.parent / "README.md"


@pytest.fixture
def blocks() -> list[str]:
    if not README.is_file():
        pytest.skip("README.md is not beside the tests: they run against an installed wheel")
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_first_example_focuses(
    blocks: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The example's default set, with fewer stacks.
    monkeypatch.setattr("afsim.envs.making.open_demo", lambda: demo_stacks(4))
    exec(compile(blocks[0], str(README), "exec"), {})
    found = re.fullmatch(r"focused at slice (\d+), best is ([\d.]+)\n", capsys.readouterr().out)
    assert found is not None
    assert abs(float(found[1]) - float(found[2])) <= 2


def test_the_policy_example_moves_one_slice_nearer(blocks: list[str]) -> None:
    names: dict[str, type[FocusPolicy]] = {}
    exec(compile(blocks[1], str(README), "exec"), names)
    task = FocusTask(Camera(demo_stacks(1)), budget=3)
    policy = names["OneSliceNearer"](task.spec)
    keys = np.arange(2, dtype=np.uint64)
    state = task.reset(keys, stack=[0, 0], start=[4, 48])
    memory = policy.begin(keys, Knowledge())
    for _ in range(3):
        command, memory = policy.decide(np.zeros(2), task.describe(state), memory)
        state, _ = task.step(state, command.astype(np.int64))
    assert state.lanes["position"].tolist() == [7.0, 48.0]
