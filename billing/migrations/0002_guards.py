from django.db import migrations

from billing.guards import install_billing


def install(apps, schema_editor):
    # On SQLite they would be in the way of the next migration; `migrate` ends with their installation.
    if schema_editor.connection.vendor != "sqlite":
        install_billing(schema_editor.connection)


class Migration(migrations.Migration):
    """Rules kept by the database itself; see `billing.guards`."""

    dependencies = [("billing", "0001_initial")]

    operations = [migrations.RunPython(install, migrations.RunPython.noop, elidable=False)]
