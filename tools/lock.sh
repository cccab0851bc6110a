#!/usr/bin/env bash
# Write requirements.lock anew from setup.cfg and requirements.in, for `make setup`.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.cache/lock
[[ -x $venv/bin/pip-compile ]] || { python3 -m venv "$venv" && "$venv/bin/pip" install -qq "pip-tools>=7.4,<8"; }
"$venv/bin/pip-compile" --quiet --upgrade --strip-extras --extra ros --extra openvino --extra datasets --extra dev \
    --no-emit-index-url --no-emit-find-links --no-header --output-file requirements.lock \
    setup.py requirements.in
# A local build label (torch +cpu, +cu130) names one machine's download: any build of the version will do.
sed -i -E 's/^([a-z0-9._-]+==[^+ ]+)\+[a-z0-9.]+/\1/' requirements.lock
"$venv/bin/pip-compile" --quiet --upgrade --allow-unsafe --strip-extras --constraint requirements.lock \
    --no-emit-index-url --no-emit-find-links --no-header --output-file test/interfaces/requirements.lock \
    test/interfaces/requirements.in
