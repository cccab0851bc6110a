"""Run by torchrun: the eggs' training, each process's weights in a file of its own."""

import sys
from pathlib import Path

import numpy as np
from eggs import learnt_weights

from surfpose_ros.category.distributed import joined_processes

with joined_processes("cpu") as (share, _):
    np.save(Path(sys.argv[1]) / f"{share.rank}_of_{share.ranks}.npy", learnt_weights(share))
