"""Settings: environment variables over `.env` over the defaults below; read once, at the edge."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, HttpUrl, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(ValueError):
    """A setting has a wrong value. The message names each variable, and never shows what it held."""


class Settings(BaseSettings):
    """Every field is an environment variable of the same name in capitals.

    Keep `.env.example` in step: a test compares the two.
    """

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)] = "INFO"

    log_format: Annotated[Literal["auto", "console", "json"], BeforeValidator(str.lower)] = "auto"
    """`auto` is readable text on a terminal and one JSON object a line everywhere else."""

    llm_base_url: HttpUrl | None = None
    """Root of an OpenAI-compatible API, such as http://localhost:11434/v1."""

    llm_api_key: SecretStr | None = None

    llm_model: str | None = None


def load_settings() -> Settings:
    """Read the settings from the environment and from `.env` in the working directory.

    Raises:
        SettingsError: A variable holds a value that its setting does not accept.
    """
    try:
        return Settings()
    except UnicodeDecodeError as error:
        raise SettingsError(f".env: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except ValidationError as error:
        problems = [f"{str(detail['loc'][0]).upper()}: {detail['msg']}" for detail in error.errors()]
        # Not chained: the original shows the values, and one of them may be a secret.
        raise SettingsError("; ".join(problems)) from None
