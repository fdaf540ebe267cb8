"""A model file run by OpenVINO in Python, on the CPU."""

import functools
import os
from pathlib import Path

import numpy as np
import openvino

from src.config.errors import UserError
from src.runtime.entry import WorkError

HINTS = {"fp32": "f32", "bf16": "bf16"}  # precision of layers that are not quantised -> OpenVINO's name for it
_DEVICE = "CPU"


@functools.cache
def core() -> openvino.Core:
    """Return OpenVINO's plugins: one set for the whole life of a process, see src/deploy/signal_stack.py."""
    return openvino.Core()


class OpenVinoModel:
    """A graph, compiled for one inference at a time.

    Args:
        graph: with one input and one output.
        shape: (B, 3, H, W) that it is compiled for.
        precision: of HINTS, in which layers that are not quantised compute.
        name: for messages.
        threads: of the processor; 0: one for each core.

    Raises:
        UserError: if the processor lacks the precision.
        WorkError: if OpenVINO cannot compile it.
    """

    def __init__(
        self, graph: openvino.Model, shape: tuple[int, ...], precision: str = "fp32", name: str = "the model", threads: int = 0
    ) -> None:
        if precision not in supported_precisions():
            raise UserError(f"{name} in {precision}: this processor lacks it; OpenVINO computes {', '.join(supported_precisions())} here")
        self._name = name
        options = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads or len(os.sched_getaffinity(0)),
        }
        fixed = graph.clone()
        try:
            fixed.reshape(list(shape))
            self._request = core().compile_model(fixed, _DEVICE, options).create_infer_request()
        except RuntimeError as error:
            raise WorkError(f"{name} does not run in OpenVINO {openvino.__version__}: {first_line(error)}") from error

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the output for an input of the graph's shape and type.

        Raises:
            WorkError: if it does not run here.
        """
        try:
            return next(iter(self._request.infer({0: image}).values())).copy()
        except RuntimeError as error:
            raise WorkError(f"{self._name} does not run in OpenVINO {openvino.__version__}: {first_line(error)}") from error


def read_openvino(model: Path) -> openvino.Model:
    """Return the graph of an .onnx or .xml file.

    Raises:
        UserError: if OpenVINO cannot read the file.
    """
    try:
        return core().read_model(model)
    except RuntimeError as error:
        raise UserError(f"{model}: OpenVINO {openvino.__version__} cannot read it: {first_line(error)}; export the model anew") from error


def supported_precisions() -> list[str]:
    """Return which of HINTS this processor computes in; OpenVINO itself falls back to float32 without a word."""
    capabilities = core().get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
    return [precision for precision in HINTS if precision.upper() in capabilities]


def precision_beside_int8() -> str:
    """Return what the layers of an int8 model that are not quantised compute in, as the C++ program has it.

    bf16 where the processor multiplies in it; on AVX-512 without that, OpenVINO would turn it into float32 and back.
    """
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text(encoding="utf-8").split() if cpuinfo.is_file() else []
    has_bf16 = "amx_bf16" in flags or "avx512_bf16" in flags
    return "bf16" if has_bf16 and "bf16" in supported_precisions() else "fp32"


def first_line(error: BaseException) -> str:
    """Return what an exception of OpenVINO says first; before it, it names places in its own code."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line and not line.startswith(("Exception from", "Check '"))), "no reason given")
