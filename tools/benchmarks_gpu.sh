#!/usr/bin/env bash
# What docs/benchmarks/results has from GPUs, measured anew, many trainings at once: some twenty minutes on an H200.
# DATA is the folder of eth80, cad, backgrounds and stanford_cars; GPUS says how many GPUs there are.
#   GPUS=2 tools/benchmarks_gpu.sh DATA RESULTS WORK [PART...]
# Without parts it makes all of them: live, toys, toys_and_cad, held_out_car (horse, cow, cup), cars, unseen_mug
# (chair, airplane), and at last, with nothing beside it, ways.
# Each result is written when it is there; RESULTS/logs has what was printed. SURFPOSE is the command, if it
# is another than surfpose.
set -uo pipefail
data=$(realpath "$1") results=$(realpath -m "$2") work=$(realpath -m "$3")
shift 3
parts=("$@")
gpus=${GPUS:-1}
tools=$(realpath "$(dirname "$0")")
mkdir -p "$results/logs" "$work"
cd "$work"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}  # of many processes at once
run() { ${SURFPOSE:-surfpose} "$@"; }
eth80=(--labels "$data/eth80/frames.csv" --root "$data")

live() { # the layout of DINOv2, with nothing else on its GPU
    run simulate --category mug --first 2000 --count 24 --scenes 24 --seed 9 --out pictures
    run benchmark live "$tools/../models/simulated_mug" --images pictures/mug --device cuda --rounds 8 --threads 4 \
        --layout dinov2_vits14 --input-size 448 --no-mirror --compiled --json "$results/live-gpu-dinov2.json"
}

photos() { # MODEL NAME: Stanford Cars, whole and covered
    local judge=(evaluate pose --model "$1" --labels "$data/stanford_cars/poses.csv" --root "$data" --device cuda
        --axes-labels "$data/eth80/frames.csv" --axes-captures toys)
    run "${judge[@]}" --json "$results/$2.json"
    for cover in "20 40" "40 60" "60 80"; do
        read -r least most <<< "$cover"
        run "${judge[@]}" --cover "0.$least" "0.$most" --cover-with "$data/backgrounds" \
            --json "$results/$2-covered-$least-$most.json"
    done
}

toys() { # ten toy cars, then photos
    time run retrain --category car toys --out car_toys --preset long --device cuda --jobs 8
    photos car_toys eth80-to-stanford-cars-long
}

ways() { # the reference beside our search, with what `toys` and `cars` learnt: pictures of all sizes, and of one
    run benchmark pose --model car_toys --labels "$data/stanford_cars/poses.csv" --root "$data" --captures toys \
        --surfaces car_toys.work/surfaces --axes-labels "$data/eth80/frames.csv" --boxes image --limit 100 \
        --ways ours,render --device cuda --compiled --json "$results/eth80-to-stanford-cars-ways-gpu.json"
    run benchmark pose --model unseen_car --labels scenes/car/labels.csv --root scenes/car --captures captures/car \
        --surfaces unseen_car.work/surfaces --axes-labels captures/car/truth.json --limit 32 \
        --ways ours,render --device cuda --compiled --json "$results/cad-unseen-car-ways-gpu.json"
}

toys_and_cad() {
    render all_cars car "$data"/cad/car/*.glb
    time run retrain --category car toys captures/all_cars --out car_cad --preset long --device cuda --jobs 8
    photos car_cad eth80-and-cad-to-stanford-cars-long
}

held_out() { # CATEGORY: three splits of seven toys and three
    run import "${eth80[@]}" --category "$1" --out "held/$1"
    run benchmark train --captures "held/$1" --category "$1" "${eth80[@]}" --work "held/$1.work" --test 3 --splits 3 \
        --backgrounds "$data/backgrounds" --device cuda --json "$results/eth80-held-out-$1.json"
}

render() { # FOLDER CATEGORY MESHES: captures/FOLDER, mesh by mesh, with one truth.json
    local folder=$1 category=$2
    shift 2
    mkdir -p "parts/$folder" "captures/$folder"
    for mesh in "$@"; do
        (($(jobs -rp | wc -l) < 16)) || wait -n
        CUDA_VISIBLE_DEVICES='' run simulate --category "$category" --mesh "$mesh" --poses turntable \
            --elevations 10,30,55 --out "parts/$folder/$(basename "$mesh" .glb)" &
    done
    wait
    python3 - "$folder" <<'PYTHON'
import json, shutil, sys
from pathlib import Path

folder, whole = sys.argv[1], {}
for path in sorted(Path("parts", folder).glob("*/truth.json")):
    truth = json.loads(path.read_text())
    for name in truth["video_from_object"]:
        shutil.move(path.parent / name, Path("captures", folder, name))
    truth["video_from_object"] |= whole.get("video_from_object", {})
    whole = truth
Path("captures", folder, "truth.json").write_text(json.dumps(whole))
PYTHON
}

unseen() { # CATEGORY: learnt from three in four CAD objects, judged by scenes of the others
    local learn=() judge=() i=0
    for mesh in "$data/cad/$1"/*.glb; do
        if ((i++ % 4 == 3)); then judge+=(--mesh "$mesh"); else learn+=("$mesh"); fi
    done
    render "$1" "$1" "${learn[@]}"
    CUDA_VISIBLE_DEVICES='' run simulate --category "$1" "${judge[@]}" --scenes 96 --size-spread 0.1 --depth --seed 3 \
        --out "scenes/$1" &
    run retrain --category "$1" "captures/$1" --out "unseen_$1" --device cuda --jobs 6
    wait
    local asked=(evaluate pose --model "unseen_$1" --labels "scenes/$1/labels.csv" --root "scenes/$1" --device cuda
        --axes-labels "captures/$1/truth.json" --axes-captures "captures/$1")
    run "${asked[@]}" --boxes search --json "$results/cad-unseen-$1-searched.json"
    run "${asked[@]}" --boxes labels --json "$results/cad-unseen-$1-boxes.json"
    run "${asked[@]}" --boxes labels --depth --json "$results/cad-unseen-$1-boxes-depth.json"
}

cars() { # as the others, then the learning curve on the same scenes
    unseen car
    run benchmark train --captures captures/car --category car --labels captures/car/truth.json \
        --test-labels scenes/car/labels.csv --work curve --objects 3,5,10,20,27 --device cuda \
        --json "$results/learning-curve-car.json"
}

wanted() { ((${#parts[@]} == 0)) || [[ " ${parts[*]} " == *" $1 "* ]]; } # PART

number=0
start() { # FUNCTION [ARGUMENT]: the part of that name, if wanted, in the background, on the GPUs in turn
    local part=$1${2:+_$2} gpu=$((number % gpus))
    wanted "$part" || return 0
    ((number += 1))
    CUDA_VISIBLE_DEVICES=$gpu "$@" > "$results/logs/$part.txt" 2>&1 &
}

alone() { # FUNCTION: the part of that name, if wanted, with nothing beside it
    wanted "$1" || return 0
    CUDA_VISIBLE_DEVICES=0 "$1" > "$results/logs/$1.txt" 2>&1
}

[[ -d toys ]] || run import "${eth80[@]}" --category car --out toys > "$results/logs/import.txt" 2>&1
alone live
start toys
start toys_and_cad
for category in car horse cow cup; do start held_out "$category"; done
start cars
for category in mug chair airplane; do start unseen "$category"; done
wait
alone ways
grep -l "^surfpose: " "$results"/logs/*.txt | sed 's/^/failed, see /'
ls "$results"/*.json
