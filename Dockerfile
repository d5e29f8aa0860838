# The two images of ssefleet: `docker build --target sse-node .` and `--target sse-operator`. One compile makes both;
# each holds its program, the libraries it loads, and the certificates of public authorities: no shell, no packages.

# The toolchain is the image's own: with rust-toolchain.toml there, rustup would fetch another one.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p sse-node -p sse-operator --bins && \
    mkdir /out && cp target/release/sse-node target/release/sse-operator /out/
RUN set -eu; \
    for name in sse-node sse-operator; do \
      root=/root-of/$name; \
      mkdir -p "$root/etc/ssl/certs"; \
      mkdir -m 1777 "$root/tmp"; \
      cp "/out/$name" "$root/"; \
      ldd "/out/$name" | grep -o '/[^ ]*' | while read -r library; do cp -L --parents "$library" "$root"; done; \
      echo 'nonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin' >"$root/etc/passwd"; \
      echo 'nonroot:x:65532:' >"$root/etc/group"; \
      echo 'hosts: files dns' >"$root/etc/nsswitch.conf"; \
    done

FROM scratch AS sse-node
COPY --from=build /root-of/sse-node/ /
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
LABEL org.opencontainers.image.title="sse-node" org.opencontainers.image.licenses="Apache-2.0"
USER 65532:65532
# public, publish, admin
EXPOSE 8080 8081 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/sse-node", "health"]
ENTRYPOINT ["/sse-node"]

FROM scratch AS sse-operator
COPY --from=build /root-of/sse-operator/ /
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
LABEL org.opencontainers.image.title="sse-operator" org.opencontainers.image.licenses="Apache-2.0"
USER 65532:65532
ENTRYPOINT ["/sse-operator"]
