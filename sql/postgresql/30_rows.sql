-- MergeGuard SQL scripts, version 1: postgresql/30_rows.sql
-- Rows as images: each cell as the server's own text, in JSON of ASCII letters, as the journal of MergeGuard keeps them.
-- Whoever calls these sets what the text of a value depends on: see merge() in 40_merge.sql.

CREATE OR REPLACE FUNCTION mergeguard.ascii_of(said text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT CASE WHEN said !~ '[^ -~]' THEN said ELSE (
        SELECT string_agg(CASE
            WHEN c.letter ~ '[ -~]' THEN c.letter
            WHEN ascii(c.letter) < 65536 THEN '\u' || lpad(to_hex(ascii(c.letter)), 4, '0')
            ELSE '\u' || to_hex(55296 + (ascii(c.letter) - 65536) / 1024) || '\u' || to_hex(56320 + (ascii(c.letter) - 65536) % 1024)
        END, '' ORDER BY c.place)
        FROM regexp_split_to_table(said, '') WITH ORDINALITY AS c (letter, place)
    ) END
$mergeguard$;

-- A text as Python's json.dumps writes it; NULL as null.
CREATE OR REPLACE FUNCTION mergeguard.json_of(said text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT coalesce(mergeguard.ascii_of(to_json(said)::text), 'null')
$mergeguard$;

-- The columns that images of a table hold: those whose values the server does not make of others.
CREATE OR REPLACE FUNCTION mergeguard.columns_of(place regclass, OUT names name[], OUT types text[], OUT keys boolean[])
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT array_agg(a.attname ORDER BY a.attnum), array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum),
        array_agg(EXISTS (
            SELECT 1 FROM pg_index AS i WHERE i.indrelid = place AND i.indisprimary AND a.attnum = ANY (i.indkey)
        ) ORDER BY a.attnum)
    FROM pg_attribute AS a WHERE a.attrelid = place AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
$mergeguard$;

-- The expression that makes the image of a row.
CREATE OR REPLACE FUNCTION mergeguard.image_sql(place regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT 'mergeguard.ascii_of(json_object(ARRAY[' || string_agg(format('%L', c.name), ', ' ORDER BY c.n) || ']::text[], ARRAY['
        || string_agg(format('CAST(%I AS text)', c.name), ', ' ORDER BY c.n) || ']::text[])::text)'
    FROM mergeguard.columns_of(place) AS t CROSS JOIN LATERAL unnest(t.names) WITH ORDINALITY AS c (name, n)
$mergeguard$;

-- Lock the row that is exactly as an image says; NULL where there is none.
CREATE OR REPLACE FUNCTION mergeguard.find_row(place regclass, image text) RETURNS tid
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    found_at tid;
    condition text;
BEGIN
    SELECT string_agg(CASE WHEN c.key THEN format('%1$I = CAST($1 ->> %1$L AS %2$s) AND ', c.name, c.type) ELSE '' END
            || format('CAST(%1$I AS text) COLLATE "C" IS NOT DISTINCT FROM $1 ->> %1$L', c.name), ' AND ' ORDER BY c.key DESC)
    INTO condition
    FROM mergeguard.columns_of(place) AS t CROSS JOIN LATERAL unnest(t.names, t.types, t.keys) AS c (name, type, key);
    EXECUTE format('SELECT ctid FROM %s WHERE %s LIMIT 1 FOR UPDATE', place, condition) INTO found_at USING CAST(image AS json);
    RETURN found_at;
END
$mergeguard$;

-- Bring one row from an image to another; NULL stands for a row that is not there. False: it is not as the first one says.
CREATE OR REPLACE FUNCTION mergeguard.change_row(place regclass, image_before text, image_after text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    found_at tid;
    names text;
    cells text;
    sets text;
BEGIN
    SELECT string_agg(format('%I', c.name), ', ' ORDER BY c.n), string_agg(format('CAST($1 ->> %L AS %s)', c.name, c.type), ', ' ORDER BY c.n),
        string_agg(format('%I = CAST($1 ->> %L AS %s)', c.name, c.name, c.type), ', ' ORDER BY c.n)
            FILTER (WHERE CAST(image_before AS json) ->> c.name IS DISTINCT FROM CAST(image_after AS json) ->> c.name)
    INTO names, cells, sets
    FROM mergeguard.columns_of(place) AS t CROSS JOIN LATERAL unnest(t.names, t.types) WITH ORDINALITY AS c (name, type, n);
    IF image_before IS NOT NULL THEN
        found_at := mergeguard.find_row(place, image_before);
        IF found_at IS NULL THEN
            RETURN false;
        END IF;
    END IF;
    IF image_before IS NULL THEN
        EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)', place, names, cells) USING CAST(image_after AS json);
    ELSIF image_after IS NULL THEN
        EXECUTE format('DELETE FROM %s WHERE ctid = $1', place) USING found_at;
    ELSIF sets IS NOT NULL THEN
        EXECUTE format('UPDATE %s SET %s WHERE ctid = $2', place, sets) USING CAST(image_after AS json), found_at;
    END IF;
    RETURN true;
END
$mergeguard$;

-- The table of a name as the journal has it, that is, as the profile spells it.
CREATE OR REPLACE FUNCTION mergeguard.place_of(spelled text) RETURNS regclass
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    place regclass;
BEGIN
    SELECT t.place INTO place FROM (
        SELECT p.merge_name, p.merge_table FROM mergeguard.places AS p
        UNION ALL SELECT p.live_name, p.live_table FROM mergeguard.places AS p
        UNION ALL SELECT r.name, r.place FROM mergeguard.reference_places AS r
        UNION ALL SELECT h.name, h.place FROM mergeguard.hash_places AS h
        UNION ALL SELECT b.name, b.place FROM mergeguard.black_lists AS b
    ) AS t (name, place) WHERE t.name = spelled;
    IF place IS NULL THEN
        RAISE EXCEPTION 'mergeguard: stale: the profile names no table % any more', spelled USING HINT = '''mergeguard undo'' takes it back';
    END IF;
    RETURN place;
END
$mergeguard$;

-- What an undo relies on, of a step and its changes; the digest that MergeGuard writes.
CREATE OR REPLACE FUNCTION mergeguard.digest_of(run text, number integer) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT encode(sha256(convert_to(
        '[' || concat_ws(',', mergeguard.json_of(s.run_id), s.step::text, mergeguard.json_of(s.component),
            mergeguard.json_of(s.kinds), mergeguard.json_of(s.members), mergeguard.json_of(s.survivor),
            mergeguard.json_of(s.confidence), mergeguard.json_of(s.guard_after)) || ']'
        || coalesce((
            SELECT string_agg('[' || concat_ws(',', c.place::text, mergeguard.json_of(c.action), mergeguard.json_of(c.table_name),
                mergeguard.json_of(c.before_image), mergeguard.json_of(c.after_image)) || ']', '' ORDER BY c.place)
            FROM mergeguard.journal_changes AS c WHERE c.run_id = s.run_id AND c.step = s.step
        ), ''), 'UTF8')), 'hex')
    FROM mergeguard.journal_steps AS s WHERE s.run_id = run AND s.step = number
$mergeguard$;

REVOKE ALL ON ALL ROUTINES IN SCHEMA mergeguard FROM PUBLIC;
