# imgbang: `docker build -t imgbang .`
#
# Reproducible as far as a registry allows: every Python package is pinned with its hashes in container/*.lock (`make lock`
# renews them). The base is pinned by its tag; pin it by digest where you build, with --build-arg BASE=python:…@sha256:…
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /build
# What builds, apart from what runs. pyvips has no wheel of its own (pyvips-binary, the library, has); without a compiler
# here it becomes pure Python.
COPY container/build.lock container/requirements.lock container/
RUN python -m venv hatch && python -m venv --without-pip /opt/imgbang \
 && hatch/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes \
      --only-binary :all: --requirement container/build.lock \
 && hatch/bin/python -m pip wheel --no-cache-dir --disable-pip-version-check --require-hashes --no-deps \
      --only-binary :all: --no-binary pyvips --no-build-isolation --wheel-dir wheels \
      --requirement container/requirements.lock \
 && hatch/bin/python -m pip --python /opt/imgbang/bin/python install --no-cache-dir --disable-pip-version-check \
      --no-deps --no-index wheels/*.whl
# imgbang itself last: an edit of it does not install all that again.
COPY pyproject.toml README.md ./
COPY proxy proxy
RUN hatch/bin/python -m hatchling build --target wheel --directory dist \
 && hatch/bin/python -m pip --python /opt/imgbang/bin/python install --no-cache-dir --disable-pip-version-check \
      --no-deps --no-index dist/*.whl

FROM ${BASE}
LABEL org.opencontainers.image.title="imgbang" \
      org.opencontainers.image.description="On-demand image proxy: !thumb after an image's URL is the thumbnail" \
      org.opencontainers.image.licenses="Apache-2.0"
# The fonts are for texts on pictures: without one for CJK letters those are boxes. jemalloc was measured and left out:
# it rendered no faster, and workers held more memory with it (docs/deployment.md).
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends fontconfig-config fonts-dejavu-core fonts-wqy-microhei \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 imgbang \
 && useradd --uid 10001 --gid imgbang --home-dir /tmp --no-create-home --shell /usr/sbin/nologin imgbang \
 && install --directory --owner imgbang --group imgbang /images /results /staging
COPY --from=build /opt/imgbang /opt/imgbang
COPY presets.toml /etc/imgbang/presets.toml

# Nothing is written but to /staging, /results (if results are kept there) and /tmp: the root may be read-only.
ENV PATH=/opt/imgbang/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    IMGBANG_HOST=0.0.0.0 \
    IMGBANG_PORT=8080 \
    IMGBANG_ORIGINALS=file:///images \
    IMGBANG_RESULTS=file:///results \
    IMGBANG_PRESETS=/etc/imgbang/presets.toml \
    IMGBANG_STAGING_DIR=/staging \
    IMGBANG_LOG_FORMAT=json
USER 10001:10001
EXPOSE 8080
# No init is needed: imgbang as process 1 takes its signals and reaps its children.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["/opt/imgbang/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/-/live', timeout=2)"]
ENTRYPOINT ["imgbang"]
CMD ["serve"]
