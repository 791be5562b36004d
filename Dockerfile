# syncd as an unprivileged user. Run it with a read-only root; it writes to /var/lib/syncd and /tmp only.
FROM python:3.13-slim AS build
COPY requirements-runtime.lock /tmp/
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --only-binary :all: --require-hashes -r /tmp/requirements-runtime.lock

FROM python:3.13-slim
RUN groupadd --gid 10001 syncd \
 && useradd --uid 10001 --gid syncd --no-create-home --home-dir /var/lib/syncd --shell /usr/sbin/nologin syncd \
 && install -d -o syncd -g syncd -m 0700 /var/lib/syncd \
 && printf '#!/bin/sh\nexec /opt/venv/bin/python -m syncd "$@"\n' > /usr/local/bin/syncd \
 && chmod 0755 /usr/local/bin/syncd
COPY --from=build /opt/venv /opt/venv
COPY migrations /opt/syncd/migrations
COPY syncd /opt/syncd/syncd
ENV PYTHONPATH=/opt/syncd \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SYNCD_CONFIG=/etc/syncd \
    SYNCD_DATABASE=sqlite:////var/lib/syncd \
    SYNCD_STATE=/var/lib/syncd \
    SYNCD_LOG__FILE="" \
    SYNCD_LOG__FORMAT=json \
    SYNCD_WEB__LISTEN=0.0.0.0:8484 \
    SYNCD_WEB__TOKENS=/var/lib/syncd/web-tokens.json
USER syncd
WORKDIR /var/lib/syncd
VOLUME /var/lib/syncd
EXPOSE 8484
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["/opt/venv/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8484/healthz', timeout=3)"]
ENTRYPOINT ["syncd"]
CMD ["run"]
