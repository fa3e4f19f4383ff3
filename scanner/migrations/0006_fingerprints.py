from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("scanner", "0005_read_fast"),
    ]

    operations = [
        migrations.AddField(
            model_name="namespace",
            name="fingerprints",
            field=models.JSONField(default=list),
        ),
    ]
