# syntax=docker/dockerfile:1
# Trunkline alone, on nothing: docs/operations.md, "Run in a container". The Makefile's own build, without C:
#   docker build --build-arg VERSION=$(git describe --tags --always) -t trunkline .

FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The repository stays outside, so what it would say is handed in.
ARG VERSION=unknown
ARG REVISION
ARG REVISION_TIME
ARG TARGETOS
ARG TARGETARCH
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH make build && mkdir -p /root-of-image/var/lib/trunkline /root-of-image/tmp && chmod 1777 /root-of-image/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# A number, not a name: there is no list of users in here, and Kubernetes' runAsNonRoot asks for one.
COPY --from=build --chown=65532:65532 /root-of-image/ /
COPY --from=build /src/bin/trunkline /usr/local/bin/trunkline
USER 65532:65532
# Everywhere inside the container; what is published outside is said where it is run. The directory holds keys: keep it.
ENV TRUNKLINE_HTTP_ADDR=0.0.0.0:8080 TRUNKLINE_DATA_DIR=/var/lib/trunkline TRUNKLINE_LOG_FORMAT=json
VOLUME /var/lib/trunkline
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=6s --start-period=60s --retries=3 CMD ["/usr/local/bin/trunkline", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/trunkline"]
CMD ["serve"]
