"""A large product costs its readers no more queries than a small one."""

import json
from collections.abc import Iterator
from decimal import Decimal
from datetime import timedelta
from itertools import batched
from typing import Any
