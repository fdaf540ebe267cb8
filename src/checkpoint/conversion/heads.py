"""Which head a set of weights has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from src.checkpoint.conversion.shapes import Shapes

_OBJECT_BLOCK = "ocr_distri_head.object_context_block"

# The convolution that no other head of ours has.
_MARKS = {
    "ocr": "conv3x3_ocr.0.weight",
    "asp_oc": "context.3.conv5.0.weight",
    "pyramid_oc": "context.3.up_dr.0.weight",
    "isa": "context.3.stages.0.long_range_sa.f_value.weight",
    "base_oc": "context.3.stages.0.f_value.weight",
}
_TITLES = {"ocr": "OCR", "base_oc": "Base-OC", "pyramid_oc": "Pyramid-OC", "asp_oc": "ASP-OC", "isa": "ISA", "plain": ""}


@dataclass(frozen=True)
class Head:
    """A head as its weights tell of it.

    Attributes:
        name: one of `src.config.networks.HEADS`.
        title: for people; empty for a plain one.
        classifier: the layer that gives the main logits.
        num_classes: K, channels of the logits.
        has_aux: there is a parameter of an auxiliary head, which every network here has but HRNet's plain one.
        settings: configuration key -> value, but for the number of classes.
    """

    name: str
    title: str
    classifier: str
    num_classes: int
    has_aux: bool
    settings: Mapping[str, Any]


def read_head(shapes: Shapes) -> Head | None:
    """Return the head of a file's weights; None where it holds a backbone alone.

    Raises:
        UserError: if a layer is missing that tells of its structure.
    """
    name = next((name for name, mark in _MARKS.items() if mark in shapes), "plain")
    classifier = "last_layer.3" if "last_layer.3.weight" in shapes else "cls_head"
    if f"{classifier}.weight" not in shapes:
        return None
    settings = _hrnet_plain(shapes) if classifier == "last_layer.3" else _READERS.get(name, _context)(shapes)
    has_aux = shapes.has_part("aux_head")
    return Head(name, _TITLES[name], classifier, shapes.channels(classifier), has_aux, settings)


def _hrnet_plain(shapes: Shapes) -> dict[str, Any]:
    # One output, one weight: the presets' two would not fit.
    return {
        "model.extra.FINAL_CONV_KERNEL": shapes.kernel("last_layer.3")[2],
        "model.head_bias": shapes.has_bias("last_layer.0"),
        "loss.balance_weights": [1.0],
    }


def _ocr(shapes: Shapes) -> dict[str, Any]:
    return {
        "model.head_bias": shapes.has_bias("conv3x3_ocr.0"),
        "model.ocr.mid_channels": shapes.channels("conv3x3_ocr.0"),
        "model.ocr.key_channels": shapes.channels(f"{_OBJECT_BLOCK}.f_down.0"),
        "model.ocr.aux_kernel": shapes.kernel("aux_head.0")[2],
        "model.ocr.transform_bias": shapes.has_bias(f"{_OBJECT_BLOCK}.f_down.0"),
    }


def _context(shapes: Shapes) -> dict[str, Any]:
    return {"model.head_bias": shapes.has_bias("context.0"), "model.oc.mid_channels": shapes.channels("context.0")}


def _isa(shapes: Shapes) -> dict[str, Any]:
    return {**_context(shapes), "model.oc.key_channels": shapes.channels("context.3.stages.0.long_range_sa.f_key.0")}


def _object_context(attention: str, widening: int) -> Callable[[Shapes], dict[str, Any]]:
    """Return the reader of a head with one of OCNet's modules, whose key has `model.oc.key_channels` / widening channels."""

    def read(shapes: Shapes) -> dict[str, Any]:
        return {
            **_context(shapes),
            "model.oc.key_channels": widening * shapes.channels(f"{attention}.f_key.0"),
            "model.oc.separate_query": f"{attention}.f_query.0.weight" in shapes,
        }

    return read


_READERS: dict[str, Callable[[Shapes], dict[str, Any]]] = {
    "ocr": _ocr,
    "isa": _isa,
    "base_oc": _object_context("context.3.stages.0", 1),
    "pyramid_oc": _object_context("context.3.stages.0", 1),
    "asp_oc": _object_context("context.3.context.3.stages.0", 2),
}
