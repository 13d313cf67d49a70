from django.db import migrations, models

import products.db.fields

LINKED = "UPDATE billing_callreport SET group_pk = call_pk"
"""Until now, all reports that links connect were one call."""


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
            name='copy_of',
            field=products.db.fields.CodePointCharField(blank=True, db_default='', default='', help_text='The event ID of a report of the same response that this is another copy of.', max_length=220),
        ),
        migrations.AddIndex(
            model_name='callreport',
            index=models.Index(fields=['project', 'group_pk'], name='call_report_group'),
        ),
    ]
