from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("scanner", "0003_cell_counts"),
    ]

    operations = [
        migrations.AddField(
            model_name="scan",
            name="failed_namespaces",
            field=models.PositiveIntegerField(default=0),
        ),
    ]
