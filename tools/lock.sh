#!/usr/bin/env bash
# Resolve pyproject.toml (core, import, docs, trainer, sweep, dev) into requirements.lock: one file for Python 3.11 and later,
# names, versions and markers only. Needs uv on the PATH. PyTorch brings its own accelerator packages, which
# differ by build, so they stay out; it is pinned on 3.11, the leg that runs the trainer.
set -euo pipefail
cd "$(dirname "$0")/.."
resolved=$(uv pip compile -q --universal --python-version 3.11 --no-annotate --no-header \
  --no-emit-package torch --extra import --extra docs --extra trainer --extra sweep --extra dev pyproject.toml 2>/dev/null)
{
  echo "# Written by tools/lock.sh from pyproject.toml. Do not edit by hand."
  grep -vE '^(nvidia-|cuda-|triton)' <<<"$resolved"
  echo "torch==2.13.0 ; python_full_version < '3.12'"
} >requirements.lock
