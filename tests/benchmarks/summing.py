"""All rollups of a large ledger at once, computed by the server and equal to rebuilding each product.

That reads the ledger once for each rollup, product by product; here it is read once, to the sums of each job
and day, and all rollups are added up from those. `manage.py verify_ledger` holds them to the plain join.
"""

from typing import Any

_BOOKED = """
    CREATE TEMPORARY TABLE booked AS
    SELECT s.*, j.run_id, j.agent_type_id, j.status, date_trunc('month', s.day)::date AS month
    FROM (
        SELECT project_id, job_id, billed_on AS day,
            SUM(CASE kind WHEN 'refund' THEN -amount_nanos ELSE amount_nanos END)::bigint AS cost_nanos,
            SUM(input_tokens + cache_read_tokens + cache_write_tokens)::bigint AS input_tokens,
            SUM(output_tokens)::bigint AS output_tokens, COUNT(*) AS transactions
        FROM billing_credittransaction WHERE job_id IS NOT NULL GROUP BY 1, 2, 3
    ) AS s JOIN products_agentjob j ON j.id = s.job_id
"""
_FINISHED = """
    CREATE TEMPORARY TABLE finished AS
    SELECT project_id, agent_type_id, status, finished_on AS day,
        date_trunc('month', finished_on)::date AS month, COUNT(*) AS jobs
    FROM products_agentjob WHERE finished_on IS NOT NULL GROUP BY 1, 2, 3, 4
"""
_SPEND = ("cost_nanos", "input_tokens", "output_tokens", "transactions")
_DAYS_AND_MONTHS = {
    "billing_monthtotal": "project_id, month",
    "billing_dailyspend": "project_id, day",
    "billing_dailyagentspend": "project_id, day, agent_type_id",
}


def _of(status: str, what: str) -> str:
    return f"CASE status WHEN '{status}' THEN {what} ELSE 0 END"


_JOBS = {f"{end}_jobs": _of(end, "jobs") for end in ("succeeded", "failed", "cancelled")}
_WASTE = {f"{end}_cost_nanos": _of(end, "cost_nanos") for end in ("failed", "cancelled")}


def fill(connection: Any) -> None:
    """Fill empty rollups. There are no purchases and no unpriced usage."""
    spend = {name: name for name in _SPEND}
    with connection.transaction():
        connection.execute(_BOOKED)
        connection.execute(_FINISHED)
        for table, keys in _DAYS_AND_MONTHS.items():
            connection.execute(_sums(table, keys, spend, {"jobs": "jobs"}))
        by_agent_type = spend | _WASTE | {"unpriced": "0"}
        connection.execute(
            _sums("billing_monthlyspend", "project_id, month, agent_type_id", by_agent_type, _JOBS)
        )
        connection.execute(_sums("billing_runspend", "project_id, run_id, month", spend, {}))


def _sums(table: str, keys: str, booked: dict[str, str], finished: dict[str, str]) -> str:
    """Sums of what was recorded and of the finished jobs, by the same keys."""
    columns = [*booked, *finished]
    parts = [_part("booked", keys, [*booked.values(), *("0" for _ in finished)], columns)]
    if finished:
        parts.append(_part("finished", keys, [*("0" for _ in booked), *finished.values()], columns))
    sums = ", ".join(f"SUM({name})" for name in columns)
    return (
        f"INSERT INTO {table} ({keys}, {', '.join(columns)}) "
        f"SELECT {keys}, {sums} FROM ({' UNION ALL '.join(parts)}) AS parts GROUP BY {keys}"
    )


def _part(source: str, keys: str, values: list[str], columns: list[str]) -> str:
    named = ", ".join(f"{value} AS {name}" for value, name in zip(values, columns, strict=True))
    return f"SELECT {keys}, {named} FROM {source}"
