from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from src.config import load_config

TINY = [
    "model.extra.STAGE1.NUM_BLOCKS=[1]",
    "model.extra.STAGE1.NUM_CHANNELS=[4]",
    "model.extra.STAGE2.NUM_BLOCKS=[1,1]",
    "model.extra.STAGE2.NUM_CHANNELS=[4,6]",
    "model.extra.STAGE3.NUM_MODULES=1",
    "model.extra.STAGE3.NUM_BLOCKS=[1,1,1]",
    "model.extra.STAGE3.NUM_CHANNELS=[4,6,8]",
    "model.extra.STAGE4.NUM_MODULES=1",
    "model.extra.STAGE4.NUM_BLOCKS=[1,1,1,1]",
    "model.extra.STAGE4.NUM_CHANNELS=[4,6,8,10]",
    "model.ocr.mid_channels=12",
    "model.ocr.key_channels=5",
    "dataset.num_classes=3",
    "loss.class_weights=null",
]


@pytest.fixture
def tiny_config() -> Callable[..., DictConfig]:
    """A network small enough to compile in seconds; `words` override it."""
    return lambda *words: load_config("demo", words=[*TINY, *words])


@pytest.fixture
def plain_words() -> list[str]:
    return ["model.name=seg_hrnet", "loss.balance_weights=[1.0]"]


@pytest.fixture(autouse=True)
def uncompiled(pynative: None) -> None:
    """All tests of this folder run in PYNATIVE mode unless they ask for another."""
