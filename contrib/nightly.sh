#!/usr/bin/env bash
# The suite every night on one Neuron host, without GitHub. In its crontab:
#   17 2 * * * cd ~/neuron-conformance && contrib/nightly.sh sdk-2.29.1 --profile full -n 2 >> nightly.log 2>&1
# The first word is an environment of `nox --list`; the others are pytest's. Yesterday's records are what it compares with.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=${1:?an environment of nox --list, such as sdk-2.29.1}
shift
rm -rf matrices/last-night
if [ -d matrices/records ]; then mv matrices/records matrices/last-night; fi
nox -s "$environment" -- "$@"
nox -s matrix diff
