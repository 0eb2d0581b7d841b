"""Focal stacks, sets of them, and their folder on disk."""

import copy
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from afsim.errors import StackError, StoreError
from afsim.stack import FocalStack, Levels
from afsim.stackset import StackSet
from afsim.stackstore import StackWriter, index_rows
from afsim.staging import staged_folder


def make_stack(name: str = "a", *, n: int = 12, size: int = 8, scene: str = "") -> FocalStack:
    images = np.random.default_rng(0).integers(64, 1023, (n, 2, size, size), dtype=np.uint16)
    return FocalStack(
        images, Levels(64, 1023), np.arange(n, dtype=np.float64), 5 if n > 5 else 1, name=name, scene=scene
    )


@pytest.fixture
def stored(stacks: StackSet, tmp_path: Path) -> StackSet:
    return stacks.save(tmp_path / "set")


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------- one stack
def test_normalized_is_zero_at_black_and_one_at_white_and_clips_above() -> None:
    levels = Levels(64, 1023)
    np.testing.assert_allclose(levels.normalize(np.array([64, 1023, 1100, 0])), [0, 1, 1, -64 / 959], rtol=1e-6)
    assert levels.normalize(np.array([64], dtype=np.uint16)).dtype == np.float32


def test_green_is_the_mean_of_the_views() -> None:
    stack = make_stack()
    np.testing.assert_allclose(stack.green(), stack.normalized().mean(axis=1), rtol=1e-6)
    assert stack.green().shape == (12, 8, 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((3, 2, 4), np.uint16)}, r"images must be \(n, views, height, width\), got shape"),
        ({"images": np.zeros((3, 2, 4, 4), np.uint8)}, "images must be uint16 DN, got uint8"),
        ({"images": np.zeros((1, 2, 4, 4), np.uint16), "diopters": None}, "at least 2 slices, got 1"),
        ({"images": np.zeros((12, 3, 4, 4), np.uint16)}, "views must be 1 .* or 2 .*, got 3"),
        ({"images": np.zeros((12, 2, 0, 4), np.uint16)}, "empty images of 0 x 4"),
        ({"levels": Levels(1023, 64)}, "0 <= black < white <= 65535, got 1023, 64"),
        ({"levels": Levels(0, 65536)}, "got 0, 65536"),
        ({"diopters": np.arange(11.0)}, "expected 12 focus distances, one a slice, got 11"),
        ({"diopters": np.where(np.arange(12) == 3, np.nan, np.arange(12.0))}, "slice 3 is nan dioptres"),
        ({"diopters": np.arange(12.0) - 1}, "slice 0 is -1 dioptres, expected >= 0"),
        ({"diopters": np.arange(12.0)[::-1]}, "slice 0 has 11 and slice 1 has 10 dioptres"),
        ({"direction": "unknown"}, "distances are known, so direction must be 'far-first'"),
        ({"direction": "near-first", "diopters": None}, "direction must be one of"),
        ({"best_index": 12}, r"best_index must be an integer in 0 \.\.\. 11, got 12"),
        ({"best_index": -1}, "got -1"),
        ({"best_index": 3.5}, "got 3.5"),
        ({"best_index_exact": 11.1}, r"best_index_exact must be in 0 \.\.\. 11, got 11.1"),
        ({"best_index_exact": float("nan")}, "got nan"),
        ({"region": (0.0, 1.1)}, r"region \(x, y\) must lie in \[-1, 1\], got \(0.0, 1.1\)"),
        ({"noise": (0.1, float("inf"))}, r"noise \(S, O\) must be finite and >= 0"),
    ],
)
def test_impossible_stacks_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(StackError, match=f"stack 'lamp': .*{message}"):
        replace(make_stack(name="lamp"), **change)


# ---------------------------------------------------------------- a set
def test_set_holds_its_stacks(stacks: StackSet) -> None:
    assert len(stacks) == 6
    assert stacks[-1].name == stacks[5].name == stacks.names[5]
    assert [stack.best_index_exact for stack in stacks] == stacks.truth.tolist()
    with pytest.raises(IndexError):
        stacks[6]


def test_round_trip_keeps_everything(tmp_path: Path) -> None:
    first = replace(
        make_stack(name="Straße 5 / ü", scene="Straße"),
        best_index_exact=4.5,
        noise=(1e-3, 1e-5),
        region=(-0.5, 0.25),
        metadata={"camera": "Ω", "parts": [1, None, 2.5]},
    )
    second = replace(make_stack("b"), best_index=0)
    opened = StackSet.from_stacks([first, second], {"licence": "none"}).save(tmp_path / "set")
    for before, after in zip([first, second], opened, strict=True):
        np.testing.assert_array_equal(before.images, after.images)
        for name in (
            "name",
            "best_index",
            "best_index_exact",
            "region",
            "noise",
            "direction",
            "levels",
            "metadata",
        ):
            assert getattr(after, name) == getattr(before, name), name
        assert after.diopters is not None
        np.testing.assert_array_equal(after.diopters, before.diopters)
    assert opened.metadata == {"licence": "none"}
    assert opened.scenes == ["Straße", "b"]
    assert opened.truth.tolist() == [4.5, 0.0]


def test_unlabelled_stacks_have_no_truth(unlabelled_stacks: StackSet, tmp_path: Path) -> None:
    opened = unlabelled_stacks.save(tmp_path / "set")
    assert not opened.labelled.any()
    assert opened.diopters is None
    assert (opened[0].best_index, opened[0].direction) == (None, "unknown")


def test_stacks_of_different_geometry_are_refused_by_name() -> None:
    pair = [make_stack(name="a"), make_stack(name="b", n=11)]
    with pytest.raises(StackError, match=r"stack 'b' \(11 slices.*does not fit the set of stack 'a' \(12 slices"):
        StackSet.from_stacks(pair)
    with pytest.raises(StackError, match="at least one stack, got none"):
        StackSet.from_stacks([])


def test_metadata_must_be_plain_json() -> None:
    for bad in ({"when": object()}, {"x": float("nan")}, {"k": np.int64(3)}):
        with pytest.raises(StackError, match="stack 'a': metadata must be plain JSON"):
            StackSet.from_stacks([replace(make_stack(name="a"), metadata=bad)])


def test_select_by_positions_mask_and_slice(stacks: StackSet) -> None:
    assert stacks.select([4, 0]).names == [stacks.names[4], stacks.names[0]]
    assert stacks.select(stacks.truth > 8).names == stacks.names[4:]
    assert stacks[1:3].names == stacks.names[1:3]


# ---------------------------------------------------------------- hashes
def test_digest_depends_on_content_alone(stacks: StackSet, stored: StackSet, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(tmp_path / "set", tmp_path / "elsewhere"))
    assert stacks.digest == stored.digest == StackSet.open(moved).digest == stored.in_memory().digest
    assert stored.select(range(6)).digest == stacks.digest
    # Names of other lengths in the set they come from make no difference.
    long = StackSet.from_stacks([*stacks, replace(stacks[0], name="a much longer name")])
    assert long[:6].digest == stacks.digest


def test_digest_changes_with_any_part(stacks: StackSet) -> None:
    one = stacks[0]
    changed = [
        replace(one, images=one.images + np.uint16(1)),
        replace(one, best_index=2),
        replace(one, name="other"),
        replace(one, region=(0.1, 0.0)),
        replace(one, levels=Levels(63, 1023)),
        replace(one, metadata={"x": 1}),
    ]
    digests = {StackSet.from_stacks([stack]).digest for stack in [one, *changed]}
    assert len(digests) == 1 + len(changed)


# ---------------------------------------------------------------- the folder
def test_opened_images_are_mapped_and_read_only(stored: StackSet) -> None:
    assert isinstance(stored.images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        stored.images[0, 0, 0, 0, 0] = 0


def test_mapped_sets_are_pickled_and_copied_as_a_path(stored: StackSet) -> None:
    packed = pickle.dumps(stored)
    assert len(packed) < 1000 < stored.images.nbytes
    for twin in (pickle.loads(packed), copy.deepcopy(stored)):
        assert isinstance(twin.images, np.memmap)
        assert twin.digest == stored.digest
    in_memory = pickle.loads(pickle.dumps(stored.select([1, 2])))
    assert in_memory.names == stored.names[1:3]
    np.testing.assert_array_equal(in_memory.images, stored.images[1:3])


def test_writer_takes_stacks_in_parts(stacks: StackSet, tmp_path: Path) -> None:
    with staged_folder(tmp_path / "set") as folder, StackWriter(folder, stacks.geometry) as writer:
        for part in (stacks[:1], stacks[1:4], stacks[4:]):
            writer.extend(index_rows(list(part)))[:] = part.images
    assert StackSet.open(tmp_path / "set").digest == stacks.digest


def test_writer_without_reserved_blocks_writes_the_same(
    stacks: StackSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.posix_fallocate")  # as on macOS and Windows
    assert stacks.save(tmp_path / "set").digest == stacks.digest


def test_writer_refuses_an_empty_set_and_unstorable_metadata(stacks: StackSet, tmp_path: Path) -> None:
    with (
        pytest.raises(StackError, match="at least one stack"),
        staged_folder(tmp_path / "set") as folder,
        StackWriter(folder, stacks.geometry),
    ):
        pass
    with pytest.raises(StackError, match="the set to write: metadata must be plain JSON"):
        StackWriter(tmp_path, stacks.geometry, {"path": tmp_path})
    assert left_in(tmp_path) == []


def change_manifest(folder: Path, **change: object) -> None:
    file = folder / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))


def test_set_of_a_newer_version_is_refused(stored: StackSet) -> None:
    assert stored.path is not None
    change_manifest(stored.path, version=2)
    with pytest.raises(StoreError, match="written by a newer afsim: format version 2, this one reads up to 1"):
        StackSet.open(stored.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "is no manifest of a stack set: expected format 'afsim-stackset'"),
        ({"version": "1"}, "damaged: version '1', expected a number from 1 to 1"),
        ({"count": 0}, "count is 0, expected at least 1"),
        ({"count": 7}, "index.npy is damaged: expected 7 index rows"),
        ({"geometry": {}}, "damaged: KeyError: 'diopters'"),
        ({"metadata": None}, "damaged: TypeError"),
    ],
)
def test_damaged_manifest_is_refused(stored: StackSet, change: dict[str, object], message: str) -> None:
    assert stored.path is not None
    change_manifest(stored.path, **change)
    with pytest.raises(StoreError, match=message):
        StackSet.open(stored.path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00"])
def test_manifest_that_is_no_json_object_is_refused(stored: StackSet, content: bytes) -> None:
    assert stored.path is not None
    (stored.path / "manifest.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"manifest.json is (damaged: not JSON|no manifest)"):
        StackSet.open(stored.path)


@pytest.mark.parametrize("file", ["index.npy", "images.u16"])
def test_damaged_or_missing_files_are_refused(stored: StackSet, file: str) -> None:
    assert stored.path is not None
    path = stored.path / file
    content = path.read_bytes()
    for damaged in (content[:-1], content[: len(content) // 2], content[:20], b""):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=f"{file} is damaged"):
            StackSet.open(stored.path)
    path.unlink()
    with pytest.raises(StoreError, match=f"{file} is missing"):
        StackSet.open(stored.path)


def test_index_with_any_damaged_header_byte_opens_or_is_refused(stored: StackSet) -> None:
    """Never another kind of error, whatever numpy makes of it."""
    assert stored.path is not None
    path = stored.path / "index.npy"
    content = path.read_bytes()
    for position in range(128):
        damaged = bytearray(content)
        damaged[position] ^= 0x15
        path.write_bytes(damaged)
        try:
            StackSet.open(stored.path)
        except StoreError as error:
            assert "index.npy is damaged" in str(error)  # noqa: PT017  # most bytes are refused, spaces are not


@pytest.mark.parametrize("file", ["index.npy", "images.u16"])
def test_verify_notices_a_flipped_bit(stored: StackSet, file: str) -> None:
    assert stored.path is not None
    stored.verify()
    path = stored.path / file
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"set is damaged: its content has hash"):
        StackSet.open(stored.path).verify()


def test_no_set_there_says_what_is(stored: StackSet, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere: there is no such folder"):
        StackSet.open(tmp_path / "nowhere")
    with pytest.raises(StoreError, match=r"no manifest.json; sets inside it: set"):
        StackSet.open(tmp_path)


def test_save_refuses_what_is_there_or_is_no_set(stacks: StackSet, stored: StackSet, tmp_path: Path) -> None:
    assert stored.path is not None
    with pytest.raises(StoreError, match="exists already"):
        stacks.save(stored.path)
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(StoreError, match=r"is no stack set \(it holds 'thesis.txt'\)"):
        stacks.save(tmp_path, may_replace=True)
    assert stacks[:2].save(stored.path, may_replace=True).names == stacks.names[:2]


def test_opening_a_set_reads_no_pixels(tmp_path: Path) -> None:
    """A sparse file far larger than memory opens, and its last stack can be read."""
    stack = make_stack(n=2, size=4)
    set_folder = Path(str(StackSet.from_stacks([stack]).save(tmp_path / "set").path))
    count = 200
    rows = np.repeat(np.load(set_folder / "index.npy"), count)
    np.save(set_folder / "index.npy", rows)
    manifest = json.loads((set_folder / "manifest.json").read_text())
    size = {"height": 8192, "width": 8192}
    change_manifest(set_folder, count=count, geometry={**manifest["geometry"], **size})
    with (set_folder / "images.u16").open("r+b") as file:
        file.truncate(count * 2 * 2 * 8192 * 8192 * 2)
    opened = StackSet.open(set_folder)
    assert len(opened) == count
    assert opened[count - 1].images[1, 0, 8191, 8191] == 0
