"""The ONNX form of every head's and convention's network computes what the network does, in ONNX Runtime and OpenVINO, at any size."""

import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
import onnx
import pytest
from mindspore import Tensor, nn, ops
from mindspore.train.mind_ir_pb2 import ModelProto
from onnx import helper

from src.config.errors import UserError
from src.deploy.manifest import SIDES, InputSpec, Manifest, OutputSpec
from src.deploy.mindir import read_mindir
from src.deploy.model_graph import Labels, ModelGraph
from src.deploy.onnx.checking import OnnxModel, check_valid, other_size
from src.deploy.onnx.conversion import convert_model
from src.deploy.onnx.operators import OPERATORS
from src.deploy.onnx.writer import scope_of
from src.deploy.openvino_model import core
from src.deploy.options import OLDEST_OPSET, OPSET
from src.models.attention import DotProductAttention
from src.runtime.entry import WorkError
from tests.deploy.test_lowering import CONVENTIONS, FAMILY, SumOfAll, Unknown, export, graph_of

OCR, PLAIN = CONVENTIONS
FIXED = f"{FAMILY}, of a fixed size"


@dataclass(frozen=True)
class Exported:
    """A network's MindIR and ONNX, and pictures with what the network makes of them; one of the size that MindIR was written for first."""

    native: ModelProto
    model: onnx.ModelProto
    parameters: dict[str, np.ndarray]
    pairs: Sequence[tuple[np.ndarray, np.ndarray]]


def manifest_of(image: np.ndarray, output: np.ndarray, dynamic: tuple[str, ...] = ()) -> Manifest:
    kind = "labels" if output.dtype == np.uint8 else "logits"
    return Manifest(
        model_file="m.mindir",
        sha256="",
        kind="native",
        input=InputSpec(image.shape, str(image.dtype), "BGR", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), dynamic),
        output=OutputSpec(kind, output.shape, str(output.dtype), True, False),
        class_names=("road", "sky"),
        palette=((1, 2, 3), (4, 5, 6)),
        ignore_label=255,
        versions={"mindspore": "9.9"},
        checkpoint={"file": "a.ckpt", "sha256": "b"},
        config={"model": {"name": "seg_x"}},
    )


def other_image(image: np.ndarray) -> np.ndarray:
    """Return another picture more, and odd sides that are no multiple of the first ones."""
    # Of the pictures of other seeds some are hard: noise of 1e-6 changes these random networks' logits by 6e-5.
    shape, rng = (len(image) + 1, 3, 77, 90), np.random.default_rng(5)
    return rng.integers(0, 256, shape).astype(np.uint8) if image.dtype == np.uint8 else rng.normal(size=shape).astype(np.float32)


def export_any_size(graph: ModelGraph, path: Path, dtype: str) -> Path:
    for _, cell in graph.cells_and_names():
        if isinstance(cell, DotProductAttention):
            cell.whole = True
    ms.export(graph, Tensor(shape=[None, 3, None, None], dtype=getattr(ms, dtype)), file_name=str(path), file_format="MINDIR")
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    """Return the networks of EACH, those for any size with a second picture."""
    files, before = {}, ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    for name in (*CONVENTIONS, FAMILY):
        graph, image = graph_of(name)
        pairs = [(each, graph(Tensor(each)).asnumpy()) for each in (image, other_image(image))]
        parameters = {parameter.name: parameter.asnumpy() for parameter in graph.get_parameters()}
        folder = tmp_path_factory.mktemp("native")
        if name == FAMILY:
            native = read_mindir(export(graph, folder / "fixed.mindir", image))
            files[FIXED] = Exported(native, convert_model(native, manifest_of(*pairs[0]), OPSET), parameters, pairs[:1])
        native = read_mindir(export_any_size(graph, folder / "any.mindir", str(image.dtype)))
        files[name] = Exported(native, convert_model(native, manifest_of(*pairs[0], SIDES), OPSET), parameters, pairs)
    ms.set_context(mode=before)
    return files


each_network = pytest.mark.parametrize("name", [*CONVENTIONS, FAMILY, FIXED])


def difference(expected: np.ndarray, given: np.ndarray) -> float:
    """Return the largest difference as a part of the largest logit, or which part of the labels differs."""
    assert expected.shape == given.shape and expected.dtype == given.dtype
    if expected.dtype == np.uint8:
        assert len(np.unique(expected)) > 2
        return float((expected != given).mean())
    return float(np.abs(expected - given).max() / np.abs(expected).max())


@each_network
def test_onnx_runtime_computes_what_the_network_does(name: str, exported: dict[str, Exported], tmp_path: Path) -> None:
    onnx.save(exported[name].model, tmp_path / "m.onnx")
    run = OnnxModel(tmp_path / "m.onnx")
    for image, expected in exported[name].pairs:
        assert difference(expected, run(image)) <= 1e-5


@each_network
def test_openvino_computes_what_the_network_does(name: str, exported: dict[str, Exported]) -> None:
    graph = core().read_model(io.BytesIO(exported[name].model.SerializeToString()))
    run = core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for image, expected in exported[name].pairs:
        assert difference(expected, run(image)[0]) <= 1e-4


@each_network
def test_the_file_is_valid_and_has_the_parameters_under_their_names(name: str, exported: dict[str, Exported]) -> None:
    model, parameters = exported[name].model, exported[name].parameters
    check_valid(model)
    initializers = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    # Of all heads but OCR's, heads.4, the main output needs no auxiliary one.
    unused = {each for each in parameters if each.endswith("dropout_calls") or re.match(r"heads\.[01235]\.aux_head", each)}
    others = {each for each in initializers if each.startswith("int64_") or "/" in each}  # shapes; factors, in their node's place
    assert initializers.keys() - others == parameters.keys() - unused
    for each in parameters.keys() - unused:
        assert np.array_equal(parameters[each], initializers[each]), each
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names) and {"backbone/conv1/Conv", "backbone/bn1/BatchNormalization"} <= set(names)
    taken = {name for node in model.graph.node for name in node.input}
    assert {name for node in model.graph.node for name in node.output} - taken == {model.graph.output[0].name}, "nothing unneeded"
    assert initializers.keys() <= taken


def sides_of(value: onnx.ValueInfoProto) -> list[int | str]:
    return [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]


def test_what_a_reader_is_told(exported: dict[str, Exported]) -> None:
    told = {name: (sides_of(each.model.graph.input[0]), sides_of(each.model.graph.output[0])) for name, each in exported.items()}
    assert told[FIXED] == ([1, 3, 65, 49], [1, 11, 9, 7])
    assert told[OCR] == (["batch", 3, "height", "width"], ["batch", 11, "logits_height", "logits_width"])
    assert told[PLAIN] == (["batch", 3, "height", "width"], ["batch", "height", "width"])
    logits, labels = exported[OCR].model, exported[PLAIN].model
    assert [(model.graph.input[0].name, model.graph.output[0].name) for model in (logits, labels)] == [
        ("image", "logits"),
        ("image", "labels"),
    ]
    assert (logits.producer_name, logits.producer_version) == ("OCRNet for MindSpore", "MindSpore 9.9")
    assert (logits.opset_import[0].version, logits.ir_version) == (OPSET, helper.find_min_ir_version_for(logits.opset_import))
    properties = {each.key: each.value for each in logits.metadata_props}
    assert (properties["classes"], properties["color_order"], properties["mean"]) == ('["road", "sky"]', "BGR", "[0.1, 0.2, 0.3]")
    # What is constant is computed while the file is written, and of equal computations one is left.
    assert not {node.op_type for node in exported[FIXED].model.graph.node} & {"Shape", "Gather", "Sub"}
    shapes = [tuple(node.input) for node in logits.graph.node if node.op_type == "Shape"]
    assert len(shapes) == len(set(shapes)) > 5
    assert [node.op_type for node in labels.graph.node][-2:] == ["ArgMax", "Cast"], "no way by float32"


def test_the_oldest_opset_means_the_same(exported: dict[str, Exported], tmp_path: Path) -> None:
    for name in (PLAIN, FAMILY):
        image, expected = exported[name].pairs[-1]
        model = convert_model(exported[name].native, manifest_of(*exported[name].pairs[0], SIDES), OLDEST_OPSET)
        check_valid(model)
        assert (model.opset_import[0].version, model.ir_version) == (OLDEST_OPSET, 7)
        onnx.save(model, tmp_path / "m.onnx")
        assert difference(expected, OnnxModel(tmp_path / "m.onnx")(image)) <= 1e-5


def test_the_oldest_opset_is_the_oldest(exported: dict[str, Exported]) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(exported[PLAIN].model)
    model.opset_import[0].version = OLDEST_OPSET - 1
    with pytest.raises(WorkError, match="not valid ONNX"):
        check_valid(model)


def test_the_table_has_just_the_operators_of_the_networks(exported: dict[str, Exported]) -> None:
    used = {primitive.op_type for each in exported.values() for primitive in each.native.primitives}
    assert used == set(OPERATORS) | {"Load", "Depend", "UpdateState"}
    written = {node.op_type for each in exported.values() for node in each.model.graph.node}
    assert written == {op for each in OPERATORS.values() for op in each.nodes}


class LooseBias(nn.Cell):
    def construct(self, x: Tensor) -> Tensor:
        return ops.bias_add(x, ops.ones(2, ms.float32))


class SlicedBySteps(nn.Cell):
    def construct(self, x: Tensor) -> Tensor:
        return x[:, :, ::2]


def test_what_has_no_form_in_onnx_is_named(tmp_path: Path) -> None:
    image = np.ones((1, 2, 3, 3), np.float32)
    manifest = manifest_of(image, image)
    cases: dict[nn.Cell, str] = {
        Unknown(): "operator Tanh in Default/Tanh-op0: not in the table, which has Add, Argmax",
        SumOfAll(): "operator SumExt in .*NoneType",
        LooseBias(): "operator BiasAdd in .*a bias that is not of a convolution",
        SlicedBySteps(): "operator StridedSlice in .*steps of a slice",
    }
    for number, (cell, message) in enumerate(cases.items()):
        native = export(cell, tmp_path / f"{number}.mindir", image)
        with pytest.raises(UserError, match=f"a MindIR that cannot be converted to ONNX: {message}"):
            convert_model(read_mindir(native), manifest, OPSET)


def test_where_a_node_stands() -> None:
    start = "Default/network-SegmentationNetwork/backbone-HRNetV2/"
    assert scope_of(f"{start}layer1-SequentialCell/0-Bottleneck/Add-op0") == "backbone/layer1/0"
    assert scope_of("Default/prepare-Normalize/Cast-op0") == "prepare"
    assert scope_of("Default/Add-op0") == scope_of("") == ""


def test_a_second_size_differs_in_all_sides_that_may() -> None:
    spec = manifest_of(np.empty((2, 3, 64, 96)), np.empty((2, 2, 16, 24)), SIDES).input
    assert other_size(spec, 1).shape == (1, 3, 33, 49)
    assert other_size(spec, 64).shape == (1, 3, 65, 65), "what the network needs"
    one = InputSpec((1, 3, 33, 32), "uint8", "RGB", spec.mean, spec.std, ("batch", "height"))
    assert other_size(one, 33).shape == (2, 3, 35, 32)


def test_labels_have_the_images_size(pynative: None) -> None:
    logits = np.random.default_rng(1).normal(size=(1, 4, 5, 7)).astype(np.float32)
    for shape in ((1, 3, 20, 28), (1, 3, 17, 33)):
        assert Labels(False, True)(Tensor(logits), Tensor(np.zeros(shape, np.uint8))).shape == (1, *shape[2:])


def test_attention_at_once_is_attention_by_blocks(pynative: None) -> None:
    attend = DotProductAttention(3, block=4)
    attend.set_train(False)
    query, key, value = (Tensor(np.random.default_rng(seed).normal(size=(2, 3, 10)).astype(np.float32)) for seed in range(3))
    by_blocks = attend(query, key, value).asnumpy()
    attend.whole = True
    assert np.allclose(attend(query, key, value).asnumpy(), by_blocks, atol=1e-6)


def test_a_model_that_does_not_run_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(os.urandom(100))
    with pytest.raises(WorkError, match="m.onnx does not run in ONNX Runtime"):
        OnnxModel(tmp_path / "m.onnx")
