"""Prompt files: optional settings between `+++` lines, then a Jinja template. The version is a hash of the file."""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from jinja2 import Environment, StrictUndefined, Template, TemplateError, meta
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ai_base.llm.configuration.watched_file import Watched
from ai_base.llm.errors import ConfigError, PromptVariableError

_FRONT_MATTER = re.compile(r"\A\+\+\+\n(.*?)^\+\+\+\n", re.DOTALL | re.MULTILINE)
# A prompt is text for a model, not HTML.
_JINJA = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)  # noqa: S701


class FrontMatter(BaseModel):
    """Settings of a prompt for its calls. What is not set comes from the candidate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chain: str = "default"
    """The chain that is asked."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """By default the candidate's."""
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    """By default the candidate's."""
    system: str = ""
    """Instructions without variables, sent before the prompt."""


@dataclass(frozen=True)
class Prompt:
    """One prompt file."""

    name: str
    version: str
    settings: FrontMatter
    variables: frozenset[str]
    template: Template

    def recorded(self) -> "Prompt":
        """Return a prompt with the same settings whose text is its one variable, `recorded`: for replays."""
        return replace(self, variables=frozenset({"recorded"}), template=_JINJA.from_string("{{ recorded }}"))

    def render(self, variables: Mapping[str, object]) -> str:
        """Render the template with its variables: all of them, and no others.

        Raises:
            PromptVariableError: A variable is missing or unexpected.
        """
        if self.variables != set(variables):
            missing, unexpected = self.variables - set(variables), set(variables) - self.variables
            raise PromptVariableError(self.name, sorted(missing), sorted(unexpected))
        try:
            return self.template.render(variables).strip()
        except (TemplateError, TypeError) as error:  # such as an attribute that a variable does not have
            raise PromptVariableError(self.name, [str(error)], []) from error


def parse_prompt(name: str, text: str, path: Path) -> Prompt:
    """Parse the text of a prompt file.

    Raises:
        ConfigError: It names file, line and reason.
    """
    matter = _FRONT_MATTER.match(text)
    body, line = (text[matter.end() :], text[: matter.end()].count("\n")) if matter else (text, 0)
    try:
        settings = FrontMatter(**tomllib.loads(matter[1] if matter else ""))
        tree, template = _JINJA.parse(body), _JINJA.from_string(body)
    except TemplateError as error:
        raise ConfigError(f"{path}:{line + getattr(error, 'lineno', 1)}", str(error)) from None
    except ValidationError as error:
        detail = error.errors()[0]
        raise ConfigError(str(path), f"front matter: {detail['loc'][0]}: {detail['msg']}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), f"front matter: {error}") from None
    if any(meta.find_referenced_templates(tree)):
        raise ConfigError(str(path), "a prompt cannot include a file: its version would not change with that file")
    version = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Prompt(name, version, settings, frozenset(meta.find_undeclared_variables(tree)), template)


class Prompts:
    """A folder of prompt files, each read again when it changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, Watched[Prompt]] = {}

    def __getitem__(self, name: str) -> Prompt:
        """Return the prompt in `NAME.md`.

        Raises:
            ConfigError: There is no such file, or it has never been valid.
        """
        if not re.fullmatch(r"[\w.-]+", name):
            raise ConfigError(str(self.folder), f"{name!r} is not a valid prompt name")
        if name not in self._files:
            path = self.folder / f"{name}.md"
            if not path.is_file():
                known = ", ".join(sorted(each.stem for each in self.folder.glob("*.md"))) or "none"
                raise ConfigError(str(path), f"no such prompt; there are: {known}")
            self._files[name] = Watched(path, lambda text: parse_prompt(name, text, path))
        return self._files[name].current()
