#!/usr/bin/env bash
# Lay the message types of test/interfaces over .venv, as a ROS installation would bring them.
#
# They are generated and compiled once, in a virtual environment of their own, and kept in
# .cache/interfaces/<hash of everything they are made from>.
set -euo pipefail
cd "$(dirname "$0")/.."

abi=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_config_var("SOABI"))')
hash=$({ echo "$abi"; cat tools/interfaces.sh; find test/interfaces -type f | LC_ALL=C sort | xargs cat; } | sha256sum | cut -c1-16)
built=.cache/interfaces/$hash
stamp=.venv/.interfaces
[[ $(cat "$stamp" 2>/dev/null) == "$hash" ]] && exit 0

build() {
    tools/debian.sh cmake g++ ninja-build
    local venv=$PWD/.cache/interfaces/venv work
    work=$(mktemp -d)
    trap 'rm -rf "$work"' RETURN
    .venv/bin/python -m venv --clear "$venv"
    "$venv/bin/pip" install -qq --requirement test/interfaces/requirements.lock

    # The wheels' CMake files name the include folders of the machine that built them.
    local python_include numpy_include
    python_include=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    numpy_include=$("$venv/bin/python" -c 'import numpy; print(numpy.get_include())')
    grep -rlE --include='*.cmake' '/opt/python/' "$venv/share" | xargs sed -i -E \
        -e "s#/opt/python/[^/;\"]+/include/python[0-9.]+#$python_include#g" \
        -e "s#/opt/python/[^/;\"]+/lib/python[0-9.]+/site-packages/numpy/_core/include#$numpy_include#g"

    env PATH="$venv/bin:$PATH" AMENT_PREFIX_PATH="$venv" CMAKE_PREFIX_PATH="$venv" \
        "$venv/bin/colcon" --log-base "$work/log" build --merge-install \
        --base-paths test/interfaces --build-base "$work/build" --install-base "$work/install" \
        --event-handlers console_cohesion- console_direct- desktop_notification- \
        --cmake-args -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF \
        "-DPython3_EXECUTABLE=$venv/bin/python" >"$work/output" 2>&1 || { cat "$work/output" >&2; return 1; }

    local partial=$built.partial
    rm -rf "$partial" && mkdir -p "$partial"
    cp -a "$work/install/lib" "$work/install/share" "$partial"
    mv "$partial" "$built"
}

if [[ ! -d $built ]]; then
    echo "surfpose setup: building vision_msgs and tf2_msgs, once, about a minute" >&2
    build
fi
cp -a "$built/." .venv/
echo "$hash" >"$stamp"
