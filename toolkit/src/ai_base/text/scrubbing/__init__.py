"""The rules of the scrubber. `ai_base.text.scrub` applies them; the commit hook uses its list of keys."""
