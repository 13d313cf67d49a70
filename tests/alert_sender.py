"""`manage.py send_alerts` on a test's database: `python -m tests.alert_sender [--loop]`."""

import os
import sys

import django
from django.core.management import call_command
from django.db import connection

if __name__ == "__main__":
    django.setup()
    connection.settings_dict["NAME"] = os.environ["AICOST_TEST_DATABASE"]
    call_command("send_alerts", *sys.argv[1:])
