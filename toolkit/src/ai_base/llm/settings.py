"""Where the gateway finds its configuration, its prompts and its ledger."""

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from ai_base.settings import find_root


class LLMSettings(BaseSettings):
    """Settings of the gateway; an application's own settings inherit from it. Relative paths start at the root."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    database_url: SecretStr = SecretStr("sqlite:///ledger.db")
    """Where the ledger is: a file, or postgresql://user:password@host/name, which several machines can share."""

    llm_config: Path = Path("config/llm.toml")
    """The configuration of the gateway. Its folder also holds the prompts, in `prompts/`."""

    @property
    def config_file(self) -> Path:
        """Absolute path of `llm_config`."""
        return find_root() / self.llm_config

    @property
    def prompts_folder(self) -> Path:
        """Absolute path of the folder of prompts."""
        return self.config_file.parent / "prompts"

    @property
    def ledger_url(self) -> str:
        """`database_url` with an absolute path where it names an SQLite file."""
        url = self.database_url.get_secret_value()
        path = url.removeprefix("sqlite:///")
        if path in (url, "", ":memory:") or Path(path).is_absolute():
            return url
        return f"sqlite:///{find_root() / path}"
