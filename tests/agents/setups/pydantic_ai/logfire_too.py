"""Logfire, which instruments Pydantic AI and both SDKs below it: each call is reported twice."""

import logfire
from workload.weather_men import ask_all

logfire.configure(send_to_logfire=False, console=False)
logfire.instrument_pydantic_ai()
logfire.instrument_openai()
logfire.instrument_anthropic()
ask_all()
