"""Configuration, prompt files and prices. Files are read again when they change."""
