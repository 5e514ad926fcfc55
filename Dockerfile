# The course in a container, with the small PyTorch; README.md says how to start it. JupyterLab can be reached from outside
# the container only where LISTEN names an address; what you make lies in the volume /mine.
FROM python:3.12-slim

WORKDIR /course
COPY . .
RUN pip install --no-cache-dir uv \
    && uv pip install --system --no-cache --torch-backend=cpu -c constraints.txt -e ".[lab]"

RUN useradd --create-home student && mkdir /mine && chown student /mine
USER student
WORKDIR /mine
VOLUME /mine

ENV COURSE_HOME=/mine LISTEN=127.0.0.1 OMP_WAIT_POLICY=PASSIVE LAB=/course/course_lib/notebooks/lab
ENV JUPYTER_CONFIG_PATH=$LAB
EXPOSE 8888
CMD ["sh", "-c", "course update && exec jupyter lab --no-browser --ServerApp.ip=$LISTEN --ServerApp.root_dir=$COURSE_HOME/my \
    --LabApp.app_settings_dir=$LAB --LabApp.default_url=/lab/tree/00_start_here.ipynb"]
