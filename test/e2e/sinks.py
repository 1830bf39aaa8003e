# SPDX-License-Identifier: Apache-2.0
"""The two databases, asked in the same way."""
import contextlib
import sqlite3

import psycopg

METRICS = "SELECT category, total_events, total_revenue, CAST(event_date AS TEXT) FROM clickstream_metrics ORDER BY 4, 1"
WATERMARK = "SELECT table_name, gold_table_id, gold_version, CAST(loaded_at AS TEXT) FROM clickmill_loads"


class Sink:
    def metrics(self):
        """{(category, day): (events, revenue)}"""
        return {(c, d): (n, r) for c, n, r, d in self.query(METRICS)}

    def watermark(self):
        return self.query(WATERMARK)

    def everything(self):
        """To compare before and after: every row of both tables, and where the database put it."""
        return self.query(METRICS), self.watermark(), self.query(self.PLACES)


class Sqlite(Sink):
    PLACES = "SELECT rowid, * FROM clickstream_metrics ORDER BY 1"

    def __init__(self, home):
        self.path = home / "data/analytics.db"
        self.url = "sqlite:data/analytics.db"

    def query(self, sql, *values):
        with contextlib.closing(sqlite3.connect(self.path)) as db, db:
            return db.execute(sql, values).fetchall()

    def tables(self):
        """{name: its columns as (name, declared type, place in the primary key)}"""
        names = [n for n, in self.query("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {n: [(c, t, pk) for _, c, t, _, _, pk in self.query(f"PRAGMA table_info({n})")] for n in names}


class Postgres(Sink):
    # xmin and ctid change with every UPDATE, also with one that writes the same values.
    PLACES = "SELECT xmin::text, ctid::text, category, event_date FROM clickstream_metrics ORDER BY 4, 3"

    def __init__(self, url):
        self.url = url

    def query(self, sql, *values):
        # The driver of Python gives DATE as date and so on; the server's odd settings do not matter.
        with psycopg.connect(self.url, options="-c datestyle=ISO -c timezone=UTC -c extra_float_digits=1") as db:
            cursor = db.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    def tables(self):
        rows = self.query("""
            SELECT c.table_name, c.column_name, c.data_type, c.is_nullable, coalesce(k.ordinal_position, 0)
            FROM information_schema.columns c LEFT JOIN information_schema.key_column_usage k
                USING (table_schema, table_name, column_name)
            WHERE c.table_schema = 'public' ORDER BY c.table_name, c.ordinal_position""")
        found = {}
        for table, column, kind, _, key in rows:
            found.setdefault(table, []).append((column, kind, key))
        return found
