"""Reads a configuration, and names the line or the variable that holds a mistake."""

import re
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from ai_base.llm.configuration.config import Config
from ai_base.llm.configuration.watched_file import Watched
from ai_base.llm.errors import ConfigError
from ai_base.settings import env_file

PREFIX = "LLM__"


def follow_config(source: str | Path | Mapping[str, object] | Config) -> Callable[[], Config]:
    """Return a function that returns the current configuration: of a file, which may be edited, or the one given.

    Raises:
        ConfigError: The configuration is invalid.
    """
    if not isinstance(source, str | Path):
        fixed = source if isinstance(source, Config) else parse_config(source)
        return lambda: fixed
    watched = Watched(Path(source), partial(parse_config, path=source))
    watched.current()
    return watched.current


def parse_config(source: str | Mapping[str, object], path: Path | str = "config") -> Config:
    """Validate a configuration: TOML text, or a mapping of the same shape.

    Raises:
        ConfigError: It names the file and line, or the environment variable, and the reason.
    """
    text = source if isinstance(source, str) else ""
    try:
        given = tomllib.loads(source) if isinstance(source, str) else source
        for key in given:
            if key.startswith("_"):  # pydantic-settings would take it for an option of its own
                raise ConfigError(str(path), f"{key}: no such key")
        _check_variables()
        return Config(_env_file=env_file(), **given)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = found[1] if found else text.count("\n") + 1
        raise ConfigError(f"{path}:{line}", str(error)) from None
    except ValidationError as error:
        raise _config_error(error.errors(include_url=False)[0], text, path) from None
    except (RecursionError, ValueError) as error:  # nested too deeply, or a variable that holds broken JSON
        raise ConfigError(f"{path}, or the environment", str(error)) from None


def _check_variables() -> None:
    """Refuse a variable whose first part names no table of the configuration."""
    for name, place in _variables().items():
        if name.split("__")[1].lower() not in Config.model_fields:
            raise ConfigError(place, "there is no such setting")


def _variables() -> dict[str, str]:
    """Return the variables that override the file, in capitals, and where each is set."""
    dotenv = env_file()
    in_file = DotEnvSettingsSource(Config, env_file=dotenv).env_vars
    in_environment = EnvSettingsSource(Config).env_vars
    places = {name.upper(): f"{name.upper()} in {dotenv}" for name in in_file}
    places |= {name.upper(): name.upper() for name in in_environment}  # the environment has precedence
    return {name: place for name, place in places.items() if name.startswith(PREFIX)}


def _config_error(detail: ErrorDetails, text: str, path: Path | str) -> ConfigError:
    reason = "no such key" if detail["type"] == "extra_forbidden" else detail["msg"].removeprefix("Value error, ")
    # A check across tables names its key in its message: "chains.default: ...".
    keys = [str(key) for key in detail["loc"]] or reason.partition(":")[0].split(".")
    where = _variable_of(keys) or (f"{path}:{_line_of(text, keys)}" if text else str(path))
    if detail["loc"]:
        reason = f"{'.'.join(keys)}: {reason}"
        may_be_secret = "key" in keys[-1]
        if not may_be_secret and isinstance(detail["input"], str | int | float):
            reason += f" (got {str(detail['input'])[:60]!r})"
    return ConfigError(where, reason)


def _variable_of(keys: list[str]) -> str | None:
    """Return where the variable of the deepest of nested keys is set, if one is."""
    variables = _variables()
    for length in range(len(keys), 0, -1):
        name = PREFIX + "__".join(keys[:length]).upper()
        if name in variables:
            return variables[name]
    return None


def _line_of(text: str, keys: list[str]) -> int:
    """Return the line (from 1) of the deepest of nested keys that the file holds; an inline table is one line."""
    table: list[str] = []
    best_line, best_depth = 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+([^\]]+)\]", line):
            table = path = _split_key(header[1])
        elif setting := re.match(r"\s*([\w\"'. -]+?)\s*=", line):
            path = [*table, *_split_key(setting[1])]
        else:
            continue
        if len(path) > best_depth and keys[: len(path)] == path:
            best_line, best_depth = number, len(path)
    return best_line


def _split_key(dotted: str) -> list[str]:
    return [part.strip(" \"'") for part in dotted.split(".")]
