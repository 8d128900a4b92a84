#!/usr/bin/env bash
# The wheel in a clean environment: sdist -> wheel -> manylinux repair -> an environment with numpy and narwhals alone -> the tests,
# in a directory without the sources. Needs python3 -m build, auditwheel and patchelf on the PATH.
#   tools/check_wheel.sh [FOLDER]     leaves the sdist and the wheels in FOLDER (default: dist)
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
dist=$(realpath -m "${1:-dist}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
limit=1500000
whole_limit=4000000

python3 -m build --outdir "$dist" . >"$scratch/build.log" 2>&1 || { tail -40 "$scratch/build.log"; exit 1; }
wheel=$(ls -t "$dist"/*-linux_*.whl | head -1)
auditwheel repair --wheel-dir "$dist" "$wheel" >"$scratch/repair.log" 2>&1 || { cat "$scratch/repair.log"; exit 1; }
repaired=$(ls -t "$dist"/*manylinux*.whl | head -1)
auditwheel show "$repaired" | tr '\n' ' ' | grep -o "consistent with[^.]*"
size=$(python3 - "$repaired" <<'PY'
import sys, zipfile
items = zipfile.ZipFile(sys.argv[1]).infolist()
print(sum(i.compress_size for i in items if not i.filename.endswith(".safetensors")))
PY
)
echo "$(basename "$repaired"): $(stat -c %s "$repaired") bytes, $size without the shipped networks"
[ "$size" -lt "$limit" ] || { echo "over $limit bytes without the networks"; exit 1; }
[ "$(stat -c %s "$repaired")" -lt "$whole_limit" ] || { echo "over $whole_limit bytes"; exit 1; }

python3 -m venv "$scratch/venv"
python="$scratch/venv/bin/python"
cd "$scratch"
"$python" -m pip install --quiet "$repaired"
"$python" -m pip list --format freeze | grep -viE "^(pip|setuptools|numpy|narwhals|hbm-fast)==" && { echo "more than numpy and narwhals came along"; exit 1; }
# first answer of the bare installation
time "$python" -W error -c "
import hbm_fast as hbm
print(hbm.simulate(hbm.HierarchicalModel(2), 10_000, n_groups=21, totals=20, rng=0).counts.sum())"
"$python" - <<'PY'
import subprocess, sys, time

def seconds(code):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start

rounds = [(seconds("import numpy"), seconds("import hbm_fast")) for _ in range(20)]
numpy, ours = (min(column) for column in zip(*rounds))
print(f"import numpy {numpy * 1e3:.0f} ms, import hbm_fast {ours * 1e3:.0f} ms: {ours / numpy - 1:+.1%}")
PY

"$python" -m pip install --quiet -c "$root/constraints.txt" "$repaired[all,test]"
cp -r "$root/tests" "$scratch/tests"
cp "$root/pyproject.toml" "$scratch/"
"$python" -m pytest -n 2 -p no:cacheprovider --quiet
