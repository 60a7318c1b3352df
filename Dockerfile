# docker build -t wdsfs . ; see docs/howto/kubernetes.md for how to run it.
FROM swift:6.3-bookworm AS build
# The newest of a stable release: a pinned version is gone with its next point release.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends \
      dpkg-dev fuse3 libfuse3-dev libcurl4-openssl-dev zlib1g-dev libzstd-dev liblz4-dev libbz2-dev \
      liblzma-dev libxxhash-dev libjpeg-dev libpng-dev libwebp-dev pkg-config python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN scripts/package /out

FROM debian:12-slim
COPY --from=build /out/*.deb /tmp/
RUN apt-get update && apt-get install -y --no-install-recommends /tmp/*.deb \
    && rm -rf /var/lib/apt/lists/* /tmp/*.deb
# The mount wants: --device /dev/fuse --cap-add SYS_ADMIN --security-opt apparmor=unconfined
STOPSIGNAL SIGTERM
ENTRYPOINT ["wdsfs"]
CMD ["--help"]
