import pytest

from src.models import builder
from tests.engine.two_layers import TwoLayers


@pytest.fixture
def small_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks have a backbone of one convolution and one batch norm: for what is not about the backbone."""
    monkeypatch.setattr(builder, "HRNetV2", TwoLayers)
