#!/usr/bin/env bash
# Run inside Colab's image, in the repository: install as the set-up cell of a chapter does, then
# run every notebook against the PyTorch that the image brings.
set -euo pipefail

versions() { python -c 'import torch, torchvision; print(torch.__version__, torchvision.__version__)'; }

before=$(versions)
python -m pip install --quiet .
python -m pip install --quiet nbval pytest-xdist
after=$(versions)
echo "torch and torchvision: $after"
if [ "$before" != "$after" ]; then
  echo "pip replaced the image's torch and torchvision, which were $before" >&2
  exit 1
fi

export MEDCLF_PROFILE=tiny OMP_NUM_THREADS=1
exec python -m pytest -n 2 --dist loadfile \
  --nbval-lax --nbval-current-env --nbval-cell-timeout 300 chapters
