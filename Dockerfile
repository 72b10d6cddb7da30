# One recipe, three images; docs/operations.md has the commands:
#   docker build --build-arg SERVICE=ics-proxy -t hackspace/ics-proxy .
#   docker build --build-arg SERVICE=provisioner --build-arg PACKAGES='git openssh-client' -t hackspace/provisioner .
#   docker build --build-arg SERVICE=unsealer -t hackspace/unsealer .
ARG NODE_IMAGE=docker.io/library/node:24.21.0-trixie-slim
FROM ${NODE_IMAGE}
ARG SERVICE
# Debian packages that the service runs: the provisioner's store is git's own program.
ARG PACKAGES=
RUN test -n "${SERVICE}" && if [ -n "${PACKAGES}" ]; then \
      apt-get update -qq && apt-get install -qq -y --no-install-recommends ${PACKAGES} && \
      rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*; \
    fi
WORKDIR /app
# The names of all workspaces, or the lockfile does not fit; the packages of one.
COPY package.json package-lock.json .npmrc ./
COPY kit/package.json kit/
COPY services/ics-proxy/package.json services/ics-proxy/
COPY services/provisioner/package.json services/provisioner/
COPY services/unsealer/package.json services/unsealer/
RUN npm ci --workspace="services/${SERVICE}" --omit=dev --omit=optional --ignore-scripts \
      --no-audit --no-fund --loglevel=error --cache /tmp/npm && \
    find . -type f '(' -name '*.map' -o -name '*.d.ts' -o -name '*.d.[mc]ts' -o -name '*.md' ')' -delete && \
    rm -rf /tmp/npm /tmp/node-compile-cache
COPY kit kit
COPY services/${SERVICE} services/${SERVICE}
# Large buffers go back to the system when they are freed, instead of into holes of the heap, and what is
# young is collected before it is tens of megabytes.
ENV NODE_ENV=production MALLOC_MMAP_THRESHOLD_=131072 NODE_OPTIONS=--max-semi-space-size=4
WORKDIR /app/services/${SERVICE}
# A number, so that `runAsNonRoot` can be checked. Nothing below / belongs to it: state is a volume.
USER 10001:10001
ENTRYPOINT ["node", "main.ts"]
CMD ["--config", "/etc/hackspace/config.yaml"]
