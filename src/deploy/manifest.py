"""The manifest beside a model file: what a program that runs it must know, and cannot read from it."""

import hashlib
import json
import math
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from src.checkpoint.atomic import atomic_path
from src.config.errors import UserError
from src.data.basedataset import DatasetInfo
from src.data.transforms import network_input

FORMAT = 1
KINDS = ("native", "lite2", "air", "onnx", "openvino")
PRECISIONS = ("fp32", "int8")
SIDES = ("batch", "height", "width")  # that a graph may take in any size
READ_BLOCK = 1 << 20  # bytes


@dataclass(frozen=True)
class InputSpec:
    """What the graph takes.

    Attributes:
        shape: (batch, 3, height, width) of the graph, NCHW.
        dtype: "float32": values normalised by the caller, (value / 255 - mean) / std; "uint8": values 0..255, normalised in the graph.
        color_order: order of the three channels, "RGB" or "BGR".
        mean: of each channel in color_order, of values 0..1.
        std: likewise.
        dynamic: those of SIDES that the graph takes in any size; `shape` then has the size that it was checked with, and that programs use
            unless they are told another one.
    """

    shape: tuple[int, int, int, int]
    dtype: str
    color_order: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    dynamic: tuple[str, ...] = ()

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.shape[2], self.shape[3]

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """Return a picture (HWC uint8 RGB, of any size) as the graph takes it, (3, height, width) of the dtype."""
        return network_input(image, self.size_hw, self.mean, self.std, self.color_order, self.dtype)


@dataclass(frozen=True)
class OutputSpec:
    """What the graph gives, and how logits become labels.

    Attributes:
        kind: "logits" at the network's stride, or "labels" at the input's size.
        shape: (batch, K, h, w) of logits, (batch, height, width) of labels, for the input's shape.
        dtype: "float32" of logits, "uint8" of labels.
        align_corners: of the bilinear resizing of logits to a picture's size, before the argmax.
        half_pixel_centers: likewise; without align_corners, False scales upper left corners.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str
    align_corners: bool
    half_pixel_centers: bool


@dataclass(frozen=True)
class Manifest:
    """The content of a manifest.

    Attributes:
        model_file: name of the model file, which lies in the same folder.
        sha256: of the model file, hexadecimal.
        kind: "native" (MindSpore, and MindSpore Lite of its generation), "lite2" (lowered for MindSpore Lite 2.0.0), "air" (Ascend),
            "onnx", or "openvino" (OpenVINO's own .xml, whose weights are a file of their own).
        input: what the graph takes.
        output: what it gives.
        class_names: K names, in the order of the classes.
        palette: K RGB colours, 0..255.
        ignore_label: label value that nothing counts.
        versions: name -> version of what wrote the model.
        checkpoint: "file" and "sha256" of the weights.
        config: the complete configuration.
        weights: "file" and "sha256" of the file of weights beside the model file; empty: the model file holds them.
        precision: of PRECISIONS, in which the graph's convolutions compute.
        quantization: how an int8 model was made (src.deploy.int8); empty of others.
    """

    model_file: str
    sha256: str
    kind: str
    input: InputSpec
    output: OutputSpec
    class_names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    ignore_label: int
    versions: Mapping[str, str]
    checkpoint: Mapping[str, str]
    config: Mapping[str, Any]
    weights: Mapping[str, str] = field(default_factory=dict)
    precision: str = "fp32"
    quantization: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the content of the file."""
        model = {"file": self.model_file, "sha256": self.sha256, "kind": self.kind, "precision": self.precision}
        return {
            "format": FORMAT,
            "model": {**model, **({"weights": dict(self.weights)} if self.weights else {})},
            "input": {**asdict(self.input), "layout": "NCHW", "resize": "bilinear, half pixel centers"},
            "output": asdict(self.output),
            "classes": {"names": self.class_names, "palette": self.palette, "ignore_label": self.ignore_label},
            "versions": dict(self.versions),
            "checkpoint": dict(self.checkpoint),
            **({"quantization": dict(self.quantization)} if self.quantization else {}),
            "config": dict(self.config),
        }

    def check_classes(self, source: Path, info: DatasetInfo, advice: str) -> None:
        """Refuse data of other classes than the model's.

        Args:
            source: the model or its manifest, for the message.
            info: of the data set.
            advice: how to mend it.

        Raises:
            UserError: naming both.
        """
        if self.class_names != info.class_names:
            raise UserError(
                f"{source}: the model tells {len(self.class_names)} classes apart ({self.class_names[0]} ...), which are not those of "
                f"{info.name}; {advice}"
            )

    def write(self, model: Path) -> Path:
        """Write the manifest beside its model file and return its path; the file is complete or absent."""
        path = manifest_path(model)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(self.as_json(), indent=1) + "\n", encoding="utf-8")
        return path


def manifest_path(model: Path) -> Path:
    """Return the path of the manifest that belongs to a model file: the same name with .json."""
    return model.with_suffix(".json")


def check_replaceable(files: Iterable[Path], flag: str) -> None:
    """Refuse to write where a folder, a device, a .json that is no manifest, or the manifest of another model would be in the way.

    Args:
        files: to be written, models and manifests.
        flag: what named them, for the message.

    Raises:
        UserError: naming what is in the way.
    """
    files = list(files)
    names = {path.name for path in files}
    for path in files:
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "no regular file"
            raise UserError(f"{flag}: {path} is {what}, where a file is to be written; choose another name")
        if path.suffix == ".json" and path.exists():
            model = _model_of(path)
            if model is None:
                raise UserError(f"{flag}: {path} is no manifest of a model and would be replaced; choose another name")
            if model not in names and (path.parent / model).is_file():
                raise UserError(f"{flag}: {path} is the manifest of {model} and would be replaced; choose another name")


def _model_of(path: Path) -> str | None:
    """Return the name of the model file that a manifest describes; None: the file is no manifest."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.get("format") != FORMAT or not {"model", "input", "classes"} <= content.keys():
        return None
    model = content["model"]
    return str(model.get("file", "")) if isinstance(model, dict) else ""


def read_manifest(path: Path) -> Manifest:
    """Return the content of a manifest.

    Raises:
        UserError: if it is missing, is no manifest, or lacks something.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such manifest; export.py writes it beside the model") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: no manifest: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path}: no manifest of format {FORMAT}; export the model anew")
    try:
        manifest = _from_json(content)
        _check(manifest)
        return manifest
    except (KeyError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: a manifest that lacks something or holds a wrong value ({error}); export the model anew") from None


def read_manifest_of(model: Path) -> Manifest:
    """Return the manifest beside a model file, which is there.

    Raises:
        UserError: as `read_manifest`, or if it describes another file.
    """
    path = manifest_path(model)
    manifest = read_manifest(path)
    if manifest.sha256 != file_sha256(model):
        raise UserError(f"{path} belongs to another file than {model}: its SHA-256 differs; export the model anew")
    return manifest


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(READ_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _check(manifest: Manifest) -> None:
    """Refuse what no export writes by a ValueError that names it."""
    choices = {
        "model.kind": (manifest.kind, KINDS),
        "model.precision": (manifest.precision, PRECISIONS),
        "model.weights": (manifest.weights.keys() >= {"file", "sha256"}, (manifest.kind == "openvino",)),
        "sides of input.dynamic": (set(manifest.input.dynamic) <= set(SIDES), (True,)),
        "input.dtype": (manifest.input.dtype, ("float32", "uint8")),
        "input.color_order": (manifest.input.color_order, ("RGB", "BGR")),
        "output.kind and dtype": ((manifest.output.kind, manifest.output.dtype), (("logits", "float32"), ("labels", "uint8"))),
        "dimensions of input.shape": (len(manifest.input.shape), (4,)),
        "dimensions of output.shape": (len(manifest.output.shape), (4,) if manifest.output.kind == "logits" else (3,)),
        "channels": (manifest.input.shape[1:2], ((3,),)),
        "numbers of input.mean and input.std": ((len(manifest.input.mean), len(manifest.input.std)), ((3, 3),)),
        "input.std, all of it above 0": (all(std > 0 for std in manifest.input.std), (True,)),
        "colours of classes.palette": (len(manifest.palette), (len(manifest.class_names),)),
        "lengths of the colours": ({len(color) for color in manifest.palette}, ({3},)),
        "smallest side of a shape": (min(*manifest.input.shape, *manifest.output.shape, 1), (1,)),
    }
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise ValueError(f"{name}: {value!r}")


def _from_json(content: dict[str, Any]) -> Manifest:
    def one(path: str, kind: type) -> Any:
        return _of_kind(path, _value(content, path), kind)

    def several(path: str, kind: type) -> tuple[Any, ...]:
        return _tuple_of_kind(path, _value(content, path), kind)

    # Manifests of earlier versions lack them.
    model, spec = _of_kind("model", content["model"], dict), _of_kind("input", content["input"], dict)
    later = {
        "weights": _of_kind("model.weights", model.get("weights", {}), dict),
        "precision": _of_kind("model.precision", model.get("precision", "fp32"), str),
        "quantization": _of_kind("quantization", content.get("quantization", {}), dict),
    }
    dynamic = _tuple_of_kind("input.dynamic", spec.get("dynamic", []), str)

    return Manifest(
        model_file=one("model.file", str),
        sha256=one("model.sha256", str),
        kind=one("model.kind", str),
        input=InputSpec(
            *(several("input.shape", int), one("input.dtype", str), one("input.color_order", str)),
            *(several("input.mean", float), several("input.std", float), dynamic),
        ),
        output=OutputSpec(
            *(one("output.kind", str), several("output.shape", int), one("output.dtype", str)),
            *(one("output.align_corners", bool), one("output.half_pixel_centers", bool)),
        ),
        class_names=several("classes.names", str),
        palette=tuple(_tuple_of_kind("a colour of classes.palette", color, int) for color in several("classes.palette", list)),
        ignore_label=one("classes.ignore_label", int),
        versions=one("versions", dict),
        checkpoint=one("checkpoint", dict),
        config=one("config", dict),
        **later,
    )


def _value(content: dict[str, Any], path: str) -> Any:
    *parts, last = path.split(".")
    for part in parts:
        content = _of_kind(part, content[part], dict)
    return content[last]


def _of_kind(name: str, value: Any, kind: type) -> Any:
    """Return a value of JSON if it is of a type; float: any finite number. True is a bool alone, though Python calls it an int too."""
    is_right = type(value) in (int, float) and math.isfinite(value) if kind is float else type(value) is kind
    if not is_right:
        raise ValueError(f"{name}: {reprlib.repr(value)}, expected {'a finite number' if kind is float else kind.__name__}")
    return value


def _tuple_of_kind(name: str, values: Any, kind: type) -> tuple[Any, ...]:
    return tuple(_of_kind(name, value, kind) for value in _of_kind(name, values, list))
