#!/usr/bin/env bash
# Benchmarks that need more of the kernel than this one may have: sudo tests/bench/in_vm.sh offload|ipvs|cut [KERNEL [short]]
#   offload: what offload = true is worth beside plain routing     ipvs: hanat beside keepalived and IPVS     cut: what a cut costs there
# Boots Debian with one of the kernels that tests/vm/run.sh knows (12, 13, 13-backports, ...; default 12) and plays hanat-bench-NAME of this
# machine's build there, with that build's hanatd. On the emulated processor only ratios count. On a machine whose kernel has what it needs the
# program says it without any of this.
# HANAT_BUILD=DIR takes a build that is there instead of building.
# The machine's clock counts instructions, so that nothing else that runs here changes a figure: it is as if a processor took 1 ns for each.
# HANAT_VM_INSTRUCTIONS= (empty) lets it have the time of this machine.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
case "${1-}" in
offload | cut) ;;
ipvs) export HANAT_VM_PACKAGES='keepalived ipvsadm' ;;
*)
  printf 'usage: sudo tests/bench/in_vm.sh offload|ipvs|cut [KERNEL [short]]\n' >&2
  exit 2
  ;;
esac
build=${HANAT_BUILD:-build/release}
if [ -z "${HANAT_BUILD-}" ]; then
  # shellcheck source=tests/install-deps.sh
  . tests/install-deps.sh
  install_packages "${build_packages[@]}" "${build_test_packages[@]}" "${lab_packages[@]}"
  cmake --preset release -DHANAT_UNITY=ON >/dev/null
  cmake --build --preset release -j "$(nproc)" --target "hanat-bench-$1" hanatd hanatctl >/dev/null
fi
export HANAT_VM_INSTRUCTIONS=${HANAT_VM_INSTRUCTIONS-1}
export HANAT_BENCH=$build/tests/hanat-bench-$1 HANAT_PROGRAMS=$build HANAT_BENCH_FORM=${3-} HANAT_VM_LIMIT=${HANAT_VM_LIMIT:-3600}
exec tests/vm/run.sh "${2:-12}"
