"""The factor of each schedule at each update, spelled out."""

import math

import numpy as np
import pytest

from src.config import load_config
from src.engine.schedule import learning_rates


def rates(*words: str, updates: int = 4) -> np.ndarray:
    return learning_rates(load_config("demo", {}, ["train.warmup_steps=0", "lr=1.0", *words]), updates)


def test_poly() -> None:
    assert rates("lr_power=2") == pytest.approx([1, 0.75**2, 0.5**2, 0.25**2])


def test_poly_with_floor() -> None:
    assert rates("lr_power=1", "train.min_lr=0.2") == pytest.approx([1, 0.8, 0.6, 0.4])


def test_cosine() -> None:
    half = math.sqrt(0.5)
    assert rates("train.schedule=cosine") == pytest.approx([1, (1 + half) / 2, 0.5, (1 - half) / 2])


def test_exp_is_the_model_zoo_formula() -> None:
    assert rates("train.schedule=exp", "lr_power=0.1") == pytest.approx([1, math.exp(-0.1), math.exp(-0.4), math.exp(-0.9)])
    default = learning_rates(load_config(), 100_000)
    assert default[0] == pytest.approx(0.0013)
    assert default[50_000] == pytest.approx(0.0013 / math.e)


def test_warm_up_multiplies_the_schedule() -> None:
    words = ("lr_power=1", "train.warmup_steps=2", "train.warmup_ratio=0.5")
    assert rates(*words) == pytest.approx([0.5, 0.75 * 0.75, 0.5, 0.25])


def test_official_recipe_at_both_ends() -> None:
    values = learning_rates(load_config("hrnetv2_w48_official"), 1000)
    assert values.dtype == np.float32
    assert values[0] == pytest.approx(0.01)
    assert values[-1] == pytest.approx(0.01 * 0.001**0.9)
