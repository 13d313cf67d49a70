from django.db import migrations, models

import products.db.fields
from billing.ledger.calls.families import known_family

LINKED = "UPDATE billing_callreport SET group_pk = call_pk"
"""Until now, all reports that links connect were one call."""


def name_families(apps, schema_editor):
    reports = apps.get_model('billing', 'CallReport').objects
    for model in set(reports.values_list('model', flat=True)):
        reports.filter(model=model).update(family=known_family(model))


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0016_price_basis'),
    ]

    operations = [
        migrations.AddField(
            model_name='callreport',
            name='group_pk',
            field=models.BigIntegerField(default=0, help_text='The lowest id of all reports that links connect with this.'),
            preserve_default=False,
        ),
        migrations.RunSQL(LINKED, migrations.RunSQL.noop),
        migrations.AddField(
            model_name='callreport',
            name='family',
            field=products.db.fields.CodePointCharField(blank=True, db_default='', default='', help_text="The model's family when the report came; empty if the price list did not know the name.", max_length=200),
        ),
        migrations.RunPython(name_families, migrations.RunPython.noop),
        migrations.AddField(
            model_name='callreport',
            name='copy_of',
            field=products.db.fields.CodePointCharField(blank=True, db_default='', default='', help_text='The event ID of a report of the same response that this is another copy of.', max_length=220),
        ),
        migrations.AddIndex(
            model_name='callreport',
            index=models.Index(fields=['project', 'group_pk'], name='call_report_group'),
        ),
    ]
