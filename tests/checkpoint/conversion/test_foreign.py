"""Readers of foreign files: every kind and container, and files that are broken, of another kind or hostile."""

import collections
import os
import pickle
import struct
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore.train.checkpoint_pb2 import Checkpoint

import convert_from_torch
from src.checkpoint.conversion.foreign import ForeignFile, read_foreign
from src.config import UserError
from src.runtime.entry import run

torch = pytest.importorskip("torch", reason="reading .pth files needs torch")

VALUES = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.bias": np.array([1.5, -2], np.float32)}


def tensors(values: dict[str, np.ndarray] = VALUES) -> dict[str, Any]:
    return {name: torch.from_numpy(value.copy()) for name, value in values.items()}


def assert_values(file: ForeignFile, expected: dict[str, np.ndarray] = VALUES) -> None:
    found = file.arrays
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".pth.tar", ".bin"])
def test_torch_files(suffix: str, zipped: bool, tmp_path: Path) -> None:
    torch.save(tensors(), tmp_path / f"w{suffix}", _use_new_zipfile_serialization=zipped)
    assert_values(read_foreign(tmp_path / f"w{suffix}"))


@pytest.mark.parametrize("names", [["state_dict"], ["model"], ["model_state_dict"], ["state_dict_ema"], ["model", "state_dict"]])
def test_containers(names: list[str], tmp_path: Path) -> None:
    content: Any = tensors()
    for name in reversed(names):
        content = {name: content, "epoch": 3, "optimizer": {"state": {0: {"momentum_buffer": torch.ones(2)}}}}
    torch.save(content, tmp_path / "w.pth")
    assert_values(read_foreign(tmp_path / "w.pth"))


def test_parameters_views_and_half_precision(tmp_path: Path) -> None:
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    content = {
        "parameter": torch.nn.Parameter(base),
        "transposed": base.t(),
        "half": base.half(),
        "brain": torch.tensor([1.0, -3.140625, 1e30], dtype=torch.bfloat16),
        "text": "not a tensor",
    }
    torch.save(content, tmp_path / "w.pth")
    found = read_foreign(tmp_path / "w.pth")
    assert found.bfloat16 == {"brain"}
    array = base.numpy()
    brain = content["brain"].float().numpy()
    assert_values(found, {"parameter": array, "transposed": array.T, "half": array.astype(np.float16), "brain": brain})


def test_what_trainers_put_beside_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # mmengine's record of losses is an object of its own class, with numpy arrays and references to its methods.
    module: Any = types.ModuleType("mmengine.logging.history_buffer")

    class HistoryBuffer:
        def smallest(self) -> float:
            raise AssertionError("nothing of the file may be called")

    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = module.__name__, "HistoryBuffer"
    HistoryBuffer.smallest.__qualname__ = "HistoryBuffer.smallest"
    module.HistoryBuffer = HistoryBuffer
    HistoryBuffer.smallest.__module__ = module.__name__
    for name in ("mmengine", "mmengine.logging"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    record = HistoryBuffer()
    record.__dict__.update(_log_history=np.array([0.5, 0.25]), _count_history=np.array([1, 1]), methods={"min": HistoryBuffer.smallest})
    hub = {"log_scalars": collections.OrderedDict(loss=record), "runtime_info": {"best": np.float64(0.8)}}
    torch.save({"state_dict": tensors(), "message_hub": hub}, tmp_path / "w.pth")
    monkeypatch.delitem(sys.modules, module.__name__)
    assert_values(read_foreign(tmp_path / "w.pth"))


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("numpy2", [False, True])
def test_paddle_files(protocol: int, numpy2: bool, tmp_path: Path) -> None:
    content = {**VALUES, "column_major": np.asfortranarray(VALUES["a.weight"]), "half": np.array([1, 2], np.float16)}
    data = pickle.dumps({**content, "StructuredToParameterName@@": {"a.weight": "conv2d_0.w_0"}}, protocol)
    if numpy2:  # its module has another name, which is of another length
        old, new = b"numpy.core.multiarray", b"numpy._core.multiarray"
        data = data.replace(b"\x8c" + struct.pack("B", len(old)) + old, b"\x8c" + struct.pack("B", len(new)) + new)
        data = data.replace(b"c" + old + b"\n", b"c" + new + b"\n")
        data = data.replace(data[2:11], b"") if protocol == 4 else data  # the frame's length is no longer true
        assert new in data
    (tmp_path / "w.pdparams").write_bytes(data)
    assert_values(read_foreign(tmp_path / "w.pdparams"), content)


def test_safetensors(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    brain = torch.tensor([[1.0, -3.140625], [1e30, -0.0]], dtype=torch.bfloat16)
    save_file({**tensors(), "half": torch.ones(2).half(), "brain": brain}, tmp_path / "w.safetensors")
    expected = {**VALUES, "half": np.ones(2, np.float16), "brain": brain.float().numpy()}
    found = read_foreign(tmp_path / "w.safetensors")
    assert_values(found, expected)
    assert found.bfloat16 == {"brain"}


def test_mindspore_files(tmp_path: Path) -> None:
    parameters = {name: ms.Tensor(value) for name, value in VALUES.items()} | {"brain": ms.Tensor([1.5, -2.0], ms.bfloat16)}
    ms.save_checkpoint([{"name": name, "data": tensor} for name, tensor in parameters.items()], str(tmp_path / "w.ckpt"))
    found = read_foreign(tmp_path / "w.ckpt")
    assert_values(found, {**VALUES, "brain": np.array([1.5, -2], np.float32)})
    assert found.bfloat16 == {"brain"}


def write_torch(path: Path) -> None:
    torch.save(tensors({"a": np.ones(4000, np.float32)}), path)


def write_legacy_torch(path: Path) -> None:
    torch.save(tensors({"a": np.ones(4000, np.float32)}), path, _use_new_zipfile_serialization=False)


def write_paddle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": np.ones(4000, np.float32)}, 4))


def write_safetensors(path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.ones(4000, np.float32)}, path)


def write_mindspore(path: Path) -> None:
    ms.save_checkpoint([{"name": "a", "data": ms.Tensor(np.ones(4000, np.float32))}], str(path))


WRITERS: dict[str, Callable[[Path], None]] = {
    "w.pth": write_torch,
    "legacy.pth": write_legacy_torch,
    "w.pdparams": write_paddle,
    "w.safetensors": write_safetensors,
    "w.ckpt": write_mindspore,
}


def refuse(path: Path, *words: str) -> None:
    with pytest.raises(UserError) as caught:
        read_foreign(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message and len(message) < 400
    for word in words:
        assert word in message


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("part", [0.05, 0.5, 0.95])
def test_truncated_files(name: str, part: float, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    refuse(path, "cut off")


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html>404</html>\n" * 40, b"hello\n", bytes(range(256)) * 40])
def test_files_of_another_kind(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    refuse(tmp_path / name, "not a readable")


@pytest.mark.parametrize("name", WRITERS)
def test_empty_and_missing_files(name: str, tmp_path: Path) -> None:
    refuse(tmp_path / name, "no such file")
    (tmp_path / name).touch()
    refuse(tmp_path / name, "empty")


@pytest.mark.parametrize("content", [{}, {"state_dict": {}}, {"epoch": 3}, [torch.ones(2)], torch.ones(2)])
def test_no_weights_in_a_torch_file(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pth")
    refuse(tmp_path / "w.pth", "no weights")


@pytest.mark.parametrize("content", [{}, {"a": 1}, [1], {"state_dict": {}}])
def test_no_weights_in_a_paddle_file(content: Any, tmp_path: Path) -> None:
    (tmp_path / "w.pdparams").write_bytes(pickle.dumps(content))
    refuse(tmp_path / "w.pdparams", "no weights")


def test_unknown_kind(tmp_path: Path) -> None:
    (tmp_path / "w.h5").write_bytes(b"x")
    refuse(tmp_path / "w.h5", ".safetensors")


class Payload:
    """Runs a command while it is unpickled; the marker shows that it ran."""

    def __init__(self, marker: Path) -> None:
        self.command = f"touch {marker}"

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


class Evaluated(Payload):
    def __reduce__(self) -> tuple:
        return eval, (f"__import__('os').system({self.command!r})",)


def hostile(kind: str, path: Path, payload: Payload) -> None:
    if kind == "paddle":
        path.write_bytes(pickle.dumps({**VALUES, "b": payload}))
    elif kind == "array of objects":
        path.write_bytes(pickle.dumps({"b": np.array([payload, 1], dtype=object)}))
    else:
        torch.save({"state_dict": tensors(), "b": payload}, path, _use_new_zipfile_serialization=kind == "zip")


@pytest.mark.parametrize("payload", [Payload, Evaluated])
@pytest.mark.parametrize("kind", ["zip", "legacy", "paddle", "array of objects"])
def test_hostile_files_are_refused_and_run_nothing(
    kind: str, payload: type[Payload], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "ran"
    pickle.loads(pickle.dumps(payload(marker)))
    assert marker.exists()  # the payload works where it is let
    marker.unlink()
    path = tmp_path / ("w.pth" if kind in ("zip", "legacy") else "w.pdparams")
    hostile(kind, path, payload(marker))
    status = run(convert_from_torch.main, ["--torch_path", str(path), "--mindspore_path", str(tmp_path / "out.ckpt")])
    out, err = capsys.readouterr()
    assert status == 2 and out == ""
    assert len(err.strip().splitlines()) == 1 and str(path) in err and "refused" in err
    assert ("system" if payload is Payload else "eval") in err
    assert list(tmp_path.iterdir()) == [path]


def test_dicts_within_themselves(tmp_path: Path) -> None:
    endless: dict[str, Any] = {}
    endless["model"] = endless
    torch.save(endless, tmp_path / "in.pth")
    (tmp_path / "in.pdparams").write_bytes(pickle.dumps(endless))
    for name in ("in.pth", "in.pdparams"):
        with pytest.raises(UserError, match="no weights"):
            read_foreign(tmp_path / name)


def test_a_tensor_that_claims_more_than_it_holds(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.zeros(1).expand(2000, 2000)}, tmp_path / "in.pth")
    with pytest.raises(UserError, match="a.weight claims 4000000 numbers"):
        read_foreign(tmp_path / "in.pth")


@pytest.mark.parametrize(("dims", "num_bytes"), [([0, 3], 4096), ([1], 100_000), ([4, 4], 32), ([-2, -4], 32), ([2**31, 2**31], 8)])
def test_mindspore_arrays_of_other_sizes_than_they_say(dims: list[int], num_bytes: int, tmp_path: Path) -> None:
    # MindSpore 2.8 itself would write beyond its memory.
    checkpoint = Checkpoint()
    entry = checkpoint.value.add()
    entry.tag, entry.tensor.tensor_type, entry.tensor.tensor_content = "a.weight", "Float32", bytes(num_bytes)
    entry.tensor.dims.extend(dims)
    (tmp_path / "in.ckpt").write_bytes(checkpoint.SerializeToString())
    with pytest.raises(UserError, match="not a readable MindSpore checkpoint"):
        read_foreign(tmp_path / "in.ckpt")


def test_mindspore_numbers_and_checksums(tmp_path: Path) -> None:
    values = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "step": np.array(7, np.int32)}
    entries = [{"name": name, "data": ms.Tensor(value)} for name, value in values.items()]
    for crc_check in (False, True):
        ms.save_checkpoint(entries, str(tmp_path / "in.ckpt"), crc_check=crc_check)
        found = read_foreign(tmp_path / "in.ckpt").arrays
        assert found["a.weight"].tolist() == values["a.weight"].tolist() and found["step"] == 7


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pdparams").write_bytes(pickle.dumps({"b": np.array([{}, []], dtype=object)}))
    refuse(tmp_path / "w.pdparams", "array of objects")


def test_arrays_whose_parts_do_not_fit(tmp_path: Path) -> None:
    data = pickle.dumps({"b": np.ones((2, 3), np.float32)}, 2)
    assert data.count(b"K\x02K\x03\x86") == 1  # the shape
    (tmp_path / "w.pdparams").write_bytes(data.replace(b"K\x02K\x03\x86", b"K\x09K\x09\x86"))
    refuse(tmp_path / "w.pdparams", "reshape")


def test_a_whole_model_is_refused_with_advice(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pth")
    refuse(tmp_path / "w.pth", "torch.nn.modules.linear.Linear", "state_dict()")


def test_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_torch(tmp_path / "w.pth")
    write_paddle(tmp_path / "w.pdparams")
    write_safetensors(tmp_path / "w.safetensors")
    monkeypatch.setitem(sys.modules, "torch", None)
    refuse(tmp_path / "w.pth", "pip install torch")
    for name in ("w.pdparams", "w.safetensors"):
        assert read_foreign(tmp_path / name).arrays.keys() == {"a"}


def test_a_torch_that_reads_unsafely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_torch(tmp_path / "w.pth")
    monkeypatch.setattr(torch, "__version__", "2.5.1+cu121")
    refuse(tmp_path / "w.pth", "2.5.1", "torch>=2.6")
