"""The set-ups: scripts below `setups/`, each in the environment of its folder."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.agents.environments import FOLDER
from tests.agents.fake_apis.server import FAULTS

AGENT = frozenset({"Forecaster"})
"""The agent that scripts of ours name where a library has no agents of its own."""


@dataclass(frozen=True)
class SetUp:
    script: str
    """Below `setups/`. Its folder lists the exact versions, or else it runs with the tests' own packages."""
    packages: tuple[str, ...]
    """Those whose versions the table shows."""
    calls: int
    """How many calls the script makes that are billed."""
    agents: frozenset[str] = AGENT
    variables: dict[str, str] = field(default_factory=dict, hash=False)
    """With `{token}` for the token."""
    faults: dict[int, int] = field(default_factory=FAULTS.copy, hash=False)
    """The status with which the model's API fails at the request of this number."""
    imports: str = ""
    """What is imported when the script has ended, below its home."""
    name: str = ""
    is_quick: bool = False
    """Whether `make test` runs it, too."""

    def __str__(self) -> str:
        return self.name or self.script.rpartition(".")[0]

    @property
    def folder(self) -> str:
        return self.script.partition("/")[0]

    @property
    def path(self) -> Path:
        return FOLDER / self.script

    @property
    def is_locked(self) -> bool:
        """Whether the tests' own packages are enough."""
        return self.folder == "locked"


ANTHROPIC_SDK_OFF = {"ANTHROPIC_OPEN_TELEMETRY": "false"}
OPENLLMETRY = ("anthropic", "opentelemetry-instrumentation-anthropic")
OPENINFERENCE = ("anthropic", "openinference-instrumentation-anthropic")

OPENAI = ("openai", "openinference-instrumentation-openai")
GENAI = ("openai", "opentelemetry-instrumentation-genai-openai")

CHAIN = (
    "langchain-openai",
    "openinference-instrumentation-langchain",
    "openinference-instrumentation-openai",
)
AGENTS = (
    "openai-agents",
    "openinference-instrumentation-openai-agents",
    "openinference-instrumentation-openai",
)
OTHER = frozenset({"other"})
"""The agent type of calls for which no agent is named."""
ONE_FAULT = {2: 429}
"""For LiteLLM, whose own retries of Anthropic's calls fail."""
LITELLM = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "ANTHROPIC_OPEN_TELEMETRY": "false",
    "DEFAULT_FLUSH_INTERVAL_SECONDS": "2",
}
CLAUDE_CODE = ("@anthropic-ai/claude-code",)
MAIN = frozenset({"main"})
QUIET = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
TOLD = {
    **QUIET,
    "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
    "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
    "OTEL_TRACES_EXPORTER": "otlp",
}
PLAIN = {"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer {token}"}
"""Without the %20 that OpenTelemetry asks for."""
LOGS = ".claude/projects"

SET_UPS = [
    SetUp("locked/openinference_openai.py", OPENAI, 7, is_quick=True),
    SetUp("locked/genai_openai.py", GENAI, 7, is_quick=True),
    SetUp("locked/both_openai.py", (*OPENAI, GENAI[1]), 7, is_quick=True),
    SetUp("locked/embedding.py", OPENAI, 1),
    SetUp("anthropic/sdk_alone.py", ("anthropic",), 7),
    SetUp("anthropic/openllmetry.py", OPENLLMETRY, 7, variables=ANTHROPIC_SDK_OFF),
    SetUp("anthropic/openllmetry.py", OPENLLMETRY, 7, name="anthropic/openllmetry+sdk"),
    SetUp("anthropic/openinference.py", OPENINFERENCE, 7, variables=ANTHROPIC_SDK_OFF),
    SetUp("anthropic/openinference.py", OPENINFERENCE, 7, name="anthropic/openinference+sdk"),
    SetUp("openai/langchain_alone.py", CHAIN[:2], 5),
    SetUp("openai/langchain_and_openai.py", CHAIN, 5),
    SetUp("pydantic_ai/instrument_all.py", ("pydantic-ai-slim",), 9, variables=ANTHROPIC_SDK_OFF),
    SetUp("pydantic_ai/instrument_all.py", ("pydantic-ai-slim", "anthropic"), 9, name="pydantic_ai+sdk"),
    SetUp("pydantic_ai/logfire_too.py", ("pydantic-ai-slim", "logfire"), 9, variables=ANTHROPIC_SDK_OFF),
    SetUp("litellm/otel.py", ("litellm",), 8, OTHER, LITELLM, ONE_FAULT),
    SetUp("litellm/generic_api.py", ("litellm",), 8, OTHER, LITELLM, ONE_FAULT),
    SetUp("litellm/both.py", ("litellm",), 8, OTHER, LITELLM, ONE_FAULT),
    SetUp("langfuse/openai_and_anthropic.py", ("langfuse", "openai", "anthropic"), 8),
    SetUp("mlflow/autolog.py", ("mlflow-skinny", "openai", "anthropic"), 14),
    SetUp("openai_agents/openinference.py", AGENTS[:2], 6),
    SetUp("openai_agents/openinference_twice.py", AGENTS, 6),
    SetUp("ai_sdk/run.py", ("ai", "@ai-sdk/otel"), 7),
    SetUp(
        "claude_code/run.py", CLAUDE_CODE, 3, MAIN, QUIET, imports=".claude/projects", name="claude_code/logs"
    ),
    SetUp("claude_code/run.py", CLAUDE_CODE, 3, MAIN, QUIET, imports=LOGS, name="claude_code/logs"),
    SetUp("claude_code/run.py", CLAUDE_CODE, 3, MAIN, TOLD, name="claude_code/spans"),
    SetUp("claude_code/run.py", CLAUDE_CODE, 3, MAIN, TOLD | PLAIN, name="claude_code/spans, plain header"),
    SetUp("claude_code/run.py", CLAUDE_CODE, 3, MAIN, TOLD | PLAIN, imports=LOGS, name="claude_code/both"),
    SetUp("codex/run.py", ("@openai/codex",), 3, MAIN, imports=".codex/sessions", name="codex/logs"),
]
