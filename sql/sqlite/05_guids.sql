-- MergeGuard SQL scripts, version 1: sqlite/05_guids.sql
-- The guids in the cells that 00_names.sql names, in one spelling: 36 characters in lower case, NULL for what is none.
-- SQLite has no functions of one's own, so the same expression stands here for each of the cells.

DROP VIEW IF EXISTS mergeguard_merge_guids;
CREATE VIEW mergeguard_merge_guids (row_id, old_guid, new_guid, old_text, new_text, merged_at) AS
SELECT row_id,
    CASE WHEN typeof(old_text) = 'text' AND length(old_text) = 36 AND old_text LIKE '________-____-____-____-____________'
        AND length(replace(old_text, '-', '')) = 32 AND old_text NOT GLOB '*[^0-9a-f-]*' THEN old_text
    ELSE (
        SELECT CASE WHEN length(t) = 32 AND t NOT GLOB '*[^0-9a-f]*'
                THEN substr(t, 1, 8) || '-' || substr(t, 9, 4) || '-' || substr(t, 13, 4) || '-' || substr(t, 17, 4) || '-' || substr(t, 21)
            WHEN t LIKE '________-____-____-____-____________' AND length(replace(t, '-', '')) = 32 AND t NOT GLOB '*[^0-9a-f-]*' THEN t END
        FROM (SELECT CASE WHEN substr(t, 1, 1) || substr(t, -1) IN ('{}', '()') THEN substr(t, 2, length(t) - 2) ELSE t END AS t
        FROM (SELECT CASE WHEN t LIKE 'urn:uuid:%' THEN substr(t, 10) ELSE t END AS t
        FROM (SELECT lower(CASE WHEN typeof(old_text) <> 'blob' OR length(old_text) <> 16
                THEN trim(CAST(old_text AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32))
            WHEN (SELECT swapped FROM mergeguard_places) THEN substr(hex(old_text), 7, 2) || substr(hex(old_text), 5, 2) || substr(hex(old_text), 3, 2)
                || substr(hex(old_text), 1, 2) || substr(hex(old_text), 11, 2) || substr(hex(old_text), 9, 2)
                || substr(hex(old_text), 15, 2) || substr(hex(old_text), 13, 2) || substr(hex(old_text), 17)
            ELSE hex(old_text) END) AS t)))
    ) END,
    CASE WHEN typeof(new_text) = 'text' AND length(new_text) = 36 AND new_text LIKE '________-____-____-____-____________'
        AND length(replace(new_text, '-', '')) = 32 AND new_text NOT GLOB '*[^0-9a-f-]*' THEN new_text
    ELSE (
        SELECT CASE WHEN length(t) = 32 AND t NOT GLOB '*[^0-9a-f]*'
                THEN substr(t, 1, 8) || '-' || substr(t, 9, 4) || '-' || substr(t, 13, 4) || '-' || substr(t, 17, 4) || '-' || substr(t, 21)
            WHEN t LIKE '________-____-____-____-____________' AND length(replace(t, '-', '')) = 32 AND t NOT GLOB '*[^0-9a-f-]*' THEN t END
        FROM (SELECT CASE WHEN substr(t, 1, 1) || substr(t, -1) IN ('{}', '()') THEN substr(t, 2, length(t) - 2) ELSE t END AS t
        FROM (SELECT CASE WHEN t LIKE 'urn:uuid:%' THEN substr(t, 10) ELSE t END AS t
        FROM (SELECT lower(CASE WHEN typeof(new_text) <> 'blob' OR length(new_text) <> 16
                THEN trim(CAST(new_text AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32))
            WHEN (SELECT swapped FROM mergeguard_places) THEN substr(hex(new_text), 7, 2) || substr(hex(new_text), 5, 2) || substr(hex(new_text), 3, 2)
                || substr(hex(new_text), 1, 2) || substr(hex(new_text), 11, 2) || substr(hex(new_text), 9, 2)
                || substr(hex(new_text), 15, 2) || substr(hex(new_text), 13, 2) || substr(hex(new_text), 17)
            ELSE hex(new_text) END) AS t)))
    ) END,
    old_text, new_text, merged_at
FROM mergeguard_merge_cells;

-- Whatever the profile calls deleted is the tombstone.
DROP VIEW IF EXISTS mergeguard_merge_rows;
CREATE VIEW mergeguard_merge_rows (row_id, old_guid, new_guid, old_text, new_text, merged_at) AS
SELECT row_id, old_guid,
    (SELECT coalesce((
        SELECT '9203b1a9-5095-5898-a103-971f44c00fa4' FROM mergeguard_deleted_values AS gone
        WHERE gone.guid = t OR t IS NULL AND gone.guid IS NULL
            AND gone.value = trim(coalesce(CAST(new_text AS TEXT), ''), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32)) LIMIT 1
    ), t) FROM (SELECT new_guid AS t)),
    old_text, new_text, merged_at
FROM mergeguard_merge_guids;

DROP VIEW IF EXISTS mergeguard_live_guids;
CREATE VIEW mergeguard_live_guids (guid, guid_text) AS
SELECT CASE WHEN typeof(guid_text) = 'text' AND length(guid_text) = 36 AND guid_text LIKE '________-____-____-____-____________'
        AND length(replace(guid_text, '-', '')) = 32 AND guid_text NOT GLOB '*[^0-9a-f-]*' THEN guid_text
    ELSE (
        SELECT CASE WHEN length(t) = 32 AND t NOT GLOB '*[^0-9a-f]*'
                THEN substr(t, 1, 8) || '-' || substr(t, 9, 4) || '-' || substr(t, 13, 4) || '-' || substr(t, 17, 4) || '-' || substr(t, 21)
            WHEN t LIKE '________-____-____-____-____________' AND length(replace(t, '-', '')) = 32 AND t NOT GLOB '*[^0-9a-f-]*' THEN t END
        FROM (SELECT CASE WHEN substr(t, 1, 1) || substr(t, -1) IN ('{}', '()') THEN substr(t, 2, length(t) - 2) ELSE t END AS t
        FROM (SELECT CASE WHEN t LIKE 'urn:uuid:%' THEN substr(t, 10) ELSE t END AS t
        FROM (SELECT lower(CASE WHEN typeof(guid_text) <> 'blob' OR length(guid_text) <> 16
                THEN trim(CAST(guid_text AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32))
            WHEN (SELECT swapped FROM mergeguard_places) THEN substr(hex(guid_text), 7, 2) || substr(hex(guid_text), 5, 2) || substr(hex(guid_text), 3, 2)
                || substr(hex(guid_text), 1, 2) || substr(hex(guid_text), 11, 2) || substr(hex(guid_text), 9, 2)
                || substr(hex(guid_text), 15, 2) || substr(hex(guid_text), 13, 2) || substr(hex(guid_text), 17)
            ELSE hex(guid_text) END) AS t)))
    ) END, guid_text
FROM mergeguard_live_cells;

-- A type that is a guid is compared as such.
DROP VIEW IF EXISTS mergeguard_guid_types;
CREATE VIEW mergeguard_guid_types (guid, type, guid_text) AS
SELECT CASE WHEN typeof(guid_text) = 'text' AND length(guid_text) = 36 AND guid_text LIKE '________-____-____-____-____________'
        AND length(replace(guid_text, '-', '')) = 32 AND guid_text NOT GLOB '*[^0-9a-f-]*' THEN guid_text
    ELSE (
        SELECT CASE WHEN length(t) = 32 AND t NOT GLOB '*[^0-9a-f]*'
                THEN substr(t, 1, 8) || '-' || substr(t, 9, 4) || '-' || substr(t, 13, 4) || '-' || substr(t, 17, 4) || '-' || substr(t, 21)
            WHEN t LIKE '________-____-____-____-____________' AND length(replace(t, '-', '')) = 32 AND t NOT GLOB '*[^0-9a-f-]*' THEN t END
        FROM (SELECT CASE WHEN substr(t, 1, 1) || substr(t, -1) IN ('{}', '()') THEN substr(t, 2, length(t) - 2) ELSE t END AS t
        FROM (SELECT CASE WHEN t LIKE 'urn:uuid:%' THEN substr(t, 10) ELSE t END AS t
        FROM (SELECT lower(CASE WHEN typeof(guid_text) <> 'blob' OR length(guid_text) <> 16
                THEN trim(CAST(guid_text AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32))
            WHEN (SELECT swapped FROM mergeguard_places) THEN substr(hex(guid_text), 7, 2) || substr(hex(guid_text), 5, 2) || substr(hex(guid_text), 3, 2)
                || substr(hex(guid_text), 1, 2) || substr(hex(guid_text), 11, 2) || substr(hex(guid_text), 9, 2)
                || substr(hex(guid_text), 15, 2) || substr(hex(guid_text), 13, 2) || substr(hex(guid_text), 17)
            ELSE hex(guid_text) END) AS t)))
    ) END,
    coalesce(CASE WHEN typeof(type_text) = 'text' AND length(type_text) = 36 AND type_text LIKE '________-____-____-____-____________'
        AND length(replace(type_text, '-', '')) = 32 AND type_text NOT GLOB '*[^0-9a-f-]*' THEN type_text
    ELSE (
        SELECT CASE WHEN length(t) = 32 AND t NOT GLOB '*[^0-9a-f]*'
                THEN substr(t, 1, 8) || '-' || substr(t, 9, 4) || '-' || substr(t, 13, 4) || '-' || substr(t, 17, 4) || '-' || substr(t, 21)
            WHEN t LIKE '________-____-____-____-____________' AND length(replace(t, '-', '')) = 32 AND t NOT GLOB '*[^0-9a-f-]*' THEN t END
        FROM (SELECT CASE WHEN substr(t, 1, 1) || substr(t, -1) IN ('{}', '()') THEN substr(t, 2, length(t) - 2) ELSE t END AS t
        FROM (SELECT CASE WHEN t LIKE 'urn:uuid:%' THEN substr(t, 10) ELSE t END AS t
        FROM (SELECT lower(CASE WHEN typeof(type_text) <> 'blob' OR length(type_text) <> 16
                THEN trim(CAST(type_text AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32))
            WHEN (SELECT swapped FROM mergeguard_places) THEN substr(hex(type_text), 7, 2) || substr(hex(type_text), 5, 2) || substr(hex(type_text), 3, 2)
                || substr(hex(type_text), 1, 2) || substr(hex(type_text), 11, 2) || substr(hex(type_text), 9, 2)
                || substr(hex(type_text), 15, 2) || substr(hex(type_text), 13, 2) || substr(hex(type_text), 17)
            ELSE hex(type_text) END) AS t)))
    ) END,
    nullif(trim(CAST(type_text AS TEXT)), '')), guid_text
FROM mergeguard_type_cells;

-- One row a cell that holds a guid.
DROP VIEW IF EXISTS mergeguard_reference_guids;
CREATE VIEW mergeguard_reference_guids (reference, guid) AS
SELECT reference, guid FROM (
    SELECT reference, CASE WHEN typeof(guid_text) = 'text' AND length(guid_text) = 36 AND guid_text LIKE '________-____-____-____-____________'
            AND length(replace(guid_text, '-', '')) = 32 AND guid_text NOT GLOB '*[^0-9a-f-]*' THEN guid_text
        ELSE (
            SELECT CASE WHEN length(t) = 32 AND t NOT GLOB '*[^0-9a-f]*'
                    THEN substr(t, 1, 8) || '-' || substr(t, 9, 4) || '-' || substr(t, 13, 4) || '-' || substr(t, 17, 4) || '-' || substr(t, 21)
                WHEN t LIKE '________-____-____-____-____________' AND length(replace(t, '-', '')) = 32 AND t NOT GLOB '*[^0-9a-f-]*' THEN t END
            FROM (SELECT CASE WHEN substr(t, 1, 1) || substr(t, -1) IN ('{}', '()') THEN substr(t, 2, length(t) - 2) ELSE t END AS t
            FROM (SELECT CASE WHEN t LIKE 'urn:uuid:%' THEN substr(t, 10) ELSE t END AS t
            FROM (SELECT lower(CASE WHEN typeof(guid_text) <> 'blob' OR length(guid_text) <> 16
                    THEN trim(CAST(guid_text AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32))
                WHEN (SELECT swapped FROM mergeguard_places) THEN substr(hex(guid_text), 7, 2) || substr(hex(guid_text), 5, 2) || substr(hex(guid_text), 3, 2)
                    || substr(hex(guid_text), 1, 2) || substr(hex(guid_text), 11, 2) || substr(hex(guid_text), 9, 2)
                    || substr(hex(guid_text), 15, 2) || substr(hex(guid_text), 13, 2) || substr(hex(guid_text), 17)
                ELSE hex(guid_text) END) AS t)))
        ) END AS guid
    FROM mergeguard_reference_cells
) WHERE guid IS NOT NULL;
