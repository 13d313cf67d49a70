from django.db import migrations

from products.db.triggers import install_products


def install(apps, schema_editor):
    # On SQLite they would be in the way of the next migration; `migrate` ends with their installation.
    if schema_editor.connection.vendor != "sqlite":
        install_products(schema_editor.connection)


class Migration(migrations.Migration):
    """Rules kept by the database itself; see `products.db.triggers`."""

    dependencies = [("products", "0001_initial")]

    operations = [migrations.RunPython(install, migrations.RunPython.noop, elidable=False)]
