# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database consists of besides its rows, as names and definitions without object ids. Internal: may change in
any release.

Each query yields (name, definition). Definitions come from PostgreSQL's own pg_get_* functions with an empty
search_path, so that they are the same in every cluster. What belongs to an extension follows from its version.
"""

from __future__ import annotations

_SCHEMA = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"


def _own(catalog: str, alias: str) -> str:
    """Not a member of an extension."""
    return (
        f"NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = '{catalog}'::regclass "
        f"AND x.objid = {alias}.oid AND x.deptype = 'e')"
    )


_RELATION = f"JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_SCHEMA} AND {_own('pg_class', 'c')}"

CATALOG: dict[str, str] = {
    "schemas": f"""
SELECT n.nspname, 'owner ' || pg_get_userbyid(n.nspowner)
FROM pg_namespace n WHERE {_SCHEMA} AND {_own("pg_namespace", "n")}""",
    "tables": f"""
SELECT n.nspname || '.' || c.relname,
  concat_ws('; ', 'kind ' || c.relkind::text, 'persistence ' || c.relpersistence::text,
    'owner ' || pg_get_userbyid(c.relowner),
    'replica identity ' || c.relreplident::text, CASE WHEN c.relrowsecurity THEN 'row security' END,
    CASE WHEN c.relforcerowsecurity THEN 'forced row security' END, pg_get_partkeydef(c.oid),
    pg_get_expr(c.relpartbound, c.oid), 'options ' || array_to_string(c.reloptions, ','),
    (SELECT 'inherits ' || string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno)
     FROM pg_inherits i WHERE i.inhrelid = c.oid))
FROM pg_class c {_RELATION} AND c.relkind IN ('r', 'p', 'm', 'f', 'v')""",
    "columns": f"""
SELECT n.nspname || '.' || c.relname || '.' || a.attname,
  concat_ws('; ', row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum),
    format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
    'identity ' || nullif(a.attidentity::text, ''), 'generated ' || nullif(a.attgenerated::text, ''),
    'default ' || pg_get_expr(d.adbin, d.adrelid),
    CASE WHEN a.attcollation <> 0 THEN 'collation ' || a.attcollation::regcollation::text END)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
{_RELATION} AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm', 'f', 'v', 'c')""",
    "indexes": f"""
SELECT n.nspname || '.' || c.relname,
  concat_ws('; ', pg_get_indexdef(c.oid), CASE WHEN NOT i.indisvalid THEN 'INVALID' END,
    CASE WHEN NOT i.indisready THEN 'NOT READY' END, CASE WHEN i.indisclustered THEN 'clustered' END,
    CASE WHEN i.indisreplident THEN 'replica identity' END)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid {_RELATION}""",
    "constraints": f"""
SELECT n.nspname || '.' || CASE WHEN k.conrelid <> 0 THEN c.relname ELSE t.typname END || '.' || k.conname,
  pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
LEFT JOIN pg_class c ON c.oid = k.conrelid LEFT JOIN pg_type t ON t.oid = k.contypid
WHERE {_SCHEMA} AND {_own("pg_constraint", "k")} AND (k.contype <> 'f' OR k.conparentid = 0) AND k.contype <> 't'""",
    "triggers": f"""
SELECT n.nspname || '.' || c.relname || '.' || t.tgname, pg_get_triggerdef(t.oid) || '; enabled ' || t.tgenabled::text
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid {_RELATION} AND NOT t.tgisinternal
UNION ALL
SELECT 'event trigger ' || e.evtname, concat_ws('; ', e.evtevent, e.evtfoid::regprocedure::text,
  array_to_string(e.evttags, ','), 'enabled ' || e.evtenabled::text)
FROM pg_event_trigger e WHERE {_own("pg_event_trigger", "e")}""",
    "policies": f"""
SELECT n.nspname || '.' || c.relname || '.' || p.polname,
  concat_ws('; ', 'for ' || p.polcmd::text, CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
    'to ' || (SELECT string_agg(CASE r WHEN 0 THEN 'public' ELSE pg_get_userbyid(r) END, ',' ORDER BY 1)
              FROM unnest(p.polroles) r),
    'using ' || pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid {_RELATION}""",
    "views": f"""
SELECT n.nspname || '.' || c.relname, pg_get_viewdef(c.oid)
FROM pg_class c {_RELATION} AND c.relkind IN ('v', 'm')""",
    "functions": f"""
SELECT p.oid::regprocedure::text,
  concat_ws('; ', 'kind ' || p.prokind::text, 'returns ' || pg_get_function_result(p.oid), 'language ' || l.lanname,
    'owner ' || pg_get_userbyid(p.proowner), 'volatility ' || p.provolatile::text, 'parallel ' || p.proparallel::text,
    CASE WHEN p.prosecdef THEN 'security definer' END, CASE WHEN p.proisstrict THEN 'strict' END,
    'set ' || array_to_string(p.proconfig, ','), 'arguments ' || pg_get_function_arguments(p.oid),
    'body ' || md5(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) || coalesce(p.probin, '')),
    (SELECT concat_ws(' ', 'aggregate', g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.agginitval)
     FROM pg_aggregate g WHERE g.aggfnoid = p.oid))
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE {_SCHEMA} AND {_own("pg_proc", "p")}""",
    "types": f"""
SELECT n.nspname || '.' || t.typname,
  concat_ws('; ', 'kind ' || t.typtype::text, 'owner ' || pg_get_userbyid(t.typowner),
    (SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder)
     FROM pg_enum e WHERE e.enumtypid = t.oid),
    CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
    CASE WHEN t.typnotnull THEN 'not null' END, 'default ' || t.typdefault,
    (SELECT 'over ' || format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE {_SCHEMA} AND {_own("pg_type", "t")} AND t.typtype IN ('e', 'd', 'r', 'c')
  AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))""",
    "sequences": f"""
SELECT n.nspname || '.' || c.relname,
  concat_ws('; ', format_type(s.seqtypid, NULL), 'start ' || s.seqstart, 'increment ' || s.seqincrement,
    'from ' || s.seqmin, 'to ' || s.seqmax, 'cache ' || s.seqcache, CASE WHEN s.seqcycle THEN 'cycle' END,
    'owner ' || pg_get_userbyid(c.relowner))
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid {_RELATION}""",
    "statistics": f"""
SELECT n.nspname || '.' || s.stxname, pg_get_statisticsobjdef(s.oid)
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
WHERE {_SCHEMA} AND {_own("pg_statistic_ext", "s")}""",
    "publications": """
SELECT p.pubname, concat_ws('; ', 'owner ' || pg_get_userbyid(p.pubowner), 'all tables ' || p.puballtables,
  'publishes ' || concat_ws(',', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
    CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END),
  (SELECT string_agg(t.schemaname || '.' || t.tablename, ',' ORDER BY t.schemaname, t.tablename)
   FROM pg_publication_tables t WHERE t.pubname = p.pubname))
FROM pg_publication p""",
}


def _granted(acl: str) -> str:
    """An access list in a fixed order."""
    return f"(SELECT string_agg(g::text, ' ' ORDER BY g::text COLLATE \"C\") FROM unnest({acl}) g)"


ROLES = """
SELECT 'role ' || r.rolname,
  concat_ws('; ', CASE WHEN r.rolsuper THEN 'superuser' END, CASE WHEN r.rolinherit THEN 'inherit' END,
    CASE WHEN r.rolcreaterole THEN 'createrole' END, CASE WHEN r.rolcreatedb THEN 'createdb' END,
    CASE WHEN r.rolcanlogin THEN 'login' END, CASE WHEN r.rolreplication THEN 'replication' END,
    CASE WHEN r.rolbypassrls THEN 'bypassrls' END, 'connections ' || r.rolconnlimit,
    'valid until ' || r.rolvaliduntil)
FROM pg_roles r WHERE r.rolname !~ '^pg_'
UNION ALL
SELECT DISTINCT 'member ' || pg_get_userbyid(m.member) || ' of ' || pg_get_userbyid(m.roleid),
  CASE WHEN m.admin_option THEN 'with admin option' ELSE '' END
FROM pg_auth_members m WHERE pg_get_userbyid(m.member) !~ '^pg_'"""

GRANTS = f"""
SELECT 'database', {_granted("d.datacl")} FROM pg_database d WHERE d.datname = current_database()
UNION ALL
SELECT 'schema ' || n.nspname, {_granted("n.nspacl")} FROM pg_namespace n WHERE {_SCHEMA}
UNION ALL
SELECT 'relation ' || n.nspname || '.' || c.relname, {_granted("c.relacl")}
FROM pg_class c {_RELATION} AND c.relacl IS NOT NULL
UNION ALL
SELECT 'column ' || n.nspname || '.' || c.relname || '.' || a.attname, {_granted("a.attacl")}
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid {_RELATION} AND a.attacl IS NOT NULL
UNION ALL
SELECT 'function ' || p.oid::regprocedure::text, {_granted("p.proacl")}
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE {_SCHEMA} AND {_own("pg_proc", "p")} AND p.proacl IS NOT NULL
UNION ALL
SELECT 'type ' || n.nspname || '.' || t.typname, {_granted("t.typacl")}
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE {_SCHEMA} AND t.typacl IS NOT NULL
UNION ALL
SELECT concat_ws(' ', 'default', pg_get_userbyid(a.defaclrole), a.defaclobjtype, n.nspname), {_granted("a.defaclacl")}
FROM pg_default_acl a LEFT JOIN pg_namespace n ON n.oid = a.defaclnamespace"""

#: Settings that somebody chose (what this session pins, as it was before); those for a role or for this database.
SETTINGS = """
SELECT s.name, concat_ws(' ', s.reset_val, s.unit) FROM pg_settings s
WHERE s.source IN ('configuration file', 'command line', 'database', 'user', 'database user', 'global',
  'environment variable', 'session') AND s.reset_val IS DISTINCT FROM s.boot_val
UNION ALL
SELECT concat_ws(' ', 'of', CASE WHEN r.setrole <> 0 THEN 'role ' || pg_get_userbyid(r.setrole) END,
  CASE WHEN r.setdatabase <> 0 THEN 'this database' END), array_to_string(r.setconfig, '; ')
FROM pg_db_role_setting r LEFT JOIN pg_database d ON d.oid = r.setdatabase
WHERE r.setdatabase = 0 OR d.datname = current_database()"""

EXTENSIONS = """
SELECT e.extname, e.extversion || ' in ' || n.nspname
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"""

#: (name, provider and locale, version that the indexes were built with, version of the library now)
COLLATIONS = """
SELECT DISTINCT n.nspname || '.' || c.collname,
  concat_ws(' ', c.collprovider, c.collcollate, c.collctype, 'deterministic ' || c.collisdeterministic),
  c.collversion, pg_collation_actual_version(c.oid)
FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace JOIN pg_attribute a ON a.attcollation = c.oid
JOIN pg_class r ON r.oid = a.attrelid WHERE c.collname <> 'default' AND r.relnamespace <> 'pg_catalog'::regnamespace
  AND r.relnamespace <> 'information_schema'::regnamespace AND r.relkind <> 't'
UNION ALL
SELECT 'database', concat_ws(' ', d.datcollate, d.datctype, pg_encoding_to_char(d.encoding)), {versions}
FROM pg_database d WHERE d.datname = current_database()"""


def collations_sql(server_version: int) -> str:
    """Databases have a collation version since PostgreSQL 15. C(server_version) as server_version_num."""
    since_15 = "d.datcollversion, pg_database_collation_actual_version(d.oid)"
    return COLLATIONS.format(versions=since_15 if server_version >= 150000 else "NULL::text, NULL::text")


TABLES = f"""
SELECT n.nspname, c.relname, c.relpersistence <> 'u', am.amname = 'heap',
  pg_relation_size(c.oid) / current_setting('block_size')::int8,
  coalesce((SELECT array_agg(a.attname::text ORDER BY k.place) FROM pg_index i,
     unnest(i.indkey::int2[]) WITH ORDINALITY k(number, place) JOIN pg_attribute a ON a.attnum = k.number
     WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid AND k.place <= i.indnkeyatts), '{{}}'),
  (SELECT jsonb_agg(jsonb_build_array(a.attname, format('%s.%s', bn.nspname, b.typname), b.typtype,
      EXISTS (SELECT FROM pg_opclass o JOIN pg_am h ON h.oid = o.opcmethod JOIN pg_amproc f
              ON f.amprocfamily = o.opcfamily AND f.amprocnum = 2 AND f.amproclefttype = o.opcintype
              WHERE h.amname = 'hash' AND o.opcdefault
              AND o.opcintype = CASE b.typtype WHEN 'e' THEN 'anyenum'::regtype ELSE b.oid END),
      CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, a.attcollation <> 0, a.attnotnull)
    ORDER BY a.attnum)
   FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
   JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
   JOIN pg_namespace bn ON bn.oid = b.typnamespace
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
FROM pg_class c LEFT JOIN pg_am am ON am.oid = c.relam {_RELATION} AND c.relkind IN ('r', 'm') AND c.relispopulated
ORDER BY 1, 2"""

#: (sequence, increment, cycles, schema, table, column): a row for each whole-number column it fills.
SEQUENCES = f"""
SELECT DISTINCT n.nspname, c.relname, s.seqincrement, s.seqcycle, o.nspname, o.relname, o.attname
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid LEFT JOIN LATERAL (
  SELECT tn.nspname, t.relname, a.attname FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid
  JOIN pg_namespace tn ON tn.oid = t.relnamespace
  WHERE a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) AND t.relkind IN ('r', 'p') AND (
    EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
            AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.refobjsubid = a.attnum
            AND d.deptype IN ('a', 'i'))
    OR EXISTS (SELECT FROM pg_attrdef f JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
               WHERE f.adrelid = t.oid AND f.adnum = a.attnum AND d.refclassid = 'pg_class'::regclass
               AND d.refobjid = c.oid))) o ON true
{_RELATION} ORDER BY 1, 2, 5, 6, 7"""

#: Every foreign key that somebody declared; those of partitions are part of their parent's.
FOREIGN_KEYS = f"""
SELECT n.nspname, c.relname, k.conname, c.relkind = 'p', rn.nspname, r.relname, r.relkind = 'p', k.confmatchtype,
  k.convalidated, coalesce((to_jsonb(k) ->> 'conperiod')::bool, false),
  coalesce((to_jsonb(k) ->> 'conenforced')::bool, true),
  (SELECT jsonb_agg(jsonb_build_array(ca.attname, pa.attname, op.nspname, o.oprname,
     CASE WHEN ca.attcollation <> pa.attcollation
          THEN (SELECT jsonb_build_array(cn.nspname, co.collname) FROM pg_collation co
                JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = pa.attcollation) END) ORDER BY u.place)
   FROM unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY u(child, parent, operator, place)
   JOIN pg_attribute ca ON ca.attrelid = k.conrelid AND ca.attnum = u.child
   JOIN pg_attribute pa ON pa.attrelid = k.confrelid AND pa.attnum = u.parent
   JOIN pg_operator o ON o.oid = u.operator JOIN pg_namespace op ON op.oid = o.oprnamespace)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class r ON r.oid = k.confrelid
JOIN pg_namespace rn ON rn.oid = r.relnamespace
{_RELATION} AND k.contype = 'f' AND k.conparentid = 0 AND c.relkind IN ('r', 'p') ORDER BY 1, 2, 3"""

IDENTITY = """
SELECT current_database(), current_setting('server_version_num')::int, current_setting('server_version'),
  pg_is_in_recovery(),
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text,
  pg_database_size(current_database())"""
SYSTEM_IDENTIFIER = "SELECT system_identifier::text FROM pg_control_system()"
