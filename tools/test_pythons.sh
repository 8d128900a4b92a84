#!/usr/bin/env bash
# Builds the wheel and runs the core tests with several Pythons, and ends with a line for each.
#   tools/test_pythons.sh python3.11 python3.13     Pythons of this machine; all that PATH has where none is named
#   tools/test_pythons.sh --debian FOLDER           the same in a Debian sid, which debootstrap lays in FOLDER (root only)
# Libraries for which a Python has no wheel are left out, and said so; the tests that need them are skipped or not collected.
# CXX is the compiler; with ccache on the PATH the kernels are compiled once for all Pythons.
set -euo pipefail
cd "$(dirname "$0")/.."
core=(likelihood simulation statistics sampling fitting tables)
libraries=(scipy pandas polars pyarrow xarray formulaic numba)

in_debian() {  # FOLDER, a command for the root of that Debian
  mountpoint -q "$1/proc" || mount -t proc proc "$1/proc"
  local result=0
  chroot "$1" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt CCACHE_DIR=/ccache ${CXX:+CXX="$CXX"} bash -euo pipefail -c "$2" || result=$?
  umount "$1/proc"
  return "$result"
}

lay_debian() {
  [ -x "$1/usr/bin/apt-get" ] || debootstrap --variant=minbase --include=ca-certificates sid "$1" >"$1.log"
  cp -L /etc/resolv.conf "$1/etc/resolv.conf"
  cp -L /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"
  in_debian "$1" 'apt-get -q update; apt-get -qy install --no-install-recommends g++ cmake ninja-build ccache git \
    $(apt-cache pkgnames python3. | grep -xE "python3[.][0-9]+-(dev|venv)")' >"$1/apt.log" 2>&1 || {
    tail -5 "$1/apt.log"
    return 1
  }
  rm -rf "$1/hbm_fast"
  git clone --quiet . "$1/hbm_fast"
}

if [ "${1:-}" = --debian ]; then
  lay_debian "$2"
  in_debian "$2" /hbm_fast/tools/test_pythons.sh
  exit
fi

if [ $# -eq 0 ]; then
  set -- $(compgen -c python3. | grep -xE 'python3\.[0-9]+t?' | sort -uV)
fi
if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_NOHASHDIR=1; fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
failed=0
for python in "$@"; do
  venv=$scratch/$(basename "$python")
  "$python" -m venv "$venv"
  here=$venv/bin/python
  "$here" -m pip wheel --quiet --no-deps --wheel-dir "$venv/wheel" .
  "$here" -m pip install --quiet "$venv"/wheel/*.whl pytest hypothesis mpmath pytest-benchmark
  missing=
  for library in "${libraries[@]}"; do
    "$here" -m pip install --quiet --only-binary :all: "$library" >/dev/null 2>&1 || missing+=" $library"
  done
  line=$("$here" -m pytest -q -p no:cacheprovider "${core[@]/#/tests/}" | tee "$venv.log" | tail -1) || { failed=1; tail -40 "$venv.log"; }
  echo "$("$here" -VV), numpy $("$here" -c 'import numpy; print(numpy.__version__)'): $line${missing:+; not to be had:$missing}" | tee -a "$scratch/lines"
done
printf '\n'
cat "$scratch/lines"
exit "$failed"
