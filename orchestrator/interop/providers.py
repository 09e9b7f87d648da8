"""The packages of LangChain's providers: each is installed by itself, and raises errors of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ragweave.orchestrator.errors import ModelError, ResourceError
from ragweave.orchestrator.models.reading import one_line

if TYPE_CHECKING:
    from pydantic import SecretStr

T = TypeVar("T")


def made(what: str, make: Callable[[], T], key: SecretStr | None) -> T:
    """What `make` gives for `what`, such as "model 'ollama:llama3.2'". Raises ResourceError that says which package to
    install, or what the provider said."""
    try:
        return make()
    except ImportError as error:
        said = str(error)
        package = said.partition("pip install ")[2].split("`")[0].strip(" .'\"") or "the provider's package"
        raise ResourceError(
            f"{what} needs a package of LangChain that is not installed: {one_line(said)}",
            hint=f"pip install {package}",
        ) from None
    except Exception as error:  # each provider has its own
        raise ResourceError(f"LangChain cannot make {what}: {_redacted(str(error), key)}") from None


def failure(what: str, error: Exception, key: SecretStr | None) -> ModelError:
    """A provider's error in the middle of its work, transient if it may pass."""
    status = status_of(error)
    passing = isinstance(status, int) and (status in (408, 409, 429) or 500 <= status < 600)
    lost = isinstance(error, (TimeoutError, ConnectionError)) or "Connect" in type(error).__name__
    said = f"{what} failed: {type(error).__name__}: {_redacted(str(error), key)}"
    return ModelError(said, transient=passing or lost or "Timeout" in type(error).__name__)


def status_of(error: Exception) -> Any:
    """The HTTP status of a provider's error, where it has one."""
    return getattr(error, "status_code", None) or getattr(error, "code", None)


def _redacted(text: str, key: SecretStr | None) -> str:
    secret = key.get_secret_value() if key is not None else ""
    return one_line(text.replace(secret, "***") if len(secret) >= 4 else text)
