# Images of dask-native: `operator` (no Python, any user, read-only root), `scheduler`, `worker`, and `dask`, which is both and a client.
#   docker build --target worker --tag dask-native/worker:0.1.0 .        (or buildah bud; no registry but the base image's is needed)
# PROGRAMS=prebuilt takes the programs that `cmake --install build --component NAME --prefix build/image` put into build/image, instead of
# compiling them here: a minute instead of ten.
ARG BASE=debian:12
ARG PROGRAMS=build

# ---- programs ----------------------------------------------------------------------------------------------------------
FROM ${BASE} AS build
COPY scripts/debian-packages.txt /tmp/
RUN apt-get update && grep -v '^#' /tmp/debian-packages.txt | grep -vE '^(clang|libclang)' | \
    DEBIAN_FRONTEND=noninteractive xargs apt-get install --yes --no-install-recommends
COPY . /source
WORKDIR /source
RUN cmake --preset release -DDASK_TESTS=OFF -DDASK_BENCHMARKS=OFF && \
    cmake --build --preset release --target dask-scheduler dask-worker dask-operator && \
    for component in python operator; do cmake --install build --component $component --prefix build/image --strip; done

FROM scratch AS prebuilt
COPY build/image /source/build/image

FROM ${PROGRAMS} AS programs

# ---- operator ----------------------------------------------------------------------------------------------------------
FROM ${BASE} AS operator
COPY --from=programs /source/build/image/operator /opt/dask-operator
RUN echo /opt/dask-operator/lib > /etc/ld.so.conf.d/dask-operator.conf && ldconfig && \
    useradd --uid 1000 --no-create-home --shell /usr/sbin/nologin dask
ENV PATH=/opt/dask-operator/bin:/usr/bin:/bin
USER 1000:1000
EXPOSE 8080
ENTRYPOINT ["/opt/dask-operator/bin/dask-operator"]

# ---- scheduler, worker, dask --------------------------------------------------------------------------------------------
# The graph helper and the executors run the clients' Python: its packages, in the versions of requirements.txt.
FROM ${BASE} AS python
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-venv && \
    rm -rf /var/lib/apt/lists/*
COPY requirements.txt /tmp/
# Behind a proxy that has certificates of its own: mount them, and name the file here.
ARG PIP_CERT
RUN python3 -m venv /opt/dask && sed '/^# Tests/,$d' /tmp/requirements.txt > /tmp/needed.txt && \
    /opt/dask/bin/pip install --no-cache-dir --no-compile --requirement /tmp/needed.txt && \
    rm -rf /opt/dask/lib/python3.11/site-packages/pyarrow/tests /opt/dask/lib/python3.11/site-packages/pandas/tests
RUN useradd --uid 1000 --create-home dask
ENV PATH=/opt/dask-native/bin:/opt/dask/bin:/usr/bin:/bin DASK_NATIVE_PYTHON=/opt/dask/bin/python PYTHONUNBUFFERED=1

FROM python AS dask
COPY --from=programs /source/build/image/dask_native/lib /opt/dask-native/lib
COPY --from=programs /source/build/image/dask_native/bin /opt/dask-native/bin
COPY python/dask_native /opt/dask/lib/python3.11/site-packages/dask_native
USER 1000:1000
WORKDIR /home/dask
EXPOSE 8786 8787
CMD ["python"]

FROM dask AS scheduler
CMD ["dask-scheduler"]

FROM dask AS worker
CMD ["dask-worker", "--help"]
