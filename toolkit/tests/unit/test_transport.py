"""A proxy or a certificate that cannot be used is named, as is a key or a client library that is missing."""

import importlib.util
import os
import ssl

import pytest

from ai_base.llm.candidates.providers import build_model
from ai_base.llm.candidates.transport import http_client
from ai_base.llm.configuration.config import Candidate
from ai_base.llm.errors import ConfigError
from ai_base.text.scrub import scrub

MISSING = next(
    (
        (name, package)
        for name, package in (("anthropic", "anthropic"), ("groq", "groq"), ("mistral", "mistralai"))
        if importlib.util.find_spec(package) is None
    ),
    None,
)


@pytest.mark.parametrize("name", ["ALL_PROXY", "HTTPS_PROXY", "http_proxy"])
@pytest.mark.parametrize("url", ["no-scheme-that-exists://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    if url.startswith("socks5") and importlib.util.find_spec("socksio"):
        pytest.skip("a library for SOCKS proxies is installed")
    for other in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(other, raising=False)
        monkeypatch.delenv(other.lower(), raising=False)
    monkeypatch.setenv(name, url)

    with pytest.raises(ConfigError, match=f"^{name}: this proxy cannot be used"):
        http_client()


def test_a_certificate_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")

    with pytest.raises(ConfigError, match=r"^SSL_CERT_FILE: cannot be read"):
        http_client()


async def test_certificates_are_read_once_and_again_when_a_variable_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def load() -> ssl.SSLContext:
        read.append(os.environ.get("SSL_CERT_FILE"))
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    monkeypatch.setattr("ai_base.llm.candidates.transport.create_ssl_context", load)
    for name in ("one.pem", "one.pem", "two.pem"):
        monkeypatch.setenv("SSL_CERT_FILE", name)
        async with http_client():
            pass

    assert read == ["one.pem", "two.pem"]


async def test_a_client_reads_what_it_can_bound() -> None:
    async with http_client() as client:
        assert client.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("key", ["", "   "])
async def test_an_empty_key_is_a_missing_key_and_the_message_survives_scrubbing(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("PROVIDER_API_KEY", key)
    candidate = Candidate(model="openai-chat:any", api_key_env="PROVIDER_API_KEY")
    async with http_client() as client:
        with pytest.raises(ConfigError, match="PROVIDER_API_KEY is missing or empty") as caught:
            build_model(candidate, client)

    assert scrub(str(caught.value)) == str(caught.value)


async def test_an_empty_key_that_only_the_client_library_knows_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    async with http_client() as client:
        with pytest.raises(ConfigError, match=r"openai-chat:any: .*OPENAI_API_KEY") as caught:
            build_model(Candidate(model="openai-chat:any"), client)

    assert scrub(str(caught.value)) == str(caught.value)


@pytest.mark.skipif(MISSING is None, reason="every client library is installed")
async def test_a_missing_client_library_is_installed_as_this_project_does_it() -> None:
    assert MISSING is not None
    async with http_client() as client:
        with pytest.raises(ConfigError) as caught:
            build_model(Candidate(model=f"{MISSING[0]}:any"), client)

    assert f'uv add "ai-base[{MISSING[0]}]"' in str(caught.value)
    assert "pip" not in str(caught.value)
