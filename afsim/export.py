"""``afsim export``: write a trained network as an ONNX file."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from afsim.checks import check_whole
from afsim.errors import StoreError
from afsim.modelfile import load
from afsim.modelkinds import shipped_model
from afsim.onnxmodel import export
from afsim.staging import staged_files


@dataclass(frozen=True)
class ExportConfig:
    """Write a network as an ONNX file, once onnxruntime says the same as torch."""

    model: tyro.conf.Positional[str]
    """A network that comes with afsim (d1, i1, d1-2step, ...), or a file made by 'afsim train'."""
    out: Path
    """File to write (ONNX); one that is there is replaced."""
    size: int = 128
    """Height and width of the images in pixels."""
    quiet: bool = False
    """Nothing on the screen."""


def main(config: ExportConfig) -> int:
    """Export, check, write the file, and say how near it is to torch."""
    check_whole("size", config.size, least=32)
    if config.out.suffix != ".onnx" or config.out.is_dir():
        raise StoreError(f"{config.out}: expected the name of a file that ends in .onnx")
    path = Path(config.model) if config.model.endswith(".safetensors") else shipped_model(config.model)
    content, apart = export(load(path), config.size)
    with staged_files(config.out.parent) as folder:
        (folder / config.out.name).write_bytes(content)
    if not config.quiet:
        print(f"{config.out}: {len(content) / 1e6:.1f} MB; differs from torch by {apart:.1e} of the logits' range")
    return 0
