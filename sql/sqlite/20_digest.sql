-- MergeGuard SQL scripts, version 1: sqlite/20_digest.sql
-- The work table of the scripts, and the SHA-256 of the text in it: the journal keeps one a step, and SQLite has none.

-- What a merge or an unmerge works on: one row while it is made, none afterwards. Nobody else ever sees that row.
DROP TABLE IF EXISTS mergeguard_work;
CREATE TABLE mergeguard_work (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    old TEXT,
    new TEXT,
    request_id TEXT,
    run_id TEXT,
    old_root TEXT,
    new_root TEXT,
    old_status TEXT,
    new_status TEXT,
    already INTEGER,
    lookup_rows INTEGER,
    live_rows INTEGER,
    hashes_cleared INTEGER,
    listed INTEGER,
    columns TEXT,
    image TEXT,
    said TEXT
);

-- The SHA-256 of mergeguard_work.said, which is ASCII. A recursion a round: t counts the 64 of a block, and at 64 the block
-- is added up and the next one begun. SQLite has no exclusive or: it is the one sum without the other.
DROP VIEW IF EXISTS mergeguard_digest;
CREATE VIEW mergeguard_digest (digest) AS
WITH RECURSIVE text (said, size) AS MATERIALIZED (SELECT said, length(said) FROM mergeguard_work),
span (words) AS MATERIALIZED (SELECT 16 * ((size + 8) / 64 + 1) FROM text),
-- Cut into blocks of 64 by way of pieces of 4,096: a part of a text is found by reading the text up to it.
piece (at, said) AS (
    SELECT 0, substr(said, 1, 4096) FROM text
    UNION ALL SELECT at + 1, (SELECT substr(said, 4096 * at + 4097, 4096) FROM text) FROM piece, span WHERE 1024 * (at + 1) < words
),
digit (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM digit WHERE n < 63),
part (at, said) AS MATERIALIZED (
    SELECT 64 * piece.at + digit.n, substr(piece.said, 64 * digit.n + 1, 64) FROM piece CROSS JOIN digit, span
    WHERE 16 * (64 * piece.at + digit.n) < words
),
word (at, v) AS MATERIALIZED (
    SELECT at, CASE WHEN at = words - 1 THEN 8 * size ELSE
        (CASE WHEN 4 * at + 0 < size THEN unicode(substr(own, 4 * n + 1, 1)) WHEN 4 * at + 0 = size THEN 128 ELSE 0 END) * 16777216
        + (CASE WHEN 4 * at + 1 < size THEN unicode(substr(own, 4 * n + 2, 1)) WHEN 4 * at + 1 = size THEN 128 ELSE 0 END) * 65536
        + (CASE WHEN 4 * at + 2 < size THEN unicode(substr(own, 4 * n + 3, 1)) WHEN 4 * at + 2 = size THEN 128 ELSE 0 END) * 256
        + CASE WHEN 4 * at + 3 < size THEN unicode(substr(own, 4 * n + 4, 1)) WHEN 4 * at + 3 = size THEN 128 ELSE 0 END END
    FROM (SELECT 16 * part.at + digit.n AS at, part.said AS own, digit.n AS n FROM part CROSS JOIN digit WHERE digit.n < 16), text, span
),
key (t, v) AS MATERIALIZED (
    VALUES
        (0, 1116352408), (1, 1899447441), (2, 3049323471), (3, 3921009573), (4, 961987163), (5, 1508970993), (6, 2453635748), (7, 2870763221),
        (8, 3624381080), (9, 310598401), (10, 607225278), (11, 1426881987), (12, 1925078388), (13, 2162078206), (14, 2614888103), (15, 3248222580),
        (16, 3835390401), (17, 4022224774), (18, 264347078), (19, 604807628), (20, 770255983), (21, 1249150122), (22, 1555081692), (23, 1996064986),
        (24, 2554220882), (25, 2821834349), (26, 2952996808), (27, 3210313671), (28, 3336571891), (29, 3584528711), (30, 113926993), (31, 338241895),
        (32, 666307205), (33, 773529912), (34, 1294757372), (35, 1396182291), (36, 1695183700), (37, 1986661051), (38, 2177026350), (39, 2456956037),
        (40, 2730485921), (41, 2820302411), (42, 3259730800), (43, 3345764771), (44, 3516065817), (45, 3600352804), (46, 4094571909), (47, 275423344),
        (48, 430227734), (49, 506948616), (50, 659060556), (51, 883997877), (52, 958139571), (53, 1322822218), (54, 1537002063), (55, 1747873779),
        (56, 1955562222), (57, 2024104815), (58, 2227730452), (59, 2361852424), (60, 2428436474), (61, 2756734187), (62, 3204031479), (63, 3329325298),
        (64, 0)
),
round (block, t, w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15, a, b, c, d, e, f, g, h, h0, h1, h2, h3, h4, h5, h6, h7) AS (
    SELECT 0, 0, (SELECT v FROM word WHERE at = 0), (SELECT v FROM word WHERE at = 1), (SELECT v FROM word WHERE at = 2), (SELECT v FROM word WHERE at = 3), (SELECT v FROM word WHERE at = 4), (SELECT v FROM word WHERE at = 5), (SELECT v FROM word WHERE at = 6), (SELECT v FROM word WHERE at = 7), (SELECT v FROM word WHERE at = 8), (SELECT v FROM word WHERE at = 9), (SELECT v FROM word WHERE at = 10), (SELECT v FROM word WHERE at = 11), (SELECT v FROM word WHERE at = 12), (SELECT v FROM word WHERE at = 13), (SELECT v FROM word WHERE at = 14), (SELECT v FROM word WHERE at = 15), 1779033703, 3144134277, 1013904242, 2773480762, 1359893119, 2600822924, 528734635, 1541459225, 1779033703, 3144134277, 1013904242, 2773480762, 1359893119, 2600822924, 528734635, 1541459225
    UNION ALL
    SELECT CASE WHEN round.t < 64 THEN block ELSE block + 1 END, CASE WHEN round.t < 64 THEN round.t + 1 ELSE 0 END,
        CASE WHEN round.t < 64 THEN w1
            ELSE (SELECT v FROM word WHERE at = 16 * block + 16) END,
        CASE WHEN round.t < 64 THEN w2
            ELSE (SELECT v FROM word WHERE at = 16 * block + 17) END,
        CASE WHEN round.t < 64 THEN w3
            ELSE (SELECT v FROM word WHERE at = 16 * block + 18) END,
        CASE WHEN round.t < 64 THEN w4
            ELSE (SELECT v FROM word WHERE at = 16 * block + 19) END,
        CASE WHEN round.t < 64 THEN w5
            ELSE (SELECT v FROM word WHERE at = 16 * block + 20) END,
        CASE WHEN round.t < 64 THEN w6
            ELSE (SELECT v FROM word WHERE at = 16 * block + 21) END,
        CASE WHEN round.t < 64 THEN w7
            ELSE (SELECT v FROM word WHERE at = 16 * block + 22) END,
        CASE WHEN round.t < 64 THEN w8
            ELSE (SELECT v FROM word WHERE at = 16 * block + 23) END,
        CASE WHEN round.t < 64 THEN w9
            ELSE (SELECT v FROM word WHERE at = 16 * block + 24) END,
        CASE WHEN round.t < 64 THEN w10
            ELSE (SELECT v FROM word WHERE at = 16 * block + 25) END,
        CASE WHEN round.t < 64 THEN w11
            ELSE (SELECT v FROM word WHERE at = 16 * block + 26) END,
        CASE WHEN round.t < 64 THEN w12
            ELSE (SELECT v FROM word WHERE at = 16 * block + 27) END,
        CASE WHEN round.t < 64 THEN w13
            ELSE (SELECT v FROM word WHERE at = 16 * block + 28) END,
        CASE WHEN round.t < 64 THEN w14
            ELSE (SELECT v FROM word WHERE at = 16 * block + 29) END,
        CASE WHEN round.t < 64 THEN w15
            ELSE (SELECT v FROM word WHERE at = 16 * block + 30) END,
        CASE WHEN round.t < 64 THEN ((((((w14 >> 17) | ((w14 << 15) & 4294967295)) | ((w14 >> 19) | ((w14 << 13) & 4294967295))) - (((w14 >> 17) | ((w14 << 15) & 4294967295)) & ((w14 >> 19) | ((w14 << 13) & 4294967295)))) | (w14 >> 10)) - (((((w14 >> 17) | ((w14 << 15) & 4294967295)) | ((w14 >> 19) | ((w14 << 13) & 4294967295))) - (((w14 >> 17) | ((w14 << 15) & 4294967295)) & ((w14 >> 19) | ((w14 << 13) & 4294967295)))) & (w14 >> 10))) + w9 + ((((((w1 >> 7) | ((w1 << 25) & 4294967295)) | ((w1 >> 18) | ((w1 << 14) & 4294967295))) - (((w1 >> 7) | ((w1 << 25) & 4294967295)) & ((w1 >> 18) | ((w1 << 14) & 4294967295)))) | (w1 >> 3)) - (((((w1 >> 7) | ((w1 << 25) & 4294967295)) | ((w1 >> 18) | ((w1 << 14) & 4294967295))) - (((w1 >> 7) | ((w1 << 25) & 4294967295)) & ((w1 >> 18) | ((w1 << 14) & 4294967295)))) & (w1 >> 3))) + w0 & 4294967295
            ELSE (SELECT v FROM word WHERE at = 16 * block + 31) END,
        CASE WHEN round.t < 64 THEN h + ((((((e >> 6) | ((e << 26) & 4294967295)) | ((e >> 11) | ((e << 21) & 4294967295))) - (((e >> 6) | ((e << 26) & 4294967295)) & ((e >> 11) | ((e << 21) & 4294967295)))) | ((e >> 25) | ((e << 7) & 4294967295))) - (((((e >> 6) | ((e << 26) & 4294967295)) | ((e >> 11) | ((e << 21) & 4294967295))) - (((e >> 6) | ((e << 26) & 4294967295)) & ((e >> 11) | ((e << 21) & 4294967295)))) & ((e >> 25) | ((e << 7) & 4294967295)))) + (e & f) + ((~e) & g) + key.v + w0 + ((((((a >> 2) | ((a << 30) & 4294967295)) | ((a >> 13) | ((a << 19) & 4294967295))) - (((a >> 2) | ((a << 30) & 4294967295)) & ((a >> 13) | ((a << 19) & 4294967295)))) | ((a >> 22) | ((a << 10) & 4294967295))) - (((((a >> 2) | ((a << 30) & 4294967295)) | ((a >> 13) | ((a << 19) & 4294967295))) - (((a >> 2) | ((a << 30) & 4294967295)) & ((a >> 13) | ((a << 19) & 4294967295)))) & ((a >> 22) | ((a << 10) & 4294967295)))) + ((a & b) | (c & (a | b))) & 4294967295
            ELSE a + h0 & 4294967295 END,
        CASE WHEN round.t < 64 THEN a
            ELSE b + h1 & 4294967295 END,
        CASE WHEN round.t < 64 THEN b
            ELSE c + h2 & 4294967295 END,
        CASE WHEN round.t < 64 THEN c
            ELSE d + h3 & 4294967295 END,
        CASE WHEN round.t < 64 THEN d + h + ((((((e >> 6) | ((e << 26) & 4294967295)) | ((e >> 11) | ((e << 21) & 4294967295))) - (((e >> 6) | ((e << 26) & 4294967295)) & ((e >> 11) | ((e << 21) & 4294967295)))) | ((e >> 25) | ((e << 7) & 4294967295))) - (((((e >> 6) | ((e << 26) & 4294967295)) | ((e >> 11) | ((e << 21) & 4294967295))) - (((e >> 6) | ((e << 26) & 4294967295)) & ((e >> 11) | ((e << 21) & 4294967295)))) & ((e >> 25) | ((e << 7) & 4294967295)))) + (e & f) + ((~e) & g) + key.v + w0 & 4294967295
            ELSE e + h4 & 4294967295 END,
        CASE WHEN round.t < 64 THEN e
            ELSE f + h5 & 4294967295 END,
        CASE WHEN round.t < 64 THEN f
            ELSE g + h6 & 4294967295 END,
        CASE WHEN round.t < 64 THEN g
            ELSE h + h7 & 4294967295 END,
        CASE WHEN round.t < 64 THEN h0
            ELSE a + h0 & 4294967295 END,
        CASE WHEN round.t < 64 THEN h1
            ELSE b + h1 & 4294967295 END,
        CASE WHEN round.t < 64 THEN h2
            ELSE c + h2 & 4294967295 END,
        CASE WHEN round.t < 64 THEN h3
            ELSE d + h3 & 4294967295 END,
        CASE WHEN round.t < 64 THEN h4
            ELSE e + h4 & 4294967295 END,
        CASE WHEN round.t < 64 THEN h5
            ELSE f + h5 & 4294967295 END,
        CASE WHEN round.t < 64 THEN h6
            ELSE g + h6 & 4294967295 END,
        CASE WHEN round.t < 64 THEN h7
            ELSE h + h7 & 4294967295 END
    FROM round CROSS JOIN span JOIN key ON key.t = round.t
    WHERE 16 * block < words
)
SELECT printf('%08x%08x%08x%08x%08x%08x%08x%08x', h0, h1, h2, h3, h4, h5, h6, h7)
FROM round, span WHERE 16 * block = words AND t = 0;
