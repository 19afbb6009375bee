"""The ``smsbat-gateway`` command. Each command imports what it needs itself, so that ``--help`` is quick."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.errors import ConfigurationError
from gateway.sandbox.behaviour import numbers_help, scripts_help

LOOPBACK = "127.0.0.1"
#: ``gateway.metrics`` has it too, which must not be imported before it is set.
_COUNTED = "PROMETHEUS_MULTIPROC_DIR"

app = typer.Typer(
    name="smsbat-gateway",
    help="Lets integrations written for Messagio or sms.by send through SMSBAT, with nothing changed but their URL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

MappingsOption = Annotated[
    Path | None, typer.Option("--mappings", help="Folder of mapping files.  [GATEWAY_MAPPINGS, default: mappings]")
]
DatabaseOption = Annotated[
    str | None, typer.Option(help="Database URL.  [GATEWAY_DATABASE, default: sqlite:///gateway.db]")
]
LatencyOption = Annotated[float, typer.Option(min=0, help="Milliseconds before each answer.")]


def main() -> None:
    """Run the command; what is wrong with the configuration is told in words, not in a stack trace."""
    try:
        app()
    except ConfigurationError as error:
        typer.secho(str(error), fg="red", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(metadata.version("smsbat-gateway"))
        raise typer.Exit


@app.callback()
def version(
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Tell it, and end.")
    ] = False,
) -> None:
    """Options of all commands."""


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port for legacy clients.")] = 8080,
    operator_port: Annotated[int, typer.Option(help="Port for the operator.")] = 8081,
    sandbox_port: Annotated[int, typer.Option(help="Port of the sandbox SMSBAT.")] = 8082,
    mappings: MappingsOption = None,
    database: Annotated[str, typer.Option(help="Database URL.")] = "sqlite:///demo.db",
    media: Annotated[str, typer.Option(help="Folder for uploaded pictures.")] = "demo-media",
) -> None:
    """Start a gateway with a sandbox SMSBAT behind it and a demo account in front, and show what passes through."""
    from gateway.demo import run_demo

    run_demo(mappings or Path("mappings"), database, media, port, operator_port, sandbox_port)


@app.command()
def serve(
    listen: Annotated[
        str | None,
        typer.Option(help="host:port for legacy clients; several with commas.  [GATEWAY_LISTEN, 127.0.0.1:8080]"),
    ] = None,
    tls_listen: Annotated[
        str | None, typer.Option(help="The same under TLS.  [GATEWAY_TLS_LISTEN, default: none]")
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="PEM file of the certificate chain.  [GATEWAY_TLS_CERTIFICATE]")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="PEM file of its key.  [GATEWAY_TLS_KEY, default: the certificate's file]")
    ] = None,
    tls_minimum: Annotated[
        str | None, typer.Option(help="Oldest TLS version for old clients, 1.0 to 1.3.  [GATEWAY_TLS_MINIMUM, 1.2]")
    ] = None,
    public_url: Annotated[
        str | None, typer.Option(help="Base address where SMSBAT fetches uploaded pictures.  [GATEWAY_PUBLIC_URL]")
    ] = None,
    media: Annotated[
        str | None, typer.Option(help="Folder or s3://bucket/prefix for pictures.  [GATEWAY_MEDIA, default: media]")
    ] = None,
    media_retention_days: Annotated[
        float | None,
        typer.Option(help="Days that a picture is kept after its last message.  [GATEWAY_MEDIA_RETENTION_DAYS, 365]"),
    ] = None,
    retention_days: Annotated[
        float | None, typer.Option(help="Days that messages are kept.  [GATEWAY_RETENTION_DAYS, default: 180]")
    ] = None,
    operator_listen: Annotated[
        str | None,
        typer.Option(help="host:port for the operator.  [GATEWAY_OPERATOR_LISTEN, default: 127.0.0.1:8081]"),
    ] = None,
    mappings: MappingsOption = None,
    database: DatabaseOption = None,
    workers: Annotated[int | None, typer.Option(help="Processes beside each other.  [GATEWAY_WORKERS, 1]")] = None,
    log_format: Annotated[
        str | None, typer.Option(help="console or json.  [GATEWAY_LOG_FORMAT, default: console]")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error.  [GATEWAY_LOG_LEVEL, default: info]")
    ] = None,
) -> None:
    """Serve legacy clients: the production command. Everything can also be set in the environment as GATEWAY_…"""
    settings = _settings(
        listen=listen,
        tls_listen=tls_listen,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        tls_minimum=tls_minimum,
        public_url=public_url,
        media=media,
        media_retention_days=media_retention_days,
        retention_days=retention_days,
        operator_listen=operator_listen,
        mappings=mappings,
        database=database,
        workers=workers,
        log_format=log_format,
        log_level=log_level,
    )
    with _place_to_count(settings.workers):
        from gateway.serve import run_gateway

        run_gateway(settings)


@contextlib.contextmanager
def _place_to_count(workers: int) -> Iterator[None]:
    """Several workers count together in a folder. It goes when their parent ends; they end without coming by here."""
    if workers == 1 or _COUNTED in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="gateway-metrics-") as folder:
        os.environ[_COUNTED] = folder
        yield


@app.command()
def check(
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Folder of mapping files.  [GATEWAY_MAPPINGS, default: mappings]"),
    ] = None,
) -> None:
    """Validate mapping files, run their worked examples, and show what each dialect covers. Exit code 1: problems."""
    from gateway.check import run_check

    settings = _settings(mappings=directory)
    sys.exit(0 if run_check(settings.mappings, settings.public_url) else 1)


@app.command()
def explain(
    request: Annotated[
        str, typer.Argument(help="A file with a raw HTTP request, '-' for stdin, or a whole 'curl …' command line.")
    ] = "-",
    mappings: MappingsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show step by step what a request becomes and what its client would be answered. Sends nothing."""
    from gateway.explain.command import run_explain

    sys.exit(0 if run_explain(request, _settings(mappings=mappings).mappings, as_json) else 1)


@app.command(epilog=f"Recipient numbers with a behaviour of their own:\n\n{numbers_help()}\n\n{scripts_help()}")
def sandbox(
    port: Annotated[int, typer.Option(help="Port to listen on, on 127.0.0.1.")] = 8082,
    key: Annotated[str, typer.Option(help="API key that it accepts.")] = "sandbox-key",
    login: Annotated[str, typer.Option(help="Basic login that it accepts.")] = "sandbox",
    password: Annotated[str, typer.Option(help="Basic password that it accepts.")] = "sandbox-password",  # noqa: S107
    shape: Annotated[str, typer.Option(help="Form of its answers: guide-001 or help-004.")] = "guide-001",
    latency_ms: LatencyOption = 0,
    limited: Annotated[bool, typer.Option(help="Keep SMSBAT's limits: 100 sending calls a second, 50 reads.")] = True,
    fault: Annotated[str | None, typer.Option(help="Fail every call this way; see the numbers below.")] = None,
    refuse_duplicates: Annotated[bool, typer.Option(help="Refuse a customerMessageId that was taken before.")] = False,
    pace: Annotated[float, typer.Option(min=0, help="Seconds between the statuses of a message.")] = 1.0,
    hook: Annotated[str | None, typer.Option(help="Address to tell of messages, such as a gateway's /hooks/….")] = None,
) -> None:
    """Start a stand-in SMSBAT. GET /sandbox/messages lists what it received, GET /sandbox/summary counts it.

    POST /sandbox/tell tells the hook whatever is in the body. Partners' scripts are at /partner/ and one of the words
    below; GET /sandbox/partner lists what they were told.
    """
    from gateway.sandbox.command import run_sandbox

    options: dict[str, Any] = {
        "key": key,
        "login": login,
        "password": password,
        "shape": shape,
        "latency": latency_ms / 1000,
        "limited": limited,
        "fault": fault,
        "refuse_duplicates": refuse_duplicates,
        "pace": pace,
        "hook": hook,
    }
    run_sandbox(f"{LOOPBACK}:{port}", options)


@app.command()
def schema() -> None:
    """Print the JSON Schema of mapping files; mappings/schema.json is a copy of it."""
    from gateway.mapping.json_schema import json_schema_text

    sys.stdout.write(json_schema_text())


AccountOption = Annotated[str | None, typer.Option(help="Only of this account.")]
LimitOption = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")]
callbacks_app = typer.Typer(no_args_is_help=True, help="Callbacks owed to partners' scripts.")
app.add_typer(callbacks_app, name="callbacks")


@callbacks_app.command("list")
def callbacks_list(
    state: Annotated[
        list[str] | None, typer.Option(help="pending, done, refused or dead; several by repeating.  [all but done]")
    ] = None,
    account: AccountOption = None,
    limit: LimitOption = 50,
    database: DatabaseOption = None,
) -> None:
    """List callbacks, newest first. Refused: the script said 400 or 404. Dead: it never said anything good in time."""
    from gateway.outbox import list_callbacks
    from gateway.store.callbacks import CallbackState

    try:
        states = {CallbackState(each) for each in state or ("pending", "refused", "dead")}
    except ValueError as error:
        raise ConfigurationError(f"--state must be one of {', '.join(CallbackState)}") from error
    list_callbacks(_settings(database=database).database, states, account, limit)


@callbacks_app.command("retry")
def callbacks_retry(
    ids: Annotated[list[int] | None, typer.Argument(help="Which; without any, give --all.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that were refused or are dead.")] = False,
    account: AccountOption = None,
    database: DatabaseOption = None,
) -> None:
    """Send callbacks again that were refused or are dead, on a new schedule. The gateway may be running."""
    from gateway.outbox import retry_callbacks

    if bool(ids) == every:
        raise ConfigurationError("name callbacks by their ids, or give --all")
    retry_callbacks(_settings(database=database).database, ids, account)


@app.command()
def replies(
    unmatched: Annotated[bool, typer.Option(help="Only those that answer no known message.")] = False,
    limit: LimitOption = 50,
    database: DatabaseOption = None,
) -> None:
    """List what subscribers wrote, newest first."""
    from gateway.outbox import list_replies

    list_replies(_settings(database=database).database, unmatched, limit)


@app.command()
def migrate(database: DatabaseOption = None) -> None:
    """Bring the database to the present shape. `serve` does this by itself at start."""
    from gateway.store.engine import open_engine
    from gateway.store.migrations import migrate as bring_up_to_date

    engine = open_engine(_settings(database=database).database)
    changed = bring_up_to_date(engine)
    engine.dispose()
    typer.echo("The database was brought up to date." if changed else "The database is up to date.")


def _settings(**options: Any) -> Any:
    """Settings from the environment, overridden by the options given."""
    from gateway.settings import Settings

    return Settings(**{name: value for name, value in options.items() if value is not None})
