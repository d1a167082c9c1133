"""A plugin behind a real Caddy and a real nginx, with TLS and a path prefix: every address that it makes leads back to it."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
import websockets.sync.client
from roads import running

# The prefix is that of an operation too: taking it away and keeping it look alike.
PREFIX = "/todos"
APP = """
import kit
from fastapi import Request, WebSocket

plugin = kit.Plugin("todo", description_for_model="Keeps todos.", docs_url="/swagger")

@plugin.get("/todos")
def list_todos(request: Request) -> dict:
    return {"one": str(request.url_for("get_todo", number=7)), "base": str(request.base_url), "client": request.client.host}

@plugin.get("/todos/{number}")
def get_todo(number: int) -> int:
    return number

@plugin.get("/lists/")
def lists(request: Request) -> str:
    return str(request.url)

@plugin.websocket("/watch")
async def watch(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(str(socket.url))
    await socket.close()
"""
CADDY = """
{{
	admin off
	auto_https off
}}
https://localhost:{port} {{
	tls {folder}/cert.pem {folder}/key.pem
	{rules}
}}
"""
NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
{user}
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        proxy_http_version 1.1;
        {rules}
    }}
}}
"""
# of each location: one that sets any header has none of its server's
UPGRADE = "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;"
FORWARDED = UPGRADE + (
    "proxy_set_header Host $host; proxy_set_header X-Forwarded-Port $server_port; proxy_set_header X-Forwarded-Proto $scheme; "
    "proxy_set_header X-Forwarded-Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
)
RFC7239 = UPGRADE + 'proxy_set_header Forwarded "for=$remote_addr;proto=$scheme;host=\\"$http_host\\"";'


class Way(NamedTuple):
    """How a plugin is put behind a proxy: its settings, and the proxy's rules, which name its `{upstream}`."""

    prefix: str
    caddy: str
    nginx: str
    settings: dict[str, str] = {}  # noqa: RUF012 - never changed


WAYS = {
    "at the root": Way("", "reverse_proxy {upstream}", f"location / {{{{ proxy_pass http://{{upstream}}; {FORWARDED} }}}}"),
    "prefix taken away": Way(
        PREFIX,
        f"handle_path {PREFIX}/* {{{{\nreverse_proxy {{upstream}}\n}}}}",
        f"location {PREFIX}/ {{{{ proxy_pass http://{{upstream}}/; {FORWARDED} }}}}",
        {"ROOT_PATH": PREFIX},
    ),
    "prefix kept": Way(
        PREFIX,
        f"handle {PREFIX}/* {{{{\nreverse_proxy {{upstream}}\n}}}}",
        f"location {PREFIX}/ {{{{ proxy_pass http://{{upstream}}; {FORWARDED} }}}}",
        {"ROOT_PATH": f"{PREFIX}/"},
    ),
    "prefix in a header": Way(
        "/a%20b",
        "handle_path \"/a b/*\" {{\nreverse_proxy {upstream} {{\nheader_up X-Forwarded-Prefix /a%20b\n}}\n}}",
        f"location '/a b/' {{{{ proxy_pass http://{{upstream}}/; {FORWARDED} proxy_set_header X-Forwarded-Prefix /a%20b; }}}}",
    ),
    "PUBLIC_URL, and headers of nobody": Way(
        PREFIX,
        f"handle_path {PREFIX}/* {{{{\nreverse_proxy {{upstream}} {{{{\nheader_up -X-Forwarded-*\nheader_up Host inner\n}}}}\n}}}}",
        f"location {PREFIX}/ {{{{ proxy_pass http://{{upstream}}/; {UPGRADE} }}}}",
        {"PUBLIC_URL": f"https://localhost:{{port}}{PREFIX}", "ALLOWED_HOSTS": "*"},
    ),
    "RFC 7239": Way(
        "",
        'reverse_proxy {upstream} {{\nheader_up -X-Forwarded-*\nheader_up Host inner\n'
        'header_up Forwarded "for={{remote_host}};proto={{scheme}};host=\\"{{hostport}}\\""\n}}',
        f"location / {{{{ proxy_pass http://{{upstream}}; {RFC7239} }}}}",
    ),
}  # fmt: skip
SERVERS = {"one process": [], "two on a Unix socket": ["--workers", "2", "--uds", "plugin.sock"]}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a certificate for localhost, which is its own authority, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder


@contextmanager
def proxy(kind: str, port: int, rules: str, folder: Path) -> Iterator[None]:
    """The proxy, once it listens. `folder` has its certificate and key."""
    is_root = subprocess.run(["id", "-u"], capture_output=True, text=True, check=True).stdout.strip() == "0"
    text = CADDY if kind == "caddy" else NGINX
    config = folder / kind
    config.write_text(
        text.format(port=port, folder=folder, rules=rules, user="user root;" if is_root else "")
    )
    command = {
        "caddy": ["caddy", "run", "--adapter", "caddyfile", "--config", str(config)],
        "nginx": ["nginx", "-c", str(config), "-e", "stderr"],
    }[kind]
    home = {**os.environ, "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=home) as process,
    ):
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


@pytest.fixture(
    scope="module",
    params=[
        ("caddy", "at the root", "two on a Unix socket"),
        ("caddy", "prefix taken away", "one process"),
        ("caddy", "prefix in a header", "one process"),
        ("caddy", "PUBLIC_URL, and headers of nobody", "one process"),
        ("nginx", "at the root", "one process"),
        ("nginx", "prefix kept", "two on a Unix socket"),
        ("nginx", "RFC 7239", "one process"),
    ],
    ids=lambda param: ", ".join(param),
)
def outside(
    request: pytest.FixtureRequest, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of the plugin for who is outside."""
    kind, name, how = request.param
    if not shutil.which(kind):
        pytest.skip(f"{kind} is not installed")
    way, folder = WAYS[name], tmp_path_factory.mktemp("site")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {key: value.format(port=port) for key, value in way.settings.items()}
    patch = pytest.MonkeyPatch()
    with ExitStack() as opened:
        opened.callback(patch.undo)
        patch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
        server = opened.enter_context(
            running(folder, APP, "kit", "serve", "app.py", *SERVERS[how], **settings)
        )
        is_unix, path = "--uds" in SERVERS[how], folder / "plugin.sock"
        address = f"127.0.0.1:{server.port}"
        upstream = {"caddy": f"unix/{path}", "nginx": f"unix:{path}:"}[kind] if is_unix else address
        rules = (way.caddy if kind == "caddy" else way.nginx).format(upstream=upstream)
        opened.enter_context(proxy(kind, port, rules, certificate))
        yield f"https://localhost:{port}{way.prefix}"


@pytest.fixture
def client(certificate: Path) -> Iterator[httpx2.Client]:
    with httpx2.Client(
        verify=ssl.create_default_context(cafile=certificate / "cert.pem"), trust_env=False
    ) as opened:
        yield opened


def test_every_address_is_the_one_outside(outside: str, client: httpx2.Client) -> None:
    manifest = client.get(f"{outside}/.well-known/ai-plugin.json").raise_for_status().json()
    assert manifest["api"]["url"] == f"{outside}/.well-known/openapi.json"
    assert manifest["logo_url"] == f"{outside}/logo.svg"
    assert client.get(manifest["api"]["url"]).json()["servers"] == [{"url": outside}]
    answer = client.get(f"{outside}/todos").json()
    assert answer["one"] == f"{outside}/todos/7"
    assert answer["base"] == f"{outside}/"
    assert client.get(answer["one"]).json() == 7
    moved = client.get(f"{outside}/lists")
    assert moved.headers["location"] == f"{outside}/lists/"
    assert client.get(moved.headers["location"]).json() == f"{outside}/lists/"
    assert client.get(f"{outside}/nothing/is/here").status_code == 404


def test_swagger_finds_its_spec(outside: str, client: httpx2.Client) -> None:
    page = client.get(f"{outside}/swagger").text
    path = page.partition("url: '")[2].partition("'")[0]
    spec = client.get(httpx2.URL(f"{outside}/swagger").join(path)).json()
    assert spec["servers"] == [{"url": outside}]


def test_a_websocket_is_reached_and_knows_its_address(outside: str, certificate: Path) -> None:
    address = f"{outside}/watch".replace("https", "wss")
    context = ssl.create_default_context(cafile=certificate / "cert.pem")
    with websockets.sync.client.connect(address, ssl=context, proxy=None) as opened:
        assert opened.recv(timeout=10) == address


def test_it_is_installed_and_called(outside: str) -> None:
    # in a process of its own: this one's connections may trust other certificates already
    code = (
        f"import kit; it = kit.install({outside!r}); print(it.base_url, it.call('get_todo', number=3).data)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == f"{outside} 3\n", done.stderr


def test_an_mcp_client_is_told_the_address_outside(outside: str, client: httpx2.Client) -> None:
    pytest.importorskip("mcp")
    call: dict[str, Any] = {"name": "list_todos", "arguments": {}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {"accept": "application/json, text/event-stream"}
    text = client.post(f"{outside}/mcp", json=message, headers=headers, timeout=120).text
    assert f"{outside}/todos/7" in text
