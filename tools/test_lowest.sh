#!/usr/bin/env bash
# Runs the tests with the lowest version of each dependency that pyproject.toml allows, in an environment of its own.
# Torch is the version of constraints.txt. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV

python3 -m venv "$scratch/venv"
export PATH="$scratch/venv/bin:$PATH"
python - >"$scratch/lowest.txt" <<'PYTHON'
import re, tomllib

project = tomllib.load(open("pyproject.toml", "rb"))["project"]
requirements = list(project["dependencies"])
for name, extra in project["optional-dependencies"].items():
    if name not in ("all", "dev", "docs", "peers"):
        requirements += extra
for requirement in requirements:
    if requirement.startswith("hbm-fast"):  # an extra that contains another
        continue
    name, bound = re.fullmatch(r"([\w-]+)(?:\[.*\])?>=([\d.]+)", requirement).groups()
    if name != "torch":
        print(f"{name}=={bound}")
PYTHON
cat "$scratch/lowest.txt"
python -m pip install --quiet -c "$scratch/lowest.txt" -c constraints.txt ".[all,sklearn,pymc,jax,numpyro,test]" nutpie
python -m pytest "$@"
