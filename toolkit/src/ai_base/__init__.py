"""ai-base: what an AI application needs around its calls to models."""
