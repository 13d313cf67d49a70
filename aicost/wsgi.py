import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aicost.settings")
django.setup(set_prefix=False)

from aicost.http.wsgi import Handler  # noqa: E402  needs the settings

application = Handler()
