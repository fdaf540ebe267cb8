"""An ONNX file opened with its manifest: is it whole, and do they belong together. Without MindSpore."""

from pathlib import Path

from google.protobuf.message import DecodeError

from src.config.errors import UserError
from src.deploy.manifest import Manifest, file_sha256, manifest_path, read_manifest
from src.deploy.onnx.requirements import require_onnx

KIND = "onnx"  # in the manifest


def open_onnx(path: Path, flag: str) -> Manifest:
    """Return the manifest of an ONNX file.

    Args:
        path: the file.
        flag: what named it, for messages.

    Raises:
        UserError: if the file or its manifest is missing, they do not belong together, or the file is no ONNX.
    """
    if not path.is_file():
        what = "a folder; give the .onnx file in it" if path.is_dir() else "no such file; export.py --file_format ONNX writes it"
        raise UserError(f"{flag} {path}: {what}")
    require_onnx(f"{flag} {path}")
    manifest = read_manifest(manifest_path(path))
    if manifest.kind != KIND:
        raise UserError(f"{flag} {path}: its manifest {manifest_path(path)} is of a model of the kind {manifest.kind}; export it anew")
    if file_sha256(path) != manifest.sha256:
        raise UserError(f"{flag} {path}: not the file that {manifest_path(path)} describes (SHA-256 differs); export it anew")
    import onnx

    try:
        model = onnx.load_model(path, load_external_data=False)
    except DecodeError:
        raise UserError(f"{flag} {path}: no ONNX file, or a damaged one; export it anew") from None
    if not model.graph.node:
        raise UserError(f"{flag} {path}: an ONNX file without nodes; export it anew")
    return manifest
