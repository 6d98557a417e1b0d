-- MergeGuard SQL scripts, version 1: postgresql/99_uninstall_data.sql
-- Drops our tables, after 99_uninstall.sql. No merge and no repair can be taken back afterwards, and what must never be
-- merged is forgotten.

DROP TABLE IF EXISTS /*{lookup*/"mergeguard_lookup"/*}*/;
DROP TABLE IF EXISTS /*{roots*/"mergeguard_root"/*}*/;
DROP TABLE IF EXISTS /*{requests*/"mergeguard_request"/*}*/;
DROP TABLE IF EXISTS /*{never*/"mergeguard_never"/*}*/;
DROP TABLE IF EXISTS /*{changes*/"mergeguard_change"/*}*/;
DROP TABLE IF EXISTS /*{steps*/"mergeguard_step"/*}*/;
DROP TABLE IF EXISTS /*{runs*/"mergeguard_run"/*}*/;
