#!/usr/bin/env bash
# Make sure that Debian packages are there: installed if we are root, else named in one line.
#   tools/debian.sh PACKAGE...
set -euo pipefail

missing=()
for package in "$@"; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0
if [[ $(id -u) -ne 0 ]]; then
    echo "surfpose setup: missing Debian packages; run: sudo apt-get install ${missing[*]}" >&2
    exit 1
fi
echo "surfpose setup: installing Debian packages: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
{ apt-get update && apt-get install --yes --no-install-recommends "${missing[@]}"; } >/dev/null
