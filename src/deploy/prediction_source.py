"""What predicts: a checkpoint or an exported MindIR file, with its configuration and its classes. MindSpore is loaded with the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.checkpoint.run_folder import config_for_checkpoint
from src.config.errors import UserError
from src.config.loading import load_config
from src.config.networks import smallest_side
from src.data.basedataset import DatasetInfo
from src.data.registry import dataset_info
from src.deploy.manifest import Manifest
from src.deploy.mindir_source import check_protocol, config_of_model, info_of_model, open_mindir

if TYPE_CHECKING:  # it loads MindSpore
    from src.inference.segmenter import Segmenter

MAX_WINDOW = 8192  # pixels each way: beyond that no device has the memory
_NOT_HERE = {
    ".onnx": "an ONNX file, which other programs run (docs/DEPLOY.md) and nothing",
    ".xml": "OpenVINO's file, which the C++ program runs and nothing",
}


@dataclass(frozen=True)
class PredictionSource:
    """A file that predicts.

    Attributes:
        path: the weights or the model file.
        config: complete.
        config_source: where it comes from, for people.
        info: names and colours of the classes.
        manifest: of a MindIR file; None: a checkpoint.
    """

    path: Path
    config: Any
    config_source: str
    info: DatasetInfo
    manifest: Manifest | None = None

    @classmethod
    def open(cls, path: Path, given: str | None, flags: dict[str, Any], words: Sequence[str]) -> "PredictionSource":
        """Return the source of a file.

        Args:
            path: .ckpt with its configuration beside it, or .mindir with its manifest.
            given: a preset or YAML file in place of the configuration beside the weights.
            flags: top-level keys of the configuration that were given.
            words: `key.sub=value` overrides.

        Raises:
            UserError: if a file is missing, or what is given does not fit.
        """
        if path.suffix in _NOT_HERE:
            raise UserError(
                f"--checkpoint_path {path}: {_NOT_HERE[path.suffix]} here; give the checkpoint (.ckpt), or a .mindir of export.py"
            )
        if path.suffix != ".mindir":
            config_source = config_for_checkpoint(path, given)
            config = load_config(config_source, flags, words)
            return cls(path, config, config_source, dataset_info(config))
        manifest = open_mindir(path)
        config = config_of_model(path, manifest, given, flags, words)
        return cls(path, config, f"the manifest of {path}", info_of_model(manifest, config), manifest)

    def check_protocol(self, wants_probabilities: bool) -> None:
        """Refuse windows that the network cannot take, and what a MindIR file cannot do.

        Raises:
            UserError: saying what to do.
        """
        evaluation, smallest = self.config.eval, smallest_side(self.config.model)
        if evaluation.slide and not all(smallest <= side <= MAX_WINDOW for side in evaluation.window):
            raise UserError(f"--tile {evaluation.window[0]} {evaluation.window[1]}: expected {smallest}..{MAX_WINDOW} pixels each way")
        if self.manifest:
            check_protocol(self.path, self.manifest, self.config, wants_probabilities)

    @property
    def batch_size(self) -> int:
        """How many pictures are predicted at once; a MindIR file always computes a batch of its own size."""
        return self.manifest.input.shape[0] if self.manifest else self.config.eval.batch_size

    def segmenter(self, amp_level: str) -> "Segmenter":
        """Return what predicts, loaded; a MindIR file has its precision.

        Raises:
            UserError: if the weights do not fit, or the file is no MindIR.
            WorkError: if MindSpore cannot run it.
        """
        from src.inference.segmenter import Segmenter

        if self.manifest is None:
            return Segmenter.from_config(self.config, self.path, amp_level)
        from src.deploy.mindir_predictor import load_mindir_predictor

        return Segmenter(load_mindir_predictor(self.path, self.manifest, self.config, self.info), self.info)
