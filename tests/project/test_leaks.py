"""What the export takes for a secret, and what not: the ways in which people write both."""

from __future__ import annotations

import pytest

from kit.project.leaks import secret_in

SECRETS = r"""
password = "hunter2"
db = connect(user="me", password="s3cr3t!")
headers = {"Authorization": "Bearer abc123def456"}
os.environ.setdefault("DB_PASSWORD", "letmein99")
TOKEN: str = "tok_12345678"
def login(user, pwd="Winter2024"): pass
requests.get(URL, auth=("me", "Winter2024!"))
aws = "AKIAIOSFODNN7EXAMPLA"
curl = "curl -u me:Winter2024 https://x.example"
hmac.compare_digest(given, "s3cr3t-value")
SECRET_KEY = base64.b64decode("c2VjcmV0LXZhbHVlLTEyMw==")
conn = "Server=db;User Id=me;Password=Winter2024;"
dsn = "host=db user=me password=Winter2024"
settings = json.loads('{"api_key": "a1b2c3d4e5f6"}')
url = f"https://api.example.com/v1?token=a1b2c3d4e5f6&q={q}"
PASSWORDS = ["hunter2", "letmein"]
api_token = os.getenv("TOKEN") or "fallback-123"
setattr(settings, "password", "hunter2")
# password: hunter2
salt = "c2f0e1a9b8d7465f93a1b2c3d4e5f607"
""".strip().splitlines()

HARMLESS = r"""
max_tokens = "auto"
sha = "3f786850e387550fdab836ed7e6dc881de23001b"
model = "gpt-4o-mini-audio-preview-2024-12-17"
alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
PASSWORD_FIELD = "password"
API_KEY_NAME = "X-API-Key"
api_key = "YOUR_API_KEY"
password: str = Field(description="The user's password")
url = f"postgresql://{user}:{password}@host/db"
error = "Missing or invalid Basic authentication in the header"
next_page_token = None  # token: of the page before
'''Returns the user. password: Configuration of the login.'''
token = "tok_12345678"  # public
""".strip().splitlines()


@pytest.mark.parametrize("line", SECRETS)
def test_a_secret(line: str) -> None:
    found = secret_in(f"x = 1\n{line}")
    assert found is not None
    assert found[0] == 2


@pytest.mark.parametrize("line", HARMLESS)
def test_what_is_none(line: str) -> None:
    assert secret_in(line) is None


def test_the_line_within_a_long_text() -> None:
    assert secret_in('text = """\nhello\npassword=Winter2024\n"""') == (3, "the value of password")
