"""The $72,000 weekend: a bug retries a failing call from Friday evening to Monday morning.

The same caller with the same bug runs twice, side by side: once with the provider's client, once with the gateway.
Both send real HTTP requests to a provider on this machine, which bills every one of its broken answers. Only the time
is simulated, so the outcome is the same on every machine: `python -m ai_base.demo.weekend --out weekend.svg`.
"""
