"""The guarded models: retry, circuit breaker, limiter and budget around every attempt."""
