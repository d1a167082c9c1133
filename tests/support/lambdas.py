"""AWS Lambda without AWS: the translated template deployed to moto, its zip file run by Lambda's own runtime.

What that leaves open: a real Lambda has a sandbox, a share of a processor that depends on its memory, IAM, a network
and a Function URL, none of which exists here. Times are this machine's.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

REGION = "eu-central-1"
HOST = "abc.lambda-url.eu-central-1.on.aws"
# The runtime's own packages, which Lambda installs beside the function's.
RUNTIME = ("awslambdaric", "simplejson", "snapshot-restore-py")


class Refused(Exception):
    """The runtime's message when the function cannot be loaded, or fails."""


def build(project: Path, folder: Path) -> Path:
    """What `sam build` does here: `make build-Plugin` with a folder for the artifacts."""
    subprocess.run(
        ["make", "-s", "build-Plugin", f"ARTIFACTS_DIR={folder}"],
        cwd=project,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        check=True,
    )
    return folder


def zipped(folder: Path, file: Path) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return file


def translated(template: Path) -> dict[str, Any]:
    """The SAM template as CloudFormation, by AWS's own translator, without a request to AWS."""
    import boto3
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator
    from samtranslator.yaml_helper import yaml_parse

    document = yaml_parse(template.read_text())
    document["Resources"]["Plugin"]["Properties"]["CodeUri"] = {"Bucket": "code", "Key": "plugin.zip"}
    managed = {
        "AWSLambdaBasicExecutionRole": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    }
    before = os.environ.get("AWS_DEFAULT_REGION")
    os.environ["AWS_DEFAULT_REGION"] = REGION  # the translator also reads it itself
    try:
        translator = Translator(managed, Parser(), boto_session=boto3.Session())
        template_body: dict[str, Any] = translator.translate(document, {})
    finally:
        del os.environ["AWS_DEFAULT_REGION"]
        if before is not None:
            os.environ["AWS_DEFAULT_REGION"] = before
    return template_body


def deployed(
    template: dict[str, Any], archive: Path, parameters: dict[str, str], folder: Path
) -> dict[str, Any]:
    """Deploys to moto, unpacks what was deployed into `folder`, and returns the function's configuration."""
    import boto3
    from moto import mock_aws

    with mock_aws():
        s3 = boto3.client("s3", region_name=REGION)
        s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.upload_file(str(archive), "code", "plugin.zip")
        cloud = boto3.client("cloudformation", region_name=REGION)
        cloud.create_stack(
            StackName="plugin",
            # moto has no Function URL, and no value for the output that names it
            TemplateBody=json.dumps({**template, "Outputs": {}}),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        resources = cloud.describe_stack_resources(StackName="plugin")["StackResources"]
        # moto lists what it skips (the Function URL) without a type
        kinds = sorted(resource.get("ResourceType", "") for resource in resources)
        name = next(
            it["PhysicalResourceId"] for it in resources if it.get("ResourceType") == "AWS::Lambda::Function"
        )
        function = boto3.client("lambda", region_name=REGION).get_function(FunctionName=name)
        s3.download_file("code", "plugin.zip", str(folder) + ".zip")
    with zipfile.ZipFile(str(folder) + ".zip") as deployed_zip:
        deployed_zip.extractall(folder)
    return {**function["Configuration"], "Kinds": kinds}


class Function:
    """One running instance: Lambda's runtime in a clean interpreter, and the API that it gets events from."""

    def __init__(self, folder: Path, handler: str, environment: dict[str, str], site: Path) -> None:
        self._events: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self._answers: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._api = ThreadingHTTPServer(("127.0.0.1", 0), self._handlers())
        self._api.daemon_threads = True
        self._api.handle_error = lambda *_: None  # type: ignore[method-assign]  # a runtime that was ended
        threading.Thread(target=self._api.serve_forever, daemon=True).start()
        code = (
            f"import sys; sys.path[:0] = [{str(folder)!r}, {str(site)!r}]; "
            "from awslambdaric.__main__ import main; "
            f"main(['awslambdaric', {handler!r}])"
        )
        clean = {
            "PATH": os.defpath,
            "LAMBDA_TASK_ROOT": str(folder),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_address[1]}",
            "AWS_LAMBDA_FUNCTION_NAME": "plugin",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_REGION": REGION,
            "_HANDLER": handler,
            **environment,
        }
        self.began = time.perf_counter()
        # -S: without this environment's packages, so that a missing one is noticed; -B: /var/task is read-only.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", code],
            cwd=folder,
            env=clean,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.log = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.log += line

    def invoke(self, event: dict[str, Any], seconds: float = 30) -> dict[str, Any]:
        """The answer to one event. Raises `Refused` with what the runtime says."""
        self._events.put((f"request-{time.monotonic_ns()}", event))
        kind, body = self._answers.get(timeout=seconds)
        if kind == "response":
            answer: dict[str, Any] = json.loads(body)
            return answer
        raise Refused(body.decode())

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and parsed body of a request through a Function URL."""
        answer = self.invoke(event(method, path, body, **headers))
        content = answer.get("body") or ""
        if answer.get("isBase64Encoded"):
            content = base64.b64decode(content).decode()
        with contextlib.suppress(ValueError):
            return answer["statusCode"], json.loads(content)
        return answer["statusCode"], content

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._api.shutdown()
        self._api.server_close()

    def __enter__(self) -> Function:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _handlers(self) -> type[BaseHTTPRequestHandler]:
        function = self

        class Api(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:  # .../invocation/next
                number, event = function._events.get()
                body = json.dumps(event).encode()
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", number)
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 45_000))
                self.send_header(
                    "Lambda-Runtime-Invoked-Function-Arn", f"arn:aws:lambda:{REGION}:1:function:plugin"
                )
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:  # .../ID/response, .../ID/error, .../init/error
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                function._answers.put((self.path.rpartition("/")[2], body))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: Any) -> None:
                pass

        return Api


def event(method: str, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
    """What a Function URL sends, format 2.0."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path.partition("?")[0],
        "rawQueryString": path.partition("?")[2],
        "headers": {
            "host": HOST,
            **({"content-type": "application/json"} if body is not None else {}),
            **headers,
        },
        "requestContext": {
            "domainName": HOST,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
            "stage": "$default",
            "requestId": "id",
        },
        "body": json.dumps(body) if body is not None else None,
        "isBase64Encoded": False,
    }


def rest_event(method: str, path: str, stage: str = "prod") -> dict[str, Any]:
    """What a REST API sends, format 1.0."""
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {"Host": HOST},
        "multiValueHeaders": {"Host": [HOST]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {
            "path": f"/{stage}{path}",
            "stage": stage,
            "domainName": HOST,
            "httpMethod": method,
            "identity": {"sourceIp": "192.0.2.1"},
            "protocol": "HTTP/1.1",
        },
        "body": None,
        "isBase64Encoded": False,
    }


def runtime_site(folder: Path) -> Path:
    """A folder with Lambda's runtime and nothing else."""
    folder.mkdir()
    for name in RUNTIME:
        for file in metadata.files(name) or ():
            source = Path(str(file.locate()))
            if source.is_file() and ".." not in file.parts and "__pycache__" not in file.parts:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / file)
    subprocess.run([sys.executable, "-m", "compileall", "-q", folder], check=True)
    return folder
