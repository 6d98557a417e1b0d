#!/bin/sh
# Installs what the tests need and runs all of them, in layers. Needs Python 3.11 or newer and a C library.
#
#   sh scripts/test.sh            the run that CI makes: under 20 minutes on 2 cores
#   sh scripts/test.sh --long     the same tests with many more examples, and those marked `long`
#
# Environment: MERGEGUARD_TEST_VENV, MERGEGUARD_TEST_PYTHON, MERGEGUARD_TEST_JOBS, MERGEGUARD_TEST_POSTGRES_URL,
# MERGEGUARD_TEST_POSTGRES_VERSION, MERGEGUARD_TEST_MSSQL_URL. tests/README.md explains them.
set -eu

usage() {
    echo "usage: sh scripts/test.sh [--long]" >&2
    exit 2
}

long=
for argument in "$@"; do
    case $argument in
        --long) long=--long ;;
        *) usage ;;
    esac
done

cd "$(dirname "$0")/.."
checkout=$PWD
venv=${MERGEGUARD_TEST_VENV:-$checkout/.cache/test-venv}
jobs=${MERGEGUARD_TEST_JOBS:-2}
# Neither the caller's folders nor the caller's packages may take part.
unset PYTHONPATH PYTHONHOME 2>/dev/null || true
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONUNBUFFERED=1

find_python() {
    for candidate in ${MERGEGUARD_TEST_PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "test.sh: no Python 3.11 or newer found; name one with MERGEGUARD_TEST_PYTHON" >&2
    exit 3
}

# What to install is read from pyproject.toml: `pip install --group` needs a newer pip than Python 3.11 brings.
requirements() {
    "$python" - "$1" <<'PYTHON'
import re, sys, tomllib
project = tomllib.load(open("pyproject.toml", "rb"))
if sys.argv[1] == "test":
    print("\n".join(project["dependency-groups"]["test"]))
else:
    lowest = next(line for line in project["project"]["dependencies"] if line.startswith("networkx"))
    print("networkx==" + re.search(r">=\s*([\d.]+)", lowest)[1] + ".*")
PYTHON
}

install() {
    rm -f "$venv/ready"
    "$python" -m venv --clear "$venv" || {
        echo "test.sh: '$python -m venv' failed; Debian and Ubuntu keep it in the package python3-venv" >&2
        return 3
    }
    requirements test >"$venv/test-requirements.txt"
    requirements lowest >"$venv/lowest-requirements.txt"
    "$venv/bin/python" -m pip install -qq -e '.[postgresql,fast,serve,testing]' -r "$venv/test-requirements.txt" &&
        "$venv/bin/python" -m pip install -qq --no-deps --target "$venv/lowest" -r "$venv/lowest-requirements.txt" &&
        printf '%s' "$fingerprint" >"$venv/ready"
}

check() {
    ruff check . && ruff format --check . && mypy && lint-imports
}

unit() {
    pytest -q -n "$jobs" $long -m "not storage"
}

storage() {
    pytest -q -n "$jobs" $long -m storage
}

# networkx 3.2 warns that it tried pandas and scipy, which nobody here installs.
lowest_networkx() {
    PYTHONPATH=$venv/lowest python -c 'import networkx; print("networkx", networkx.__version__)' &&
        PYTHONPATH=$venv/lowest pytest -q -n "$jobs" $long -W ignore::ImportWarning tests/core/test_graph_*.py
}

# A function cannot be put behind `timeout`, so each layer is this script again.
if [ -n "${MERGEGUARD_TEST_LAYER:-}" ]; then
    python=${MERGEGUARD_TEST_PYTHON:-python}
    layer=$MERGEGUARD_TEST_LAYER
    unset MERGEGUARD_TEST_LAYER
    "$layer"
    exit
fi

failed=
run_layer() { # name, budget in seconds, title
    budget=$2
    if [ -n "$long" ] && [ "$1" != install ]; then budget=$((budget * 6)); fi
    echo
    echo "=== $3 (budget $budget s)"
    started=$(date +%s)
    status=0
    MERGEGUARD_TEST_LAYER=$1 $(bounded "$budget") sh "$checkout/scripts/test.sh" $long </dev/null || status=$?
    took=$(($(date +%s) - started))
    case $status in
        0) echo "--- $3: $took s of $budget s" ;;
        124 | 137) echo "--- $3: STOPPED after $took s, over its budget of $budget s" ;;
        *) echo "--- $3: FAILED after $took s, status $status" ;;
    esac
    if [ "$status" -ne 0 ]; then failed="$failed $1"; fi
}

bounded() {
    if timeout -k 1 5 true 2>/dev/null; then echo "timeout -k 30 $1"; fi
}

python=$(find_python)
export MERGEGUARD_TEST_PYTHON="$python"
fingerprint=$("$python" - <<'PYTHON'
import hashlib, os, sys
text = open("pyproject.toml", "rb").read() + os.path.realpath(sys.executable).encode() + sys.version.encode()
print(hashlib.sha256(text + os.getcwd().encode()).hexdigest())
PYTHON
)
export venv fingerprint
if [ "$(cat "$venv/ready" 2>/dev/null)" != "$fingerprint" ]; then
    run_layer install 65 "Installing into $venv"
    if [ -n "$failed" ]; then
        echo "test.sh: the tests' packages could not be installed" >&2
        exit 3
    fi
fi
PATH=$venv/bin:$PATH
MERGEGUARD_TEST_PYTHON=$venv/bin/python
MERGEGUARD_TEST_COUNTS=$(mktemp)
export PATH MERGEGUARD_TEST_PYTHON MERGEGUARD_TEST_COUNTS
trap 'rm -f "$MERGEGUARD_TEST_COUNTS"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

run_layer check 40 "Lint, format, types, layers"
run_layer unit 775 "Unit and property tests"
run_layer storage 300 "Storage and PostgreSQL"
run_layer lowest_networkx 20 "Graph tests on the lowest networkx"

echo
if [ -n "$failed" ]; then echo "failed:$failed"; fi
# The closing line of a test run, over all layers.
awk '{ p += $1; f += $2; s += $3 } END { printf "%d passed, %d failed, %d skipped\n", p, f, s }' "$MERGEGUARD_TEST_COUNTS"
[ -z "$failed" ]
