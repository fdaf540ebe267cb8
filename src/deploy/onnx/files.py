"""Write the ONNX form of a MindIR file, with its manifest."""

from dataclasses import replace
from pathlib import Path

import onnx

from src.config.errors import UserError
from src.deploy.manifest import Manifest, file_sha256
from src.deploy.mindir import read_mindir
from src.deploy.onnx.checking import check_valid
from src.deploy.onnx.conversion import convert_model
from src.deploy.onnx_source import KIND


def write_onnx(native: Path, model: Path, manifest: Manifest, opset: int, name: str) -> Manifest:
    """Write the ONNX form of a native MindIR file and its manifest, and return the latter.

    Args:
        native: the .mindir file.
        model: the .onnx file to write.
        manifest: of the native file; which file it names is not looked at.
        opset: of ONNX.
        name: what messages call the native file; that of an export is nobody's.

    Raises:
        UserError: if it cannot be converted.
        WorkError: if what was written is not valid ONNX.
    """
    try:
        converted = convert_model(read_mindir(native), manifest, opset)
    except UserError as error:
        message = str(error)
        raise UserError(message if message.startswith(str(native)) else f"{name}: {message}") from error
    check_valid(converted)
    model.write_bytes(converted.SerializeToString())
    versions = {**manifest.versions, "onnx": onnx.__version__, "opset": str(opset)}
    of_onnx = replace(manifest, model_file=model.name, sha256=file_sha256(model), kind=KIND, versions=versions)
    of_onnx.write(model)
    return of_onnx
