"""A MindIR file of export.py as an ONNX file that is checked against it, all or nothing."""

from pathlib import Path

from src.config.errors import UserError
from src.deploy.manifest import Manifest, check_replaceable, manifest_path, read_manifest_of
from src.deploy.native_model import NativeModel
from src.deploy.onnx.requirements import require_onnx
from src.deploy.publishing import publish, workspace

SUFFIX = ".onnx"


def convert_file(source: Path, target: Path, opset: int) -> list[Path]:
    """Write the ONNX form of a native MindIR and its manifest, and return their paths; both appear, checked, or none.

    Args:
        source: a .mindir file of export.py, its manifest beside it.
        target: the .onnx file to write; missing folders are made.
        opset: of ONNX.

    Raises:
        UserError: if `source` or its manifest is missing, damaged, lowered, or they do not belong together, an operator is not in the
            table, somebody's .json or the manifest of another model would be replaced, or the package onnx is missing.
        WorkError: if what was written is not valid ONNX, or does not compute what MindSpore does.
    """
    require_onnx("src.deploy.to_onnx")
    if target.suffix != SUFFIX:
        raise UserError(f"{target}: no name of an ONNX file; give OUT the ending {SUFFIX}")
    if manifest_path(source).resolve() == manifest_path(target).resolve():
        raise UserError(f"{target}: its manifest {manifest_path(target)} would replace that of IN; give OUT another name before its ending")
    manifest = _open_native(source)
    check_replaceable([target, manifest_path(target)], "OUT")

    # Imported late: onnx is not among the requirements of the other formats.
    from src.deploy.onnx.checking import verify_onnx
    from src.deploy.onnx.files import write_onnx

    with workspace(target, "OUT") as folder:
        model = folder / target.name
        write_onnx(source, model, manifest, opset, str(source))
        verify_onnx(NativeModel(source), model, manifest.input, right=source.name)
        return publish(folder, target.parent)


def _open_native(source: Path) -> Manifest:
    if not source.is_file():
        what = "a folder; give the .mindir file in it" if source.is_dir() else "no such file; export.py writes MindIR files"
        raise UserError(f"{source}: {what}")
    manifest = read_manifest_of(source)
    if manifest.kind != "native":
        raise UserError(f"{source}: a model of the kind {manifest.kind}; give the native .mindir file that export.py wrote")
    return manifest
