FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
# Files of rows wait in /data until they are posted, and /anchors is where anchors go; the API works on
# through a new image.
RUN useradd --system --uid 10001 --no-create-home coalition && install -d -o coalition /data /anchors

# The packages change less often than the program, so they come first.
COPY requirements-runtime.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements-runtime.lock

COPY pyproject.toml README.md ./
COPY src src
COPY configs configs
RUN pip install --no-cache-dir --no-build-isolation --no-deps .

USER coalition
ENV COALITION_HOST=0.0.0.0 COALITION_PORT=8000 COALITION_DATA=/data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["coalition", "serve"]
