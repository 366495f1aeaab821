# One image for web, worker and scheduler; which of them a container is, its command says.
FROM python:3.12-slim AS built
WORKDIR /app
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY requirements.txt requirements-telemetry.txt ./
RUN /venv/bin/pip install --quiet -r requirements.txt -r requirements-telemetry.txt
COPY . .
# Static files are part of the image: they change with the program alone.
RUN HEADROOM_DATA=/app/built SECRET_KEY=only-to-collect /venv/bin/python manage.py collectstatic --noinput -v0 \
 && /venv/bin/python -m compileall -q config planner inventory

FROM python:3.12-slim
# pg_dump and pg_restore are what backups of PostgreSQL are made with.
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends postgresql-client \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --create-home --home-dir /data headroom \
 && chmod 700 /data
WORKDIR /app
COPY --from=built /venv /venv
COPY --from=built --chown=root:root /app /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HEADROOM_DATA=/data STATIC_ROOT=/app/built/static HEADROOM_HOST=0.0.0.0 PORT=8000 LOG_FORMAT=json \
    PROMETHEUS_MULTIPROC_DIR=/tmp/metrics
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD \
    ["python", "-c", "import urllib.request as u; u.urlopen(u.Request('http://127.0.0.1:8000/healthz', headers={'Host': 'localhost'}), timeout=2)"]
CMD ["python", "-m", "config.web"]
