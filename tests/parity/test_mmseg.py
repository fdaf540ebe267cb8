"""mmsegmentation's OCRNet with random weights: converted, it gives the same logits and labels."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.parity.converted import Agreement, Case
from tests.parity.pictures import NAMES, SMALL

# hr48 is hr18 but for its widths, and takes long.
LOGITS = (
    *(("hr18", picture) for picture in SMALL),
    *(pytest.param("hr48", picture, marks=pytest.mark.slow) for picture in SMALL),
)


@pytest.mark.parametrize("picture", [pytest.param("frame", marks=pytest.mark.slow), *SMALL])
def test_hr18s_compiled(
    picture: str, case_of: Callable[..., Case], need_picture: Callable[[str], Path], check: Callable[[Agreement], None]
) -> None:
    path = need_picture(picture)
    check(case_of("mmseg_ocrnet", "hr18s", SMALL if picture in SMALL else NAMES).agreement(path))


@pytest.mark.parametrize(("name", "picture"), LOGITS)
def test_logits_and_labels(
    name: str,
    picture: str,
    case_of: Callable[..., Case],
    need_picture: Callable[[str], Path],
    check: Callable[[Agreement], None],
    pynative: None,
) -> None:
    path = need_picture(picture)
    check(case_of("mmseg_ocrnet", name, SMALL).agreement(path))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hr18", "hr48"])
def test_a_whole_frame(
    name: str, case_of: Callable[..., Case], need_picture: Callable[[str], Path], check: Callable[[Agreement], None]
) -> None:
    path = need_picture("frame")
    check(case_of("mmseg_ocrnet", name, NAMES).agreement(path))
