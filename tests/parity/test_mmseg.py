"""mmsegmentation's OCRNet with random weights: converted, it gives the same logits and labels."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.parity.converted import Agreement, Case
from tests.parity.pictures import NAMES, SMALL

# hr48 is hr18 but for its widths: two sizes show them, and take long enough.
SIZES = {"hr18": SMALL, "hr48": SMALL[1:]}


@pytest.mark.parametrize("picture", NAMES)
def test_hr18s_compiled(
    picture: str, case_of: Callable[..., Case], need_picture: Callable[[str], Path], check: Callable[[Agreement], None]
) -> None:
    path = need_picture(picture)
    check(case_of("mmseg_ocrnet", "hr18s", NAMES).agreement(path))


@pytest.mark.parametrize(("name", "picture"), [(name, picture) for name, pictures in SIZES.items() for picture in pictures])
def test_logits_and_labels(
    name: str,
    picture: str,
    case_of: Callable[..., Case],
    need_picture: Callable[[str], Path],
    check: Callable[[Agreement], None],
    pynative: None,
) -> None:
    path = need_picture(picture)
    check(case_of("mmseg_ocrnet", name, SIZES[name]).agreement(path))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "picture"), [("hr18", "frame"), ("hr48", "frame"), ("hr48", "camvid")])
def test_other_sizes(
    name: str, picture: str, case_of: Callable[..., Case], need_picture: Callable[[str], Path], check: Callable[[Agreement], None]
) -> None:
    path = need_picture(picture)
    check(case_of("mmseg_ocrnet", name, NAMES).agreement(path))
