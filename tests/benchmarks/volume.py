"""The size of a ledger on disk: each table and index, in total and for each row of the ledger."""

from collections.abc import Iterator
from typing import Any

from tests.benchmarks import databases

LEDGER = "billing_credittransaction"
_SIZES = """
    SELECT c.relname, i.relname, pg_table_size(c.oid), pg_relation_size(i.oid), c.reltuples::bigint
    FROM pg_class c LEFT JOIN pg_index x ON x.indrelid = c.oid LEFT JOIN pg_class i ON i.oid = x.indexrelid
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.reltuples > 0
    ORDER BY pg_total_relation_size(c.oid) DESC, 1, 2
"""


def of(database: str) -> dict[str, Any]:
    with databases.connect(databases.url_of(database)) as connection:
        sizes = connection.execute(_SIZES).fetchall()
        [(total, rows)] = connection.execute(
            "SELECT pg_database_size(current_database()), reltuples::bigint FROM pg_class "
            "WHERE oid = %s::regclass",
            [LEDGER],
        ).fetchall()
    tables: dict[str, dict[str, Any]] = {}
    for table, index, size, index_size, lines in sizes:
        entry = tables.setdefault(table, {"rows": lines, "bytes": size, "indexes": {}})
        if index:
            entry["indexes"][index] = index_size
    return {"ledger_rows": rows, "bytes": total, "bytes_a_row": round(total / rows, 1), "tables": tables}


def table(volumes: dict[int, dict[str, Any]]) -> Iterator[str]:
    """Yield Markdown for the largest ledger, with what takes a byte or more for each of its rows."""
    found = volumes[max(volumes)]
    yield f"| {found['ledger_rows']:,} rows, bytes a row | rows | table | indexes |"
    yield "| --- | --- | --- | --- |"
    for name, entry in found["tables"].items():
        table, indexes = (
            size / found["ledger_rows"] for size in (entry["bytes"], sum(entry["indexes"].values()))
        )
        if table + indexes >= 1:
            yield f"| `{name}` | {entry['rows']:,} | {table:.1f} | {indexes:.1f} |"
    yield f"| all in: {found['bytes_a_row']} | | {found['bytes'] / 2**30:.1f} GiB | |"
