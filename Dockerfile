# One image for every part of the lab in containers (docker-compose.yml): the
# binary, Open vSwitch with its userspace datapath, and OVN's command lines.
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY . .
RUN sim/lab/compose/build /out/govn

FROM debian:bookworm-slim
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
      openvswitch-switch ovn-common iproute2 iputils-ping tcpdump ethtool traceroute tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt
COPY --from=build /out/govn /usr/local/bin/govn
COPY sim/lab/compose/roles /usr/local/lib/govn-lab
ENV PATH=/usr/local/lib/govn-lab:$PATH
# tini reaps what Open vSwitch's daemons leave, and hands signals on.
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["govn", "version"]
