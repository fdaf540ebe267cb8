"""What a user decides about a model file, checked, and what follows from it and the configuration."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.config.errors import UserError
from src.config.networks import smallest_side
from src.data.loader import build_dataset
from src.data.registry import dataset_info
from src.deploy.manifest import SIDES, InputSpec

LITE_SUFFIX = "_lite2"  # of a lowered file's name
MIN_SIDE, MAX_SIDE = 32, 8192  # pixels: the lowest resolution is a 32nd; beyond the latter no device has the memory
MAX_BATCH = 1024
OPSET = 28  # of ONNX: the newest that ONNX Runtime 1.32 guarantees; OpenVINO 2026.4 reads it
OLDEST_OPSET = 13  # before it, axes of ReduceSum and Unsqueeze were attributes, and Resize could not go without a region
_SUFFIXES = {"MINDIR": ".mindir", "AIR": ".air", "ONNX": ".onnx"}


@dataclass(frozen=True)
class ExportOptions:
    """What a user decides.

    Attributes:
        target: the model file.
        file_format: "MINDIR", "AIR" or "ONNX".
        size_hw: height and width of the graph's input, pixels; None: what eval.py shows the network, as far as it can be known.
        batch: pictures at once.
        outputs: "logits" at stride 4 (HRNet) or 8 (ResNet), or "labels" at the input's size.
        input_dtype: "float32", normalised by the caller, or "uint8", normalised in the graph.
        dynamic: those of "batch", "height" and "width" that an ONNX graph takes in any size; `size_hw` and `batch` are then an example.
        opset: of ONNX; None: OPSET.

    Raises:
        UserError: if a value makes no sense.
    """

    target: Path
    file_format: str = "MINDIR"
    size_hw: tuple[int, int] | None = None
    batch: int = 1
    outputs: str = "logits"
    input_dtype: str = "float32"
    dynamic: tuple[str, ...] = ()
    opset: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= MAX_BATCH:
            raise UserError(f"--batch {self.batch}: expected 1..{MAX_BATCH} pictures at once")
        if self.size_hw is not None:
            _check_size("--image_size", self.size_hw)
        if self.file_format != "ONNX":
            for flag, given in (("--dynamic", self.dynamic), ("--opset", self.opset is not None)):
                if given:
                    raise UserError(f"{flag} is for ONNX files; add --file_format ONNX, or leave it out")
        if self.opset is not None:
            check_opset(self.opset)

    def input_spec(self, config: Any) -> InputSpec:
        """Return what the graph takes.

        Raises:
            UserError: if the size is too small for the network.
        """
        source, size_hw = ("--image_size", self.size_hw) if self.size_hw else _usual_size(config)
        side = smallest_side(config.model)
        if min(size_hw) < side:
            raise UserError(f"{source} {size_hw[0]} {size_hw[1]}: {config.model.name} needs {side} pixels or more each way")
        data = config.dataset
        dynamic = tuple(side for side in SIDES if side in self.dynamic)
        return InputSpec((self.batch, 3, *size_hw), self.input_dtype, data.color_order, tuple(data.mean), tuple(data.std), dynamic)


def model_path(file_name: str, file_format: str) -> Path:
    """Return the model file of --file_name, which may come with or without its ending.

    Raises:
        UserError: if it names a folder, or ends as another format or as the lowered file does.
    """
    suffix = _SUFFIXES[file_format]
    path = Path(file_name)
    if path.suffix != suffix and path.suffix in _SUFFIXES.values():
        raise UserError(f"--file_name {file_name}: the ending of another format than --file_format {file_format}; leave it out")
    if path.name.removesuffix(suffix).endswith(LITE_SUFFIX):
        raise UserError(f"--file_name {file_name}: {LITE_SUFFIX} is what the lowered file is called, beside the native one; leave it out")
    if file_name.endswith("/") or not path.name or path.name in (".", "..") or path.is_dir():
        raise UserError(f"--file_name {file_name}: a folder; give the name of the model in it, such as {path / 'model'}")
    return path if path.suffix == suffix else path.with_name(path.name + suffix)


def check_opset(opset: int) -> None:
    """Refuse an opset of ONNX that the nodes are not written for.

    Raises:
        UserError: naming those that there are.
    """
    if not OLDEST_OPSET <= opset <= OPSET:
        raise UserError(f"--opset {opset}: expected {OLDEST_OPSET}..{OPSET}")


def class_names_and_palette(config: Any) -> tuple[tuple[str, ...], tuple[tuple[int, int, int], ...]]:
    """Return names and RGB colours of the configuration's classes, as a manifest has them."""
    info = dataset_info(config)
    return info.class_names, tuple((int(r), int(g), int(b)) for r, g, b in info.palette)


def _usual_size(config: Any) -> tuple[str, tuple[int, int]]:
    """Return eval.image_size, or else the size of the first validation picture, or else, without data, that of the data set's pictures.

    What it is comes first, for messages.
    """
    if config.eval.image_size:
        height, width = config.eval.image_size
        _check_size("eval.image_size", (height, width))
        return "eval.image_size", (height, width)
    try:
        return "the first validation picture's size", build_dataset(config, "val").size_hw(0)
    except UserError:
        pass  # the data is elsewhere, and exporting needs none
    info = dataset_info(config)
    if info.picture_size_hw is None:
        raise UserError(f"--image_size H W is needed: {info.name} has pictures of many sizes")
    return f"{info.name}'s picture size", info.picture_size_hw


def _check_size(source: str, size_hw: tuple[int, int]) -> None:
    if not (MIN_SIDE <= min(size_hw) and max(size_hw) <= MAX_SIDE):
        raise UserError(f"{source} {size_hw[0]} {size_hw[1]}: height and width must lie between {MIN_SIDE} and {MAX_SIDE} pixels")
