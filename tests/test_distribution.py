"""Every table has its place on a cluster; keys, guards and migrations are what they were."""

from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, migrations, models, transaction
from django.db.migrations.state import ProjectState
from django.test.utils import CaptureQueriesContext

from billing.db import citus as citus_tables
from billing.db.citus import BY_PROJECT, COORDINATOR, EVERYWHERE
from billing.rollups import verification
from products.models import Project
from tests import citus
from tests.damage import sql
from tests.factories import MembershipFactory, ProjectFactory, UserFactory, usage

LEDGER = citus_tables.LEDGER


def rows(query: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return list(cursor.fetchall())


def test_every_table_has_one_place() -> None:
    ours = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    places = [*BY_PROJECT, *EVERYWHERE, *COORDINATOR]
    assert set(places) == ours | {"django_migrations"}
    assert len(places) == len(set(places))


def test_what_cannot_be_without_a_project_lies_with_it() -> None:
    for model in apps.get_models():
        fields = {field.name: field for field in model._meta.concrete_fields}
        project = fields.get("project")
        bound = model is Project or (project is not None and not project.null)
        assert bound == (model._meta.db_table in BY_PROJECT), model


@pytest.mark.django_db
def test_no_other_database_is_spread() -> None:
    if citus.in_use():
        assert citus_tables.distributed(connection)
        return
    needs = "extension citus: install it" if connection.vendor == "postgresql" else "the database is sqlite"
    for options in ({}, {"dry_run": True}):
        with pytest.raises(CommandError, match=needs):
            call_command("distribute", **options)
    assert not citus_tables.distributed(connection)
    assert verification.how_guarded() == ""


@pytest.mark.django_db
def test_a_migration_places_nothing_where_nothing_is_spread(monkeypatch: Any) -> None:
    monkeypatch.setattr(citus_tables, "distributed", lambda _: False)
    with CaptureQueriesContext(connection) as asked:
        citus_tables.place(apps, SimpleNamespace(connection=connection))
    assert len(asked) == 0


POSITIVE = models.Q(noted__gte=0)
PRIMARY_KEY = """
    SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
    WHERE indrelid = %s::regclass AND indisprimary"""
FOREIGN_KEYS = """
    SELECT conname, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f'
    AND conrelid = %s::regclass"""
INDEXES = "SELECT indexname FROM pg_indexes WHERE tablename = %s"


# On a cluster


@pytest.mark.citus
@pytest.mark.django_db
class TestOnACluster:
    def test_a_second_run_has_nothing_to_do(self) -> None:
        told = StringIO()
        call_command("distribute", stdout=told)
        assert told.getvalue() == "Every table was distributed already.\n"
        assert citus_tables.plan(connection) == []

    def test_tables_lie_as_the_lists_say(self) -> None:
        found = rows("SELECT table_name::text, citus_table_type, colocation_id FROM citus_tables")
        place = {table: kind for table, kind, _ in found}
        assert {table for table in place if place[table] == "distributed"} == set(BY_PROJECT)
        assert {table for table in place if place[table] == "reference"} == set(EVERYWHERE)
        assert len({together for table, _, together in found if table in BY_PROJECT}) == 1

    @pytest.mark.parametrize("table", BY_PROJECT)
    def test_keys_begin_with_the_project(self, table: str) -> None:
        unique = rows(
            "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0] "
            "WHERE indisunique AND indrelid = %s::regclass",
            table,
        )
        assert {column for (column,) in unique} == {"id" if table == citus_tables.PROJECT else "project_id"}

    def test_every_foreign_key_of_the_models_is_kept_but_that_of_tokens_to_products(self) -> None:
        wanted, kept = set(), set()
        for model in apps.get_models(include_auto_created=True):
            table = model._meta.db_table
            wanted |= {
                (table, field.related_model._meta.db_table)
                for field in model._meta.concrete_fields
                if field.remote_field and field.db_constraint
            }
            kept |= {(table, parent) for _, parent in rows(FOREIGN_KEYS, table)}
        assert wanted - kept == {("products_apitoken", "products_project")}

    def test_keys_of_the_guards_are_kept(self) -> None:
        names = {name for table in BY_PROJECT for name, _ in rows(FOREIGN_KEYS, table)}
        assert names >= {
            *("products_run_project", "products_job_run", "products_job_type"),
            *("billing_transaction_project", "billing_transaction_job", "billing_transaction_corrects"),
        }

    @pytest.mark.parametrize(
        "statement",
        [
            f"UPDATE {LEDGER} SET amount_nanos = 0",
            f"UPDATE {LEDGER} SET amount_nanos = 0 WHERE project_id = %s",
            f"DELETE FROM {LEDGER} WHERE project_id = %s",
            f"TRUNCATE {LEDGER}",
            "TRUNCATE products_project CASCADE",
        ],
    )
    def test_the_ledger_only_grows(self, project: Project, statement: str) -> None:
        usage(project)
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            sql(statement, *([project.pk] if "%s" in statement else []))

    def test_the_proof_says_how_the_ledger_is_guarded(self) -> None:
        told = StringIO()
        call_command("verify_ledger", stdout=told)
        parts = citus.SHARDS
        assert f"refused by a trigger in {parts} of its {parts} parts" in told.getvalue()

    def test_a_part_without_its_guard_is_named(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(citus_tables, "guarded_shards", lambda _: (3, 4))
        assert list(verification.missing_guards()) == ["the trigger is missing in 1 of 4 parts of the ledger"]

    def test_a_person_is_deleted_after_all_products_were_asked(self, project: Project) -> None:
        """As in the admin, which looks for what is theirs."""
        person = UserFactory()
        MembershipFactory(project=project, user=person)
        assert Project.objects.count() >= 1
        person.delete()
        assert project.memberships.filter(user=person.pk).count() == 0

    @pytest.mark.parametrize("name", citus_tables.SETTINGS)
    def test_every_connection_has_the_settings(self, name: str) -> None:
        assert rows(f"SHOW {name}") == [(citus_tables.SETTINGS[name],)]

    def test_a_migration_makes_columns_indexes_and_tables(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(citus_tables, "BY_PROJECT", (*BY_PROJECT, "products_note"))
        fields = [
            ("id", models.BigAutoField(primary_key=True)),
            ("project", models.ForeignKey("products.project", models.CASCADE)),
        ]
        migration = migrations.Migration("0099_notes", "products")
        migration.operations = [
            migrations.CreateModel("Note", fields),
            migrations.RunPython(citus_tables.place),
            migrations.AddField("Note", "reader", models.ForeignKey("auth.user", models.SET_NULL, null=True)),
            migrations.AddField("PipelineRun", "seen_at", models.DateTimeField(null=True)),
            # A positive field's check has no name, without which Citus adds none with a column.
            migrations.AddField("PipelineRun", "noted", models.IntegerField(default=3)),
            migrations.AddConstraint("PipelineRun", models.CheckConstraint(condition=POSITIVE, name="noted")),
            migrations.AddIndex("PipelineRun", models.Index(fields=["project", "seen_at"], name="run_seen")),
        ]
        project = ProjectFactory()
        usage(project)
        with connection.schema_editor(atomic=True) as editor:
            migration.apply(ProjectState.from_apps(apps), editor)
        assert {column for (column,) in rows(PRIMARY_KEY, "products_note")} == {"project_id", "id"}
        assert {key for _, key in rows(FOREIGN_KEYS, "products_note")} == {"products_project", "auth_user"}
        assert ("run_seen",) in rows(INDEXES, "products_pipelinerun")
        assert rows("SELECT noted FROM products_pipelinerun WHERE project_id = %s", project.pk) == [(3,)]
