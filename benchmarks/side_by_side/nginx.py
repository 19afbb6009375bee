"""nginx in the foreground with one worker, in a folder of its own, as whoever runs it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.side_by_side.machine import library, program
from benchmarks.side_by_side.processes import Command

LUA = Path(__file__).parent / "lua"

_CONFIGURATION = """\
load_module {ndk};
load_module {lua_module};
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 4m;
    client_body_buffer_size 2m;
    keepalive_requests 1000000000;
    keepalive_timeout 75s;
    lua_package_path "{lua}/?.lua;;";
    lua_max_running_timers 64;
    lua_socket_log_errors off;
    {upstream}
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        {locations}
    }}
}}
"""
#: Connections to what is behind nginx are kept, as many as there are clients at most.
_UPSTREAM = "upstream behind {{ server {address}; keepalive 512; keepalive_requests 1000000000; }}"
_PASSED_ON = "proxy_pass http://behind{path}; proxy_http_version 1.1; proxy_set_header Connection '';"


def command(folder: Path, port: int, locations: str, upstream: str = "") -> Command:
    """Write the configuration into a folder; returns the command that serves it."""
    folder.mkdir(parents=True, exist_ok=True)
    written = _CONFIGURATION.format(
        ndk=library("nginx/modules/ndk_http_module.so"),
        lua_module=library("nginx/modules/ngx_http_lua_module.so"),
        folder=folder,
        lua=LUA,
        upstream=_UPSTREAM.format(address=upstream) if upstream else "",
        port=port,
        locations=locations,
    )
    (folder / "nginx.conf").write_text(written)
    return Command([program("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")])


def passed_on(path: str) -> str:
    """What a location says that passes requests on to a path behind."""
    return _PASSED_ON.format(path=path)
