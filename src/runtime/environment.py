"""What must stand in the environment before MindSpore is imported."""

import importlib.metadata
import os


def prepare_environment(device_target: str) -> None:
    """Set environment variables that MindSpore reads while it is imported; values that the user set win.

    Args:
        device_target: "Ascend", "GPU" or "CPU".
    """
    os.environ.setdefault("GLOG_v", "3")  # MindSpore's own log: errors only
    # MindSpore sets it while it is imported, too late where onnx, which has protobuf in it, was imported first.
    os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")
    if device_target == "CPU" and _needs_avx2():
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")


def _needs_avx2() -> bool:
    # MindSpore 2.9 and 2.10 fall back to oneDNN's reference 3x3 convolution above AVX2: 40 times slower (measured, docs/PERFORMANCE.md).
    try:
        version = importlib.metadata.version("mindspore")
    except importlib.metadata.PackageNotFoundError:
        return False
    major, minor = (int(part) for part in version.split(".")[:2])
    return (major, minor) >= (2, 9)
