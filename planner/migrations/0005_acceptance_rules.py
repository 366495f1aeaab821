"""The rules that changes are accepted by unseen, until somebody writes others."""

from django.db import migrations

RULES = (
    # name, source, purchase, most change in per cent, new rows
    ("Spot prices, daily", "aws-spot", "spot", 200.0, True),
    ("Prices within 20 %", "", "", 20.0, False),
)


def add_rules(apps, schema_editor):
    rule = apps.get_model("planner", "AcceptanceRule")
    for name, source, purchase, most, new_rows in RULES:
        rule.objects.get_or_create(
            name=name,
            defaults={
                "source": source,
                "purchase": purchase,
                "most_change_percent": most,
                "new_rows": new_rows,
            },
        )


class Migration(migrations.Migration):
    dependencies = [("planner", "0004_living_catalog")]
    operations = [migrations.RunPython(add_rules, migrations.RunPython.noop)]
