"""Every configuration key: default, type, limits and meaning. The single source of --help, checking and docs/CONFIGURATION.md."""

from dataclasses import dataclass
from typing import Any

from src.config.datasets import NUM_CLASSES
from src.config.hrnet import HRNET_W48
from src.config.networks import NAMES


@dataclass(frozen=True)
class Key:
    """One configuration key.

    Attributes:
        default: value of the default preset.
        kind: `int`, `float`, `bool`, `str`, `dict`, or `[int]`, `[float]`, `[str]` for lists of them.
        doc: one line for --help and the reference; names the unit where there is one.
        choices: the allowed values; empty allows all.
        minimum: smallest allowed value, of each element in a list.
        maximum: largest allowed value, likewise.
        length: required number of elements of a list; 0 allows any.
        optional: None is allowed.
        of_weights: trained weights mean something else under another value, or do not fit; taken from the file beside them.
    """

    default: Any
    kind: Any
    doc: str
    choices: tuple = ()
    minimum: float | None = None
    maximum: float | None = None
    length: int = 0
    optional: bool = False
    of_weights: bool = False


def _stage_schema(stage: dict[str, Any]) -> dict[str, Key]:
    return {
        "NUM_MODULES": Key(stage["NUM_MODULES"], int, "exchange modules in the stage", minimum=1),
        "NUM_BRANCHES": Key(stage["NUM_BRANCHES"], int, "parallel resolutions", minimum=1),
        "BLOCK": Key(stage["BLOCK"], str, "residual block", choices=("BASIC", "BOTTLENECK")),
        "NUM_BLOCKS": Key(stage["NUM_BLOCKS"], [int], "residual blocks of each branch", minimum=1),
        "NUM_CHANNELS": Key(stage["NUM_CHANNELS"], [int], "channels of each branch", minimum=1),
        "FUSE_METHOD": Key(stage["FUSE_METHOD"], str, "how branches are joined", choices=("SUM",)),
    }


SCHEMA: dict[str, Any] = {
    "preset": Key("hrnetv2_w48", str, "the preset that the configuration started from"),
    "data_path": Key(None, str, "folder of the data set", optional=True),
    "data_format": Key(
        "files", str, "what data_path holds: pictures and labels as files, or packed by src.data.pack", choices=("files", "mindrecord")
    ),
    "output_path": Key("outputs", str, "folder for everything that a run writes"),
    "checkpoint_path": Key(None, str, "weights to start or evaluate from (.ckpt)", optional=True),
    "device_target": Key("Ascend", str, "where to compute", choices=("Ascend", "GPU", "CPU")),
    "device_id": Key(0, int, "number of the device on this machine", minimum=0),
    "run_distribute": Key(False, bool, "data parallel over the devices of the launched process group"),
    "mode": Key("GRAPH", str, "MindSpore execution mode", choices=("GRAPH", "PYNATIVE")),
    "seed": Key(1, int, "seed of every random source; the rank is added where ranks must differ", minimum=0),
    "workers": Key(8, int, "processes that read and augment pictures", minimum=1),
    "lr": Key(0.0013, float, "base learning rate", minimum=0),
    "lr_power": Key(4e-10, float, "exponent of the schedule (exp and poly)", minimum=0),
    "total_epoch": Key(1000, int, "length of the schedule in epochs", minimum=1),
    "begin_epoch": Key(0, int, "first epoch of this run; the schedule starts there", minimum=0),
    "end_epoch": Key(None, int, "epoch before which this run stops; None: total_epoch", minimum=1, optional=True),
    "batchsize": Key(4, int, "pictures per device and step", minimum=1),
    "save_checkpoint_epochs": Key(20, int, "epochs between weight files", minimum=1),
    "save_state_steps": Key(
        500, int, "steps between savings of last.state and last.ckpt, besides the ends of epochs; 0: those alone", minimum=0
    ),
    "keep_checkpoint_max": Key(20, int, "weight files kept, the newest ones", minimum=1),
    "eval_callback": Key(False, bool, "evaluate while training and keep best.ckpt"),
    "eval_interval": Key(50, int, "epochs between evaluations while training", minimum=1),
    "log_interval": Key(10, int, "steps between two records of the log", minimum=1),
    "amp_level": Key("auto", str, "mixed precision; auto is O3 on Ascend, O2 on GPU, O0 on CPU", choices=("auto", "O0", "O2", "O3")),
    "sink_mode": Key("auto", str, "feed batches by the device's queue; auto: where it is not the CPU", choices=("auto", "on", "off")),
    "compile_cache": Key(
        "auto",
        str,
        "take the compiled graph of an earlier start with the same configuration from ~/.cache/ocrnet; auto: on the CPU, for one process",
        choices=("auto", "always", "never"),
    ),
    "train": {
        "train_list": Key("train.lst", str, "list of the training pictures, in the data folder"),
        "image_size": Key([512, 1024], [int], "crop height and width, pixels", minimum=1, length=2),
        "base_size": Key(2048, int, "length of a picture's longer side at scale 1, pixels; 0 keeps its own", minimum=0),
        "multi_scale": Key(True, bool, "scale pictures at random"),
        "scale_range": Key([0.5, 2.1], [float], "smallest and largest random scale", minimum=0.01, length=2),
        "scale_step": Key(0.1, float, "grid of the random scales; 0 draws from the whole range", minimum=0),
        "flip": Key(True, bool, "mirror pictures at random"),
        "crop_max_class_ratio": Key(
            1.0,
            float,
            "draw a crop again (10 times) while one class covers more than this part of its labelled pixels (mmseg's cat_max_ratio: 0.75)",
            minimum=0,
            maximum=1,
        ),
        "rare_class_temperature": Key(
            0.0,
            float,
            "draw pictures by class, rare ones more often: the probability of a class grows as exp((1 - its share of the pixels) / this); "
            "DAFormer: 0.01; 0: every picture once in an epoch",
            minimum=0,
        ),
        "rare_class_min_pixels": Key(
            3000,
            int,
            "with rare_class_temperature: pixels of the class in a picture drawn for it (where one has so many); a crop is drawn again "
            "(10 times) while it holds less than half of them",
            minimum=1,
        ),
        "color": {
            "probability": Key(0.0, float, "chance of each colour change; 0 turns all off", minimum=0, maximum=1),
            "brightness_delta": Key(0.0, float, "largest amount added to 0..255 values", minimum=0),
            "brightness": Key(0.0, float, "largest change of the brightness factor 1", minimum=0),
            "contrast": Key(0.0, float, "largest change of the contrast factor 1", minimum=0),
            "saturation": Key(0.0, float, "largest change of the saturation factor 1", minimum=0),
            "hue": Key(0.0, float, "largest hue shift, degrees of 360", minimum=0),
        },
        "downsample_rate": Key(1, int, "labels are made smaller by this factor before the loss", minimum=1),
        "shuffle": Key(True, bool, "a new order of the pictures in each epoch"),
        "num_samples": Key(0, int, "use only the first pictures of the list; 0 uses all", minimum=0),
        "param_initializer": Key(
            "TruncatedNormal",
            str,
            "initial backbone convolutions: N(0, 0.001), the same truncated, or He's normal",
            choices=("Normal", "TruncatedNormal", "HeNormal"),
        ),
        "head_lr_ratio": Key(1.0, float, "learning rate of the heads, as a multiple of the backbone's; 0 keeps their weights", minimum=0),
        "ema_decay": Key(
            0.0,
            float,
            "evaluate and write an exponential moving average of the weights, which keeps this part of itself in each update; 0: off",
            minimum=0,
        ),
        "opt_momentum": Key(0.9, float, "SGD momentum", minimum=0, maximum=1),
        "nesterov": Key(False, bool, "Nesterov momentum"),
        "wd": Key(0.0005, float, "weight decay", minimum=0),
        "decay_norm_and_bias": Key(True, bool, "apply weight decay to batch norm and bias parameters too"),
        "schedule": Key("exp", str, "lr / exp(lr_power * step^2), polynomial, or cosine", choices=("exp", "poly", "cosine")),
        "min_lr": Key(0.0, float, "floor of the schedule", minimum=0),
        "warmup_steps": Key(0, int, "steps of linear warm-up", minimum=0),
        "warmup_ratio": Key(0.1, float, "part of lr at which warm-up starts", minimum=0, maximum=1),
        "accumulate_steps": Key(1, int, "batches whose gradients are averaged for one update", minimum=1),
        "clip_grad_norm": Key(0.0, float, "largest global gradient norm; 0 does not clip", minimum=0),
        "max_nonfinite_losses": Key(
            1, int, "stop after so many losses in a row that are not finite; where the device's queue is on, of those looked at", minimum=1
        ),
        "sync_bn": Key(True, bool, "synchronise batch norm over devices where the device can"),
    },
    "dataset": {
        "name": Key("Cityscapes", str, "data set", choices=tuple(NUM_CLASSES)),
        "classes_file": Key(
            None,
            str,
            "file of the classes of custom, VOC or Mapillary data (docs/DATASETS.md), also one in the data folder; kept in classes",
            optional=True,
        ),
        "classes": Key(None, dict, "content of classes_file, written by a run so that it can be repeated without the file", optional=True),
        "image_folder": Key("images", str, "custom: folder of the pictures, in the data folder"),
        "label_folder": Key("labels", str, "custom: folder of the labels, in the data folder"),
        "num_classes": Key(19, int, "classes that the network tells apart; follows from dataset.name or classes_file", minimum=2),
        "ignore_label": Key(255, int, "label value that neither loss nor mIoU counts", minimum=0),
        "color_order": Key("RGB", str, "order of the channels that the network sees", choices=("RGB", "BGR"), of_weights=True),
        "mean": Key([0.485, 0.456, 0.406], [float], "mean of each channel in color_order, of values 0..1", length=3, of_weights=True),
        "std": Key(
            [0.229, 0.224, 0.225],
            [float],
            "standard deviation of each channel in color_order, of values 0..1",
            minimum=1e-6,
            length=3,
            of_weights=True,
        ),
    },
    "eval": {
        "eval_list": Key("val.lst", str, "list of the validation pictures, in the data folder"),
        "image_size": Key(
            None, [int], "height and width that the network sees at scale 1; None: the picture's own", minimum=1, length=2, optional=True
        ),
        "batch_size": Key(1, int, "pictures of equal size evaluated at once", minimum=1),
        "num_samples": Key(0, int, "use only the first pictures of the list; 0 uses all", minimum=0),
        "flip": Key(False, bool, "average with the mirrored picture"),
        "multi_scale": Key(False, bool, "evaluate at every scale of scale_list; off: at 1 alone"),
        "scale_list": Key([0.5, 0.75, 1.0, 1.25, 1.5, 1.75], [float], "scales of multi_scale", minimum=0.01),
        "fusion": Key(
            "exp",
            str,
            "how scales and flips are joined: sum of exp(logits) (official), logits (openseg, PaddleSeg), softmax (mmseg)",
            choices=("exp", "logits", "softmax"),
        ),
        "slide": Key(False, bool, "sliding window instead of the whole picture"),
        "window": Key([512, 1024], [int], "height and width of the window, pixels", minimum=1, length=2),
        "stride": Key([341, 683], [int], "step of the window down and across, pixels", minimum=1, length=2),
        "overlays": Key(4, int, "pictures to paint into eval/", minimum=0),
    },
    "model": {
        "name": Key("seg_hrnet_ocr", str, "network: backbone and head; without a head's name the plain one", choices=NAMES),
        "align_corners": Key(True, bool, "bilinear resizing maps corner pixels onto each other", of_weights=True),
        "half_pixel_centers": Key(
            True,
            bool,
            "without align_corners, pixel centres are scaled (torch, PaddlePaddle); False: upper left corners (MindSpore model zoo)",
            of_weights=True,
        ),
        "fuse_resize": Key(
            "bilinear",
            str,
            "how a lower resolution joins a higher one in a stage: bilinear; stepwise, by a power of two and then to the size (mmseg, "
            "differs on odd sizes alone); nearest (ImageNet classifiers, MindSpore model zoo)",
            choices=("bilinear", "stepwise", "nearest"),
            of_weights=True,
        ),
        "stride2_padding": Key(
            "symmetric",
            str,
            "zeros around the input of 3x3 stride-2 convolutions: one on every side, or as many as PaddleSeg's 'same' needs",
            choices=("symmetric", "same"),
            of_weights=True,
        ),
        "head_bias": Key(
            True,
            bool,
            "biases in front of the batch norms of aux_head, conv3x3_ocr, context and last_layer (mmseg, model zoo: none)",
            of_weights=True,
        ),
        "extra": {
            "FINAL_CONV_KERNEL": Key(1, int, "kernel of the last convolution of seg_hrnet", choices=(1, 3)),
            **{name: _stage_schema(HRNET_W48[name]) for name in ("STAGE1", "STAGE2", "STAGE3", "STAGE4")},
        },
        "resnet": {
            "blocks": Key(
                [3, 4, 23, 3],
                [int],
                "residual blocks of each stage: 3, 4, 23, 3 is ResNet-101; 3, 4, 6, 3 ResNet-50",
                minimum=1,
                length=4,
                of_weights=True,
            ),
            "channels": Key(
                64,
                int,
                "channels of the first stage before the bottleneck's expansion by 4; doubles from stage to stage",
                minimum=1,
                of_weights=True,
            ),
            "stem_channels": Key(
                [64, 64, 128],
                [int],
                "channels of the stem's convolutions: three of 3x3 (deep stem), or one of 7x7",
                minimum=1,
                of_weights=True,
            ),
            "ceil_pool": Key(
                True, bool, "max pooling behind the stem rounds up (OCNet, openseg; ImageNet classifiers, mmseg: down)", of_weights=True
            ),
            "first_dilation": Key(
                "full",
                str,
                "dilation of the first block of a dilated stage: as in its others (OCNet), or half (openseg, mmseg)",
                choices=("full", "half"),
                of_weights=True,
            ),
        },
        "oc": {
            "mid_channels": Key(
                512,
                int,
                "all heads but ocr and HRNet's plain one: channels of the features in front of and behind the module",
                minimum=4,
            ),
            "key_channels": Key(
                256,
                int,
                "base_oc, pyramid_oc, asp_oc, isa: channels of query and key, in asp_oc half as many; in base_oc of the values too",
                minimum=2,
            ),
            "entry_activation": Key(
                True,
                bool,
                "all heads but ocr and HRNet's plain one: activations behind the batch norms in front of the module and in the auxiliary "
                "head (OCNet's pyramid_oc: none)",
                of_weights=True,
            ),
            "separate_query": Key(
                False,
                bool,
                "base_oc, pyramid_oc, asp_oc: query and key have transforms of their own, of two convolutions each (openseg), not one in "
                "common (OCNet)",
                of_weights=True,
            ),
            "dropout": Key(
                0.05,
                float,
                "all heads but ocr and HRNet's plain one: chance that a channel is dropped behind the module and in the auxiliary head",
                minimum=0,
            ),
            "grids": Key(
                [1, 2, 3, 6], [int], "pyramid_oc: cells each way of the grids within which pixels attend", minimum=1, of_weights=True
            ),
            "dilations": Key(
                [12, 24, 36], [int], "asp_oc: dilations of the 3x3 convolutions beside the attention", minimum=1, length=3, of_weights=True
            ),
            "pool": Key(2, int, "asp_oc: max pooling in front of the attention", minimum=1, of_weights=True),
            "down_factors": Key(
                [8, 8],
                [int],
                "isa: height and width of the blocks within which pixels attend, positions",
                minimum=1,
                length=2,
                of_weights=True,
            ),
            "block": Key(
                0,
                int,
                "base_oc, pyramid_oc, asp_oc: attend from so many positions at once, which saves memory and gives the same; 0: from all in "
                "training, from 1024 in evaluation",
                minimum=0,
            ),
        },
        "ocr": {
            "mid_channels": Key(512, int, "channels of pixel and region features", minimum=1),
            "key_channels": Key(256, int, "channels of query, key and value", minimum=1),
            "dropout": Key(0.05, float, "chance that a channel is dropped after the OCR fusion", minimum=0),
            "scale": Key(1, int, "pooling of the query map before the attention; 1 does not pool", minimum=1, of_weights=True),
            "aux_kernel": Key(
                1,
                int,
                "HRNet: kernel of the auxiliary head's first convolution (openseg: 3); that of ResNet has 3",
                choices=(1, 3),
                of_weights=True,
            ),
            "transform_bias": Key(
                False, bool, "biases in front of the batch norms of the object context block (openseg, PaddleSeg)", of_weights=True
            ),
            "negative_slope": Key(
                0.0, float, "slope of the head's ReLUs below 0 (0.01 after InPlaceABN)", minimum=0, maximum=1, of_weights=True
            ),
        },
    },
    "loss": {
        "loss_scale": Key(10.0, float, "factor on the loss against fp16 underflow; gradients are divided by it", minimum=1),
        "dynamic_loss_scale": Key(False, bool, "halve loss_scale on overflow, double it after 2000 good updates"),
        "terms": Key(
            ["cross_entropy"],
            [str],
            "losses summed for the main output; class weights are for cross_entropy and focal: the others count every class once",
            choices=("cross_entropy", "focal", "dice", "lovasz", "rmi"),
        ),
        "term_weights": Key([1.0], [float], "factor of each of the terms", minimum=0),
        "focal_gamma": Key(2.0, float, "exponent by which focal discounts pixels that are right already", minimum=0),
        "use_weights": Key(True, bool, "weight classes by the data set's table"),
        "class_weights": Key(
            None, [float], "a weight per class instead of the data set's table, with use_weights", minimum=0, optional=True
        ),
        "balance_weights": Key([0.4, 1.0], [float], "weights of auxiliary (cross_entropy) and main loss", minimum=0),
        "use_ohem": Key(False, bool, "online hard example mining in the main output's cross_entropy"),
        "ohem_threshold": Key(0.9, float, "a pixel is hard while its true class has a lower probability", minimum=0, maximum=1),
        "ohem_keep": Key(131072, int, "keep at least so many pixels of a batch", minimum=1),
    },
}


def defaults(schema: dict[str, Any] = SCHEMA) -> dict[str, Any]:
    """Return the nested dict of default values."""
    return {name: entry.default if isinstance(entry, Key) else defaults(entry) for name, entry in schema.items()}


def flatten(schema: dict[str, Any] = SCHEMA, prefix: str = "") -> dict[str, Key]:
    """Return every key with its dotted name, in order."""
    flat: dict[str, Key] = {}
    for name, entry in schema.items():
        flat.update({prefix + name: entry} if isinstance(entry, Key) else flatten(entry, f"{prefix}{name}."))
    return flat


def last_epoch(config: Any) -> int:
    """Return the epoch before which a run stops: end_epoch, or the schedule's length."""
    return config.total_epoch if config.end_epoch is None else config.end_epoch
