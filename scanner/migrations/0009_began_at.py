from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('scanner', '0008_transition'),
    ]

    operations = [
        migrations.AddField(
            model_name='namespace',
            name='began_at',
            field=models.DateTimeField(null=True),
        ),
    ]
