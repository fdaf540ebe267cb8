"""One row of the tables of sources: how a source names a network's layers, and what its weights mean beyond their values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Of no use here wherever they stand: counters of torch's batch norms and what older synchronised ones keep, loss buffers, the
# classification head of ImageNet files, and the optimizer state that MindSpore's own callbacks write among the weights.
ALWAYS_DROPPED = (
    r".*\.(num_batches_tracked|_tmp_running_mean|_tmp_running_var|_running_iter)",
    r"loss\..*",
    r"(incre_modules|downsamp_modules|final_layer|classifier|fc|last_linear)\..*",
    r"(accum|moments|stat)\..*",
    r"global_step|learning_rate|momentum|scale_sense|current_iterator_step|last_overflow_iterator_step|epoch_num|step_num",
)


@dataclass(frozen=True)
class Source:
    """One way of naming layers.

    Attributes:
        name: the word for --source; several rows may share it.
        signature: patterns, each of which begins at least one name of such a file, after `module.` and the like are gone.
        absent: patterns that begin no name of such a file.
        prefix: stands in front of the backbone's layers.
        backbone: (pattern of a whole layer name, name here) for the backbone; empty where the names are the same.
        layers: layer name there -> name here, for all others.
        copies: None, or parts of names (copy, original): layers that are stored twice because two parts of the network share them.
        dropped: patterns of whole parameter names to be left out.
        facts: configuration key -> value that the weights were trained with.
        presets: width of an HRNet's first branch -> preset that repeats the source's recipe.
        biased: names here of the layers in front of a batch norm that have a bias there, for the way back.
        unbiased: names here of classifiers that have no bias there.
        gamma_shift: None, or the amount added to |gamma| to get the factor that is in effect (InPlaceABN).
    """

    name: str
    signature: tuple[str, ...]
    absent: tuple[str, ...] = ()
    prefix: str = ""
    backbone: tuple[tuple[str, str], ...] = ()
    layers: Mapping[str, str] = field(default_factory=dict)
    copies: tuple[str, str] | None = None
    dropped: tuple[str, ...] = ALWAYS_DROPPED
    facts: Mapping[str, Any] = field(default_factory=dict)
    presets: Mapping[int, str] = field(default_factory=dict)
    biased: tuple[str, ...] = ()
    unbiased: tuple[str, ...] = ()
    gamma_shift: float | None = None
