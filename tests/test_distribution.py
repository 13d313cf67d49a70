"""On a cluster every table has its place, and keys, guards and migrations work as on one machine."""

from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, migrations, models, transaction
from django.db.migrations.state import ProjectState
from django.test.utils import CaptureQueriesContext

from billing import verification
from billing.db.citus import catalog, guards, place, placement
from billing.db.citus.tables import BY_PROJECT, COORDINATOR, EVERYWHERE, PROJECT
from billing.db.triggers import LEDGER
from products.models import Project
from tests import citus
from tests.damage import sql
from tests.factories import MembershipFactory, ProjectFactory, UserFactory, usage


def rows(query: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return list(cursor.fetchall())


def test_every_table_has_one_place() -> None:
    tables = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    places = [*BY_PROJECT, *EVERYWHERE, *COORDINATOR]
    assert set(places) == tables | {"django_migrations"}
    assert len(places) == len(set(places))


def test_rows_that_need_a_project_are_distributed_with_it() -> None:
    for model in apps.get_models():
        fields = {field.name: field for field in model._meta.concrete_fields}
        project = fields.get("project")
        bound = model is Project or (project is not None and not project.null)
        assert bound == (model._meta.db_table in BY_PROJECT), model


@pytest.mark.django_db
def test_a_database_without_citus_is_not_distributed() -> None:
    if citus.in_use():
        assert catalog.is_distributed(connection)
        return
    needs = "extension citus: install it" if connection.vendor == "postgresql" else "the database is sqlite"
    for options in ({}, {"dry_run": True}):
        with pytest.raises(CommandError, match=needs):
            call_command("distribute", **options)
    assert not catalog.is_distributed(connection)
    assert verification.how_guarded() == ""


@pytest.mark.django_db
def test_the_ledger_is_verified_before_its_tables_are_distributed(settings: Any, monkeypatch: Any) -> None:
    """As after a restore to one PostgreSQL, with DISTRIBUTED=true already set."""
    settings.DISTRIBUTED = True
    monkeypatch.setattr(catalog, "placed_tables", lambda _: set())
    assert list(verification.missing_guards()) == []
    assert verification.how_guarded() == ""


@pytest.mark.django_db
def test_a_migration_places_nothing_if_the_tables_are_not_distributed(monkeypatch: Any) -> None:
    monkeypatch.setattr(catalog, "is_distributed", lambda _: False)
    with CaptureQueriesContext(connection) as found:
        placement.place(apps, SimpleNamespace(connection=connection))
    assert len(found) == 0


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
        output = StringIO()
        call_command("distribute", stdout=output)
        assert output.getvalue() == "Every table was in place already.\n"
        assert placement.plan(connection) == []

    def test_tables_are_where_the_lists_say(self) -> None:
        found = rows("SELECT table_name::text, citus_table_type, colocation_id FROM citus_tables")
        kinds = {table: kind for table, kind, _ in found}
        assert {table for table in kinds if kinds[table] == "distributed"} == set(BY_PROJECT)
        assert {table for table in kinds if kinds[table] == "reference"} == set(EVERYWHERE)
        assert len({group for table, _, group in found if table in BY_PROJECT}) == 1

    @pytest.mark.parametrize("table", BY_PROJECT)
    def test_keys_begin_with_the_project(self, table: str) -> None:
        unique = rows(
            "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0] "
            "WHERE indisunique AND indrelid = %s::regclass",
            table,
        )
        assert {column for (column,) in unique} == {"id" if table == PROJECT else "project_id"}

    def test_foreign_keys_of_the_models_are_there_but_for_the_one_from_tokens_to_products(self) -> None:
        wanted, found = set(), set()
        for model in apps.get_models(include_auto_created=True):
            table = model._meta.db_table
            wanted |= {
                (table, field.related_model._meta.db_table)
                for field in model._meta.concrete_fields
                if field.remote_field and field.db_constraint
            }
            found |= {(table, parent) for _, parent in rows(FOREIGN_KEYS, table)}
        assert wanted - found == {("products_apitoken", "products_project")}

    def test_foreign_keys_of_the_guards_are_there(self) -> None:
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
    def test_the_ledger_is_append_only(self, project: Project, statement: str) -> None:
        usage(project)
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            sql(statement, *([project.pk] if "%s" in statement else []))

    def test_verify_ledger_says_how_the_ledger_is_guarded(self) -> None:
        output = StringIO()
        call_command("verify_ledger", stdout=output)
        parts = citus.SHARDS
        assert f"refused by a trigger in {parts} of its {parts} parts" in output.getvalue()

    def test_shards_without_a_guard_are_counted(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(guards, "guarded_shards", lambda _: (3, 4))
        assert list(verification.missing_guards()) == ["the trigger is missing in 1 of 4 parts of the ledger"]

    def test_a_person_can_be_deleted_after_a_query_over_all_products(self, project: Project) -> None:
        """As in the admin, which looks up everything that belongs to the person first."""
        person = UserFactory()
        MembershipFactory(project=project, user=person)
        assert Project.objects.count() >= 1
        person.delete()
        assert project.memberships.filter(user=person.pk).count() == 0

    @pytest.mark.parametrize("name", placement.SETTINGS)
    def test_every_connection_has_the_settings(self, name: str) -> None:
        assert rows(f"SHOW {name}") == [(placement.SETTINGS[name],)]

    def test_a_migration_adds_columns_indexes_and_tables(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(placement, "BY_PROJECT", (*BY_PROJECT, "products_note"))
        fields = [
            ("id", models.BigAutoField(primary_key=True)),
            ("project", models.ForeignKey("products.project", models.CASCADE)),
        ]
        migration = migrations.Migration("0099_notes", "products")
        migration.operations = [
            migrations.CreateModel("Note", fields),
            migrations.RunPython(place),
            migrations.AddField("Note", "reader", models.ForeignKey("auth.user", models.SET_NULL, null=True)),
            migrations.AddField("PipelineRun", "seen_at", models.DateTimeField(null=True)),
            # Not a positive field: Citus adds no column with a check that has no name.
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
