"""A copy of the project with tiny data, weights and results under the names that the documents use."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from tests.docs.markdown import PROJECT
from tests.docs.rules import Rule, Table
from tests.docs.sandbox_files import write_data, write_foreign_weights
from tests.docs.stub import ENVIRONMENT, stub_environment

TIMEOUT = 900  # seconds for one command
# Made by the project's own programs, in this order.
PREPARATIONS = (
    "python train.py --config demo --data_path CITYSCAPES --output_path OUT {tiny} {cpu} {once} --end_epoch 2 --eval_callback True",
    "python train.py --config camvid_w18_small --data_path CAMVID --output_path OUT_CAMVID {tiny} {cpu} {once} --eval_callback True",
    "python convert_from_torch.py --torch_path ocrnet_hr48.pth --mindspore_path hr48.ckpt",
    "python convert_from_torch.py --torch_path hr18.pth --mindspore_path hr18.ckpt",
    "python convert_from_torch.py --torch_path resnet50-torchvision.pth --mindspore_path r50.ckpt",
    "python export.py --checkpoint_file OUT/best.ckpt --file_name OUT/model --device_target CPU",
    "python export.py --checkpoint_file OUT/best.ckpt --file_name OUT/any_size --file_format ONNX --dynamic batch height width {on_cpu}",
    "python -m src.deploy.quantize OUT/any_size.onnx --data_path CITYSCAPES {calibrated}",
    "python -m src.data.pack --config camvid_w18_small --data_path CAMVID --output_path PACKED",
    "bash scripts/run_cpp_infer.sh OUT/model.mindir CITYSCAPES CPU",
    "DEVICE_IPS=10.1.1.1,10.1.1.2 bash scripts/make_rank_table.sh 0-1 10.0.0.1",
    "DEVICE_IPS=10.1.1.1,10.1.1.2 bash scripts/make_rank_table.sh 0-1 10.0.0.1 host0.json",
    "DEVICE_IPS=10.1.2.1,10.1.2.2 bash scripts/make_rank_table.sh 0-1 10.0.0.2 host1.json",
    "bash scripts/make_rank_table.sh --merge host0.json host1.json all.json",
)


class Sandbox:
    """A folder in which commands run; each begins with the same files.

    Args:
        root: folder to make it in.
        table: places and words.
    """

    def __init__(self, root: Path, table: Table) -> None:
        self.root, self.table = root, table
        self.folder, self.template = root / "ocrnet", root / "template"
        self.environment: dict[str, str] = {}

    def prepare(self) -> None:
        """Copy the project and make what the commands expect.

        Raises:
            RuntimeError: if one of the preparations fails.
        """
        copy_project(self.folder)
        os.chdir(self.folder)
        self._provide_libraries()
        write_data(self.folder)
        write_foreign_weights(self.folder)
        for command in PREPARATIONS:
            status, output = self.call(command.format(**self.table.shorter))
            if status:
                raise RuntimeError(f"{command}\n{output}\nwhat the commands need cannot be made: status {status}")
        for stem in ("WEIGHTS", "CKPT", "BACKBONE"):
            for ending in (".ckpt", ".yaml"):
                shutil.copy(f"OUT/best{ending}", stem + ending)
        shutil.copy("BACKBONE.ckpt", "BACKBONE")
        shutil.copy("CKPT.ckpt", "CKPT")
        os.chdir(self.root)
        self.folder.rename(self.template)

    def _provide_libraries(self) -> None:
        """Name MindSpore Lite, as the documents do before they build, and a cache that is not the user's, with the installed OpenVINO."""
        home = Path(self.call("bash scripts/fetch_mindspore_lite.sh")[1].splitlines()[-1])
        cache = self.root / "cache"
        cache.mkdir()
        (cache / home.name).symlink_to(home)
        if openvino := importlib.util.find_spec("openvino"):
            folder = f"openvino-{importlib.metadata.version('openvino')}"
            (cache / folder).symlink_to(next(iter(openvino.submodule_search_locations or ())))
        self.environment = {"MS_LITE_HOME": str(home), "OCRNET_CACHE": str(cache)}

    def run(self, command: str, rule: Rule) -> tuple[int, str]:
        """Run a filled command among fresh files; return its status and what it said."""
        shutil.rmtree(self.folder, ignore_errors=True)
        # Times of files stay, for what was built is not built again; and so does the path, which is in the builds.
        subprocess.run(["cp", "-a", str(self.template), str(self.folder)], check=True)
        for name, other in {**self.table.places, **rule.places}.items():
            self._place(name, other)
        return self.call(self.table.shortened(command, rule), stub_environment(self.folder) if rule.stub else {})

    def _place(self, name: str, other: str | None) -> None:
        target = self.folder / name
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        target.unlink(missing_ok=True)
        if other is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", str(self.folder / other), str(target)], check=True)

    def call(self, command: str, more: dict[str, str] | None = None) -> tuple[int, str]:
        """Run a command in the folder with the project's interpreter; return its status and what it said."""
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", *ENVIRONMENT)}
        ours = {"PATH": f"{self.folder}/.venv/bin:{os.environ['PATH']}", "OCRNET_VENV": f"{self.folder}/.venv"}
        process = subprocess.run(
            ["timeout", str(TIMEOUT), "bash", "-c", command],
            cwd=self.folder,
            env={**kept, **ours, **self.environment, **(more or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        return process.returncode, process.stdout


def copy_project(folder: Path) -> None:
    """Copy the files that belong to the project, and link its environment."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listing.split("\0")):
        if (PROJECT / name).is_file():  # not what was removed and not yet committed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    environment = Path(os.environ.get("OCRNET_VENV", PROJECT / ".venv"))
    (folder / ".venv").symlink_to(environment.resolve())
