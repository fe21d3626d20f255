"""Settings, and the project's root. Environment variables come before the project's `.env`, and both before defaults.

The project's root is found the same way wherever code runs: command line, test, service, installed wheel.
`find_root` is the only place that decides it.
"""

import os
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ai_base.errors import AIBaseError

ENV_FILE = "AI_BASE_ENV_FILE"
"""Environment variable: a file to read in place of the project's `.env`. Tests set it to an empty one."""

APPLICATIONS = "ai_base.applications"
"""Entry-point group in which a project names its package."""

MARKERS = ("config/llm.toml", ".copier-answers.yml")
"""A project's root holds at least one of these files."""


class SettingsError(AIBaseError, ValueError):
    """A setting has a wrong value. The message names the variable, and never shows the value."""


class AppSettings(BaseSettings):
    """Settings of every application. Each field is an environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)] = "INFO"
    """Least severe lines that are logged."""

    log_format: Annotated[Literal["auto", "console", "json"], BeforeValidator(str.lower)] = "auto"
    """`auto` is readable text on a terminal and one JSON object per line everywhere else."""


def load_settings[S: BaseSettings](kind: type[S]) -> S:
    """Read settings from the environment and from the project's `.env`.

    Raises:
        SettingsError: A variable holds a value that its setting does not accept.
    """
    try:
        return kind(_env_file=env_file())
    except UnicodeDecodeError as error:
        raise SettingsError(f"{env_file()}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except ValidationError as error:
        problems = [f"{str(detail['loc'][0]).upper()}: {detail['msg']}" for detail in error.errors()]
        # Not chained: the original shows the values, and one of them may be a secret.
        raise SettingsError(f"{'; '.join(problems)} (from the environment or .env)") from None


def env_file() -> Path:
    """Return the path of the file that `load_settings` reads; it may not exist."""
    return Path(os.environ.get(ENV_FILE) or find_root() / ".env")


def find_root() -> Path:
    """Return the project's root: the nearest folder at or above the working directory that holds one of `MARKERS`.

    Outside a project, it is the folder of the installed application: the one above `src/` for an editable installation,
    the package's own for a wheel. If no application is installed, it is the working directory.
    """
    here = Path.cwd()
    installed = [folder for name in _applications() for folder in _folders_of(name)]
    for folder in (here, *here.parents, *installed):
        if any((folder / marker).is_file() for marker in MARKERS):
            return folder
    return here


def _applications() -> list[str]:
    return sorted({point.value for point in entry_points(group=APPLICATIONS)})


def _folders_of(package: str) -> list[Path]:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent
    return [folder.parents[1], folder]
