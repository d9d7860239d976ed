#!/usr/bin/env bash
# Runs a program of Python with the torch that the library was built with; no other can take its operators.   with_torch.sh PROGRAM
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${AGPNET_DEPS:-$PWD/.deps}/venv/bin/python
[ -x "$python" ] || python=python3
reason=$("$python" -c 'import torch' 2>&1 | tail -n 1 || true)
[ -z "$reason" ] || { echo "skipped: $python cannot import torch: $reason"; exit 77; }
exec "$python" "$1"
