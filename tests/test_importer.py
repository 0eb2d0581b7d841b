"""Import: one pass, one set a geometry, and nothing left behind by what fails or is stopped."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

import afsim
from afsim.contactsheet import describe
from afsim.errors import AfsimError, ReaderError, StoreError
from afsim.importer import import_stacks
from afsim.readers import READERS, reader_class
from afsim.recording import Cut, Recording, check_complete, grid, region_centre, spread
from afsim.stack import Geometry, Levels, RawImage
from afsim.stackset import StackSet

LEVELS = Levels(0, 1023)


def geometry(n: int = 4, *, size: int = 6, levels: Levels = LEVELS) -> Geometry:
    return Geometry(n, 2, size, size, levels, "unknown", None)


def frame(k: int) -> RawImage:
    return np.full((2, 8, 8), k, dtype=np.uint16)


@dataclass(frozen=True)
class Given:
    """A reader whose recordings are given."""

    source: Path
    found: tuple[Recording, ...]

    def recordings(self) -> Iterator[Recording]:
        yield from self.found


def sweep(name: str, kind: Geometry | None = None, frame: Callable[[int], RawImage] = frame) -> Recording:
    kind = kind or geometry()
    cuts = (Cut(0, 0, f"{name}/a", name, best_index=1), Cut(2, 2, f"{name}/b", name, metadata={"x": 1}))
    return Recording(name, kind, cuts, frame, {"camera": "none"})


def bring(out: Path, *found: Recording, may_replace: bool = False) -> list[Path]:
    return import_stacks(Given(out / "from" / "here", found), out, may_replace=may_replace, progress=False)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_one_geometry_becomes_one_set(tmp_path: Path) -> None:
    paths = bring(tmp_path / "set", sweep("one"), sweep("two"))
    assert paths == [tmp_path / "set"]
    stored = StackSet.open(paths[0])
    stored.verify()
    assert stored.names == ["one/a", "one/b", "two/a", "two/b"]
    assert stored.scenes == ["one", "one", "two", "two"]
    assert stored.best_index.tolist() == [1, -1, 1, -1]
    assert stored[1].metadata == {"camera": "none", "x": 1}
    np.testing.assert_array_equal(stored.images[:, :, 0, 0, 0], np.tile(np.arange(4), (4, 1)))
    assert left_in(tmp_path) == ["images.u16", "index.npy", "manifest.json", "set"]


def test_stored_stacks_equal_those_read_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 1024, (4, 2, 8, 8), dtype=np.uint16)
    recording = sweep("one", frame=lambda k: np.asarray(frames[k]))
    [path] = bring(tmp_path / "set", recording)
    assert StackSet.open(path).digest == StackSet.from_stacks(recording.stacks()).digest


def test_every_frame_is_read_once_in_order(tmp_path: Path) -> None:
    seen: list[int] = []

    def counted(k: int) -> RawImage:
        seen.append(k)
        return frame(k)

    bring(tmp_path / "set", sweep("one", frame=counted))
    assert seen == [0, 1, 2, 3]


def test_several_geometries_become_several_sets(tmp_path: Path) -> None:
    brighter = geometry(levels=Levels(0, 4095))
    paths = bring(tmp_path / "out", sweep("a"), sweep("b", geometry(5)), sweep("c", brighter), sweep("d"))
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "out/4x2x6x6",
        "out/5x2x6x6",
        "out/4x2x6x6-2",
    ]
    assert [StackSet.open(path).scenes[::2] for path in paths] == [["a", "d"], ["b"], ["c"]]
    with pytest.raises(StoreError, match="sets inside it: 4x2x6x6, 4x2x6x6-2, 5x2x6x6"):
        StackSet.open(tmp_path / "out")
    assert bring(tmp_path / "out", sweep("a"), may_replace=True) == [tmp_path / "out"]


def test_metadata_says_reader_options_and_version_but_no_absolute_path(tmp_path: Path) -> None:
    scene = tmp_path / "desk"
    scene.mkdir()
    for k in range(3):
        cv2.imwrite(str(scene / f"{k}.png"), np.full((8, 8), k, dtype=np.uint8))
    reader = reader_class("images")(scene, size=(4, 4), bits=8)
    [path] = import_stacks(reader, tmp_path / "set", progress=False)
    metadata = StackSet.open(path).metadata
    assert (metadata["reader"], metadata["afsim"]) == ("images", afsim.__version__)
    assert isinstance(metadata["options"], dict)
    assert metadata["options"]["source"] == "desk"
    assert metadata["options"]["size"] == [4, 4]
    assert set(metadata["options"]) == set(reader.__dataclass_fields__)
    assert str(tmp_path) not in (path / "manifest.json").read_text()


def test_names_given_twice_are_named(tmp_path: Path) -> None:
    with pytest.raises(ReaderError, match=r"occur more than once: one/a, one/b"):
        bring(tmp_path / "set", sweep("one"), sweep("one"))
    assert left_in(tmp_path) == []
    assert len(bring(tmp_path / "set", sweep("one"), sweep("one", geometry(5)))) == 2


def test_nothing_found_is_an_error(tmp_path: Path) -> None:
    for found in ((), (Recording("none kept", geometry(), (), frame),)):
        with pytest.raises(ReaderError, match="no stack found"):
            bring(tmp_path / "set", *found)
    assert left_in(tmp_path) == []


def stop(error: type[BaseException]) -> Callable[[int], RawImage]:
    def stopped(k: int) -> RawImage:
        if k == 2:
            raise error("stopped here")
        return frame(k)

    return stopped


@pytest.mark.parametrize("error", [KeyboardInterrupt, ReaderError, OSError])
def test_what_is_stopped_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error, match="stopped here"):
        bring(tmp_path / "new" / "folder" / "set", sweep("one"), sweep("two", frame=stop(error)))
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ReaderError])
def test_what_is_stopped_leaves_the_old_set(tmp_path: Path, error: type[BaseException]) -> None:
    [path] = bring(tmp_path / "set", sweep("old"))
    before = left_in(tmp_path)
    with pytest.raises(error):
        bring(path, sweep("new", frame=stop(error)), may_replace=True)
    assert left_in(tmp_path) == before
    old = StackSet.open(path)
    old.verify()
    assert old.scenes == ["old", "old"]


def test_an_old_set_is_replaced_only_when_allowed(tmp_path: Path) -> None:
    [path] = bring(tmp_path / "set", sweep("old"))
    with pytest.raises(StoreError, match="exists already"):
        bring(path, sweep("new"))
    assert StackSet.open(path).scenes == ["old", "old"]
    bring(path, sweep("new"), may_replace=True)
    assert StackSet.open(path).scenes == ["new", "new"]


def test_a_folder_that_is_no_set_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StoreError, match=r"is no stack set \(it holds 'thesis.txt'\), so it is not replaced"):
        bring(tmp_path, sweep("new"), may_replace=True)
    assert left_in(tmp_path) == ["thesis.txt"]


def test_too_small_a_disk_is_noticed_before_reading(tmp_path: Path) -> None:
    vast = Geometry(10**6, 2, 10**4, 10**4, LEVELS, "unknown", None)

    def unreachable(k: int) -> RawImage:
        raise AssertionError("a frame was read")

    with pytest.raises(StoreError, match=r"no room in .*: the stacks take 800000.0 GB"):
        bring(tmp_path / "set", sweep("vast", vast, frame=unreachable))
    assert left_in(tmp_path) == []


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from afsim.errors import StoreError
from afsim.importer import import_stacks
from afsim.read_images import ImagesReader

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    import_stacks(ImagesReader(Path(sys.argv[1])), Path(sys.argv[2]), progress=False)
except StoreError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize(("size", "limit"), [(10, 10), (10, 2500), (2, 500)])
def test_full_disk_leaves_nothing(tmp_path: Path, size: int, limit: int) -> None:
    """A real refusal by the system: at the first stack, at the third, and at the index after all of them."""
    for scene in ("a", "b", "c"):
        (tmp_path / "in" / scene).mkdir(parents=True)
        for k in range(5):
            cv2.imwrite(str(tmp_path / "in" / scene / f"{k}.png"), np.full((size, size), k, dtype=np.uint16))
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "in"), str(tmp_path / "out" / "set"), str(limit)]
    root = Path(afsim.__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.startswith("refused: no room"), done
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_progress_bar_goes_to_the_error_stream(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_stacks(Given(tmp_path, (sweep("one"), sweep("two"))), tmp_path / "set")
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "8/8" in streams.err


def test_unknown_reader_is_named_with_those_there_are() -> None:
    with pytest.raises(
        AfsimError, match="unknown reader 'exif'; expected one of: images, learnaf, learnaf_patches"
    ):
        reader_class("exif")


@pytest.mark.parametrize("name", READERS)
def test_readers_are_frozen_dataclasses_with_a_documented_source(name: str) -> None:
    kind = reader_class(name)
    assert next(iter(kind.__dataclass_fields__)) == "source"
    reader = kind(Path("somewhere"))
    with pytest.raises(AttributeError):
        reader.source = Path()
    with pytest.raises(ReaderError, match="somewhere"):
        list(reader.recordings())


# ---------------------------------------------------------------- the parts of a recording
def test_grid_fills_the_frame_from_its_corner() -> None:
    assert grid((10, 10), (4, 4), (3, 6)) == [(0, 0), (0, 6), (3, 0), (3, 6), (6, 0), (6, 6)]
    assert grid((3, 3), (4, 4), (1, 1)) == []
    # The paper: 128 x 128 patches at stride 40 of 2016 x 1512 frames.
    assert len(grid((2016, 1512), (128, 128), (40, 40))) == 48 * 35


def test_spread_is_symmetric() -> None:
    corners = spread((100, 80), (20, 20), (3, 4))
    centres = np.array([region_centre((100, 80), (20, 20), top, left) for top, left in corners])
    np.testing.assert_allclose(centres, -centres[::-1], atol=1e-12)
    assert (corners[0], corners[-1]) == ((0, 0), (80, 60))


def test_region_centre_runs_from_minus_one_to_one() -> None:
    assert region_centre((10, 20), (10, 20), 0, 0) == (0.0, 0.0)
    assert region_centre((10, 20), (2, 2), 0, 18) == pytest.approx((0.9, -0.8))


def test_check_complete_names_what_is_wrong() -> None:
    check_complete([2, 0, 1], 3, "here")
    with pytest.raises(ReaderError, match=r"here: slice 0, 1, 2, 3, 4 and 4 more missing, expected 0 \.\.\. 9"):
        check_complete([9], 10, "here")
    with pytest.raises(ReaderError, match="here: unexpected slice 3"):
        check_complete([0, 1, 2, 3], 3, "here")


def test_real_brackets_import_as_two_sets(real_data: Path, tmp_path: Path) -> None:
    reader = READERS["images"](real_data / "focus_bracket", size=(128, 128), counts=(2, 3))
    paths = import_stacks(reader, tmp_path / "brackets", progress=False)
    assert [path.name for path in paths] == ["37x1x128x128", "49x1x128x128"]
    for path, scene in zip(paths, ("keyboard", "pcb"), strict=True):
        stored = StackSet.open(path)
        stored.verify()
        assert (len(stored), set(stored.scenes)) == (6, {scene})
        assert dict(describe(stored))["labelled"] == "0 of 6"
        # It really is a focus sweep: the fine detail of each region comes or goes.
        detail = np.abs(np.diff(stored.images[:, :, 0].astype(float), axis=-1)).mean(axis=(2, 3))
        assert (detail.max(axis=1) > 1.5 * detail.min(axis=1)).all()
