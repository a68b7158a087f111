# The chat in an image of Alpine, whose C library is musl. In the clone:
#
#   docker build --file example/docker/alpine.Dockerfile --tag chat .
#   docker run --rm --publish 8080:8080 chat

FROM node:22-alpine AS node

FROM rust:1-alpine AS build
RUN apk add --no-cache libstdc++ musl-dev
COPY --from=node /usr/local/bin/node /usr/local/bin/
COPY --from=node /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /wsbroker
COPY . .
# By default Rust links musl into what it builds; an addon uses that of Node.
ENV RUSTFLAGS="-C target-feature=-crt-static"
# Without the developer tools, cargo alone builds the addon; the JavaScript is in the clone.
RUN node scripts/build.mjs && npm pack --ignore-scripts && mv wsbroker-*.tgz /wsbroker.tgz

FROM node:22-alpine
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080
WORKDIR /app
COPY --from=build /wsbroker.tgz /tmp/wsbroker.tgz
# The package needs no other, so nothing is fetched.
RUN npm install --offline --no-audit --no-fund /tmp/wsbroker.tgz
COPY example/chat ./chat
COPY example/docker/healthcheck.mjs ./
# The user "node" of the image. Files belong to root, and the program can change none of them.
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "healthcheck.mjs"]
# Node is the first process: it gets SIGTERM itself, and the chat handles it. No shell, no npm, no tini.
CMD ["node", "chat/server.mjs"]
