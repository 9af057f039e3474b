#!/usr/bin/env bash
# Make an environment for python -m benchmarks.loaders:  benchmarks/loader_peers.sh FOLDER [PYTHON]
# It is separate from the others, as the peers need other versions of their dependencies.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
"${2:-python3}" -m venv "$folder"
pip="$folder/bin/python -m pip install --quiet"
$pip --upgrade "pip>=25.1"
torch=$($pip torch==2.13.0+cpu 2>/dev/null && echo 2.13.0+cpu || echo 2.13.0)
pins=$(mktemp)
trap 'rm -f "$pins"' EXIT
echo "torch==$torch" > "$pins"
$pip --constraint "$pins" --editable . torch opencv-python-headless
for peer in litdata==0.2.76 webdataset==1.0.2 mosaicml-streaming==0.13.0; do
    $pip --constraint "$pins" "$peer" || echo "$peer does not install here" >&2
done
