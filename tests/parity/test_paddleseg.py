"""PaddleSeg's OCRNet with random weights: converted, it gives the same logits and labels."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.parity.converted import Agreement, Case
from tests.parity.pictures import NAMES


@pytest.fixture(scope="module")
def case(run_reference: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case.of(run_reference("paddleseg_ocrnet", "HRNet_W18", tmp_path_factory.mktemp("paddleseg")) / "weights.pdparams")


@pytest.mark.parametrize("picture", NAMES)
def test_logits_and_labels(case: Case, picture: str, need_picture: Callable[[str], Path], check: Callable[[Agreement], None]) -> None:
    check(case.agreement(need_picture(picture)))
