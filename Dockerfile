# The project on Debian 12, with what .ci/run installs: docker build -t ouroboros .
FROM debian:12-slim
RUN apt-get update -q \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
       python3 python3-venv make g++ perl iverilog ccache ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /ouroboros
COPY . .
RUN make setup-test
ENV PATH="/ouroboros/.venv/bin:$PATH"
CMD ["make", "demo"]
