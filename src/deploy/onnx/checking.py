"""Is an ONNX model valid, and does it compute what the network does."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import checker, shape_inference

from src.deploy.manifest import InputSpec
from src.deploy.onnx.requirements import INSTALL, has_runtime
from src.deploy.verification import compare, example_image, judge
from src.runtime.entry import WorkError

logger = logging.getLogger("ocrnet")

MAX_DIFFERENCE = 1e-4  # of the largest logit

Run = Callable[[np.ndarray], np.ndarray]


def check_valid(model: onnx.ModelProto) -> None:
    """Check a model by ONNX's own checker and by inferring all shapes, that of the output among them.

    Raises:
        WorkError: if it is not valid.
    """
    try:
        checker.check_model(model, full_check=True)
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        raise WorkError(f"not valid ONNX: {error}") from error


class OnnxModel:
    """A model file in ONNX Runtime, on the CPU.

    Args:
        model: an .onnx file with one input and one output.

    Raises:
        WorkError: if it does not run here.
    """

    def __init__(self, model: Path) -> None:
        import onnxruntime

        self._name, self._version = model.name, onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its own classes are bound to nothing but Exception
            raise self._failure(error) from error

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the output for an input of the graph's shape and type.

        Raises:
            WorkError: if it does not run here.
        """
        try:
            (output,) = self._session.run(None, {self._session.get_inputs()[0].name: image})
        except Exception as error:
            raise self._failure(error) from error
        return np.asarray(output)

    def _failure(self, error: Exception) -> WorkError:
        return WorkError(f"{self._name} does not run in ONNX Runtime {self._version}: {error}")


def verify_onnx(network: Run, model: Path, spec: InputSpec, smallest_side: int = 0, right: str = "the checkpoint's network") -> None:
    """Run a model file on pictures, and say how far it is from the network; one for any size at two sizes.

    Args:
        network: from the graph's input to the output that is right.
        model: the .onnx file.
        spec: what it takes.
        smallest_side: height and width that the network needs, pixels.
        right: what `network` is, for messages.

    Raises:
        WorkError: if it differs.
    """
    if not has_runtime():
        logger.info("%s was not run: no ONNX Runtime here; %s", model.name, INSTALL)
        return
    run = OnnxModel(model)
    for each in (spec, other_size(spec, smallest_side)) if spec.dynamic else (spec,):
        image = example_image(each)
        where = f"in ONNX Runtime at {'x'.join(map(str, each.shape))}"
        judge(where, model, compare(network(image), run(image)), MAX_DIFFERENCE, right)


def other_size(spec: InputSpec, smallest_side: int) -> InputSpec:
    """Return an input that differs from a given one in all sides that may: one picture more, or fewer, and odd sides of about a half."""
    batch, channels, height, width = spec.shape
    sides = {
        "batch": batch - 1 or 2,
        "height": _other_side(height, smallest_side),
        "width": _other_side(width, smallest_side),
    }
    batch, height, width = (sides[side] if side in spec.dynamic else size for side, size in zip(sides, (batch, height, width), strict=True))
    return replace(spec, shape=(batch, channels, height, width))


def _other_side(side: int, smallest: int) -> int:
    other = max(side // 2, smallest) | 1
    return other if other != side else side + 2
