"""From MindSpore's MindIR to the form that MindSpore Lite 2.0.0 reads.

Version 3 of MindIR gives an operator's settings as constant inputs, version 1 as attributes of its primitive. MindSpore itself no longer
runs the latter.
"""

from dataclasses import replace
from pathlib import Path

from mindspore.train.mind_ir_pb2 import ModelProto

from src.checkpoint.atomic import atomic_path
from src.config.errors import UserError
from src.deploy.folding import fold_batch_norms
from src.deploy.graph import Graph, Node, read_graph, write_graph
from src.deploy.manifest import Manifest, check_replaceable, file_sha256, manifest_path, read_manifest_of
from src.deploy.mindir import read_mindir
from src.deploy.operators import OPERATORS

LITE_VERSION = 1  # the newest mind_ir_version that MindSpore Lite 2.0.0 reads
KIND = "lite2"  # in the manifest

_NAMES_OF = ("input_names", "output_names")


def lower_model(model: ModelProto) -> ModelProto:
    """Return a network's MindIR in the form that MindSpore Lite 2.0.0 reads.

    Args:
        model: as `ms.export` of MindSpore 2.7 or later writes it.

    Raises:
        UserError: if it has been lowered already, is of no network with one output, or has an operator that is not in the table.
    """
    if model.mind_ir_version <= LITE_VERSION:
        raise UserError(f"MindIR version {model.mind_ir_version}, which MindSpore Lite 2.0.0 reads as it is: nothing to lower")
    try:
        graph = read_graph(model)
        fold_batch_norms(graph)
        needed = graph.needed()
        graph.nodes = {name: _lower(node, graph) for name, node in graph.nodes.items() if name in needed}
        return write_graph(graph, model)
    except (ValueError, KeyError, IndexError) as error:
        raise UserError(f"a MindIR that cannot be lowered for MindSpore Lite 2.0.0: {error}") from error


def _lower(node: Node, graph: Graph) -> Node:
    operator = OPERATORS.get(node.op)
    if operator is None:
        where = f" in {node.domain}" if node.domain else ""
        raise ValueError(f"operator {node.op}{where}: not in the table, which has {', '.join(OPERATORS)}")
    num_inputs = len(node.inputs) - len(operator.settings)
    settings = {name: graph.constants[source] for name, source in zip(operator.settings, node.inputs[num_inputs:], strict=True)}
    attributes = {name: value for name, value in node.attributes.items() if name not in _NAMES_OF}
    attributes |= operator.translate(settings)
    attributes |= {"input_names": operator.inputs, "output_names": ("output",)}
    return replace(node, op=operator.name, inputs=node.inputs[:num_inputs], attributes=attributes)


def lower_file(source: Path, target: Path) -> None:
    """Write the lowered form of a MindIR file and, where `source` has a manifest, a manifest; each file is complete or absent.

    Raises:
        UserError: as `lower_model`, or if `source` is missing, is no MindIR, is cut off, or is not the file that its manifest names, or
            if what MindSpore itself needs, or a file that is no manifest, would be replaced.
    """
    if source.resolve() == target.resolve():
        raise UserError(f"{target}: the same file as IN; MindSpore itself needs the native one, so give OUT another name")
    if manifest_path(source).resolve() == manifest_path(target).resolve():
        raise UserError(f"{target}: its manifest {manifest_path(target)} would replace that of IN; give OUT another name before its ending")
    manifest = _manifest_of(source)
    check_replaceable([target] if manifest is None else [target, manifest_path(target)], "OUT")
    try:
        lowered = lower_model(read_mindir(source))
    except UserError as error:
        message = str(error)
        raise UserError(message if message.startswith(str(source)) else f"{source}: {message}") from error
    write_model(lowered, target)
    if manifest is not None:
        replace(manifest, model_file=target.name, sha256=file_sha256(target), kind=KIND).write(target)


def write_model(model: ModelProto, path: Path) -> None:
    """Write a MindIR that everybody may read; the file is complete or absent. Missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
        temporary.chmod(0o644)


def _manifest_of(source: Path) -> Manifest | None:
    return read_manifest_of(source) if manifest_path(source).exists() and source.is_file() else None
