#!/usr/bin/env bash
# Doxygen over the public headers: every public name has its comment, and every comment is understood.   headers_test.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v doxygen >/dev/null || { echo "skipped: there is no doxygen; apt-get install doxygen"; exit 77; }
mkdir -p "$1"
AGPNET_REFERENCE=$1 doxygen docs/Doxyfile
