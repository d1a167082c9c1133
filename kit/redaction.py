"""What a secret looks like, by its name or by its form; and `hide`, which removes secrets from what is shown.

The only list of both. The request log, the JSON log, errors, transcripts and the scan of an export read it.
Every pattern takes time linear in the text: what is scanned comes from strangers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote_plus

HIDDEN = "***"

# Names: `db_password`, `apiKey` and `X-Auth-Token` all end in one of these words.
_WORDS = r"passw(?:or)?d|passphrase|pwd|secret|token|api_?key|(?:access|account|secret|private|signing|auth)_?key|credential"
_ENDS_SECRET = re.compile(rf"(?:^|_)(?:{_WORDS}|pass)s?$")
# On a screen, hiding too much costs little, so more names count: those with something after the word
# (`password_hash`), those written as one word (`accesstoken`), and those of headers.
_HAS_SECRET = re.compile(
    rf"passw(?:or)?d|passphrase|(?:{_WORDS})s?\d*(?:_|$)|(?:^|_)pass$|authorization$|(?:^|_)cookies?$"
    r"|(?:^|[a-z])sess(?:ion)?id$|(?:^|_)(?:x|mcp)_session_id$|^session_key$"
    r"|(?:^|_)(?:pw|passcode|t?otp|pin|jwt|hmac|sig|signature|sid)$"
)
# These mean something else as often: in a query they are hidden, elsewhere only with a value that looks made up.
_MAY_BE_SECRET = re.compile(r"(?:^|_)(?:key|auth|code|session|ticket)$")
_MADE_UP = re.compile(r"(?=[^\s\d]*\d)(?=[^\sA-Za-z]*[A-Za-z])[^\s(){}<>]{8,}$")
_ABOUT_SECRETS = re.compile(  # `token_type` and `max_tokens` describe a secret, or something else
    r"_(?:count|type|url|uri|endpoint|limit|budget|usage|used|remaining|length|size|policy|expiry|expires|at|in"
    r"|ttl|seconds|minutes|days|name|details)$"
    r"|^(?:max|min|num|n|total|prompt|completion|input|output|cached|reasoning)_(?:[a-z]+_)?tokens$"
)
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[-.\s]+")

# Forms, each with a plain text that every secret of its kind contains. Looking for that first is so cheap
# that a text without any costs about a microsecond. What a pattern matches is hidden. A query writes spaces as +.
_FORMS = [
    (anchor, re.compile(pattern))
    for anchor, pattern in (
        ("sk-", r"\bsk-[A-Za-z0-9_-]{8,}"),  # OpenAI, Anthropic, Stripe
        ("k_live_", r"\b[sr]k_live_\w{10,}"),
        ("gh", r"\b(?:gh[pousr]_|github_pat_)[A-Za-z0-9_-]{10,}"),
        ("glpat-", r"\bglpat-[A-Za-z0-9_-]{10,}"),
        ("hf_", r"\bhf_[A-Za-z0-9_-]{10,}"),
        ("npm_", r"\bnpm_[A-Za-z0-9_-]{10,}"),
        ("pypi-", r"\bpypi-[A-Za-z0-9_-]{10,}"),
        ("xox", r"\bxox[abprs]-[A-Za-z0-9_-]{10,}"),  # Slack
        ("IA", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),  # AWS
        ("AIza", r"\bAIza[A-Za-z0-9_-]{30,}"),  # Google
        # a JSON Web Token; it begins where a run of letters does, so that no run is read twice
        (".eyJ", r"(?<![\w-])(?=[\w-]*?\beyJ[\w-]{8})[\w-]+\.eyJ[\w-]{8,}\.[\w-]*"),
        (
            "PRIVATE",
            r"-----BEGIN[A-Z +]*[ +]PRIVATE[ +]KEY-----"
            r"(?:[A-Za-z0-9+/=\s:,.\\]|-(?!----))*+(?:-----END[A-Z +]*PRIVATE[ +]KEY-----)?",
        ),
        ("SG.", r"\bSG\.[\w-]{16,}\.[\w-]{16,}"),  # SendGrid
        ("hooks.slack.com/", r"(?<=hooks\.slack\.com/)[\w/-]{8,}"),
        ("/webhooks/", r"(?<=/webhooks/)\d+/[\w-]{8,}"),  # Discord
        ("api.telegram.org/", r"(?<=api\.telegram\.org/)bot\d+:[\w-]{8,}"),
        ("auth=(", r"(?<=auth=\()[^()\n]+"),  # of requests and httpx
        (" -u ", r"(?<= -u )[^\s:]+:[^\s'\"]+"),  # of curl
        ("bearer ", r"\bbearer {1,4}(?=[A-Za-z._~+/=-]*\d)[\w.~+/=-]{6,}"),
        ("Bearer", r"\bBearer[\s+]+[A-Za-z0-9._~+/=-]{6,}"),
        ("Basic", r"\bBasic[\s+]+[A-Za-z0-9._~+/=-]{6,}"),
        # the password of user:password@host; `host:8000?mail=sam@example.com` has none
        ("://", r"(?<=[A-Za-z0-9+]://)(?P<user>[^/\s:@'\"]*+:)(?!\d{1,5}[?#])[^\s/'\"]+(?=@[^\s'\"])"),
    )
]

# Not in code, where they would often be something else.
_LOOSE_FORMS = [
    (anchor, re.compile(pattern))
    for anchor, pattern in (
        # a token alone before the @, and a password whose URL has lost its scheme
        ("@", r"(?<=://)(?=[A-Za-z_-]*\d)[\w-]{8,}(?=@)"),
        ("@", r"(?<![\w.:/-])(?P<user>(?!mailto:)[\w.-]++:)(?=[^\s\d:@/'\"]*\d)[^\s:@/'\"]{4,}+(?=@[\w-])"),
    )
]

# `name=value` of a query, a form or a shell, `"name": value` of JSON, YAML and Python, `name: value` of a header
_NAME_HINT = (
    "pass", "pw", "secret", "token", "key", "credential", "auth", "cookie", "sess", "code", "ticket",
    "otp", "pin", "jwt", "hmac", "sig", "sid",
)  # fmt: skip
_NAMED = re.compile(r"(?<![\w.-])([\w.-]++)\]?(\\*[\"'])?(?:[\s+]{0,4}(={1,2}>?|:=?)[\s+]{0,4}|, (?=b[\"']))")
_OPENING = re.compile(r"b?(\\*[\"'])")
_BARE = re.compile(r"[^&\s\"']+")
_BARE_IN_JSON = re.compile(r"\[[^\]]*\]?|\{[^}]*\}?|[^&\s\"',;})\]]+")
_NOTHING = re.compile(r"(?:None|null|true|false)\b", re.IGNORECASE)
_PROSE = re.compile(r"(?:str|string|int|integer|bytes|float|bool|Any|SecretStr|SecretBytes)\b|.{0,3}$")
# Its value has words and quotes: it goes to the end of the line, or of what it is quoted in.
_HEADER = re.compile(
    r"(?im)([\"'])([\w-]*(?:authorization|cookie):[ +]{0,4})(?:\\.|(?!\1)[^\r\n\\])+"
    r"|((?<![\w\"'-])[\w-]*(?:authorization|cookie):[ +]{0,4})[^\r\n]+"
)
_PART = re.compile(  # of multipart/form-data
    r"(?im)(^content-disposition: form-data; name=\"?([^\";\r\n]+)\"?[^\r\n]*(?:\r?\n[^\r\n]+){0,4}\r?\n\r?\n)([^\r\n]+)"
)
_URL = re.compile(r"(?<![\w+.-])[A-Za-z][\w+.-]*+://[^\s'\"<>]+")
# the same as Python's repr shows it, its line breaks as escapes
_PART_SHOWN = re.compile(
    r"(?i)(form-data; name=\\?\"?([\w.-]++)\\?\"?(?:\\+r\\+n|\\+n){2})((?:(?!\\+[rn]).)+)"
)
_ELEMENT = re.compile(r"(<([\w.-]++)>)([^<>]++)(?=</)")  # of XML
_SEGMENT = re.compile(r"/([^\s/?#&\"'<>]++)")  # of a path: /reset/token/VALUE


def hide(value: Any) -> Any:
    """`value` with everything that looks like a secret replaced: by its name, or by its form."""
    if isinstance(value, str):
        return _hide_text(value)
    if isinstance(value, dict):
        return {_hide_text(str(key)): _hide_item(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [hide(item) for item in value]
    return value


def hide_urls(text: str) -> str:
    """`text` with the secrets in its URLs replaced, and its prose as it is."""
    return _URL.sub(lambda url: str(hide(url[0])), text)


def hide_given(text: str, given: Mapping[str, Any]) -> str:
    """`text`, such as a path or an URL, without the values that secrets among `given` have: path parameters, arguments."""
    for name, value in given.items():
        if isinstance(value, str) and value and is_hidden(name[-128:]):
            for form in {value, quote(value), quote(value, safe="")}:
                text = text.replace(form, HIDDEN)
    return _hide_text(text)


def forms(text: str) -> Iterator[re.Match[str]]:
    """What looks like a secret by its form alone: keys of services, tokens, private keys, passwords in URLs."""
    for anchor, pattern in _FORMS:
        if anchor in text:
            yield from pattern.finditer(text)


def is_secret_name(name: str) -> bool:
    """Whether a value of this name is a secret: `db_password`, `apiKey`, `X-Auth-Token`, but not `max_tokens`."""
    low = words(name)
    return bool(_ENDS_SECRET.search(low) and not _ABOUT_SECRETS.search(low))


def words(name: str) -> str:
    """A name as lower-case words with _ between them: `apiKey` and `api-key` are api_key."""
    return _HUMPS.sub("_", name).lower()


@lru_cache(4096)
def is_hidden(name: str) -> bool:
    """Whether what has this name is not shown: more names than are refused in code. At most 128 characters are read."""
    low = words(name)
    return bool(_HAS_SECRET.search(low) and not _ABOUT_SECRETS.search(low))


def _hide_item(name: str, value: Any) -> Any:
    # A yes or no is not a secret, and a number of tokens is a count.
    if not value or value is True or not is_hidden(name[-128:]):
        return HIDDEN if _may_hide(name, value) else hide(value)
    return value if isinstance(value, int | float) and "tokens" in name.lower() else HIDDEN


@lru_cache(4096)
def _is_ambiguous(name: str) -> bool:
    return bool(_MAY_BE_SECRET.search(words(name)))


def _may_hide(name: str, value: Any) -> bool:
    return isinstance(value, str) and _is_ambiguous(name[-128:]) and bool(_MADE_UP.match(value))


def _hide_text(text: str) -> str:
    plain = text
    for _ in range(3):  # of a URL or a form, which may hold another
        if not ("%" in plain or "+" in plain) or (decoded := unquote_plus(plain)) == plain:
            break
        plain = decoded
        if (hidden := _hide_plain(plain)) != plain:
            return hidden
    return _hide_plain(text)


def _hide_plain(text: str) -> str:
    text = hide_forms(text)
    if "/" in text:
        text = _hide_segments(text)
    if "</" in text:
        text = _ELEMENT.sub(lambda it: it[1] + HIDDEN if is_hidden(it[2][-128:]) else it[0], text)
    if "=" in text or ":" in text or ", b" in text:
        low = text.lower()
        for hint in _NAME_HINT:
            if hint in low:
                return _hide_named(text, low)
    return text


def hide_forms(text: str) -> str:
    """`text` without what looks like a secret by its form alone, in text that is no code."""
    if len(text) > 8:  # the shortest that is hidden by its form has more
        for anchor, pattern in (*_FORMS, *_LOOSE_FORMS):
            if anchor in text:
                text = pattern.sub(lambda match: match.groupdict().get("user", "") + HIDDEN, text)
    return text


def _hide_segments(text: str) -> str:
    name, end = "", -1

    def shown(match: re.Match[str]) -> str:
        nonlocal name, end
        is_value = match.start() == end and is_hidden(name[-128:]) and _MADE_UP.match(match[1])
        name, end = match[1], match.end()
        return f"/{HIDDEN}" if is_value else match[0]

    return _SEGMENT.sub(shown, text)


def _hide_named(text: str, low: str) -> str:
    if "authorization" in low or "cookie" in low:
        text = _HEADER.sub(rf"\1\2\3{HIDDEN}", text)
    if "form-data" in low:
        text = _PART.sub(lambda part: part[1] + HIDDEN if is_hidden(part[2][-128:]) else part[0], text)
        text = _PART_SHOWN.sub(lambda part: part[1] + HIDDEN if is_hidden(part[2][-128:]) else part[0], text)
    parts, done = [], 0
    for _, start, end in _named(text):
        parts += [text[done:start], HIDDEN]
        done = end
    return "".join([*parts, text[done:]]) if parts else text


def named(text: str) -> Iterator[tuple[str, str]]:
    """The name and the value of each secret that is written in a text as `name=value`, or as JSON and headers have it."""
    yield from ((name, text[start:end]) for name, start, end in _named(text))


def _named(text: str) -> Iterator[tuple[str, int, int]]:
    done = 0
    for match in _NAMED.finditer(text):
        name = match[1][-128:]
        is_sure = is_hidden(name) or (
            text[match.start() - 1 : match.start()] in ("?", "&") and _is_ambiguous(name)
        )
        if match.start() < done or not (is_sure or _is_ambiguous(name)):
            continue
        start, end = _value(text, match.end(), match[3] not in (":", None), bool(match[2]))
        value = text[start:end]
        is_count = value.isdigit() and "tokens" in name.lower()
        if value and (is_sure or _MADE_UP.match(value)) and not is_count:
            yield name, start, end
            done = end


def _value(text: str, start: int, is_assigned: bool, is_quoted: bool) -> tuple[int, int]:
    """Where the value of a name begins and ends. What follows `name: ` may be prose, or a type."""
    opening = _OPENING.match(text, start)
    if opening is None:
        bare = (_BARE if is_assigned else _BARE_IN_JSON).match(text, start)
        if bare is None or (not is_assigned and _NOTHING.match(bare[0])):
            return start, start
        is_prose = not is_assigned and not is_quoted and _PROSE.match(bare[0])
        return start, start if is_prose else bare.end()
    start = opening.end()
    end = text.find(opening[1], start)
    while end > start and text[end - 1] == "\\":  # an escaped quote is the value's own
        end = text.find(opening[1], end + 1)
    line_end = text.find("\n", start, end if end >= 0 else len(text))
    if line_end >= 0:
        end = line_end
    return start, end if end >= 0 else len(text)
