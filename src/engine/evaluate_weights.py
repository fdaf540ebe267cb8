"""Evaluate a weight file: build the network, load, run the protocol."""

from pathlib import Path
from typing import Any

from src.checkpoint.weights import load_weights
from src.engine.callback import evaluate_network
from src.engine.checked_data import checked_data
from src.engine.evaluator import EvalResult
from src.engine.precision import apply_amp
from src.inference.predictor import Predictor
from src.models.builder import assemble_network
from src.runtime.device import Runtime


def evaluate_weights(config: Any, runtime: Runtime, checkpoint: Path, folder: Path) -> EvalResult:
    """Return the result on the validation set and write it into a folder.

    Args:
        config: the configuration that the network was trained with.
        runtime: device and process group; ranks share the pictures.
        checkpoint: a .ckpt file that holds every parameter of the network.
        folder: for eval.json and eval/.

    Raises:
        UserError: if data or weights do not fit.
    """
    dataset = checked_data(config, "val", runtime.group).dataset
    network = assemble_network(config)
    load_weights(network, checkpoint, complete=True)
    predictor = Predictor.from_config(apply_amp(network, runtime.amp_level), config)
    return evaluate_network(config, predictor, dataset, runtime.group, folder)
