-- MergeGuard SQL scripts, version 1: postgresql/99_uninstall.sql
-- Takes away what 00 to 90 made: the guard, views, functions, the schema, and our roles where nobody else needs them.
-- Our tables hold data and stay: 99_uninstall_data.sql drops them. Nothing is dropped with CASCADE: what somebody built
-- upon our objects, or put into our schema, stops this, and the error says what it is.

DROP TRIGGER IF EXISTS /*{guard_insert*/"mergeguard_guard_insert"/*}*/ ON /*{merge_table*/"ResourceMerge"/*}*/;
DROP TRIGGER IF EXISTS /*{guard_update*/"mergeguard_guard_update"/*}*/ ON /*{merge_table*/"ResourceMerge"/*}*/;
DROP FUNCTION IF EXISTS /*{guard_function*/"mergeguard_guard_check"/*}*/();
DROP TABLE IF EXISTS /*{guard*/"mergeguard_guard"/*}*/;

DROP VIEW IF EXISTS
    mergeguard.merge_rows, mergeguard.live_guids, mergeguard.guid_types, mergeguard.reference_guids,
    mergeguard.declared, mergeguard.places, mergeguard.reference_places, mergeguard.hash_places,
    mergeguard.hash_classes, mergeguard.link_maxima, mergeguard.black_lists, mergeguard.lookup_rows, mergeguard.roots,
    mergeguard.never_pairs, mergeguard.requests, mergeguard.journal_runs, mergeguard.journal_steps, mergeguard.journal_changes;

DROP ROUTINE IF EXISTS
    mergeguard.guid_of, mergeguard.numbered, mergeguard.walked, mergeguard.graph, mergeguard.reach,
    mergeguard.answers, mergeguard.closure, mergeguard.current_guid, mergeguard.merge_lock_key,
    mergeguard.require_read_committed, mergeguard.rebuild_lookup, mergeguard.mend_lookup, mergeguard.ascii_of,
    mergeguard.json_of, mergeguard.columns_of, mergeguard.image_sql, mergeguard.find_row, mergeguard.change_row,
    mergeguard.place_of, mergeguard.digest_of, mergeguard.held_row, mergeguard.class_of, mergeguard.class_of_table,
    mergeguard.loads_of, mergeguard.ages_of, mergeguard.outdated_root, mergeguard.survive, mergeguard.clear_hashes, mergeguard.survivals,
    mergeguard.around_of, mergeguard.share_roots, mergeguard.lock_roots, mergeguard.require_roots,
    mergeguard.move_references, mergeguard.count_plain, mergeguard.move_plain, mergeguard.refuse, mergeguard.roots_of,
    mergeguard.require_allowed, mergeguard.answered, mergeguard.has_key, mergeguard.require_guard, mergeguard.turn_of, mergeguard.write_merge,
    mergeguard.write_black_list,
    mergeguard.journal_merge, mergeguard.answer_of, mergeguard.merge_once, mergeguard.merge_roots,
    mergeguard.random_guid, mergeguard.merge, mergeguard.preview, mergeguard.merge_guids, mergeguard.unmerge,
    mergeguard.images_of, mergeguard.unmerge_run, mergeguard.rings, mergeguard.rules_checked, mergeguard.listed,
    mergeguard.scan;

DROP SCHEMA IF EXISTS mergeguard;

DO $mergeguard$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['mergeguard_scan', 'mergeguard_processor', 'mergeguard_repair'] LOOP
        BEGIN
            EXECUTE pg_catalog.format('DROP ROLE IF EXISTS %I', role);
        EXCEPTION
            WHEN dependent_objects_still_exist OR insufficient_privilege THEN
                RAISE NOTICE 'role % stays: another database needs it, or it is not yours to drop', role;
        END;
    END LOOP;
END
$mergeguard$;
