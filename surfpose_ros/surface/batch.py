"""Many captures to surfaces: unchanged ones are kept, a bad capture does not stop the others."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from surfpose_ros.backbones.interface import Backbone
from surfpose_ros.backbones.registry import DEFAULT_BACKBONE, backbone_checksum, load_backbone
from surfpose_ros.errors import SurfposeError
from surfpose_ros.fan_out import FanOut, in_process
from surfpose_ros.geometry.visibility import choose_backend
from surfpose_ros.progress import Progress, silent
from surfpose_ros.surface.picture import surface_picture
from surfpose_ros.surface.reconstruct import ReconstructSettings, reconstruct
from surfpose_ros.surface.remask import with_surface_masks
from surfpose_ros.surface.surface import FORMAT_VERSION, save_surface, surface_made_from
from surfpose_ros.video.pictures import save_picture
from surfpose_ros.video.reader import read_capture

# Raise it where a change of the code changes surfaces, so that old ones are not kept.
RECIPE = 11


@dataclass(frozen=True)
class BatchReport:
    """What became of each capture.

    Attributes:
        made: names of the surfaces made now.
        kept: names of those that were there already.
        failed: capture folder to the reason, one line.
    """

    made: list[str]
    kept: list[str]
    failed: dict[str, str]


def reconstruct_captures(
    captures: Sequence[Path],
    out: Path,
    settings: ReconstructSettings | None = None,
    backbone_name: str = DEFAULT_BACKBONE,
    device: str = "cpu",
    poses: str = "auto",
    masks: str = "auto",
    progress: Progress = silent,
    fan_out: FanOut = in_process,
) -> BatchReport:
    """Make the surface of each capture in `out`, named after the capture's folder, and a picture of it.

    Args:
        captures: capture folders; their names must differ.
        out: folder for the surfaces.
        settings: sizes; the defaults serve.
        backbone_name: for the features.
        device: torch device of the backbone.
        poses: a pose source, or auto for each capture's own.
        masks: a mask method, or auto for what each capture allows.
        progress: told of each capture.
        fan_out: who does it; workers must see the captures and `out` where they are here.

    Raises:
        SurfposeError: two captures of one name, or a device or visibility backend that does not work here.
    """
    settings = settings or ReconstructSettings()
    names = [capture.resolve().name for capture in captures]
    for name in names:
        if names.count(name) > 1:
            raise SurfposeError(
                f"two captures are called {name!r}; surfaces are named after them: rename one"
            )
    backbone = _backbone(backbone_name, device)
    choose_backend(settings.visibility, device)  # before any work, if it cannot be had
    recipe = json.dumps(
        [RECIPE, FORMAT_VERSION, asdict(settings), poses, masks, backbone_checksum(backbone)]
    )
    reconstruction = _Reconstruction(out, settings, backbone_name, device, poses, masks, recipe)
    progress("surfaces", 0, len(captures))
    made: dict[Path, bool | SurfposeError] = {}
    for capture, result in fan_out(reconstruction, captures):
        made[capture] = result
        progress("surfaces", len(made), len(captures), capture.resolve().name)
    report = BatchReport([], [], {})
    for capture, name in zip(captures, names, strict=True):
        result = made[capture]
        if isinstance(result, SurfposeError):
            report.failed[str(capture)] = str(result)
        elif surface_made_from(out, name) is None:
            report.failed[str(capture)] = (
                f"{name}: a worker made its surface, and it is not in {out} here; all machines must share "
                "the folders of captures and surfaces"
            )
        else:
            (report.made if result else report.kept).append(name)
    return report


@dataclass(frozen=True)
class _Reconstruction:
    """From a capture to its files in `out`, in any process; the attributes as in `reconstruct_captures`."""

    out: Path
    settings: ReconstructSettings
    backbone_name: str
    device: str
    poses: str
    masks: str
    recipe: str

    def __call__(self, capture: Path) -> bool:
        """Whether the surface was made now; if not, it was there."""
        name, digest = capture.resolve().name, capture_digest(capture, self.recipe)
        if surface_made_from(self.out, name) == digest:
            return False
        video = read_capture(capture, self.poses, self.masks)
        surface = reconstruct(video, _backbone(self.backbone_name, self.device), self.settings)
        picture = surface_picture(surface, with_surface_masks(video, surface))
        save_picture(self.out / f"{name}.png", picture)
        save_surface(surface, self.out, digest)
        return True


@lru_cache(maxsize=1)
def _backbone(name: str, device: str) -> Backbone:
    """Loaded once a process."""
    return load_backbone(name, device)


def capture_digest(capture: Path, recipe: str = "") -> str:
    """SHA-256 over the names and contents of a capture's files, and a recipe.

    Raises:
        SurfposeError: no such folder, or a file that cannot be read.
    """
    if not capture.is_dir():
        raise SurfposeError(f"{capture}: no such capture folder")
    digest = hashlib.sha256(recipe.encode())
    try:
        for path in sorted(path for path in capture.iterdir() if path.is_file()):
            digest.update(path.name.encode())
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    except OSError as error:
        raise SurfposeError(f"{error.filename}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()
