"""What `serve` says about who may ask: what the API's own settings say."""

import pytest

from local.commands import serve


@pytest.mark.parametrize(
    ("tokens", "is_open", "said"),
    [
        (None, "yes", "open to this machine, without tokens"),
        (f"portal:read:{'0' * 64}", "yes", "asks for a token that LIFECYCLE_TOKENS lists"),
        (f"portal:read:{'0' * 64}", "no", "asks for a token that LIFECYCLE_TOKENS lists"),
        (None, "no", "refuses everybody: LIFECYCLE_TOKENS lists no token, and LIFECYCLE_OPEN is not yes"),
    ],
)
def test_the_welcome_says_who_may_ask(
    monkeypatch: pytest.MonkeyPatch, tokens: str | None, is_open: str, said: str
) -> None:
    monkeypatch.setenv("LIFECYCLE_OPEN", is_open)
    if tokens is None:
        monkeypatch.delenv("LIFECYCLE_TOKENS", raising=False)
    else:
        monkeypatch.setenv("LIFECYCLE_TOKENS", tokens)

    assert serve.access() == said
