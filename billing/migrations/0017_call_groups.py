from django.db import migrations, models

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
        migrations.AddIndex(
            model_name='callreport',
            index=models.Index(fields=['project', 'group_pk'], name='call_report_group'),
        ),
    ]
