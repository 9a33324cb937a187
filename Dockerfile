# syntax=docker/dockerfile:1
# Three images: `api` has no torch and stays slim, `worker` has it, `worker-gpu` has vLLM too.
#   docker build --target api -t gapcast-api .
#   docker build --target worker -t gapcast-worker .
#   docker build --target worker-gpu -t gapcast-worker-gpu .
FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 GAPCAST_DATA_DIR=/data
RUN useradd --create-home --uid 10001 gapcast && mkdir /data && chown gapcast /data
WORKDIR /build
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY gapcast gapcast
COPY service service
COPY workers workers
COPY migrations migrations

FROM base AS api
RUN pip install -c constraints.txt . && rm -rf /build
WORKDIR /data
USER gapcast
EXPOSE 8321
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-P", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8321/healthz', timeout=2)"]
CMD ["gapcast", "serve", "--host", "0.0.0.0", "--port", "8321", "--no-worker"]

FROM base AS worker-gpu
# vLLM's CUDA build takes an older numpy than the rest needs
RUN grep -v '^numpy' constraints.txt > gpu.txt && pip install -c gpu.txt ".[worker,math,vllm]" && rm -rf /build
WORKDIR /data
USER gapcast
CMD ["gapcast", "worker"]

FROM base AS worker
RUN pip install -c constraints.txt ".[worker,math]" && rm -rf /build
WORKDIR /data
USER gapcast
CMD ["gapcast", "worker"]
