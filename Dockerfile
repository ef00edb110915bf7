# The server alone: no embedded Postgres, no demo, no tests. Postgres and Redis come by URL.
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/loyalty
COPY requirements/build.txt requirements/server.txt requirements/
RUN pip --python /opt/loyalty/bin/python install --no-cache-dir --no-deps --require-hashes -r requirements/server.txt \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY loyalty loyalty
COPY sql sql
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-index --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/loyalty/bin/python install --no-cache-dir --no-deps --no-index /wheels/*.whl

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin loyalty
COPY --from=build /opt/loyalty /opt/loyalty
ENV PATH=/opt/loyalty/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LOYALTY_HOST=0.0.0.0 \
    LOYALTY_PORT=8080 \
    LOYALTY_LOG_FORMAT=json
USER loyalty
WORKDIR /
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['LOYALTY_PORT'] + '/health/ready', timeout=2)"]
STOPSIGNAL SIGTERM
CMD ["loyalty", "serve"]
