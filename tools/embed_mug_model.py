"""Make models/simulated_mug from a model that `surfpose retrain` or `train` wrote, in half precision.

    python tools/embed_mug_model.py MODEL

models/README.md says from what, with which commands, and how good it is.
"""

import sys
from pathlib import Path

import torch

from surfpose_ros.category.model import load_category_model, save_category_model

EMBEDDED = Path(__file__).resolve().parents[1] / "models" / "simulated_mug"


def main() -> None:
    """Read the model and write it to its place."""
    save_category_model(load_category_model(Path(sys.argv[1])), EMBEDDED, torch.float16)


if __name__ == "__main__":
    main()
