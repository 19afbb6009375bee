# The gateway as a sidecar: docker run -v ./mappings:/app/mappings:ro -v gateway-data:/data -p 8080:8080 IMAGE
# The root file system may be read-only (--read-only): only /data is written to.

FROM python:3.13-slim AS build
RUN python -m venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH
WORKDIR /src
COPY requirements.lock pyproject.toml README.md ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY gateway ./gateway
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /nonexistent gateway \
    && install --directory --owner gateway --mode 700 /data
COPY --from=build /app/.venv /app/.venv
COPY mappings /app/mappings
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    GATEWAY_LISTEN=0.0.0.0:8080 \
    GATEWAY_OPERATOR_LISTEN=127.0.0.1:8081 \
    GATEWAY_MAPPINGS=/app/mappings \
    GATEWAY_DATABASE=sqlite:////data/gateway.db \
    GATEWAY_MEDIA=/data/media \
    TMPDIR=/data \
    GATEWAY_LOG_FORMAT=json
USER 10001
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8081/healthz', timeout=2)"]
ENTRYPOINT ["smsbat-gateway"]
CMD ["serve"]
