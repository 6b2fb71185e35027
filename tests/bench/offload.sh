#!/usr/bin/env bash
# What offload = true is worth beside plain routing: sudo tests/bench/offload.sh [12|13]
# Boots Debian 12 or 13 by tests/vm/run.sh and plays hanat-bench-offload there; on the emulated processor only the ratios count. On a machine
# whose kernel has flowtables that program says it without any of this. HANAT_BUILD=DIR takes the benchmark of a build that is there instead of
# building; HANAT_PACKAGE=FILE.deb is the package to install.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=${HANAT_BUILD:-build/release}
if [ -z "${HANAT_BUILD-}" ]; then
  # shellcheck source=tests/install-deps.sh
  . tests/install-deps.sh
  install_packages "${build_packages[@]}" "${build_test_packages[@]}" "${lab_packages[@]}"
  cmake --preset release -DHANAT_UNITY=ON >/dev/null
  cmake --build --preset release -j "$(nproc)" --target hanat-bench-offload >/dev/null
fi
export HANAT_BENCH=$build/tests/hanat-bench-offload
exec tests/vm/run.sh "${1:-12}" "${HANAT_PACKAGE-}" offload_speed
