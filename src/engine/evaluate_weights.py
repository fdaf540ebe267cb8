"""Evaluate a weight file: build the network, load, run the protocol."""

from pathlib import Path
from typing import Any

from src.engine.callback import evaluate_network
from src.engine.checked_data import checked_share
from src.engine.evaluator import EvalResult, Observer
from src.inference.segmenter import load_predictor
from src.runtime.compile_cache import CompileCache
from src.runtime.device import Runtime


def evaluate_weights(config: Any, runtime: Runtime, checkpoint: Path, folder: Path, observer: Observer | None = None) -> EvalResult:
    """Return the result on the validation set and write it into a folder.

    Args:
        config: the configuration that the network was trained with.
        runtime: device and process group; ranks share the pictures.
        checkpoint: a .ckpt file that holds every parameter of the network.
        folder: for eval.json and eval/.
        observer: shown the pictures and what is predicted for them.

    Raises:
        UserError: if data or weights do not fit.
    """
    dataset, _ = checked_share(config, "val", runtime.group)
    predictor = load_predictor(config, checkpoint, runtime.amp_level)
    with CompileCache(config, runtime).compiling("eval", predictor.network):
        return evaluate_network(config, predictor, dataset, runtime.group, folder, observer=observer)
