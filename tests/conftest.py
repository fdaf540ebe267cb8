"""Every test runs on the CPU; MindSpore's own log is kept quiet."""

from src.runtime.environment import prepare_environment

prepare_environment("CPU")

import mindspore as ms  # noqa: E402

ms.set_context(mode=ms.GRAPH_MODE, device_target="CPU")
