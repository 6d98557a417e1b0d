#!/bin/sh
# From a bare machine with Python 3.11 or later to a readable report, in one command: makes .venv, installs MergeGuard
# into it, builds a small SQLite database of real merges and looks at it. Run it again at any time.
#
#   sh scripts/quickstart.sh
#   PYTHON=/usr/bin/python3.12 sh scripts/quickstart.sh     # with an interpreter of your choice

set -eu

cd "$(dirname "$0")/.."
demo=mergeguard-demo
database=$demo/tz.db
# Version 5 ids of three names; the demonstration makes the same ones each time.
shiprock=5401209a-65d4-5317-b31c-4e80491e0fe0 # America/Shiprock, on a cycle with America/Denver
us_pacific=0d617170-af0b-5499-a848-0491c8ff42ae
calcutta=6a9b812f-2336-531a-a5c0-90ef3d97365a

say() { printf '\n=== %s\n' "$*"; }

fail() {
    printf 'quickstart: %s\n' "$*" >&2
    exit 1
}

# Print a command, run it, and accept the exit codes named before it: expect "0 1" command...
expect() {
    codes=$1
    shift
    printf '\n$ %s\n' "$*"
    code=0
    "$@" || code=$?
    case " $codes " in *" $code "*) ;; *) fail "\`$*\` ended with exit code $code" ;; esac
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if new_enough "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
}

if [ ! -x .venv/bin/python ]; then
    python=$(find_python)
    [ -n "$python" ] || fail "Python 3.11 or later was not found; name one with PYTHON=/path/to/python3"
    say "1. A virtual environment in .venv"
    "$python" -m venv .venv || fail "no virtual environment could be made (Debian and Ubuntu: apt-get install python3-venv)"
fi

# A developer's checkout has it installed in place already; that is left as it is.
if ! .venv/bin/python -m pip show mergeguard 2>/dev/null | grep -q '^Editable project location'; then
    say "2. MergeGuard and what it needs"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check . || fail "the installation failed; see above"
fi
PATH=$PWD/.venv/bin:$PATH
export PATH

say "3. A database of real merges: every link of the tz database, 445 rows with three cycles in them"
rm -f "$database"
expect 0 mergeguard demo --dir "$demo"

say "4. Scan it. Exit code 1 is right here: it means that there are findings"
expect 1 mergeguard scan "$database" --profile reference

say "5. Explain one of the guids that stand on a cycle: America/Shiprock"
expect 0 mergeguard explain "$database" "$shiprock" --profile reference

say "6. Build the lookup, old guid to current guid, and ask it: America/Shiprock, US/Pacific, Asia/Calcutta"
expect 0 mergeguard lookup build "$database" --profile reference
expect 0 mergeguard resolve "$database" "$shiprock" "$us_pacific" "$calcutta" --profile reference

say "7. The report of the scan as a page"
expect 1 mergeguard scan "$database" --profile reference --format html --output "$demo/report.html"

cat <<END

Done. The scan found what is wrong with the demonstration and ended with exit code 1, as it should; this script ends
with 0 because everything went as expected.

  $demo/report.html   the report, to open in a browser
  $database          the database, to try things on: .venv/bin/mergeguard --help
END
