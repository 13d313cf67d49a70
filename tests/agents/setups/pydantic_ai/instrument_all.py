"""Pydantic AI's own spans."""

from workload import tracing
from workload.weather_men import ask_all

tracing.start()
ask_all()
