from django.db import migrations

from billing.db import triggers
from products.db.triggers import install


def install_first(apps, schema_editor):
    # On SQLite they would be in the way of the next migration; `migrate` ends with their installation.
    if schema_editor.connection.vendor != "sqlite":
        for guard in (triggers.APPEND_ONLY, *triggers.PARENTS):
            install(schema_editor.connection, guard)


class Migration(migrations.Migration):
    """Rules kept by the database itself; see `billing.db.triggers`."""

    dependencies = [("billing", "0001_initial")]

    operations = [migrations.RunPython(install_first, migrations.RunPython.noop, elidable=False)]
