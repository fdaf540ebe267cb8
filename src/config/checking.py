"""Refuse unknown keys, wrong types and impossible combinations, in one line each."""

import difflib
import math
from typing import Any

from src.config.errors import UserError
from src.config.networks import grid_side, num_outputs, parts_of
from src.config.schema import SCHEMA, Key, flatten, last_epoch


def nearest(word: str, known: list[str]) -> str:
    """Return ' (did you mean X?)' for the most similar known word, or ''."""
    match = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean {match[0]}?)" if match else ""


def check_tree(values: dict[str, Any], source: str, schema: dict[str, Any] = SCHEMA, prefix: str = "") -> dict[str, Any]:
    """Check a partial configuration against the schema and return it with ints turned into floats where floats are due.

    Args:
        values: nested dict, possibly partial.
        source: where the values come from, for the message.
        schema: the part of the schema that `values` belongs to.
        prefix: dotted name of that part.

    Raises:
        UserError: on the first unknown key or wrong value.
    """
    checked = {}
    for name, value in values.items():
        dotted = f"{prefix}{name}"
        if name not in schema:
            raise UserError(f"{source}: unknown key '{dotted}'{_suggest(dotted, schema, prefix)}")
        entry = schema[name]
        if isinstance(entry, Key):
            checked[name] = _check_value(dotted, value, entry, source)
        elif isinstance(value, dict):
            checked[name] = check_tree(value, source, entry, f"{dotted}.")
        else:
            raise UserError(f"{source}: '{dotted}' is a section with keys {', '.join(entry)}; got {value!r}")
    return checked


def _suggest(dotted: str, schema: dict[str, Any], prefix: str) -> str:
    """Return the hint for an unknown key: the nearest one beside it, or one of nearly that name in another section."""
    last = dotted.removeprefix(prefix)
    siblings, everywhere = {name: prefix + name for name in schema}, {name.rsplit(".", 1)[-1]: name for name in flatten()}
    for known, cutoff in ((siblings, 0.85), (everywhere, 0.85), (siblings, 0.6)):
        matches = difflib.get_close_matches(last, list(known), n=2, cutoff=cutoff)
        if matches:
            return f" (did you mean {' or '.join(known[match] for match in matches)}?)"
    return nearest(dotted, list(flatten()))


def _check_value(dotted: str, value: Any, key: Key, source: str) -> Any:
    if value is None and key.optional:
        return None
    where = f"{source}: '{dotted}'"
    if isinstance(key.kind, list):
        if not isinstance(value, list):
            raise UserError(f"{where} must be a list of {key.kind[0].__name__}; got {value!r}")
        if not value or (key.length and len(value) != key.length):
            raise UserError(f"{where} must have {key.length or 'one or more'} elements; got {value!r}")
        return [_check_scalar(where, element, key.kind[0], key) for element in value]
    return _check_scalar(where, value, key.kind, key)


def _check_scalar(where: str, value: Any, kind: Any, key: Key) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UserError(f"{where} must be {kind.__name__}; got {value!r}")
    if key.choices and value not in key.choices:
        raise UserError(f"{where} must be one of {', '.join(map(str, key.choices))}; got {value!r}")
    if kind is float and not math.isfinite(value):
        raise UserError(f"{where} must be a finite number; got {value!r}")
    if key.minimum is not None and value < key.minimum:
        raise UserError(f"{where} must be at least {key.minimum:g}; got {value!r}")
    if key.maximum is not None and value > key.maximum:
        raise UserError(f"{where} must be at most {key.maximum:g}; got {value!r}")
    return value


def check_combinations(config: Any) -> None:
    """Check what no single key can tell.

    Args:
        config: the complete configuration.

    Raises:
        UserError: naming the keys that do not fit together.
    """
    _check_epochs(config)
    _check_stages(config.model.extra)
    num_classes = config.dataset.num_classes
    if not num_classes <= config.dataset.ignore_label <= 255:
        raise UserError(
            f"dataset.ignore_label must lie above the {num_classes} classes and fit a byte (255); got {config.dataset.ignore_label}"
        )
    _check_loss(config)
    outputs = num_outputs(config.model.name)
    if len(config.loss.balance_weights) != outputs:
        raise UserError(
            f"loss.balance_weights needs {outputs} values for model.name {config.model.name}; got {list(config.loss.balance_weights)}"
        )
    if config.model.align_corners and not config.model.half_pixel_centers:
        raise UserError("model.half_pixel_centers False needs model.align_corners False: they are two rules of bilinear resizing")
    for head in ("ocr", "oc"):
        if config.model[head].dropout >= 1:
            raise UserError(f"model.{head}.dropout must be below 1; got {config.model[head].dropout}")
    _check_network(config)
    _check_optimizer(config)
    low, high = config.train.scale_range
    if low > high:
        raise UserError(f"train.scale_range must be [smallest, largest]; got {[low, high]}")
    if any(step > side for step, side in zip(config.eval.stride, config.eval.window, strict=True)):
        raise UserError(
            f"eval.stride {list(config.eval.stride)} is larger than eval.window {list(config.eval.window)}: pixels would be skipped"
        )
    if config.device_target == "CPU" and config.sink_mode == "on":
        raise UserError("sink_mode on needs a device queue, which the CPU lacks; use sink_mode off or auto")


def _check_loss(config: Any) -> None:
    loss, num_classes = config.loss, config.dataset.num_classes
    if loss.class_weights is not None and len(loss.class_weights) != num_classes:
        raise UserError(f"loss.class_weights has {len(loss.class_weights)} values for dataset.num_classes {num_classes}")
    terms = list(loss.terms)
    if len(set(terms)) < len(terms):
        raise UserError(f"loss.terms must name each term once; got {terms}")
    if len(loss.term_weights) != len(terms):
        raise UserError(f"loss.term_weights needs {len(terms)} values, one for each of loss.terms {terms}; got {list(loss.term_weights)}")
    if not any(loss.term_weights):
        raise UserError(f"loss.term_weights must not all be 0; got {list(loss.term_weights)}")
    if loss.use_ohem and "cross_entropy" not in terms:
        raise UserError(f"loss.use_ohem is a way to take cross_entropy, which loss.terms {terms} lacks; add it or set loss.use_ohem False")
    if terms == ["rmi"]:
        raise UserError("loss.terms [rmi] alone cannot tell a prediction from its opposite; use [cross_entropy, rmi]")
    sides = [side // config.train.downsample_rate for side in config.train.image_size]
    if "rmi" in terms and min(sides) < 7:
        raise UserError(f"loss.terms rmi needs labels of 7 pixels or more each way; train.image_size and downsample_rate give {sides}")


def _check_network(config: Any) -> None:
    backbone, head = parts_of(config.model.name)
    if backbone == "resnet":
        _check_resnet(config.model)
    if head == "asp_oc":
        _check_asp(config.model)
    if head == "pyramid_oc":
        _check_pyramid(config)


def _check_resnet(model: Any) -> None:
    stem = list(model.resnet.stem_channels)
    if len(stem) not in (1, 3):
        raise UserError(f"model.resnet.stem_channels needs one value (7x7) or three (3x3 each); got {stem}")
    if model.stride2_padding != "symmetric":
        raise UserError(f"model.stride2_padding {model.stride2_padding} is known for HRNet alone; {model.name} needs symmetric")


def _check_asp(model: Any) -> None:
    for key, factor in {"mid_channels": 4 if model.oc.separate_query else 2, "key_channels": 2}.items():
        if model.oc[key] % factor:
            raise UserError(f"model.oc.{key} must be a multiple of {factor} for {model.name}, whose branches share it; got {model.oc[key]}")


def _check_pyramid(config: Any) -> None:
    sizes = {"train.image_size": config.train.image_size, "eval.image_size": config.eval.image_size}
    if config.eval.slide:
        sizes["eval.window"] = config.eval.window
    side = grid_side(config.model)
    for key, size in sizes.items():
        if size is not None and min(size) < side:
            grids = list(config.model.oc.grids)
            raise UserError(f"{key} {list(size)} is too small for the cells of model.oc.grids {grids}: {side} pixels each way")


def _check_optimizer(config: Any) -> None:
    if config.train.nesterov and config.train.opt_momentum == 0:
        raise UserError("train.nesterov needs train.opt_momentum above 0")
    if config.train.ema_decay >= 1:
        raise UserError(f"train.ema_decay must be below 1, as in 0.999 (0: off); got {config.train.ema_decay:g}")
    if config.train.min_lr > config.lr:
        raise UserError(f"train.min_lr {config.train.min_lr:g} is above lr {config.lr:g}")


def _check_epochs(config: Any) -> None:
    end_epoch = last_epoch(config)
    if not config.begin_epoch < end_epoch <= config.total_epoch:
        raise UserError(
            f"epochs must satisfy begin_epoch < end_epoch <= total_epoch; got {config.begin_epoch}, {end_epoch}, {config.total_epoch}"
        )


def _check_stages(extra: Any) -> None:
    if extra.STAGE1.NUM_MODULES != 1:
        raise UserError(f"model.extra.STAGE1.NUM_MODULES must be 1, stage 1 has nothing to exchange; got {extra.STAGE1.NUM_MODULES}")
    for number in (1, 2, 3, 4):
        stage = extra[f"STAGE{number}"]
        if stage.NUM_BRANCHES != number:
            raise UserError(f"model.extra.STAGE{number}.NUM_BRANCHES must be {number}; got {stage.NUM_BRANCHES}")
        for name in ("NUM_BLOCKS", "NUM_CHANNELS"):
            if len(stage[name]) != number:
                raise UserError(f"model.extra.STAGE{number}.{name} needs {number} values; got {list(stage[name])}")
