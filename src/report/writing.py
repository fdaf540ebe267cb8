"""From an evaluation's configuration and result to report.html."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from src.data.registry import dataset_info
from src.engine.evaluator import EvalResult
from src.report.collector import Collector
from src.report.merging import merge_ranks
from src.report.page import REPORT_FILE, write_report
from src.report.settings import describe_settings
from src.runtime.device import Runtime


class Report:
    """Collect while pictures are evaluated, and write the page after it.

    Args:
        config: the complete configuration.
        checkpoint: the weight file.

    Attributes:
        collector: the observer of the evaluation.
    """

    def __init__(self, config: Any, checkpoint: Path) -> None:
        self._config, self._checkpoint = config, checkpoint
        self.collector = Collector(dataset_info(config), config.dataset.ignore_label)

    def write(self, folder: Path, result: EvalResult, runtime: Runtime) -> Path:
        """Write report.html on the main rank, and return its path; every rank must call it.

        Args:
            folder: where the evaluation wrote its files.
            result: the scores.
            runtime: device and process group.
        """
        config, group = self._config, runtime.group
        merge_ranks(self.collector, group.rank, group.size, group.sum_int64)
        if not group.is_main:
            return folder / REPORT_FILE
        settings = describe_settings(config, self._checkpoint, str(runtime), result)
        name = f"{config.model.name} on {config.dataset.name}"
        return write_report(folder, result, self.collector, settings, OmegaConf.to_yaml(config), name)
