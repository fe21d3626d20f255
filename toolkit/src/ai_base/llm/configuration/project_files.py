"""The project's own configuration and prompts, found as the gateway finds them."""

from pathlib import Path

from ai_base.llm.configuration.config import Config
from ai_base.llm.configuration.parse import parse_config
from ai_base.llm.configuration.prompts import Prompt, parse_prompt
from ai_base.llm.errors import ConfigError
from ai_base.llm.settings import LLMSettings
from ai_base.settings import load_settings


def load_config() -> Config:
    """Read the project's `llm.toml`, with the environment and `.env` over it.

    Raises:
        ConfigError: It is missing or wrong; the message names file, line and reason.
    """
    path = load_settings(LLMSettings).config_file
    return parse_config(_read(path), path)


def load_prompts() -> list[Prompt]:
    """Read every prompt of the project, sorted by name.

    Raises:
        ConfigError: One is wrong; the message names file, line and reason.
    """
    folder = load_settings(LLMSettings).prompts_folder
    return [parse_prompt(path.stem, _read(path), path) for path in sorted(folder.glob("*.md"))]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), getattr(error, "strerror", None) or str(error)) from None
