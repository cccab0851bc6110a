#!/usr/bin/env bash
# Make the results under docs/benchmarks/results and the page from them: with nothing but this clone the mini
# benchmark, and with the development data beside the project (../shared/data) what needs it as well.
#   tools/benchmarks.sh [RESULTS_FOLDER]     default: docs/benchmarks/results
set -euo pipefail
cd "$(dirname "$0")/.."
results=${1:-docs/benchmarks/results}
work=work/benchmarks
data=../shared/data
run() { .venv/bin/surfpose "$@"; }
mkdir -p "$results" "$work"

run benchmark make-mini --out "$work/mini" > /dev/null
run benchmark mini --data "$work/mini" --work "$work/mini_models" --json "$results/mini.json"

if [[ -d $data/co3d_alignments ]]; then
    run benchmark paper-alignment --data "$data/co3d_alignments/published.npz" --json "$results/paper-alignment.json"
fi
if [[ -d $data/eth80 ]]; then
    for category in car cup horse cow; do
        captures=$work/eth80/captures/$category
        [[ -d $captures ]] || run import --labels "$data/eth80/frames.csv" --root "$data" --category "$category" --out "$captures"
        run reconstruct "$captures" --out "$work/eth80/surfaces/$category"
        [[ -f $work/eth80/$category.json ]] || run align "$work/eth80/surfaces/$category" --out "$work/eth80/$category.json"
        run evaluate alignment --alignment "$work/eth80/$category.json" --captures "$captures" \
            --labels "$data/eth80/frames.csv" --root "$data" --json "$results/eth80-alignment-$category.json"
    done
fi

run benchmark page --results "$results" --published docs/benchmarks/published.yaml --out docs/benchmarks.md
