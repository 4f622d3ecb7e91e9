# syntax=docker/dockerfile:1
# docker build -t wxgate .
# docker run --read-only -v wxgate-data:/data -v ./gateway.yaml:/etc/wxgate/gateway.yaml:ro -p 8080:8080 wxgate

FROM node:26-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY scripts/build.ts ./scripts/
COPY src ./src
RUN npm run build

FROM node:26-bookworm-slim
# The configuration of every command, the health check included. NODE_OPTIONS: docs/decisions/0008-what-v8-keeps.md
ENV NODE_ENV=production \
    NODE_OPTIONS=--max-semi-space-size=8 \
    WXGATE_CONFIG=/etc/wxgate/gateway.yaml \
    WXGATE_STORE=sqlite:/data/wxgate.db
WORKDIR /app
COPY package.json package-lock.json ./
# The optional packages hold Node, which this image already has.
RUN npm ci --omit=dev --omit=optional --ignore-scripts \
    && npm cache clean --force
COPY bin ./bin
COPY config ./config
COPY --from=build /app/dist ./dist
COPY gateway.yaml /etc/wxgate/gateway.yaml
# The only writable place. A new volume takes its owner from here.
RUN ln -s /app/bin/wxgate.js /usr/local/bin/wxgate \
    && mkdir /data \
    && chown 1000:1000 /data
VOLUME /data
# A number, so that Kubernetes can check that it is not root (runAsNonRoot): the image's user `node`.
USER 1000:1000
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["wxgate", "healthcheck"]
ENTRYPOINT ["wxgate"]
CMD ["run"]
