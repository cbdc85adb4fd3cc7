# Both images are pinned by an exact version; `tools/pin_images` adds the digest that the registry
# gives for it today.
FROM python:3.11.15-slim-trixie AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/venv/bin:$PATH
WORKDIR /app
RUN python -m venv /venv

# The packages change less often than the program, so they come first.
COPY requirements-runtime.lock ./
RUN pip install --require-hashes -r requirements-runtime.lock

COPY pyproject.toml README.md ./
COPY src src
# What installs packages has no business where they run.
RUN pip install --no-build-isolation --no-deps . && pip uninstall --yes setuptools pip

FROM python:3.11.15-slim-trixie

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/venv/bin:$PATH
WORKDIR /app
# Files of rows wait in /data until they are posted, and /anchors is where anchors go; the API works on
# through a new image. Nothing else is written: the rest may be, and in docker-compose.yml is, read only.
RUN useradd --system --uid 10001 --no-create-home coalition \
    && install -d -m 0700 -o coalition /data /anchors \
    && python -m pip uninstall --yes setuptools wheel pip

COPY --from=build /venv /venv
COPY configs configs

USER coalition
ENV COALITION_HOST=0.0.0.0 COALITION_PORT=8000 COALITION_DATA=/data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["coalition", "serve"]
