"""The product's URLs and `floor`, a page with only the session, user and project that every page needs."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from aicost.urls import handler400
from aicost.urls import urlpatterns as product
from products.access import project_for

__all__ = ["handler400", "urlpatterns"]


def floor(request: HttpRequest, project_id: str) -> HttpResponse:
    project_for(request.user, project_id)
    return HttpResponse("constant")


urlpatterns = [path("floor/<str:project_id>", floor), *product]
