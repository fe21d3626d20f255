"""OpenTelemetry by the GenAI conventions, when an exporter is configured; none of its SDK is imported otherwise."""

import os
from functools import cache

from pydantic_ai.models import Model

EXPORTERS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
"""Variables of the OpenTelemetry specification; any of them switches this on."""


def instrument(model: Model) -> Model:
    """Add a span and token metrics to every attempt. Prompts and answers stay out: they may hold personal data."""
    if not any(os.environ.get(name) for name in EXPORTERS):
        return model
    from pydantic_ai.models.instrumented import InstrumentationSettings, InstrumentedModel  # noqa: PLC0415

    _set_up()
    return InstrumentedModel(model, InstrumentationSettings(include_content=False))


@cache
def _set_up() -> None:
    """Export what the process does from now on; what the application has set up already stays."""
    from opentelemetry import metrics, trace  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        tracers = TracerProvider()
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(tracers)
        metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
