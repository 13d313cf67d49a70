FROM python:3.13-slim-trixie AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY requirements.lock /
RUN /venv/bin/pip install --require-hashes --only-binary :all: -r /requirements.lock
WORKDIR /app
COPY manage.py ./
COPY aicost aicost
COPY billing billing
COPY products products
COPY static static
COPY templates templates
# The key of this step signs nothing, and is in no image.
RUN SECRET_KEY=collectstatic /venv/bin/python manage.py collectstatic --noinput --verbosity 0 \
    && /venv/bin/python -m compileall -q aicost billing products

FROM python:3.13-slim-trixie
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin aicost \
    && install --directory --owner aicost --group aicost --mode 0700 /data
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    DATABASE_URL=sqlite:////data/aicost.sqlite3
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-m", "aicost.probe"]
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0"]
