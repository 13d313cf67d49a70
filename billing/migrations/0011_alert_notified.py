from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0010_month_totals'),
        ('products', '0006_reported_state'),
    ]

    operations = [
        migrations.RenameField('budgetalert', 'told', 'notified'),
    ]
