#!/usr/bin/env bash
# The paper's measurements in the order of their worth, in slices of GPU time: what a slice did not
# finish, the next one continues, from the last checkpoint on.
#
#   benchmarks/gpu_paper.sh --slice-minutes 25 --out runs --data-root DATA --weights resnet50.safetensors
#
# What follows "--" changes settings of every run, so the same path can be rehearsed on a CPU:
#   benchmarks/gpu_paper.sh --slice-minutes 5 --out /tmp/rehearsal --seeds 2 -- \
#       model=orthowatt_resnet8 data=digits image_size=32 pretrained=false epochs=1
# or with the real data and weights, on few images: -- limit_images=64 image_size=64 batch_size=8
set -euo pipefail

{ # read whole before it runs, so that it may be replaced meanwhile

usage() {
    echo "usage: $0 --slice-minutes N [--out DIR] [--data-root DIR] [--weights FILE]" \
        "[--weights-note TEXT] [--photos DIR] [--seeds N] [--only STEP] [-- NAME=VALUE …]" >&2
    exit 2
}

minutes="" out=gpu-paper data_root="" weights="" note="" photos="" seeds="" only=""
while [ $# -gt 0 ]; do
    case "$1" in
        --slice-minutes) minutes=${2:?}; shift 2 ;;
        --out) out=${2:?}; shift 2 ;;
        --data-root) data_root=${2:?}; shift 2 ;;
        --weights) weights=${2:?}; shift 2 ;;
        --weights-note) note=${2:?}; shift 2 ;;
        --photos) photos=$(realpath "${2:?}"); shift 2 ;;
        --seeds) seeds=${2:?}; shift 2 ;;
        --only) only=${2:?}; shift 2 ;;
        --) shift; break ;;
        *) usage ;;
    esac
done
[[ "$minutes" =~ ^[0-9]+$ ]] || usage
deadline=$((SECONDS + 60 * minutes))
# a source tree that is not installed runs too: PYTHONPATH=src, and PYTHON where it is not python3
orthowatt=(orthowatt)
if [ -n "${PYTHON:-}" ] || ! command -v orthowatt >/dev/null; then
    orthowatt=("${PYTHON:-python3}" -m orthowatt)
fi

mkdir -p "$out"
failed=()
[ -z "$note" ] || printf '%s\n' "$note" >"$out/weights.txt"
common=() pretrained=() extra=("$@")
[ -z "$data_root" ] || common+=("data_root=$data_root")
[ -z "$weights" ] || pretrained=("weights=$(realpath "$weights")")

# step NAME SEEDS RECIPE [SETTING…]: a study in its own folder; only what is missing is done
step() {
    local name=$1 count=${seeds:-$2} recipe=$3
    shift 3
    if [ -n "$only" ] && [ "$only" != "$name" ]; then return 0; fi
    local left=$((deadline - SECONDS))
    if [ "$left" -le 0 ]; then
        echo "slice over before $name; the same command goes on" >&2
        exit 0
    fi
    local settings=("$@" "${common[@]}" "${extra[@]}") code=0 set=()
    [ ${#settings[@]} -eq 0 ] || set=(--set "${settings[@]}")
    printf '== %s (%s s left)\n' "$name" "$left"
    # SIGTERM lets the run end its step and write a checkpoint; the study hands it on, and in the
    # foreground Ctrl-C reaches both
    timeout --foreground --signal=TERM --kill-after=120 "$left" \
        "${orthowatt[@]}" study "$recipe" --out "$out/$name" --seeds "$count" \
        "${set[@]}" || code=$?
    if [ "$code" -eq 124 ] || [ "$code" -eq 143 ]; then
        echo "slice over within $name; the same command goes on" >&2
        exit 0
    fi
    if [ "$code" -eq 130 ]; then
        echo "stopped within $name; the same command goes on" >&2
        exit 130
    fi
    if [ "$code" -ne 0 ]; then
        echo "$name ended with exit code $code" >&2
        failed+=("$name")
    fi
}

# without budget_joules: a run that was cut short before its rate has fallen says little, and one
# that passes the limit is a result too
step fast 1 fast "${pretrained[@]}" train_on=train+validation
step core-20 1 paper-core "${pretrained[@]}"
step core-5 6 paper-core "${pretrained[@]}" epochs=5
step fwht 6 fwht "${pretrained[@]}"
step speed32 3 speed32
step grid 1 paper "${pretrained[@]}" epochs=5
step fast-ablation 3 fast-ablation "${pretrained[@]}"
step scratch32 1 scratch32
if [ -n "$photos" ]; then # a folder with train/ and val/ or test/, each with a folder a class
    step native 3 native "${pretrained[@]}" data="imagefolder:$photos"
else
    echo "native left out: name a folder of photos by --photos" >&2
fi
if [ ${#failed[@]} -gt 0 ]; then
    echo "not done: ${failed[*]}; the same command tries them again (runs whose loss was not finite:" \
        "orthowatt study … --retry-failed)" >&2
    exit 1
fi
echo "everything is done; the tables: python benchmarks/results_page.py --collect $out"
exit 0
}
