"""From a network and pictures to labels, masks and overlays.

`from src.inference import Segmenter` is what other programs need.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from src.inference.segmenter import Segmenter

__all__ = ["Segmenter"]


def __getattr__(name: str) -> Any:
    """Load the segmenter, and MindSpore with it, when it is asked for: other modules of the package need none of it."""
    if name == "Segmenter":
        from src.inference.segmenter import Segmenter

        return Segmenter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
