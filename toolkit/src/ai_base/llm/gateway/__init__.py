"""The front door: from a question to a validated answer."""
