"""The page that explains a wrong address."""

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Names each wrong parameter. It is also Django's handler for status 400."""
    wrong = exception.message_dict if isinstance(exception, ValidationError) else {}
    return render(request, "400.html", {"wrong": [(k, " ".join(v)) for k, v in wrong.items()]}, status=400)
