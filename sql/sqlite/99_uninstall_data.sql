-- MergeGuard SQL scripts, version 1: sqlite/99_uninstall_data.sql
-- Drops the tables that hold data. Afterwards nothing that MergeGuard did can be taken back.

DROP TABLE IF EXISTS /*{lookup*/"mergeguard_lookup"/*}*/;
DROP TABLE IF EXISTS /*{requests*/"mergeguard_request"/*}*/;
DROP TABLE IF EXISTS /*{never*/"mergeguard_never"/*}*/;
DROP TABLE IF EXISTS /*{roots*/"mergeguard_root"/*}*/;
DROP TABLE IF EXISTS /*{changes*/"mergeguard_change"/*}*/;
DROP TABLE IF EXISTS /*{steps*/"mergeguard_step"/*}*/;
DROP TABLE IF EXISTS /*{runs*/"mergeguard_run"/*}*/;
