"""Knocks that the real programs must stand, each a command with bounded time:

    python test/stress/stress.py fuzz       damaged files of every kind
    python test/stress/stress.py kill       kill -9 at random instants of learning and recording
    python test/stress/stress.py disk       full disks and folders that may not be written
    python test/stress/stress.py share      several processes on one folder
    python test/stress/stress.py clock      stamps and clocks that jump
    python test/stress/stress.py many       twenty categories and 32 objects in one image
    python test/stress/stress.py endurance  pose_node at full rate for long
    python test/stress/stress.py capture    capture_node at full rate
    python test/stress/stress.py pose       pose_node at full rate

`--help` after a name tells its options. They end with 1 where something broke. Not part of `make test`:
they take their time, and their figures are of one machine.
"""

import argparse
import importlib
import os
import platform
import sys
import time

KNOCKS = {
    "fuzz": "fuzz",
    "kill": "kill",
    "disk": "disk",
    "share": "share",
    "clock": "clock",
    "many": "many",
    "endurance": "rates",
    "capture": "rates",
    "pose": "rates",
}


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=KNOCKS)
    chosen = parser.parse_args(sys.argv[1:2])
    knock = importlib.import_module(KNOCKS[chosen.what])
    own = argparse.ArgumentParser(prog=f"stress.py {chosen.what}", description=knock.__doc__)
    knock.add_options(own)
    options = own.parse_args(sys.argv[2:])
    options.what = chosen.what
    print(f"{chosen.what}: {time.strftime('%Y-%m-%d %H:%M')}, {os.cpu_count()} cores, load "
          f"{os.getloadavg()[0]:.1f}, {platform.platform()}; {vars(options)}", flush=True)  # fmt: skip
    began = time.monotonic()
    broken = knock.run(options)
    print(f"{chosen.what}: {broken} broken, {time.monotonic() - began:.0f} s", flush=True)
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
