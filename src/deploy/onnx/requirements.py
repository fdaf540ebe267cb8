"""What ONNX files need beside requirements.txt, asked for where it is used."""

from importlib.util import find_spec

from src.config.errors import UserError

INSTALL = "pip install -r requirements-deploy.txt"


def require_onnx(flag: str) -> None:
    """Refuse to begin without the package onnx.

    Args:
        flag: what needs it, for the message.

    Raises:
        UserError: with the command that installs it.
    """
    if find_spec("onnx") is None:
        raise UserError(f"{flag}: needs the package onnx: {INSTALL}")


def has_runtime() -> bool:
    """Tell whether ONNX Runtime is installed."""
    return find_spec("onnxruntime") is not None
