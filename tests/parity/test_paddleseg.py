"""PaddleSeg's OCRNet with random weights: converted, it gives the same logits and labels."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.parity.converted import Agreement, Case
from tests.parity.pictures import NAMES, SMALL


@pytest.mark.parametrize("picture", SMALL)
def test_logits_and_labels(
    picture: str,
    case_of: Callable[..., Case],
    need_picture: Callable[[str], Path],
    check: Callable[[Agreement], None],
    pynative: None,
) -> None:
    path = need_picture(picture)
    check(case_of("paddleseg_ocrnet", "HRNet_W18", SMALL).agreement(path))


@pytest.mark.slow
def test_a_whole_frame(case_of: Callable[..., Case], need_picture: Callable[[str], Path], check: Callable[[Agreement], None]) -> None:
    path = need_picture("frame")
    check(case_of("paddleseg_ocrnet", "HRNet_W18", NAMES).agreement(path))
