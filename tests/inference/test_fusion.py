"""Fusion rules against their definitions in float64."""

import numpy as np
import pytest

from src.inference.fusion import FUSIONS


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def fuse(rule, pairs):
    fusion = FUSIONS[rule]()
    for logits, mirrored in pairs:
        fusion.add(logits.astype(np.float32), None if mirrored is None else mirrored.astype(np.float32))
    return fusion.result()


@pytest.fixture
def pairs():
    rng = np.random.default_rng(0)
    return [(rng.normal(0, 3, (2, 5, 4, 3)), rng.normal(0, 3, (2, 5, 4, 3))) for _ in range(3)]


def test_exp_is_the_log_of_the_official_sum(pairs):
    official = sum(np.exp((a + b) / 2) for a, b in pairs)
    np.testing.assert_allclose(fuse("exp", pairs), np.log(official), atol=1e-5)


def test_exp_orders_classes_as_the_official_rule_where_that_overflows_float32():
    """Classes 1 and 2 reach exp(200), the first at two scales: only their sum tells them apart."""
    logits = [np.reshape(values, (1, 3, 1, 1)) for values in ([-300.0, 200.0, 200.5], [0.0, 200.0, 100.0])]
    fused = fuse("exp", [(values, None) for values in logits])
    assert np.isfinite(fused).all()
    np.testing.assert_allclose(fused.ravel(), [0.0, 200 + np.log(2), 200.5], rtol=1e-6)
    assert fused.argmax(axis=1).item() == 1


def test_logits_is_the_mean_over_scales_and_flips(pairs):
    np.testing.assert_allclose(fuse("logits", pairs), np.mean([x for pair in pairs for x in pair], axis=0), atol=1e-5)


def test_softmax_is_the_mean_of_probabilities(pairs):
    fused = fuse("softmax", pairs)
    np.testing.assert_allclose(fused, np.mean([softmax(x) for pair in pairs for x in pair], axis=0), atol=1e-6)
    np.testing.assert_allclose(fused.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("rule", FUSIONS)
def test_one_scale_without_flip_keeps_the_classes(rule, pairs):
    logits = pairs[0][0]
    fused = fuse(rule, [(logits, None)])
    assert fused.dtype == np.float32
    assert np.array_equal(fused.argmax(axis=1), logits.argmax(axis=1))


def test_the_rules_differ():
    """One scale is very sure of class 0, two are fairly sure of class 1."""
    pairs = [(np.reshape(values, (1, 2, 1, 1)), None) for values in ([0.0, 4.0], [5.0, 0.0], [0.5, 2.0])]
    assert {rule: fuse(rule, pairs).argmax(axis=1).item() for rule in FUSIONS} == {"exp": 0, "logits": 1, "softmax": 1}
