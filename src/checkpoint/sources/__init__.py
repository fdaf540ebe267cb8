"""Tables: whose weights can be converted, by what their names tell."""

from src.checkpoint.sources.hrnet import HRNETS
from src.checkpoint.sources.resnet import RESNETS
from src.checkpoint.sources.source import Source

SOURCES: tuple[Source, ...] = (*HRNETS, *RESNETS)


def source_names() -> list[str]:
    """Return the words for --source, each once."""
    return list(dict.fromkeys(source.name for source in SOURCES))
