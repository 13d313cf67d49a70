"""What a Citus cluster needs: tables spread over several machines by PostgreSQL's extension Citus.

`manage.py distribute` and migrations use `placement`. Everything else here runs only with DISTRIBUTED=true;
without a cluster nothing of this package is imported.
"""

from billing.db.citus.placement import place

__all__ = ["place"]
