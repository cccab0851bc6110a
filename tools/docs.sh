#!/usr/bin/env bash
# Build the documentation site into site/: the pages of docs/, the README, and the command line's own help.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.cache/docs/venv pages=.cache/docs/pages
[[ -x $venv/bin/mkdocs ]] || { python3 -m venv "$venv" && "$venv/bin/pip" install -qq 'mkdocs-material>=9.5,<10'; }

rm -rf "$pages" && mkdir -p "$pages"
cp -r docs/. "$pages"
sed -i 's#](../README.md#](index.md#g' "$pages"/*.md
sed -e 's#](docs/#](#g' -e 's#](CONTRIBUTING.md#](contributing.md#g' -e 's#](models/README.md#](models.md#g' \
    -e '/^<!--.*-->$/d' -e 's#\[CITATION.cff\](CITATION.cff)#`CITATION.cff`#' README.md >"$pages/index.md"
cp models/README.md "$pages/models.md"
sed -e 's#](docs/#](#g' CONTRIBUTING.md >"$pages/contributing.md"
.venv/bin/python tools/cli_reference.py >"$pages/cli.md"
NO_MKDOCS_2_WARNING=1 "$venv/bin/mkdocs" build --clean
echo "site/index.html"
