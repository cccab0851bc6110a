#!/usr/bin/env bash
# Make the results under docs/benchmarks/results and the page of them. With nothing but this clone that is the
# mini benchmark, about half an hour on two cores; what needs data beside the project (../shared/data) is
# measured where that is, and named as left out where not. Finished steps are kept in work/benchmarks.
#   tools/benchmarks.sh [RESULTS_FOLDER]     default: docs/benchmarks/results
set -euo pipefail
cd "$(dirname "$0")/.."
results=${1:-docs/benchmarks/results}
work=work/benchmarks
data=../shared/data
run() { .venv/bin/surfpose "$@"; }
here() { # DATA BENCHMARK: whether the data is there; says what is left out if not
    [[ -e $data/$1 ]] || { echo "benchmarks: $2 left out: no $data/$1" >&2; return 1; }
}
mkdir -p "$results" "$work"

[[ -f $work/mini/mini.json ]] || run benchmark make-mini --out "$work/mini"
run benchmark mini --data "$work/mini" --work "$work/mini_models" --json "$results/mini.json"

if here co3d_alignments/published.npz "paper-alignment"; then
    run benchmark paper-alignment --data "$data/co3d_alignments/published.npz" --json "$results/paper-alignment.json"
fi

labels=(--labels "$data/eth80/frames.csv" --root "$data")
for category in car cup horse cow; do
    here eth80 "alignment of ETH-80 $category" || continue
    captures=$work/eth80/captures/$category
    [[ -d $captures ]] || run import "${labels[@]}" --category "$category" --out "$captures"
    run reconstruct "$captures" --out "$work/eth80/surfaces/$category"
    [[ -f $work/eth80/$category.json ]] || run align "$work/eth80/surfaces/$category" --out "$work/eth80/$category.json"
    run evaluate alignment --alignment "$work/eth80/$category.json" --captures "$captures" "${labels[@]}" \
        --json "$results/eth80-alignment-$category.json"
done

if here eth80 "ETH-80 to Stanford Cars" && here stanford_cars "ETH-80 to Stanford Cars"; then
    captures=$work/eth80/captures/car
    run retrain --category car "$captures" --out "$work/eth80/model_car"
    judge=(evaluate pose --model "$work/eth80/model_car" --labels "$data/stanford_cars/poses.csv" --root "$data"
        --axes-labels "$data/eth80/frames.csv" --axes-captures "$captures")
    run "${judge[@]}" --json "$results/eth80-to-stanford-cars.json"
    for cover in "20 40" "40 60" "60 80"; do
        here backgrounds "cars covered by $cover %" || continue
        read -r least most <<< "$cover"
        run "${judge[@]}" --cover "0.$least" "0.$most" --cover-with "$data/backgrounds" \
            --json "$results/eth80-to-stanford-cars-covered-$least-$most.json"
    done
fi

run benchmark page --results "$results" --published docs/benchmarks/published.yaml --out docs/benchmarks.md
