from django.db import migrations

from billing import guards
from products.guards import install


def install_first(apps, schema_editor):
    # On SQLite they would be in the way of the next migration; `migrate` ends with their installation.
    if schema_editor.connection.vendor != "sqlite":
        for guard in (guards.APPEND_ONLY, *guards.PARENTS):
            install(schema_editor.connection, guard)


class Migration(migrations.Migration):
    """Rules kept by the database itself; see `billing.guards`."""

    dependencies = [("billing", "0001_initial")]

    operations = [migrations.RunPython(install_first, migrations.RunPython.noop, elidable=False)]
