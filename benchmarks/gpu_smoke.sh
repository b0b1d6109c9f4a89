#!/bin/sh
# Whether training works on this machine's GPU, in under 10 minutes and without a network:
#
#     benchmarks/gpu_smoke.sh OUT [MODEL]
#
# OUT is a folder for the results. MODEL is the folder of a chat model; by default a stock model of
# 100 million parameters with random weights is made. DEVICE=cpu rehearses it with small sizes.
# PYTHON names the interpreter. Exit code 0: all is well; 1: it is not; 2: something is missing.
set -u
out=${1:?name a folder for the results}
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3} device=${DEVICE:-cuda}
export PYTHONPATH="$here/../src:$here${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
mkdir -p "$out" || exit 2
"$python" "$here/needed.py" || exit 2
code=0
"$python" "$here/model_check.py" --device "$device" --out "$out/model_check.json" \
    ${2:+--model "$2"} || code=1
"$python" "$here/device_check.py" --device "$device" --out "$out/device_check.json" || code=1
exit $code
