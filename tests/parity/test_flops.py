"""Parameters and operations of a recipe equal those that torch counts in mmsegmentation's network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from src.config import load_config
from src.models.builder import assemble_network
from src.models.summary.operators import compiled_operators, parameters_by_module
from src.models.summary.table import costs_by_module, total
from tests.parity.conftest import ROOT


@pytest.mark.slow
@pytest.mark.parametrize(("name", "preset", "size_hw"), [("hr18", "hrnetv2_w18", (512, 1024)), ("hr48", "hrnetv2_w48", (1024, 2048))])
def test_mmsegmentation_counts_the_same(references: Path, name: str, preset: str, size_hw: tuple[int, int]) -> None:
    command = [sys.executable, "-m", "tests.parity.references.mmseg_flops", name, *map(str, size_hw)]
    environment = {**os.environ, "PYTHONPATH": str(references)}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=True)
    flops, parameters = map(int, result.stdout.split()[-2:])
    # mmsegmentation's convolutions in front of batch norms have no bias.
    network = assemble_network(load_config(preset, words=["model.head_bias=False", "model.ocr.transform_bias=False"]))
    cost = total(costs_by_module(compiled_operators(network, (1, 3, *size_hw)), parameters_by_module(network), 1).values())
    assert (2 * cost.macs, cost.parameters) == (flops, parameters)
