"""Labels of pictures, from a weight file alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from src.checkpoint.run_folder import config_for_checkpoint
from src.checkpoint.weights import load_weights
from src.config.errors import UserError
from src.config.loading import load_config
from src.data.basedataset import DatasetInfo
from src.data.registry import dataset_info
from src.inference.predictor import Predictor
from src.inference.protocol import Images
from src.models.builder import assemble_network
from src.models.precision import apply_amp


class PicturePredictor(Protocol):
    """What gives labels: `Predictor`, or what runs an exported model."""

    @property
    def protocol(self) -> dict[str, Any]:
        """What decides the numbers, JSON types."""

    def predict(self, images: Images) -> np.ndarray:
        """Return (B, H, W) uint8 classes of pictures of one size."""

    def labels_and_probabilities(self, images: Images) -> tuple[np.ndarray, np.ndarray]:
        """Return the classes, and (B, K, H, W) float32 probabilities."""


class Segmenter:
    """Tell the class of each pixel of a picture.

    Args:
        predictor: network, normalisation and protocol.
        info: names and colours of the classes.

    Example:
        >>> import numpy as np
        >>> from src.inference import Segmenter
        >>> segmenter = Segmenter.from_checkpoint("best.ckpt")  # with best.yaml beside it
        >>> picture = np.zeros((48, 64, 3), np.uint8)  # RGB
        >>> labels = segmenter(picture)
        >>> labels.shape, labels.dtype
        ((48, 64), dtype('uint8'))
        >>> segmenter.info.class_names[10]
        'sky'
    """

    def __init__(self, predictor: PicturePredictor, info: DatasetInfo) -> None:
        self.predictor = predictor
        self.info = info

    @classmethod
    def from_checkpoint(cls, path: str | Path, config: str | None = None, words: Sequence[str] = ()) -> "Segmenter":
        """Return the segmenter of a weight file, in MindSpore's current mode and on its current device, in float32.

        Args:
            path: a .ckpt file.
            config: preset or YAML file; None: the one beside the weights.
            words: `key.sub=value` overrides, such as "eval.flip=True".

        Raises:
            UserError: if a file is missing or an exported model, or weights and configuration do not fit.
        """
        if Path(path).suffix == ".mindir":
            raise UserError(f"{path}: an exported model is for predict.py; give the .ckpt file that it was made from")
        source = config_for_checkpoint(Path(path), config)
        return cls.from_config(load_config(source, {"checkpoint_path": str(path)}, words), Path(path))

    @classmethod
    def from_config(cls, config: Any, checkpoint: Path, amp_level: str = "O0") -> "Segmenter":
        """Return the segmenter of a complete configuration.

        Args:
            config: `model`, `dataset` and `eval` are read.
            checkpoint: a .ckpt file that holds every parameter of the network.
            amp_level: precision, as in `apply_amp`.

        Raises:
            UserError: if the weights do not fit.
        """
        return cls(load_predictor(config, checkpoint, amp_level), dataset_info(config))

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Return the classes of a picture.

        Args:
            picture: (H, W, 3) uint8 RGB, 0..255, of any size.

        Returns:
            (H, W) uint8.

        Raises:
            ValueError: if it is no such picture.
        """
        return self.predictor.predict([picture])[0]


def load_predictor(config: Any, checkpoint: Path, amp_level: str) -> Predictor:
    """Return the predictor with the protocol of evaluation and a file's weights.

    Raises:
        UserError: if the weights do not fit.
    """
    network = assemble_network(config)
    load_weights(network, checkpoint, complete=True)
    return Predictor.from_config(apply_amp(network, amp_level), config)
