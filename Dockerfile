# The scanner alone, without torch: reads what is mounted at /data, writes nothing, and needs no network.
#
#   docker build -t safeload .
#   docker run --rm --read-only --network none -v "$PWD/models:/data:ro" safeload scan /data
#
# Tag and digest go together: change both.
FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b AS build

RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /source
COPY constraints.txt pyproject.toml setup.py MANIFEST.in README.md CHANGELOG.md LICENSE ./
COPY safeload/ safeload/

# The environment holds no pip, and the machine in it has to be compiled: a build that fell back fails here.
ENV PIP_CONSTRAINT=/source/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv --without-pip /opt/safeload \
    && python -m pip --python /opt/safeload/bin/python install .
WORKDIR /
RUN /opt/safeload/bin/python -c "import safeload.machine.interpreter as m; assert m.__file__.endswith('.so'), m.__file__"


FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

COPY --from=build /opt/safeload /opt/safeload
ENV PATH=/opt/safeload/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1
# A configuration is looked for where the command starts: never in what is judged.
WORKDIR /

# By number, so that whoever runs the image can see that it is not root.
USER 65532:65532
ENTRYPOINT ["safeload"]
CMD ["--help"]
