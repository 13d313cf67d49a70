"""The Connect page: who can create a token there, what it shows, and that each set-up works as it is."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from billing import verification
from billing.models import CreditTransaction
from products import tokens
from products.models import ApiToken
from tests.conftest import NOW, missing
from tests.factories import usage
from tests.faults.server import own_database
from tests.otlp import CHAT, CHAT_NANOS
from tests.test_codex import FIRST, NAME, counted, meta, turn
from tests.test_concurrency import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.once]

WRITTEN = re.compile(r"aicost_[A-Za-z0-9_-]{43}")
LOGS = Path(__file__).parent / "data" / "claude_code"


def url(project: Any, name: str = "connect") -> str:
    return reverse(name, args=[project.pk])


def signed_in(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


def text(response: Any) -> str:
    return unescape(response.content.decode())


def form(client: Client, project: Any) -> dict[str, str]:
    """What the page's form sends."""
    return {"newest": re.search(r'name="newest" value="(\d+)"', text(client.get(url(project))))[1]}


def make(client: Client, project: Any, **headers: str) -> str:
    """The page after a click on the button."""
    response = client.post(url(project), form(client, project), headers=headers)
    assert response.status_code == 200, text(response)
    return text(response)


def setup(page: str, title: str) -> str:
    """The code with that title, as people copy it."""
    [code] = re.findall(
        rf'<p class="example-title">{re.escape(title)}</p>\s*<pre[^>]*><code>(.*?)</code></pre>',
        page,
        re.DOTALL,
    )
    return str(code)


# ---- A token


@pytest.mark.parametrize("person", ["owner", "manager"])
def test_owner_and_manager_create_a_token_that_can_only_send_usage(
    request: pytest.FixtureRequest, project: Any, person: str, clock: Any
) -> None:
    user = request.getfixturevalue(person)
    page = make(signed_in(user), project)
    token = ApiToken.objects.get()
    assert (token.user, token.scope, token.project) == (user, "ingest", project)
    assert (token.name, token.expires_at) == ("Connect, 17 Mar 2026", None)
    [secret] = set(WRITTEN.findall(page))
    assert tokens.find(secret) == token
    assert "Token “<bdi>Connect, 17 Mar 2026</bdi>” created" in page


def test_every_set_up_that_needs_the_token_has_it_filled_in(owner: Any, project: Any) -> None:
    client = signed_in(owner)
    assert not WRITTEN.search(text(client.get(url(project))))
    page = make(client, project)
    for title in ("Environment of the agents", "config.yaml of the proxy", "curl", "Environment"):
        assert WRITTEN.search(setup(page, title)), title
    assert "$AICOST_TOKEN" not in page


def test_the_text_is_shown_once_and_stored_nowhere(owner: Any, project: Any) -> None:
    client = signed_in(owner)
    response = client.post(url(project), form(client, project))
    [secret] = set(WRITTEN.findall(text(response)))
    assert "no-store" in response["Cache-Control"]
    assert not WRITTEN.search(text(client.get(url(project))))
    stored = [repr(session.get_decoded()) for session in Session.objects.all()]
    stored += [cookie.value for cookie in client.cookies.values()]
    assert stored
    assert secret not in repr(stored)


def test_reloading_the_response_creates_no_other_token(owner: Any, project: Any) -> None:
    client = signed_in(owner)
    sent = form(client, project)
    assert client.post(url(project), sent).status_code == 200
    for _ in range(2):
        again = client.post(url(project), sent)
        assert again.status_code == 422
        assert "already been created" in text(again)
        assert not WRITTEN.search(text(again))
    assert ApiToken.objects.count() == 1
    shown = re.search(r'name="newest" value="(\d+)"', text(again))[1]
    assert client.post(url(project), {"newest": shown}).status_code == 200
    assert ApiToken.objects.count() == 2


def test_tokens_of_other_products_people_and_scopes_do_not_matter(
    owner: Any, manager: Any, project: Any, other_project: Any, stranger: Any
) -> None:
    client = signed_in(owner)
    sent = form(client, project)
    tokens.issue(owner, scope="read", project=project)
    tokens.issue(manager, scope="ingest", project=project)
    tokens.issue(stranger, scope="ingest", project=other_project)
    assert client.post(url(project), sent).status_code == 200


@pytest.mark.parametrize(
    "sent", [{}, {"newest": ""}, {"newest": "x"}, {"newest": "-1"}, {"newest": "٣"}, {"newest": "9" * 40}]
)
def test_a_form_without_a_valid_newest_token_creates_only_the_first_token(
    owner: Any, project: Any, sent: dict[str, str]
) -> None:
    client = signed_in(owner)
    assert client.post(url(project), sent).status_code == 200
    assert client.post(url(project), sent).status_code == 422
    assert ApiToken.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_double_click_creates_one_token(owner: Any, project: Any) -> None:
    def act() -> bool:
        try:
            tokens.issue_once(owner, scope="ingest", project=project, newest=0, name="Connect")
        except tokens.AlreadyIssued:
            return False
        return True

    assert sorted(at_once(act, act, act)) == [False, False, True]
    assert ApiToken.objects.count() == 1


@pytest.mark.parametrize("person", ["viewer", "superuser"])
def test_viewers_see_who_can_create_tokens(request: pytest.FixtureRequest, project: Any, person: str) -> None:
    client = signed_in(request.getfixturevalue(person))
    page = text(client.get(url(project)))
    assert "Create a token" not in page
    assert "Only the owner, <bdi>owner</bdi>, and managers" in page
    assert "Bearer $AICOST_TOKEN" in setup(page, "curl")
    assert client.post(url(project), {"newest": "0"}).status_code == 403
    assert not ApiToken.objects.exists()


def test_strangers_create_nothing_and_learn_nothing(stranger: Any, staff: Any, project: Any) -> None:
    for person in (stranger, staff):
        client = signed_in(person)
        theirs = client.post(url(project), {"newest": "0"})
        absent = client.post(reverse("connect", args=[999_999]), {"newest": "0"})
        assert theirs.status_code == absent.status_code == 404
        assert theirs.content == absent.content
    assert not ApiToken.objects.exists()


def test_another_sites_form_creates_no_token(owner: Any, project: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    assert client.post(url(project), {"newest": "0"}).status_code == 403
    assert not ApiToken.objects.exists()


def test_an_archived_product_accepts_no_usage_and_says_so(owner: Any, project: Any) -> None:
    project.archived_at = NOW
    project.save()
    client = signed_in(owner)
    page = text(client.get(url(project)))
    assert "This product is archived." in page
    assert "Create a token" not in page
    assert "hx-trigger" not in page
    assert client.post(url(project), {"newest": "0"}).status_code == 403
    assert not ApiToken.objects.exists()


def test_the_page_says_how_to_switch_a_second_instrumentation_off(viewer: Any, project: Any) -> None:
    page = text(signed_in(viewer).get(url(project)))
    assert "Use only one instrumentation for each call." in page
    for language in ("Python:", "TypeScript and JavaScript:", "Any language:"):
        assert f"<li><b>{language}</b>" in page
    for name in (
        "ANTHROPIC_OPEN_TELEMETRY=false",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        "OTEL_NODE_DISABLED_INSTRUMENTATIONS",
    ):
        assert f"<code>{name}</code>" in page


# ---- The first usage


@pytest.mark.parametrize("arrived", [False, True])
def test_the_fragment_is_a_part_of_its_page(owner: Any, project: Any, arrived: bool) -> None:
    if arrived:
        usage(project)
    client = signed_in(owner)
    part = client.get(url(project, "connect-arrived"))
    assert part.status_code == 200
    assert len(part.content) > 200
    assert part.content in client.get(url(project)).content


def test_the_page_polls_until_usage_arrives(owner: Any, project: Any, clock: Any) -> None:
    client = signed_in(owner)
    address = url(project, "connect-arrived")
    page = text(client.get(url(project)))
    assert "Waiting for the first usage…" in page
    assert f'hx-get="{address}" hx-trigger="every 3s"' in page
    assert f'<noscript> <a href="{url(project)}">' in page
    waiting = client.get(address, headers={"HX-Request": "true"})
    assert (waiting.status_code, waiting.content) == (204, b"")
    usage(project, occurredAt="2026-03-17T11:30:00Z")
    usage(project, occurredAt="2026-03-16T11:30:00Z")
    arrived = text(client.get(address, headers={"HX-Request": "true"}))
    assert re.search(r"First usage arrived <time [^>]*>17 Mar 2026, 12:00</time>", arrived)
    assert re.search(r"The latest is from <time [^>]*>17 Mar 2026, 11:30</time>", arrived)
    assert f'href="{url(project, "ai-cost")}"' in arrived
    assert "hx-" not in arrived


def test_a_job_event_without_cost_counts_as_usage(owner: Any, project: Any) -> None:
    usage_of_a_job = {"kind": "job", "runId": "r", "jobId": "j", "occurredAt": NOW.isoformat()}
    _, secret = tokens.issue(owner, project=project, scope="ingest")
    sent = Client().post(
        "/api/v1/usage", usage_of_a_job, "application/json", headers={"Authorization": f"Bearer {secret}"}
    )
    assert sent.status_code == 200, sent.content
    page = text(signed_in(owner).get(url(project)))
    assert "First usage arrived" in page
    assert "The latest is from" not in page


@pytest.mark.parametrize("person", ["stranger", "staff"])
def test_strangers_cannot_see_whether_usage_arrived(
    request: pytest.FixtureRequest, project: Any, person: str
) -> None:
    usage(project)
    client = signed_in(request.getfixturevalue(person))
    theirs = client.get(url(project, "connect-arrived"))
    absent = client.get(reverse("connect-arrived", args=[999_999]))
    assert theirs.status_code == absent.status_code == 404
    assert theirs.content == absent.content


def test_a_polling_page_goes_to_sign_in_when_the_session_ends(client: Client, project: Any) -> None:
    response = client.get(url(project, "connect-arrived"), headers={"HX-Request": "true"})
    assert response["HX-Redirect"].startswith(reverse("sign-in"))


# ---- What the page says


def test_set_ups_use_the_address_of_the_request(owner: Any, project: Any, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["aicost.example.com"]
    response = signed_in(owner).get(url(project), secure=True, headers={"Host": "aicost.example.com"})
    page = text(response)
    site = "https://aicost.example.com"
    assert f"{site}/v1/traces\n" in setup(page, "Environment of the agents")
    assert f'"{site}/api/v1/litellm"' in setup(page, "config.yaml of the proxy")
    assert f"curl {site}/api/v1/usage " in setup(page, "curl")
    assert f'"{site}/api/v1/usage"' in setup(page, "Python")
    assert "rsync -a ~/.codex/sessions/ aicost.example.com:agent-logs/" in page
    assert f"{site}{url(project, 'product')}" in page


def test_only_managers_see_the_folders_of_the_server(
    owner: Any, viewer: Any, project: Any, settings: Any
) -> None:
    assert f"{settings.BASE_DIR}/manage.py" in setup(text(signed_in(owner).get(url(project))), "Claude Code")
    page = text(signed_in(viewer).get(url(project)))
    assert str(settings.BASE_DIR) not in page
    assert "/srv/aicost/manage.py" in setup(page, "Claude Code")


def test_every_page_has_an_event_with_a_new_id(owner: Any, project: Any) -> None:
    client = signed_in(owner)
    commands = [setup(text(client.get(url(project))), "curl") for _ in range(2)]
    ids = {re.search(r'"eventId": "(first-\w+)"', command)[1] for command in commands}
    assert len(ids) == 2


def test_the_response_with_the_token_has_no_inline_script_or_style(owner: Any, project: Any) -> None:
    page = make(signed_in(owner), project)
    assert not re.search(r"<style|\sstyle=|\son\w+=|hx-on|<script(?![^>]* src=)|javascript:", page)


# ---- Each set-up works as it is


def really(test: Callable[..., None]) -> Callable[..., None]:
    """Marks a test that does what the page says, with a running server."""
    return pytest.mark.once(pytest.mark.django_db(transaction=True)(test))


@pytest.fixture
def page(live_server: Any, owner: Any, project: Any) -> str:
    """The page with a token, for the address of a running server."""
    return make(signed_in(owner), project, Host=urlsplit(live_server.url).netloc)


def shell(script: str, home: Path, **environment: str) -> str:
    """Run the script in a shell with its own environment; return what it prints."""
    result = subprocess.run(
        ["sh", "-c", script],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "NO_PROXY": "*", **environment},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def needs(tool: str, how: str) -> None:
    if not shutil.which(tool):
        missing(tool, how)


def python(code: Path) -> str:
    return f"{sys.executable} {code}"


def recorded(project: Any) -> list[tuple[str, str, int]]:
    assert not list(verification.differences(project))
    rows = CreditTransaction.objects.filter(project=project)
    return sorted(rows.values_list("job__run__run_id", "model", "amount_nanos"))


@really
def test_the_curl_command_records_one_event_however_often_it_runs(
    page: str, project: Any, tmp_path: Path
) -> None:
    needs("curl", "install curl")
    command = setup(page, "curl")
    for status in ("recorded", "duplicate"):
        assert json.loads(shell(command, tmp_path))["results"][0]["status"] == status
    assert recorded(project) == [("first-run", "claude-haiku-4-5", 2_900_000)]


@really
def test_a_shell_fills_in_the_token_while_there_is_none_in_the_page(
    live_server: Any, owner: Any, viewer: Any, project: Any, tmp_path: Path
) -> None:
    needs("curl", "install curl")
    _, secret = tokens.issue(owner, project=project, scope="ingest")
    page = text(signed_in(viewer).get(url(project), headers={"Host": urlsplit(live_server.url).netloc}))
    shell(setup(page, "curl"), tmp_path, AICOST_TOKEN=secret)
    assert len(recorded(project)) == 1
    printed = shell(setup(page, "Environment of the agents") + "\nenv", tmp_path, AICOST_TOKEN=secret)
    assert f"OTEL_EXPORTER_OTLP_TRACES_HEADERS=Authorization=Bearer%20{secret}\n" in printed


@really
def test_the_python_program_records_its_event(page: str, project: Any, tmp_path: Path) -> None:
    code = tmp_path / "report.py"
    code.write_text(setup(page, "Python"))
    shell(f"{setup(page, 'Environment')}\n{python(code)}", tmp_path)
    assert recorded(project) == [("first-run", "claude-haiku-4-5", 2_900_000)]


AGENT = """
import json, os
from opentelemetry import trace
# What `opentelemetry-instrument` and every distribution configure the SDK by.
from opentelemetry.sdk._configuration import _OTelSDKConfigurator

_OTelSDKConfigurator().configure()
span = trace.get_tracer("an agent").start_span("chat", attributes=json.loads(os.environ["CHAT"]))
span.end()
trace.get_tracer_provider().shutdown()
"""


@really
def test_the_environment_sends_the_real_sdks_traces_here(page: str, project: Any, tmp_path: Path) -> None:
    if not importlib.util.find_spec("opentelemetry.sdk"):
        missing("the OpenTelemetry SDK", "pip install -e .[test]")
    code = tmp_path / "agent.py"
    code.write_text(AGENT)
    shell(f"{setup(page, 'Environment of the agents')}\n{python(code)}", tmp_path, CHAT=json.dumps(CHAT))
    [(_, model, nanos)] = recorded(project)
    assert (model, nanos) == ("gpt-4o", CHAT_NANOS)


# The proxy's own loader needs its web framework; this takes the settings in its order, by its functions.
PROXY = """
import asyncio, json, os, yaml
import litellm
from litellm.litellm_core_utils.logging_callback_manager import LoggingCallbackManager

config = yaml.safe_load(open("config.yaml"))

async def main():
    litellm.callback_settings = config.pop("callback_settings")
    settings = config.pop("litellm_settings")
    assert not config
    for name, value in settings.items():
        assert hasattr(litellm, name), name
        if name == "callbacks":
            value = [LoggingCallbackManager.add_custom_callback_generic_api_str(one) for one in value]
        setattr(litellm, name, value)
    [logger] = litellm.callbacks
    asked = {"messages": [{"role": "user", "content": "our secret plan"}], "mock_response": "a secret answer"}
    await litellm.acompletion("gpt-4o-mini", **asked)
    for wait in range(100):
        if logger.log_queue:
            break
        await asyncio.sleep(0.1)
    sent = json.dumps(logger.log_queue, default=str)
    await logger.flush_queue()
    print(json.dumps([sent, logger.batch_size, logger.max_retries, logger.retry_delay]))

asyncio.run(main())
"""


@really
@pytest.mark.long
def test_the_proxys_configuration_sends_what_the_real_litellm_logs_but_no_prompts(
    page: str, project: Any, tmp_path: Path
) -> None:
    if not (importlib.util.find_spec("litellm") and importlib.util.find_spec("yaml")):
        missing("litellm", "pip install -e .[test]")
    (tmp_path / "config.yaml").write_text(setup(page, "config.yaml of the proxy"))
    (tmp_path / "proxy.py").write_text(PROXY)
    local = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "DEFAULT_FLUSH_INTERVAL_SECONDS": "600"}
    output = shell(python(tmp_path / "proxy.py"), tmp_path, **local)
    sent, *options = json.loads(output.splitlines()[-1])
    assert options == [100, 5, 1]
    assert "gpt-4o-mini" in sent
    assert "secret" not in sent
    [(_, model, nanos)] = recorded(project)
    assert (model, nanos > 0) == ("gpt-4o-mini", True)


COPIED = "Copied logs, on the aicost server"
CRONTAB = re.compile(r"\*/15 \* \* \* \* (.*)")


def turn_of(line: str, home: Path) -> str:
    """Run the command of that crontab line once."""
    needs("flock", "install util-linux")
    command = CRONTAB.fullmatch(line)[1].replace(r"\%", "%")
    return shell(command, home, DATABASE_URL=own_database(), DEBUG="true")


@really
@pytest.mark.parametrize(
    ("title", "folder"),
    [("Claude Code", ".claude/projects"), (COPIED, "agent-logs")],
)
def test_the_crontabs_line_imports_claude_codes_logs(
    owner: Any, project: Any, tmp_path: Path, title: str, folder: str
) -> None:
    shutil.copytree(LOGS, tmp_path / folder / "a-project")
    line = setup(cron_page(owner, project), title)
    assert turn_of(line, tmp_path) == ""
    rows = recorded(project)
    assert rows
    turn_of(line, tmp_path)
    assert recorded(project) == rows


@really
def test_the_crontabs_line_imports_codexs_logs(owner: Any, project: Any, tmp_path: Path) -> None:
    log = tmp_path / ".codex" / "sessions" / "2026" / Path(NAME).name
    log.parent.mkdir(parents=True)
    log.write_text("".join(json.dumps(one) + "\n" for one in (meta(0), turn(1), counted(2, FIRST, FIRST))))
    turn_of(setup(cron_page(owner, project), "Codex"), tmp_path)
    assert len(recorded(project)) == 1


@really
def test_the_file_is_imported(owner: Any, project: Any, tmp_path: Path) -> None:
    page = cron_page(owner, project)
    (tmp_path / "usage.jsonl").write_text(setup(page, "usage.jsonl"))
    command = setup(page, "On the aicost server")
    shell(command, tmp_path, DATABASE_URL=own_database(), DEBUG="true")
    assert sorted(recorded(project)) == [
        ("build-1", "", 12_500_000),
        ("build-1", "claude-haiku-4-5", 2_900_000),
    ]


def test_each_line_of_the_crontab_has_a_lock_of_its_own(owner: Any, project: Any) -> None:
    page = cron_page(owner, project)
    lines = [setup(page, title) for title in ("Claude Code", "Codex", COPIED)]
    assert len({re.search(r"flock -n (\S+)", line)[1] for line in lines}) == 3


def test_percent_signs_are_escaped_for_cron(owner: Any, project: Any, settings: Any) -> None:
    settings.BASE_DIR = Path("/opt/100% ours")
    line = setup(cron_page(owner, project), "Claude Code")
    assert r"'/opt/100\% ours/manage.py'" in line


def cron_page(owner: Any, project: Any) -> str:
    return text(signed_in(owner).get(url(project)))
