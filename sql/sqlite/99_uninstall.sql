-- MergeGuard SQL scripts, version 1: sqlite/99_uninstall.sql
-- Takes away all that the other files made, the guard too. The tables that hold data stay: the journal, the lookup, the roots,
-- requests and pairs never to merge; 99_uninstall_data.sql drops those. Triggers on a view go with it.

DROP TRIGGER IF EXISTS /*{guard_insert*/"mergeguard_guard_insert"/*}*/;
DROP TRIGGER IF EXISTS /*{guard_update*/"mergeguard_guard_update"/*}*/;
DROP TABLE IF EXISTS /*{guard*/"mergeguard_guard"/*}*/;

DROP VIEW IF EXISTS mergeguard_findings;
DROP VIEW IF EXISTS mergeguard_rebuild_lookup;
DROP VIEW IF EXISTS mergeguard_unmerge;
DROP VIEW IF EXISTS mergeguard_merge;
DROP VIEW IF EXISTS mergeguard_walk_answers;
DROP TABLE IF EXISTS mergeguard_walk_rows;
DROP TABLE IF EXISTS mergeguard_walk;
DROP VIEW IF EXISTS mergeguard_digest;
DROP TABLE IF EXISTS mergeguard_work;
DROP VIEW IF EXISTS mergeguard_current_guids;
DROP VIEW IF EXISTS mergeguard_edges;
DROP VIEW IF EXISTS mergeguard_reference_guids;
DROP VIEW IF EXISTS mergeguard_guid_types;
DROP VIEW IF EXISTS mergeguard_live_guids;
DROP VIEW IF EXISTS mergeguard_merge_rows;
DROP VIEW IF EXISTS mergeguard_merge_guids;
DROP VIEW IF EXISTS mergeguard_journal_changes;
DROP VIEW IF EXISTS mergeguard_journal_steps;
DROP VIEW IF EXISTS mergeguard_journal_runs;
DROP VIEW IF EXISTS mergeguard_requests;
DROP VIEW IF EXISTS mergeguard_never_pairs;
DROP VIEW IF EXISTS mergeguard_roots;
DROP VIEW IF EXISTS mergeguard_lookup_rows;
DROP VIEW IF EXISTS mergeguard_live_images;
DROP VIEW IF EXISTS mergeguard_merge_images;
DROP VIEW IF EXISTS mergeguard_deleted_values;
DROP VIEW IF EXISTS mergeguard_places;
DROP VIEW IF EXISTS mergeguard_declared;
DROP VIEW IF EXISTS mergeguard_moving_cells;
DROP VIEW IF EXISTS mergeguard_reference_cells;
DROP VIEW IF EXISTS mergeguard_type_cells;
DROP VIEW IF EXISTS mergeguard_live_cells;
DROP VIEW IF EXISTS mergeguard_merge_cells;
